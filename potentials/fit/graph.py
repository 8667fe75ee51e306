"""A structure as the tensors that descriptors and models take, and the derivative of a sum of energies of centres.

Signs are those of `units`: with g = dE/d(edge_vector), F_centre += g, F_neighbour -= g, virial -= r (x) g.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import ase
import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.neighbours import Edges, find_edges
from rhopot.potentials.units import forces_from_edges, virial_from_edges


@dataclass(frozen=True)
class Graph:
    """Edges of consecutive centres of one structure as tensors (legend in `regressors.descriptor`)."""

    edge_vectors: Tensor
    first_edge: Tensor
    neighbour: Tensor
    centre: Tensor
    species: Tensor

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The argument list shared by descriptors, pair baselines and models."""
        return self.edge_vectors, self.first_edge, self.neighbour, self.centre, self.species

    @property
    def edge_row(self) -> Tensor:
        """For each edge (E) the index of its centre among this graph's centres."""
        counts = self.first_edge[1:] - self.first_edge[:-1]
        return torch.repeat_interleave(torch.arange(len(counts)), counts)


def species_of(atoms: ase.Atoms, symbols: Sequence[str]) -> Tensor:
    """Return the index of every atom's element in `symbols` (N); an element that is not there is refused."""
    index = {symbol: a for a, symbol in enumerate(symbols)}
    unknown = sorted(set(atoms.symbols) - set(index))
    if unknown:
        raise ValueError(
            f"symbols must cover every element of the data, got {', '.join(symbols)} without {', '.join(unknown)}; "
            "add the element or remove those frames"
        )
    return torch.tensor([index[symbol] for symbol in atoms.symbols], dtype=torch.int64)


def graphs(atoms: ase.Atoms, symbols: Sequence[str], cutoff: float, max_edges: int) -> Iterator[Graph]:
    """Return the structure's graphs: all its centres, in batches of at most `max_edges` edges."""
    species = species_of(atoms, symbols)
    for part in find_edges(atoms, cutoff).batches(max_edges):
        yield as_graph(part, species)


def as_graph(edges: Edges, species: Tensor) -> Graph:
    """Return neighbour edges as tensors."""
    return Graph(
        torch.from_numpy(np.ascontiguousarray(edges.vectors)),
        torch.from_numpy(np.ascontiguousarray(edges.first_edge)),
        torch.from_numpy(np.ascontiguousarray(edges.neighbour)),
        torch.from_numpy(np.ascontiguousarray(edges.centre)),
        species,
    )


def energy_forces_virial(
    module: Callable[..., Tensor], parts: Sequence[Graph], n_atoms: int
) -> tuple[float, Tensor, Tensor]:
    """Return energy (eV), forces (N, 3) in eV/A and virial (3, 3) in eV of a module that gives energies of centres.

    `module` takes a graph's arguments and returns (C) energies in eV.
    """
    energy = 0.0
    forces = torch.zeros([n_atoms, 3], dtype=torch.float64)
    virial = torch.zeros([3, 3], dtype=torch.float64)
    for graph in parts:
        vectors = graph.edge_vectors.detach().requires_grad_(True)
        total = module(vectors, *graph.arguments[1:]).sum()
        energy += float(total.detach())
        if total.requires_grad:
            (slope,) = torch.autograd.grad(total, vectors)
            forces += forces_from_edges(slope, graph.centre[graph.edge_row], graph.neighbour, n_atoms)
            virial += virial_from_edges(vectors.detach(), slope)
    return energy, forces, virial
