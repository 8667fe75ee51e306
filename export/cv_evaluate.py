"""Values of collective variables in ASE, and their derivatives by positions and by strain.

With J_km = ds_k/dS_m of the sums S of contributions, and x_a the positions of given atoms as `finish` gets them,

    g_k(edge)   = sum_m J_km dc_m/dr_ij
    ds_k/dr_i  -= g_k,   ds_k/dr_j += g_k            over all edges, and ds_k/dx_a for given atoms
    ds_k/dstrain_ab = sum over edges r_a g_kb + sum over given atoms x_a ds_k/dx_b

strain acts on row vectors as r' = r (1 + strain). Large structures are evaluated in batches of centers: a first pass
sums the contributions, a second one differentiates them. Edges contain periodic images, so cells may be smaller than
the cutoff.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import ase
import numpy as np
import torch
from ase.geometry import find_mic
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rhopot.export import script
from rhopot.export.cv_card import CvCard
from rhopot.export.results import Floats
from rhopot.potentials.graph import derivatives
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, edge_centres, with_vectors
from rhopot.potentials.graph.neighbours import Edges, find_edges
from rhopot.potentials.graph.species import species_indices

if TYPE_CHECKING:
    from rhopot.export.cv_file import LoadedCv

HALF = 0.48  # of a cell, from where the nearest image may change
# Edges that are worked on at once.
MAX_EDGES = 100_000

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class CvEvaluation:
    """Collective variables of one structure.

    values            (n_cv,) in the units of the card
    gradients         (n_cv, N, 3) by positions, per A; None where they were not asked for
    strain_gradients  (n_cv, 3, 3) by strain; for variables that rotations change it is not symmetric
    """

    values: Floats
    gradients: Floats | None = None
    strain_gradients: Floats | None = None


class CvNumbers(NamedTuple):
    """Values (n_cv,) of a module and their derivatives by edges, a tensor (n_cv, E, 3) of each graph, and by the given
    positions (n_cv, k, 3)."""

    values: Tensor
    by_edges: list[Tensor]
    by_positions: Tensor


def evaluate_cv(
    cv: LoadedCv,
    atoms: ase.Atoms,
    group: ArrayLike | None = None,
    gradients: bool = True,
    edges: Edges | None = None,
) -> CvEvaluation:
    """Evaluate collective variables of a structure.

    group: mask (N,) or indices of the atoms that may be centers; default: all. Neighbors and given atoms may be any.
    edges: those shorter than the cutoff with every atom a center, if they are known (a `VerletList` has them).

    Raises ValueError for given atoms that the structure has not, and for values that are not finite: of an average
    over no atoms, for instance.
    """
    graphs: list[AtomicGraph] = []
    if cv.card.reads_edges:
        species = species_indices(atoms, cv.card.symbols)
        found = find_edges(atoms, cv.card.cutoff) if edges is None else edges
        parts = selected_edges(found, species, _mask(group, len(atoms))).batches(MAX_EDGES)
        # No edge leads to atoms of other elements, but every row has a species.
        graphs = [as_graph(part, torch.from_numpy(species.clip(min=0))) for part in parts]
    rows = given_rows(cv.card, len(atoms), cv.name)
    positions = torch.from_numpy(given_positions(atoms, rows, cv.card.lists))
    numbers = differentiate(cv.card, cv.module, graphs, positions, gradients)
    _require_finite(cv, atoms, numbers)
    values = numbers.values.numpy().copy()
    if not gradients:
        return CvEvaluation(values)
    return CvEvaluation(values, *_assembled(graphs, numbers, rows, positions, len(atoms)))


def given_rows(card: CvCard, n_atoms: int, name: str) -> Integers:
    """Rows (k,) of the given atoms in a structure of `n_atoms`; `name` of the file stands in the error.

    Raises ValueError for numbers beyond the structure's.
    """
    rows = np.array(card.atoms, dtype=np.int64) - 1
    if len(rows) and rows.max() >= n_atoms:
        raise ValueError(
            f"atoms of '{name}' must be in the structure, got atom {rows.max() + 1} of {n_atoms}; "
            "IDs are those of LAMMPS, in ASE the index plus 1"
        )
    return rows


def given_positions(atoms: ase.Atoms, rows: Integers, lists: Sequence[int] | None = None) -> Floats:
    """Positions (k, 3) of atoms in A, each the image nearest to the one before it.

    In a list of three atoms or more, warns where two that follow each other are half of the cell apart: a variable
    jumps where another image becomes the nearest one. (The distance of two atoms has a kink there.)

    lists: how many of the atoms each list has, where there are several
    """
    positions = np.asarray(atoms.positions[rows], dtype=np.float64)
    if len(rows) < 2:
        return positions
    steps = find_mic(np.diff(positions, axis=0), atoms.cell, atoms.pbc)[0]
    if atoms.pbc.any():
        parts = np.abs(atoms.cell.complete().scaled_positions(steps))[:, atoms.pbc].max(axis=1)
        sizes = np.array([len(rows)] if lists is None else lists)
        of_list = np.repeat(np.arange(len(sizes)), sizes)
        uncertain = (parts > HALF) & (of_list[1:] == of_list[:-1]) & (sizes[of_list[1:]] > 2)
        if uncertain.any():
            at = int(np.argmax(uncertain))
            warnings.warn(
                f"atoms {rows[at] + 1} and {rows[at + 1] + 1} of a collective variable are half of the cell apart, and "
                "which image is nearest may change; list the atoms so that each is near the one before, or take a "
                "larger cell",
                stacklevel=2,
            )
    return np.concatenate([positions[:1], positions[:1] + np.cumsum(steps, axis=0)])


def differentiate(
    card: CvCard, module: Any, graphs: Sequence[AtomicGraph], positions: Tensor, gradients: bool = True
) -> CvNumbers:
    """Values of a module, scripted or not, and their derivatives by edge vectors and by given positions.

    graphs: parts of the structure, none where the module reads no edges. positions: (k, 3).
    """
    once = len(graphs) == 1 and gradients
    with script.plain_execution():
        leaves = [graph.edge_vectors.detach().requires_grad_(once) for graph in graphs]
        sums = torch.zeros([card.n_sums], dtype=torch.float64)
        kept = None
        for graph, vectors in zip(graphs, leaves, strict=True):
            with torch.set_grad_enabled(once):
                contributions = module(*with_vectors(graph, vectors))
            kept = contributions if once else None
            sums = sums + contributions.detach().sum(dim=0)
        sums = sums.requires_grad_(gradients)
        given = positions.detach().requires_grad_(gradients)
        with torch.set_grad_enabled(gradients):
            values = module.finish(sums, given)
        if not gradients:
            return CvNumbers(values, [], torch.zeros([0, 0, 3], dtype=torch.float64))
        by_sums, by_positions = _jacobians(values, sums, given)
        by_edges = []
        for graph, vectors in zip(graphs, leaves, strict=True):
            if kept is None:
                vectors = vectors.detach().requires_grad_(True)
                contributions = module(*with_vectors(graph, vectors))
            else:
                contributions = kept
            by_edges.append(_by_edges(contributions, vectors, by_sums))
    return CvNumbers(values.detach(), by_edges, by_positions)


def _jacobians(values: Tensor, sums: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of values (n_cv,) by sums (n_cv, M) and by positions (n_cv, k, 3)."""
    by_sums = values.new_zeros([len(values), len(sums)])
    by_positions = values.new_zeros([len(values), *positions.shape])
    if values.requires_grad:
        for k, value in enumerate(values):
            first, second = torch.autograd.grad(value, [sums, positions], retain_graph=True, allow_unused=True)
            if first is not None:
                by_sums[k] = first
            if second is not None:
                by_positions[k] = second
    return by_sums, by_positions


def _by_edges(contributions: Tensor, vectors: Tensor, by_sums: Tensor) -> Tensor:
    """Derivatives (n_cv, E, 3) of values by edge vectors, from those by the sums (n_cv, M) of contributions (C, M)."""
    found = vectors.new_zeros([len(by_sums), *vectors.shape])
    if contributions.requires_grad:
        for k, weights in enumerate(by_sums):
            (gradient,) = torch.autograd.grad(
                contributions, vectors, weights.expand_as(contributions), retain_graph=k + 1 < len(by_sums)
            )
            found[k] = gradient
    return found


def _assembled(
    graphs: Sequence[AtomicGraph], numbers: CvNumbers, rows: Integers, positions: Tensor, n_atoms: int
) -> tuple[Floats, Floats]:
    """Derivatives by the positions of all atoms (n_cv, N, 3) and by strain (n_cv, 3, 3)."""
    n_cv = len(numbers.values)
    by_atoms = torch.zeros([n_atoms, 3, n_cv], dtype=torch.float64)
    by_atoms.index_add_(0, torch.from_numpy(rows), numbers.by_positions.permute(1, 2, 0).contiguous())
    by_strain = torch.einsum("ka,nkb->abn", positions, numbers.by_positions)
    for graph, by_edges in zip(graphs, numbers.by_edges, strict=True):
        gradient = by_edges.permute(1, 2, 0)
        centre = graph.centre[edge_centres(graph.first_edge)]
        # The derivatives of an energy with a minus sign.
        by_atoms -= derivatives.forces_from_edges(gradient, centre, graph.neighbour, n_atoms)
        by_strain -= derivatives.virial_from_edges(graph.edge_vectors, gradient)
    return by_atoms.permute(2, 0, 1).numpy().copy(), by_strain.permute(2, 0, 1).numpy().copy()


def _mask(group: ArrayLike | None, n_atoms: int) -> NDArray[np.bool_]:
    """Mask (N,) of the group."""
    if group is None:
        return np.ones(n_atoms, dtype=bool)
    given = np.asarray(group)
    if given.dtype == bool and given.shape == (n_atoms,):
        return given
    mask = np.zeros(n_atoms, dtype=bool)
    fits = given.ndim == 1 and (
        given.size == 0 or (given.dtype.kind in "iu" and -n_atoms <= given.min() <= given.max() < n_atoms)
    )
    if not fits:
        raise ValueError(f"group must be a mask of {n_atoms} atoms or their indices, got {group!r}; indices run from 0")
    mask[given.astype(np.int64)] = True
    return mask


def selected_edges(edges: Edges, species: Integers, group: NDArray[np.bool_]) -> Edges:
    """Edges of centers of the group, between atoms of known elements; atoms of others are not there."""
    centered = (group & (species >= 0))[edges.centre]
    kept = np.repeat(centered, np.diff(edges.first_edge)) & (species[edges.neighbour] >= 0)
    if kept.all() and centered.all():
        return edges
    first_edge = np.concatenate([[0], np.cumsum(kept)])[edges.first_edge]
    counts = np.diff(first_edge)[centered]
    return Edges(
        edges.vectors[kept],
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        edges.neighbour[kept],
        edges.centre[centered],
        edges.shift[kept],
    )


def _require_finite(cv: LoadedCv, atoms: ase.Atoms, numbers: CvNumbers) -> None:
    """Raise ValueError for values or derivatives that are not finite."""
    for name, value in zip(cv.card.names, numbers.values.tolist(), strict=True):
        if not np.isfinite(value):
            raise ValueError(
                f"collective variable '{name}' of '{cv.name}' must be finite, got {value} for {atoms.symbols}; "
                "an average needs at least one atom of its elements in the group"
            )
    for part in (*numbers.by_edges, numbers.by_positions):
        if not bool(torch.isfinite(part).all()):
            raise ValueError(
                f"derivatives of '{cv.name}' must be finite, got NaN or infinity for {atoms.symbols}; "
                "its module must guard square roots and divisions"
            )
