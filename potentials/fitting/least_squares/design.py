"""Rows of the least-squares problem: how energy, forces and stress of one structure depend on each coefficient.

A model's energy is linear in its coefficients, E = sum_i sum_n x_n phi_n(i). With p (C, F) the features of the centres
and dp (E, 3, F) their derivatives by the edge vectors, the columns phi are

    linear   phi_(a f)(i) = [a_i = a] p_f(i)                         derivative dp
    kernel   phi_(a s)(i) = [a_i = a] (u_i . u_s)^zeta,  u = p / |p|     derivative zeta (u_i . u_s)^(zeta - 1) du . u_s
             du = (dp - u (u . dp)) / |p|

and rows follow from the derivatives g as forces do (`graph.derivatives`); V * stress collects r (x) g. For kernels,
sums over the edges of one centre (its own force row, its strain) and over the edges to one neighbour (its periodic
images in a small cell) are formed on the features, before the product with the sparse points: O(F) operations there
save O(F M).

Out: energy (n), forces (N, 3, n), strain (6, n) = V * stress in the order xx yy zz yz xz xy, per coefficient
Cost: kernel O(P F M) operations in matrix products for P <= E pairs of atoms, memory O(batch); linear O(E F), bound by
      memory: the Jacobian is written once and read three times
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.descriptors.dot_product import integer_power, unit_rows
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres
from rhopot.potentials.graph.derivatives import add_forces
from rhopot.potentials.units import ASE_VOIGT


@dataclass(frozen=True)
class DesignRows:
    """Energy (n), forces (N, 3, n) and V * stress (6, n) of one structure for each of n coefficients."""

    energy: Tensor
    forces: Tensor
    strain: Tensor

    @staticmethod
    def zeros(n_atoms: int, n_columns: int) -> DesignRows:
        """Return empty sums."""
        zeros = torch.zeros
        dtype = torch.float64
        return DesignRows(
            zeros(n_columns, dtype=dtype), zeros(n_atoms, 3, n_columns, dtype=dtype), zeros(6, n_columns, dtype=dtype)
        )


@dataclass(frozen=True)
class SpeciesBlock:
    """Centres of one species in a graph, their features and Jacobians.

    features (C, F); edge_jacobian (E, 3, F); centre (C), neighbour (E): atoms; edge_row (E): the centre's row here.
    """

    features: Tensor
    edge_jacobian: Tensor
    edge_vectors: Tensor
    centre: Tensor
    neighbour: Tensor
    edge_row: Tensor

    def select(self, features: Tensor) -> SpeciesBlock:
        """Return the same centres with the chosen rows of the features (F')."""
        n_features = self.features.shape[1]
        if len(features) == n_features and torch.equal(features, torch.arange(n_features)):
            return self  # a copy of the Jacobian costs more than all that is done with it
        return replace(self, features=self.features[:, features], edge_jacobian=self.edge_jacobian[:, :, features])

    def strain(self) -> Tensor:
        """Return the six components of sum_e r (x) g (6, F) over all edges."""
        width = self.edge_jacobian.shape[2]
        return _voigt((self.edge_vectors.t() @ self.edge_jacobian.flatten(1)).reshape(3, 3, width))

    def centre_sums(self) -> tuple[Tensor, Tensor]:
        """Return sum_e g (C, 3, F) and the six components of sum_e r (x) g (C, 6, F) over the edges of each centre."""
        width = self.edge_jacobian.shape[2]
        factors = torch.cat([torch.ones_like(self.edge_vectors[:, :1]), self.edge_vectors], dim=1).t()
        counts = torch.bincount(self.edge_row, minlength=len(self.centre)).tolist()
        sums = self.edge_jacobian.new_empty(len(self.centre), 4, 3 * width)
        edges = zip(factors.split(counts, dim=1), self.edge_jacobian.flatten(1).split(counts), strict=True)
        for row, (factor, gradients) in enumerate(edges):  # a product for each centre reads its edges once
            torch.matmul(factor, gradients, out=sums[row])
        parts = sums.reshape(-1, 4, 3, width)
        return parts[:, 0], _voigt(parts[:, 1:])

    def pair_sums(self, n_atoms: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return sums of g (P, 3, F) over the edges of a centre to one atom, their rows of centres and atoms (P)."""
        pairs, pair_of_edge = torch.unique(self.edge_row * n_atoms + self.neighbour, return_inverse=True)
        if len(pairs) == len(self.neighbour):
            return self.edge_jacobian, self.edge_row, self.neighbour
        sums = self.edge_jacobian.new_zeros(len(pairs), *self.edge_jacobian.shape[1:])
        sums.index_add_(0, pair_of_edge, self.edge_jacobian)
        return sums, pairs // n_atoms, pairs % n_atoms


def _voigt(outer: Tensor) -> Tensor:
    """Return the six components (..., 6, F) of r (x) g (..., 3, 3, F)."""
    return torch.stack([outer[..., a, b, :] for a, b in ASE_VOIGT], dim=-2)


class Design(Protocol):
    """A family of columns."""

    @property
    def n_columns(self) -> int:
        """Number of coefficients."""

    def add(self, rows: DesignRows, species: int, block: SpeciesBlock) -> None:
        """Add what the centres of one species contribute to `rows`."""


class LinearDesign:
    """Columns p_f of each center species, for the selected features f.

    Args:
        n_species: number of elements A.
        features: (F') rows of the descriptor's features that are used.
    """

    def __init__(self, n_species: int, features: Tensor) -> None:
        self.n_species = n_species
        self.features = features

    @property
    def n_columns(self) -> int:
        """A * F'."""
        return self.n_species * len(self.features)

    def add(self, rows: DesignRows, species: int, block: SpeciesBlock) -> None:
        """Add the columns of `species`."""
        width = len(self.features)
        columns = slice(species * width, (species + 1) * width)
        block = block.select(self.features)
        rows.energy[columns] += block.features.sum(0)
        rows.strain[:, columns] += block.strain()
        force = block.edge_jacobian.new_zeros(len(block.centre), 3, width)
        force.index_add_(0, block.edge_row, block.edge_jacobian)
        add_forces(rows.forces[:, :, columns], block.centre, force, block.neighbour, block.edge_jacobian)


class KernelDesign:
    """Columns k(i, s) of each center species with its own sparse points.

    Args:
        points: for each element its normalised sparse points (M_a, F').
        zeta: power of the kernel.
        features: (F') rows of the descriptor's features that the kernel uses.
    """

    def __init__(self, points: list[Tensor], zeta: int, features: Tensor) -> None:
        self.points = points
        self.zeta = zeta
        self.features = features
        self.first_point = [0]
        for part in points:
            self.first_point.append(self.first_point[-1] + len(part))

    @property
    def n_columns(self) -> int:
        """Number of sparse points of all species."""
        return self.first_point[-1]

    def add(self, rows: DesignRows, species: int, block: SpeciesBlock) -> None:
        """Add the columns of `species`."""
        points = self.points[species]
        if len(points) == 0:
            return
        columns = slice(self.first_point[species], self.first_point[species + 1])
        block = block.select(self.features)
        units, inverse = unit_rows(block.features)
        overlap = units @ points.t()
        lower = integer_power(overlap, self.zeta - 1)
        scale = (self.zeta * lower) * inverse[:, None]
        rows.energy[columns] += (lower * overlap).sum(0)
        force, strain = (_across(part, units) for part in block.centre_sums())
        strain_columns = _project(strain, points).mul_(scale[:, None, :])
        rows.strain[:, columns] += strain_columns.sum(0)
        pairs, row, neighbour = block.pair_sums(len(rows.forces))
        of_centres = _project(force, points).mul_(scale[:, None, :])
        of_pairs = _project(_across(pairs, units[row]), points).mul_(scale[row][:, None, :])
        add_forces(rows.forces[:, :, columns], block.centre, of_centres, neighbour, of_pairs)


def _across(gradients: Tensor, units: Tensor) -> Tensor:
    """Return gradients (X, c, F) without their parts along unit rows u (X, F): g - u (u . g)."""
    along = torch.bmm(gradients, units[:, :, None])
    return torch.baddbmm(gradients, along, units[:, None, :], alpha=-1.0)


def _project(gradients: Tensor, points: Tensor) -> Tensor:
    """Return gradients (X, c, F) times points^T: (X, c, M)."""
    return torch.matmul(gradients.reshape(-1, gradients.shape[2]), points.t()).reshape(
        *gradients.shape[:2], len(points)
    )


def species_graphs(graph: AtomicGraph) -> Iterator[tuple[int, AtomicGraph]]:
    """Split a graph's centres by species."""
    centre_species = graph.species[graph.centre]
    found = torch.unique(centre_species).tolist()
    if len(found) == 1:
        yield found[0], graph
        return
    counts = graph.first_edge.diff()
    edge_species = torch.repeat_interleave(centre_species, counts)
    for a in found:
        rows, edges = torch.nonzero(centre_species == a).flatten(), torch.nonzero(edge_species == a).flatten()
        first = torch.cat([graph.first_edge.new_zeros(1), counts[rows].cumsum(0)])
        yield (
            a,
            AtomicGraph(graph.edge_vectors[edges], first, graph.neighbour[edges], graph.centre[rows], graph.species),
        )


def species_block(descriptor: Descriptor, graph: AtomicGraph) -> SpeciesBlock:
    """Return features and Jacobians of a graph whose centres are of one species."""
    features, jacobian = descriptor.jacobian(graph)
    edge_row = edge_centres(graph.first_edge)
    return SpeciesBlock(features, jacobian, graph.edge_vectors, graph.centre, graph.neighbour, edge_row)
