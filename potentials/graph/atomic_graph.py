"""A structure as the tensors that descriptors and models take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ase
import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.graph.neighbours import Edges, find_edges


@dataclass(frozen=True)
class AtomicGraph:
    """Edges of consecutive centres of one structure as tensors (legend in `descriptors.descriptor`)."""

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


def graphs(atoms: ase.Atoms, symbols: Sequence[str], cutoff: float, max_edges: int) -> Iterator[AtomicGraph]:
    """Return the structure's graphs: all its centres, in batches of at most `max_edges` edges."""
    species = species_of(atoms, symbols)
    for part in find_edges(atoms, cutoff).batches(max_edges):
        yield as_graph(part, species)


def as_graph(edges: Edges, species: Tensor) -> AtomicGraph:
    """Return neighbour edges as tensors."""
    return AtomicGraph(
        torch.from_numpy(np.ascontiguousarray(edges.vectors)),
        torch.from_numpy(np.ascontiguousarray(edges.first_edge)),
        torch.from_numpy(np.ascontiguousarray(edges.neighbour)),
        torch.from_numpy(np.ascontiguousarray(edges.centre)),
        species,
    )
