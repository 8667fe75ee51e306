"""A structure as the tensors that descriptors and models take."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import ase
import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.graph.neighbours import Edges, Search, find_edges
from rhopot.potentials.graph.species import species_indices, unknown_symbols


class AtomicGraph(NamedTuple):
    """Edges of consecutive centres of one structure, sorted by centre; a type of TorchScript too.

    The field order is that of the operators' arguments and of `forward` of exported local models.

    edge_vectors: (E, 3) r_ij = r_j - r_i in A
    first_edge: (C + 1) edges of centre i are first_edge[i] ... first_edge[i + 1] - 1
    neighbour: (E) row of j in `species`; centre: (C) row of i in `species`
    species: (N_all) index into the element list
    """

    edge_vectors: Tensor
    first_edge: Tensor
    neighbour: Tensor
    centre: Tensor
    species: Tensor


def with_vectors(graph: AtomicGraph, edge_vectors: Tensor) -> AtomicGraph:
    """Return the same edges with other vectors (E, 3)."""
    return AtomicGraph(edge_vectors, graph.first_edge, graph.neighbour, graph.centre, graph.species)


def edge_centres(first_edge: Tensor) -> Tensor:
    """Return the row of the centre that each edge belongs to: (E,) int64 from the (C+1) offsets."""
    counts = first_edge[1:] - first_edge[:-1]
    return torch.repeat_interleave(torch.arange(counts.shape[0], device=first_edge.device), counts)


def species_of(atoms: ase.Atoms, symbols: Sequence[str]) -> Tensor:
    """Return the index of every atom's element in `symbols` (N); an element that is not there is refused."""
    unknown = unknown_symbols(atoms, symbols)
    if unknown:
        raise ValueError(
            f"symbols must cover every element of the data, got {', '.join(symbols)} without {', '.join(unknown)}; "
            "add the element or remove those frames"
        )
    return torch.from_numpy(species_indices(atoms, symbols))


def graphs(
    atoms: ase.Atoms, symbols: Sequence[str], cutoff: float, max_edges: int, search: Search = find_edges
) -> Iterator[AtomicGraph]:
    """Return the structure's graphs: all its centres, in batches of at most `max_edges` edges."""
    species = species_of(atoms, symbols)
    for part in search(atoms, cutoff).batches(max_edges):
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
