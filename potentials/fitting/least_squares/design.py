"""Rows of the least-squares problem: how energy, forces and stress of one structure depend on each coefficient.

A model's energy is linear in its coefficients, E = sum_i sum_n x_n phi_n(i). With p (C, F) the features of the centres
and dp (E, 3, F) their derivatives by the edge vectors, the columns phi are

    linear   phi_(a f)(i) = [a_i = a] p_f(i)                         derivative dp
    kernel   phi_(a s)(i) = [a_i = a] (u_i . u_s)^zeta,  u = p / |p|     derivative zeta (u_i . u_s)^(zeta - 1) du . u_s
             du = (dp - u (u . dp)) / |p|

and rows follow from the derivatives g as forces do (`graph.derivatives`); V * stress collects r (x) g. Sums over the
edges of one centre (its own force row, its six strain components) are formed on the features, before the product with
the sparse points, so that for kernels only the neighbours' rows cost O(E M).

Out: energy (n), forces (N, 3, n), strain (6, n) = V * stress in the order xx yy zz yz xz xy, per coefficient
Cost: kernel O(E F M) operations in matrix products, memory O(batch); linear O(E F)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

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

    def centre_sums(self, gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return sum_e g (C, 3, F) and the six components of sum_e r (x) g (C, 6, F) over the edges of each centre."""
        size = len(self.centre)
        force = gradients.new_zeros([size, 3, gradients.shape[2]]).index_add_(0, self.edge_row, gradients)
        strain = gradients.new_zeros([size, 6, gradients.shape[2]])
        for k, (a, b) in enumerate(ASE_VOIGT):
            product = gradients[:, b] * self.edge_vectors[:, a, None]
            strain[:, k].index_add_(0, self.edge_row, product)
        return force, strain


class Design(Protocol):
    """A family of columns."""

    @property
    def n_columns(self) -> int:
        """Number of coefficients."""

    def add(self, rows: DesignRows, species: int, block: SpeciesBlock) -> None:
        """Add what the centres of one species contribute to `rows`."""


class LinearDesign:
    """Columns p_f of each centre species, for the selected features f.

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
        features = block.features.index_select(1, self.features)
        gradients = block.edge_jacobian.index_select(2, self.features)
        force, strain = block.centre_sums(gradients)
        rows.energy[columns] += features.sum(0)
        rows.strain[:, columns] += strain.sum(0)
        add_forces(rows.forces[:, :, columns], block.centre, force, block.neighbour, gradients)


class KernelDesign:
    """Columns k(i, s) of each centre species with its own sparse points.

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
        units, inverse = unit_rows(block.features.index_select(1, self.features))
        overlap = units @ points.t()
        lower = integer_power(overlap, self.zeta - 1)
        gradients = block.edge_jacobian.index_select(2, self.features)
        along = torch.einsum("ecf,ef->ec", gradients, units[block.edge_row])
        gradients.addcmul_(along[:, :, None], units[block.edge_row][:, None, :], value=-1.0)
        force, strain = block.centre_sums(gradients)
        scale = (self.zeta * lower) * inverse[:, None]
        rows.energy[columns] += (lower * overlap).sum(0)
        strain_columns = _project(strain, points).mul_(scale[:, None, :])
        rows.strain[:, columns] += strain_columns.sum(0)
        of_centres = _project(force, points).mul_(scale[:, None, :])
        of_edges = _project(gradients, points).mul_(scale[block.edge_row][:, None, :])
        add_forces(rows.forces[:, :, columns], block.centre, of_centres, block.neighbour, of_edges)


def _project(gradients: Tensor, points: Tensor) -> Tensor:
    """Return gradients (X, c, F) times points^T: (X, c, M)."""
    return torch.matmul(gradients.reshape(-1, gradients.shape[2]), points.t()).reshape(
        *gradients.shape[:2], len(points)
    )


def species_blocks(graph: AtomicGraph, features: Tensor, edge_jacobian: Tensor) -> Iterator[tuple[int, SpeciesBlock]]:
    """Split a graph's centres by species."""
    centre_species = graph.species[graph.centre]
    edge_row = edge_centres(graph.first_edge)
    for a in torch.unique(centre_species).tolist():
        chosen = centre_species == a
        position = torch.cumsum(chosen, 0) - 1
        rows, edges = torch.nonzero(chosen).flatten(), torch.nonzero(chosen[edge_row]).flatten()
        if len(rows) == len(chosen):
            yield (
                a,
                SpeciesBlock(features, edge_jacobian, graph.edge_vectors, graph.centre, graph.neighbour, edge_row),
            )
            return
        yield (
            a,
            SpeciesBlock(
                features[rows],
                edge_jacobian[edges],
                graph.edge_vectors[edges],
                graph.centre[rows],
                graph.neighbour[edges],
                position[edge_row[edges]],
            ),
        )
