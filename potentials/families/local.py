"""What local families share: features of every atom, and a repulsion at short distances by default."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.graph.atomic_graph import graphs

# Edges of one evaluation: bounds the memory.
MAX_EDGES = 20000

# Without a repulsion below the distances of the data, atoms of local models fuse.
REPULSION: dict[str, Any] = {"baseline": {"pair": {"kind": "zbl"}}}


def expected_errors(energy: float, forces: float, stress: float) -> dict[str, Any]:
    """Defaults of `targets`: sigmas in eV/atom, eV/A, eV/atom; forces and stresses are fitted where present."""
    return {
        "energy": {"sigma": energy},
        "forces": {"sigma": forces, "required": False},
        "stress": {"sigma": stress, "required": False},
    }


def features_of_atoms(descriptor: Any, atoms: ase.Atoms) -> NDArray[np.float64]:
    """Features (N, F) of every atom of a structure.

    descriptor: a `rhopot.potentials.descriptors.descriptor.Descriptor` with `settings`, which name the elements.

    Raises:
        ValueError: an element that the descriptor does not know.
    """
    with torch.no_grad():
        parts = [descriptor(part) for part in graphs(atoms, descriptor.settings.symbols, descriptor.cutoff, MAX_EDGES)]
    return np.asarray(torch.cat(parts).numpy())
