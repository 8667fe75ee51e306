"""Pictures of molecules and of the nodes that their atoms are pooled to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rhopot.potentials.plots import ACCENT, FAINT, INK, save_figure

Floats = NDArray[np.float64]

# Bonds are drawn up to this multiple of the sum of covalent radii, lines to nodes from this part of an atom on.
BONDED = 1.25
LEAST_PART = 0.05
LARGEST_NODE = 500.0  # points^2: of all atoms


def pooled_nodes(path: str | Path, atoms: Atoms, panels: Mapping[str, tuple[Floats, Floats]], title: str = "") -> Path:
    """A molecule in the plane of its largest extents with the nodes of its poolings, a panel for each.

    A node is a square, its area how many atoms it stands for; the line to an atom is as wide as the part of it that the
    node has.

    panels: name -> part of each atom in each node (N, M), and positions of the nodes (M, 3) in A.
    """
    if not panels:
        raise ValueError("panels must hold at least one pooling, got none; train with regressor.nodes")
    center = atoms.positions.mean(axis=0)
    axes_of_plane = np.linalg.svd(atoms.positions - center, full_matrices=True)[2][:2]
    flat = (atoms.positions - center) @ axes_of_plane.T
    figure = Figure(figsize=(4.6 * len(panels), 4.4), layout="constrained")
    for axes, (name, (parts, places)) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        _draw_molecule(axes, atoms, flat)
        nodes = (places - center) @ axes_of_plane.T
        for i, k in np.argwhere(parts >= LEAST_PART):
            axes.plot(*zip(flat[i], nodes[k], strict=True), color=ACCENT, lw=4.0 * parts[i, k], alpha=0.45, zorder=3)
        sizes = LARGEST_NODE * parts.sum(axis=0) / len(atoms)
        axes.scatter(
            nodes[:, 0], nodes[:, 1], s=sizes, marker="s", color=ACCENT, edgecolors=INK, linewidths=0.8, zorder=4
        )
        axes.set(title=name, xlabel="(Å)", ylabel="(Å)", aspect="equal")
        axes.margins(0.15)
    return save_figure(figure, path, title)


def _draw_molecule(axes: Axes, atoms: Atoms, flat: Floats) -> None:
    """Draw atoms as disks, by element, and bonds between them."""
    radii = covalent_radii[atoms.numbers]
    near = atoms.get_all_distances() < BONDED * (radii[:, None] + radii)
    for i, j in np.argwhere(np.triu(near, 1)):
        axes.plot(*zip(flat[i], flat[j], strict=True), color=FAINT, lw=2.0, zorder=1)
    axes.scatter(
        flat[:, 0], flat[:, 1], s=350.0 * radii, c=jmol_colors[atoms.numbers], edgecolors=INK, linewidths=0.8, zorder=2
    )
    for symbol, place in zip(atoms.get_chemical_symbols(), flat, strict=True):
        axes.annotate(symbol, place, ha="center", va="center", fontsize=8, color=INK, zorder=5)
