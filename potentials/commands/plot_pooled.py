"""`rhopot plot pooled`: a molecule and the nodes that a pooling model pools its atoms to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from rhopot.export import load_model
from rhopot.export.global_models import inputs_of, prepare
from rhopot.potentials import plots, pooled_plots
from rhopot.potentials.commands.property_structures import read_structure
from rhopot.potentials.console import make_console, table
from rhopot.potentials.structures.geometry import check_geometry

MOST_NAMED = 4  # atoms of a node


def plot_pooled(model: Path, structure: Path, output: Path, *, member: int) -> None:
    """Draw the nodes of every pooling by one network, and print them with their atoms."""
    if output.suffix.lower().lstrip(".") not in plots.formats():
        raise ValueError(f"--output must end in the format of a picture, got '{output}'; name it '{output}.png'")
    loaded = load_model(model)
    method: Any = getattr(loaded.module, "pooled_nodes", None)
    if method is None:
        raise ValueError(
            f"model must pool atoms to nodes, got family {loaded.card.family} ({model}); train one of family pooling"
        )
    n_members = max(loaded.card.uncertainty.members, 1)
    if not 1 <= member <= n_members:
        raise ValueError(f"--member must be a number from 1 to {n_members}, got {member}; 1 is the first network")
    atoms = read_structure(structure)
    check_geometry(atoms)
    prepare(loaded, atoms)  # which refuses what the model does not take
    positions, species, *_ = inputs_of(loaded, atoms)
    with torch.no_grad():
        found = method(positions, species, member - 1)
    panels = {f"{places.shape[0]} nodes": (parts.numpy(), places.numpy()) for parts, places in found}
    output.parent.mkdir(parents=True, exist_ok=True)
    pooled_plots.pooled_nodes(output, atoms, panels, atoms.get_chemical_formula())
    console = make_console()
    for name, (parts, places) in panels.items():
        rows = [
            (str(k + 1), f"{part.sum():.2f}", *(f"{x:.3f}" for x in place), _largest_parts(atoms, part))
            for k, (part, place) in enumerate(zip(parts.T, places, strict=True))
        ]
        console.print(table(name, ("node", "atoms", "x (A)", "y (A)", "z (A)", "largest parts"), rows))
    console.print(f"{output}: {len(panels)} pooling(s)")


def _largest_parts(atoms: Atoms, part: NDArray[np.float64]) -> str:
    """Name the atoms of which a node has most, with their parts (N): `O3 0.98, H9 0.61`."""
    order = np.argsort(-part, kind="stable")[:MOST_NAMED]
    return ", ".join(f"{atoms.symbols[i]}{i + 1} {part[i]:.2f}" for i in order if part[i] >= pooled_plots.LEAST_PART)
