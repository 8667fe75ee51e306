"""Gaussian bases of distances and angles around an atom.

    G_r(r) = exp(-(r - r_c)^2 / (2 s^2))     r_c from 0 to the cutoff, cos from -1 to 1; neighboring Gaussians cross
    G_c(t) = exp(-(t - t_c)^2 / (2 s^2))     one standard deviation s from their centers [1, eq. 6.7]

Angular networks learn filters in them (`models.angular`). As features of an environment, which `rhopot features` gives
and the extrapolation grade is made of, they are summed over neighbors j of one element and over pairs j, k:

    p_ar = sum_j f_c(r_ij) G_r(r_ij),    p_abc = sum_(j != k) f_c(r_ij) f_c(r_ik) G_c(cos jik)

In : edge vectors (E, 3) in A and the edge index of one graph
Out: (C, F), F = A n_radial + A (A + 1) / 2 n_angular
Smoothness: C2 (quintic cutoff function). Range: one cutoff.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 6
"""

import torch
from torch import Tensor

from rhopot.potentials.density.cutoff import quintic_fade
from rhopot.potentials.descriptors.angular.angular_settings import AngularSettings
from rhopot.potentials.descriptors.features import Features
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


class AngularBasis(Features):
    """The bases of these settings, which name the elements.

    Attributes:
        distances, cosines: centers of the Gaussians; distance_width, cosine_width: their s.
    """

    distances: Tensor
    cosines: Tensor

    def __init__(self, settings: AngularSettings) -> None:
        super().__init__()
        if not settings.symbols:
            raise ValueError("symbols must name at least one element, got none; use settings.with_symbols([...])")
        self.settings = settings
        self.cutoff: float = settings.cutoff
        self.cutoff_width: float = settings.width
        self.n_species: int = len(settings.symbols)
        self.n_features: int = (
            self.n_species * settings.n_radial + self.n_species * (self.n_species + 1) // 2 * settings.n_angular
        )
        self.distance_width: float = 0.5 * settings.cutoff / (settings.n_radial - 1)
        self.cosine_width: float = 1.0 / (settings.n_angular - 1)
        self.register_buffer("distances", torch.linspace(0.0, settings.cutoff, settings.n_radial, dtype=torch.float64))
        self.register_buffer("cosines", torch.linspace(-1.0, 1.0, settings.n_angular, dtype=torch.float64))

    def edges(self, vectors: Tensor, soft: float = 0.0) -> tuple[Tensor, Tensor]:
        """Return Gaussians of the distances (E, n_radial), and direction and f_c of each edge (E, 4).

        soft: length (A) that is added in quadrature to every distance, also where it divides the direction.
        """
        r = (vectors.square().sum(1) + soft**2).sqrt()
        radial = torch.exp((r.unsqueeze(1) - self.distances).square() * (-0.5 / self.distance_width**2))
        fade = quintic_fade(r, self.cutoff, self.cutoff_width)
        return radial, torch.cat([vectors / r.unsqueeze(1), fade.unsqueeze(1)], dim=1)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the features (C, F)."""
        radial, tail = self.edges(graph.edge_vectors)
        row, kind = edge_centres(graph.first_edge), graph.species.index_select(0, graph.neighbour)
        n, n_centres, n_angular = self.n_species, graph.centre.shape[0], self.cosines.shape[0]
        of_neighbours = torch.zeros([n_centres * n, radial.shape[1]], dtype=radial.dtype, device=radial.device)
        of_neighbours = of_neighbours.index_add(0, row * n + kind, radial * tail[:, 3:])
        counts = graph.first_edge[1:] - graph.first_edge[:-1]
        others = torch.repeat_interleave(counts, counts)
        one = torch.repeat_interleave(torch.arange(others.shape[0], device=others.device), others)
        first = graph.first_edge[:-1].index_select(0, row)
        other = torch.arange(one.shape[0], device=one.device) - (others.cumsum(0) - others)[one] + first[one]
        pairs = torch.nonzero(other > one).flatten()
        one, other = one[pairs], other[pairs]
        cosine = (tail[one, :3] * tail[other, :3]).sum(1)
        angular = torch.exp((cosine.unsqueeze(1) - self.cosines).square() * (-0.5 / self.cosine_width**2))
        low, high = torch.minimum(kind[one], kind[other]), torch.maximum(kind[one], kind[other])
        pair = low * n - low * (low - 1) // 2 + high - low
        n_pairs = n * (n + 1) // 2
        of_pairs = torch.zeros([n_centres * n_pairs, n_angular], dtype=radial.dtype, device=radial.device)
        of_pairs = of_pairs.index_add(0, row[one] * n_pairs + pair, 2.0 * angular * tail[one, 3:] * tail[other, 3:])
        of_neighbours = of_neighbours.reshape(n_centres, n * radial.shape[1])
        return torch.cat([of_neighbours, of_pairs.reshape(n_centres, n_pairs * n_angular)], dim=1)
