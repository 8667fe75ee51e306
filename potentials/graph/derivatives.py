"""Forces and virial from the gradients of the energy in the edge vectors: the only signs in Python.

With g = dE/d(r_ij) of every edge (conventions: `rhopot.potentials.units`),

    F_i += g,   F_j -= g,   virial -= r_ij (x) g
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres, with_vectors


def forces_from_edges(
    gradient_ec: torch.Tensor, edge_centre: torch.Tensor, neighbour: torch.Tensor, n_atoms: int
) -> torch.Tensor:
    """Forces (n_atoms, 3, ...) in eV/A from g = dE/d(r_ij) (E, 3, ...) in eV/A.

    `edge_centre` and `neighbour` (E,) are the rows of i and j. Trailing dimensions (features, members) are carried.
    """
    forces = torch.zeros((n_atoms, *gradient_ec.shape[1:]), dtype=gradient_ec.dtype, device=gradient_ec.device)
    return forces.index_add(0, edge_centre, gradient_ec).index_add(0, neighbour, gradient_ec, alpha=-1)


def add_forces(
    forces: torch.Tensor, centre: torch.Tensor, sums: torch.Tensor, neighbour: torch.Tensor, gradient_ec: torch.Tensor
) -> None:
    """Add to forces (N, 3, ...), in place, edges whose g (E, 3, ...) are already summed for each centre.

    `sums` (C, 3, ...) are the sums of g over the edges of each centre, `centre` (C,) and `neighbour` (E,) rows.
    """
    forces.index_add_(0, centre, sums)
    forces.index_add_(0, neighbour, gradient_ec, alpha=-1)


def virial_from_edges(vectors_ec: torch.Tensor, gradient_ec: torch.Tensor) -> torch.Tensor:
    """Virial (3, 3, ...) in eV from edge vectors (E, 3) and g = dE/d(r_ij) (E, 3, ...)."""
    return -torch.tensordot(vectors_ec.to(gradient_ec.dtype), gradient_ec, dims=([0], [0]))


def atom_virials_from_edges(
    vectors_ec: torch.Tensor, gradient_ec: torch.Tensor, neighbour: torch.Tensor, n_atoms: int
) -> torch.Tensor:
    """Per-atom virials (n_atoms, 3, 3) in eV, each edge in its neighbour's row; their sum is the virial."""
    virials = torch.zeros((n_atoms, 3, 3), dtype=gradient_ec.dtype, device=gradient_ec.device)
    outer = vectors_ec.to(gradient_ec.dtype)[:, :, None] * gradient_ec[:, None, :]
    return virials.index_add(0, neighbour, outer, alpha=-1)


def energy_forces_virial(
    module: Callable[..., Tensor], parts: Sequence[AtomicGraph], n_atoms: int
) -> tuple[float, Tensor, Tensor]:
    """Return energy (eV), forces (N, 3) in eV/A and virial (3, 3) in eV of a module that gives energies of centres.

    `module` takes a graph and returns the energies (C) of its centres in eV.
    """
    energy = 0.0
    forces = torch.zeros([n_atoms, 3], dtype=torch.float64)
    virial = torch.zeros([3, 3], dtype=torch.float64)
    for graph in parts:
        vectors = graph.edge_vectors.detach().requires_grad_(True)
        total = module(with_vectors(graph, vectors)).sum()
        energy += float(total.detach())
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, vectors)
            forces += forces_from_edges(
                gradient, graph.centre[edge_centres(graph.first_edge)], graph.neighbour, n_atoms
            )
            virial += virial_from_edges(vectors.detach(), gradient)
    return energy, forces, virial
