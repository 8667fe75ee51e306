"""Systems for the tests of the symmetry functions: random edges, every corner of the arguments."""

from dataclasses import dataclass, replace

import torch
from random_graphs import CUTOFF, RandomGraph
from torch import Tensor


@dataclass(frozen=True)
class System(RandomGraph):
    """Arguments of the operators (see `rhopot.potentials.descriptors.symmetry_functions.reference`)."""

    radial: Tensor
    angular: Tensor
    zeta: list[int]
    sign: list[int]
    cutoff_width: float
    cutoff_function: str
    n_species: int

    def arguments(self, edge_vectors: Tensor | None = None) -> tuple:
        vectors = self.edge_vectors if edge_vectors is None else edge_vectors
        graph = (vectors, self.first_edge, self.neighbour, self.centre, self.species)
        grids = (self.radial, self.angular, self.zeta, self.sign)
        return (*graph, *grids, CUTOFF, self.cutoff_width, self.cutoff_function, self.n_species)

    def to(self, dtype: torch.dtype) -> "System":
        return replace(
            self,
            edge_vectors=self.edge_vectors.to(dtype),
            radial=self.radial.to(dtype),
            angular=self.angular.to(dtype),
        )


def random_system(
    counts: list[int],
    n_species: int,
    n_radial: int = 3,
    n_eta: int = 2,
    zeta: tuple[int, ...] = (1, 2, 4),
    sign: tuple[int, ...] = (1, -1),
    width: float = CUTOFF,
    fade: str = "quintic",
    seed: int = 0,
) -> System:
    """Centres with the given numbers of edges, some of them beyond the cutoff."""
    generator = torch.Generator().manual_seed(seed)
    n_edges, n_centres = sum(counts), len(counts)
    n_atoms = n_centres + 3
    direction = torch.randn(n_edges, 3, generator=generator, dtype=torch.float64)
    length = 0.6 + (1.1 * CUTOFF - 0.6) * torch.rand(n_edges, 1, generator=generator, dtype=torch.float64)
    first_edge = torch.zeros(n_centres + 1, dtype=torch.int64)
    first_edge[1:] = torch.cumsum(torch.tensor(counts, dtype=torch.int64), 0)
    return System(
        edge_vectors=direction / direction.norm(dim=1, keepdim=True) * length,
        first_edge=first_edge,
        neighbour=torch.randint(n_atoms, (n_edges,), generator=generator),
        centre=torch.randperm(n_atoms, generator=generator)[:n_centres],
        species=torch.randint(n_species, (n_atoms,), generator=generator),
        radial=torch.rand(n_radial, 2, generator=generator, dtype=torch.float64),
        angular=0.3 * torch.rand(n_eta, generator=generator, dtype=torch.float64),
        zeta=list(zeta),
        sign=list(sign),
        cutoff_width=width,
        cutoff_function=fade,
        n_species=n_species,
    )


SYSTEMS = {
    "three_species": random_system([12, 7, 20], 3),
    "cosine": random_system([12, 7, 20], 2, fade="shifted_cosine", seed=1),
    "late_fade": random_system([9, 9], 2, width=1.3, seed=2),
    "late_cosine": random_system([9, 9], 2, width=1.3, fade="shifted_cosine", seed=3),
    "full_packs": random_system([16, 8], 1, seed=4),
    "lonely_centres": random_system([0, 1, 0, 2, 0], 2, seed=5),
    "no_edges": random_system([0, 0], 2),
    "radial_only": random_system([5, 11], 2, n_eta=0, seed=6),
    "angular_only": random_system([5, 11], 2, n_radial=0, sign=(-1,), seed=7),
    "high_powers": random_system([10], 2, zeta=(3, 16, 64), sign=(1,), seed=8),
}
SMALL = {
    "two_species": random_system([4, 1], 2, zeta=(1, 3), seed=9),
    "late_cosine": random_system([4], 1, width=2.0, fade="shifted_cosine", zeta=(2,), seed=10),
}
