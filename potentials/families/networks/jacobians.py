"""Forces and strain derivatives of networks on features, from dE/dp: by cached derivatives or through the operators.

A network's forces need the derivative of the features p, which do not depend on the weights. `PairJacobians` holds

    J[ij] = sum_images dp_i / dr_ij   (3, F) per pair i != j        S[i] = sum_j sym(r_ij (x) dp_i / dr_ij)   (6, F)

(an atom's own images exert no force on it and appear in S only), and a step costs one pass over J:

    g_ij = J[ij] . dE/dp_i,      V * stress = sum_i S[i] . dE/dp_i;      forces as in `graph.derivatives`

`OperatorJacobians` forms the same numbers in every step from the edges, as products of the descriptor's derivative with
dE/dp; the gradient of a loss then goes through the second derivative of the descriptor's operators.

Features are standardised, p' = (p - mean) rate, and so is everything here: gradients are dE/dp'.

Legend: n structures, C atoms, P pairs, E edges, F features, K members; rows of a structure are contiguous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rhopot.potentials import operators
from rhopot.potentials.density import reference
from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, edge_centres, with_vectors
from rhopot.potentials.graph.derivatives import forces_from_edges
from rhopot.potentials.graph.neighbours import Edges, concatenate
from rhopot.potentials.units import ASE_VOIGT

operators.load()

ROWS, COLUMNS = ([index[k] for index in ASE_VOIGT] for k in (0, 1))


class BatchJacobian(Protocol):
    """Derivatives of the features of some structures."""

    def forces_and_strain(self, gradient: Tensor, strain: bool) -> tuple[Tensor, Tensor | None]:
        """Return forces (K, C, 3) in eV/A and, where wanted, V * stress (K, n, 6) in eV from dE/dp' (K, C, F).

        Differentiable in `gradient` where that requires a gradient.
        """


class FeatureJacobians(Protocol):
    """Derivatives of the features of all structures."""

    def batch(self, frames: Tensor) -> BatchJacobian:
        """Return those of some structures, in rising order."""


def ranges(first: Tensor, which: Tensor) -> Tensor:
    """Return the rows first[k] ... first[k + 1] - 1 of every k in `which`, one after the other."""
    begin, count = first[which], first[which + 1] - first[which]
    offset = begin - (count.cumsum(0) - count)
    return torch.arange(int(count.sum()), device=first.device) + torch.repeat_interleave(offset, count)


def starts(counts: Tensor) -> Tensor:
    """Return where the rows of each item begin and the last one ends (n + 1), from their numbers (n)."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def forces_of_pairs(gradient: Tensor, centre: Tensor, neighbour: Tensor, n_atoms: int) -> Tensor:
    """Return forces (K, C, 3) from dE/dr of pairs (K, P, 3)."""
    n_members = gradient.shape[0]
    flat = gradient.permute(1, 0, 2).reshape(-1, 3 * n_members)  # rows of one block each are added at once
    return forces_from_edges(flat, centre, neighbour, n_atoms).reshape(n_atoms, n_members, 3).permute(1, 0, 2)


def strain_of_edges(vectors: Tensor, gradient: Tensor) -> Tensor:
    """Return sym(r (x) g) of each edge (E, 6, ...), its part of V * stress, from r (E, 3) and g (E, 3, ...)."""
    r = vectors.reshape(*vectors.shape, *[1] * (gradient.dim() - 2))
    return 0.5 * (r[:, ROWS] * gradient[:, COLUMNS] + r[:, COLUMNS] * gradient[:, ROWS])


def sums_of_images(values: Tensor, image: Tensor, n_images: int) -> Tensor:
    """Return sums (K, n, m) over the rows (K, C, m) of each structure."""
    return values.new_zeros(values.shape[0], n_images, values.shape[2]).index_add(1, image, values)


def pair_gradients(jacobian: Tensor, first_pair: Tensor, gradient: Tensor) -> Tensor:
    """Return g (K, P, 3) = J[ij] . gradient_i from J (P, 3, F) and dE/dp (K, C, F): compiled on the CPU."""
    if jacobian.device.type != "cpu":
        return reference.jacobian_forces(jacobian, first_pair, gradient)
    return torch.ops.rhopot.jacobian_forces(jacobian, first_pair, gradient)


@dataclass(frozen=True)
class PairJacobians:
    """Cached derivatives of all structures' features.

    jacobian (P, 3, F); first_pair (C + 1); centre, neighbour (P): atoms; first_atom (n + 1);
    strain (C, 6, F) or None where no stress is trained.
    """

    jacobian: Tensor
    first_pair: Tensor
    centre: Tensor
    neighbour: Tensor
    first_atom: Tensor
    strain: Tensor | None

    def batch(self, frames: Tensor) -> PairBatch:
        """Return the derivatives of some structures: consecutive ones are one slice, nothing large is copied."""
        sizes = (self.first_atom[1:] - self.first_atom[:-1])[frames]
        first_of_frame = self.first_pair[self.first_atom]
        pairs = ranges(first_of_frame, frames)
        offset = starts(sizes)[:-1] - self.first_atom[frames]
        shift = torch.repeat_interleave(offset, first_of_frame[frames + 1] - first_of_frame[frames])
        parts, firsts, n_atoms = [], [], []
        for begin, end in runs(frames):
            atoms = slice(int(self.first_atom[begin]), int(self.first_atom[end]))
            first = self.first_pair[atoms.start : atoms.stop + 1]
            parts.append(self.jacobian[int(first[0]) : int(first[-1])])
            firsts.append(first - first[0])
            n_atoms.append(atoms.stop - atoms.start)
        strain = None if self.strain is None else self.strain.index_select(0, ranges(self.first_atom, frames))
        image = torch.repeat_interleave(torch.arange(len(frames), device=sizes.device), sizes)
        ends = (self.centre[pairs] + shift, self.neighbour[pairs] + shift)
        return PairBatch(parts, firsts, n_atoms, *ends, image, len(frames), strain)


def runs(frames: Tensor) -> list[tuple[int, int]]:
    """Return the stretches begin, ..., end - 1 of consecutive numbers in a rising list."""
    if len(frames) == 0:
        return []
    breaks = torch.nonzero(frames.diff() != 1).flatten() + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in frames.tensor_split(breaks.cpu())]


@dataclass(frozen=True)
class PairBatch:
    """Cached derivatives of some structures: slices of J, first pairs and numbers of atoms of each slice.

    centre, neighbour (P): atoms of the batch; image (C): structure of each atom.
    """

    parts: list[Tensor]
    first_pairs: list[Tensor]
    n_atoms: list[int]
    centre: Tensor
    neighbour: Tensor
    image: Tensor
    n_images: int
    strain: Tensor | None

    def forces_and_strain(self, gradient: Tensor, strain: bool) -> tuple[Tensor, Tensor | None]:
        """Return forces (K, C, 3) and V * stress (K, n, 6); see `BatchJacobian`."""
        slices = gradient.split(self.n_atoms, dim=1)
        parts = [
            pair_gradients(part, first, mine)
            for part, first, mine in zip(self.parts, self.first_pairs, slices, strict=True)
        ]
        of_pairs = torch.cat(parts, 1) if parts else gradient.new_zeros(gradient.shape[0], 0, 3)
        forces = forces_of_pairs(of_pairs, self.centre, self.neighbour, gradient.shape[1])
        if not strain or self.strain is None:
            return forces, None
        of_atoms = torch.bmm(self.strain, gradient.permute(1, 2, 0)).permute(2, 0, 1)
        return forces, sums_of_images(of_atoms, self.image, self.n_images)


@dataclass(frozen=True)
class OperatorJacobians:
    """Derivatives formed in every step through the descriptor, from the edges of all structures.

    descriptor: on the CPU and in float64, as for cached derivatives, because single precision holds nothing of the
    derivative of a norm that almost vanishes; species: of each structure's atoms; rate (S, F): of the standardisation,
    float64, one row or one per element.
    """

    descriptor: Descriptor
    edges: Sequence[Edges]
    species: Sequence[Tensor]
    rate: Tensor

    def batch(self, frames: Tensor) -> OperatorBatch:
        """Return the graph of some structures."""
        chosen = frames.tolist()
        sizes = [len(self.species[k]) for k in chosen]
        species = torch.cat([self.species[k] for k in chosen]) if chosen else torch.zeros(0, dtype=torch.int64)
        graph = as_graph(concatenate([self.edges[k] for k in chosen], sizes), species)
        rate = self.rate[species] if len(self.rate) > 1 else self.rate
        image = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor(sizes, dtype=torch.int64))
        return OperatorBatch(self.descriptor, graph, rate, image, len(chosen))


@dataclass(frozen=True)
class OperatorBatch:
    """Derivatives of some structures through the descriptor (see `OperatorJacobians`).

    graph: of all their atoms, which are its centres in order.
    """

    descriptor: Descriptor
    graph: AtomicGraph
    rate: Tensor
    image: Tensor
    n_images: int

    def forces_and_strain(self, gradient: Tensor, strain: bool) -> tuple[Tensor, Tensor | None]:
        """Return forces (K, C, 3) and V * stress (K, n, 6); see `BatchJacobian`."""
        local = gradient.to(self.rate) * self.rate
        vectors = self.graph.edge_vectors.detach().requires_grad_(True)
        with torch.enable_grad():
            features = self.descriptor(with_vectors(self.graph, vectors))
            members = [
                torch.autograd.grad(features, vectors, mine, retain_graph=True, create_graph=gradient.requires_grad)[0]
                for mine in local
            ]
        of_edges, row = torch.stack(members), edge_centres(self.graph.first_edge)
        forces = forces_of_pairs(of_edges, row, self.graph.neighbour, gradient.shape[1]).to(gradient)
        if not strain:
            return forces, None
        strains = strain_of_edges(vectors.detach(), of_edges.permute(1, 2, 0)).permute(2, 0, 1)
        return forces, sums_of_images(strains, self.image[row], self.n_images).to(gradient)
