"""Graphs for the tests of the density operators: random edges, a smooth random table, every corner of the arguments."""

from dataclasses import dataclass

import torch
from torch import Tensor

CUTOFF = 4.0


@dataclass(frozen=True)
class RandomGraph:
    """Fields of an `AtomicGraph`."""

    edge_vectors: Tensor
    first_edge: Tensor
    neighbour: Tensor
    centre: Tensor
    species: Tensor


@dataclass(frozen=True)
class System(RandomGraph):
    """Arguments of the graph operators (see `rhopot.potentials.density.reference`)."""

    radial: Tensor
    species_channel: Tensor
    n_channels: int
    center_weight: float = 0.7

    def arguments(self, edge_vectors: Tensor | None = None) -> tuple:
        vectors = self.edge_vectors if edge_vectors is None else edge_vectors
        graph = (vectors, self.first_edge, self.neighbour, self.centre, self.species)
        return (*graph, self.radial, CUTOFF, self.species_channel, self.n_channels, self.center_weight)

    def to(self, dtype: torch.dtype) -> "System":
        changed = {"edge_vectors": self.edge_vectors.to(dtype), "radial": self.radial.to(dtype)}
        return System(**{**self.__dict__, **changed})

    @property
    def n_features(self) -> int:
        width = self.n_channels * self.radial.shape[4]
        return width * (width + 1) // 2 * self.radial.shape[3]


def smooth_table(n_species: int, n_knots: int, l_max: int, n_radial: int, generator: torch.Generator) -> Tensor:
    """Table of R[q, l, a](r) = a cos(k r) (1 - r/rc)^3 r^l with random a, k: value and two derivatives by autograd."""
    r = torch.linspace(0.0, CUTOFF, n_knots, dtype=torch.float64).requires_grad_()
    shape = (n_species, l_max + 1, n_radial)
    amplitude = torch.randn(shape, generator=generator, dtype=torch.float64)
    frequency = torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5
    table = torch.zeros(n_species, n_knots, 3, l_max + 1, n_radial, dtype=torch.float64)
    for a in range(n_species):
        for degree in range(l_max + 1):
            for q in range(n_radial):
                value = torch.cos(frequency[a, degree, q] * r) * (1 - r / CUTOFF) ** 3 * (r / CUTOFF) ** degree
                value = amplitude[a, degree, q] * value
                derivative = torch.autograd.grad(value.sum(), r, create_graph=True)[0]
                curvature = torch.autograd.grad(derivative.sum(), r)[0]
                table[a, :, :, degree, q] = torch.stack([value, derivative, curvature], dim=1).detach()
    return table


def random_system(
    counts: list[int], channels: list[int], l_max: int = 4, n_radial: int = 5, n_knots: int = 12, seed: int = 0
) -> System:
    """Centres with the given numbers of edges (some beyond the cutoff); `channels` names each species' channel."""
    generator = torch.Generator().manual_seed(seed)
    n_edges, n_centres, n_species = sum(counts), len(counts), len(channels)
    n_atoms = n_centres + 3
    direction = torch.randn(n_edges, 3, generator=generator, dtype=torch.float64)
    direction = direction / direction.norm(dim=1, keepdim=True)
    length = 0.6 + (1.1 * CUTOFF - 0.6) * torch.rand(n_edges, 1, generator=generator, dtype=torch.float64)
    first_edge = torch.zeros(n_centres + 1, dtype=torch.int64)
    first_edge[1:] = torch.cumsum(torch.tensor(counts, dtype=torch.int64), 0)
    return System(
        edge_vectors=direction * length,
        first_edge=first_edge,
        neighbour=torch.randint(n_atoms, (n_edges,), generator=generator),
        centre=torch.randperm(n_atoms, generator=generator)[:n_centres],
        species=torch.randint(n_species, (n_atoms,), generator=generator),
        radial=smooth_table(n_species, n_knots, l_max, n_radial, generator),
        species_channel=torch.tensor(channels),
        n_channels=max(channels) + 1,
    )


SYSTEMS = {
    "one_species": random_system([9, 3, 17], [0], l_max=6, n_radial=8),
    "three_species": random_system([12, 7, 20], [0, 1, 2], l_max=3, n_radial=3),
    "mixed_channels": random_system([8, 16], [0, 0, 0], l_max=4, n_radial=5),
    "two_of_three_share": random_system([11, 5], [1, 0, 1], l_max=2, n_radial=9),
    "lonely_centres": random_system([0, 6, 0, 0, 1], [0, 1]),
    "all_lonely": random_system([0, 0], [0]),
    "no_centres": random_system([], [0, 1]),
    "highest_degree": random_system([5], [0], l_max=12, n_radial=2),
    "scalars_only": random_system([10], [0], l_max=0, n_radial=1),
    "many_edges": random_system([130, 41], [0, 1], l_max=1, n_radial=17),
}

SMALL = {
    "one_species": random_system([3, 0, 10], [0], l_max=2, n_radial=2, n_knots=6),
    "two_species": random_system([4, 2], [1, 0], l_max=3, n_radial=1, n_knots=6),
}
