"""Solid-harmonic wavelets at atom centers: point convolutions and their modulus.

    psi_nlj^m(u) = c_nlj r^l L_k^(l+1/2)(r^2 / 2 w^2) exp(-r^2 / 2 w^2) Y_lm(u / r),    k = n-1-l, w = 2^j beta, r = |u|
    f_lm(i)      = sum_k x_k f_c(r_ik) psi_nlj^m(r_k - r_i)                                    [1, eq. 5.1]
    sigma(s)     = sqrt(s + eps^2) - eps,    s = sum_m f_lm^2                                  [1, eq. 5.2]

psi are the wavelets of `descriptors.scattering.wavelets` in space, up to a sign, each divided by the field that atoms
of weight 1 make on the average (`typical_field`). The sum runs over the atom itself too, as printed: its own weight
enters the wavelets of l = 0, with psi(0). Other than printed: the cutoff function f_c takes neighbors smoothly out
(printed are all pairs of atoms, or those where a wavelet is not small), and eps rounds the modulus at zero, as in
`descriptors.scattering.modulus`: on the sites of a perfect crystal fields of some l vanish.

As features of an environment, which `rhopot features` gives and the extrapolation grade is made of, sigma has one
channel for each element: x_k is 1 for atoms of that element and 0 for others.

In : edge vectors (E, 3) in A and the edge index of one graph
Out: (C, F), F = A W for A elements and W wavelets (n, l, j), order: wavelet, then element
Smoothness: C2 (cutoff function). Range: one cutoff.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapter 5
"""

import math

import numpy as np
import torch
from scipy.special import genlaguerre
from torch import Tensor

from rhopot.potentials.density.cutoff import quintic_fade
from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.descriptors.features import Features
from rhopot.potentials.descriptors.point_scattering.point_settings import PointScatteringSettings
from rhopot.potentials.descriptors.scattering.wavelets import typical_field
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


def amplitude(order: int, degree: int, scale: float, beta: float) -> float:
    """Return c_nlj, as the inverse Fourier transform of psi^ gives it.

    int_0^inf w^(2k+l+2) exp(-beta^2 w^2 / 2) j_l(w r) dw =
    sqrt(pi/2) 2^k k! beta^-(2k+2l+3) r^l L_k^(l+1/2)(r^2 / 2 beta^2) exp(-r^2 / 2 beta^2)
    """
    k = order - 1 - degree
    constant = math.sqrt(4.0 * math.pi / (2 * degree + 1)) / (2.0 * math.pi**2)
    constant *= math.sqrt(math.pi / 2.0) * 2.0**k * math.factorial(k) / beta ** (2 * k + 2 * degree + 3)
    return constant * 2.0 ** (-(3 + degree) * scale)


def rounded_powers(square: Tensor, half: Tensor) -> Tensor:
    """Return (1 + s)^(q/2) - 1 (C, P, F) of s >= 0 (C, F) for P exponents q, `half` of each: smooth at zero for any q.

    With s = sum_m f^2 / eps^2 that is sigma / eps for q = 1, and about (f / eps)^q for large f.
    """
    return torch.expm1(torch.log1p(square).unsqueeze(1) * half.unsqueeze(1))


def convolve(wavelets: Tensor, atoms: Tensor, sent: Tensor, counts: list[int]) -> list[Tensor]:
    """Return the fields of channels `sent` (N, c) by the atoms: for each degree (C, 2 l + 1, wavelets c).

    wavelets, atoms: see `PointWavelets.neighbourhoods`; counts: number of wavelets of each degree.
    """
    received = sent.index_select(0, atoms.flatten()).reshape(atoms.shape[0], atoms.shape[1], sent.shape[1])
    every = torch.bmm(wavelets.transpose(1, 2), received)
    fields: list[Tensor] = []
    for degree, part in enumerate(torch.split(every, [(2 * d + 1) * n for d, n in enumerate(counts)], 1)):
        fields.append(part.reshape(every.shape[0], 2 * degree + 1, counts[degree] * sent.shape[1]))
    return fields


class PointWavelets(Features):
    """The wavelets of these settings, which name the elements.

    Attributes:
        exponents (J): 1 / (2 w^2) in A^-2; coefficients (n_max J, W): radial functions in x^k exp(-x), x = r^2 / 2 w^2.
        counts: number of wavelets of each degree.
    """

    exponents: Tensor
    coefficients: Tensor
    counts: list[int]

    def __init__(self, settings: PointScatteringSettings) -> None:
        super().__init__()
        if not settings.symbols:
            raise ValueError("symbols must name at least one element, got none; use settings.with_symbols([...])")
        self.settings = settings
        self.cutoff: float = settings.cutoff
        self.cutoff_width: float = settings.width
        # Where neighbors are put that are not there: their wavelets vanish, and so do all derivatives.
        self.beyond: float = 2.0 * settings.cutoff
        self.eps: float = settings.regularization
        self.n_species: int = len(settings.symbols)
        self.n_powers: int = max(settings.n)
        self.l_max: int = max(settings.n) - 1
        wavelets = settings.wavelets
        self.counts = [sum(one[1] == degree for one in wavelets) for degree in range(self.l_max + 1)]
        self.n_features: int = self.n_species * len(wavelets)
        widths = settings.base_width * 2.0 ** np.array(settings.scales)
        self.register_buffer("exponents", torch.from_numpy(0.5 / widths**2))
        table = np.zeros((self.n_powers, len(widths), len(wavelets)))
        for w, (order, degree, scale) in enumerate(wavelets):
            polynomial = genlaguerre(order - 1 - degree, degree + 0.5).coef[::-1]
            beta = settings.base_width
            size = amplitude(order, degree, scale, beta) / typical_field(order, degree, scale, beta)
            table[: len(polynomial), settings.scales.index(scale), w] = size * polynomial
        self.register_buffer("coefficients", torch.from_numpy(table.reshape(-1, len(wavelets))))

    def at(self, vectors: Tensor) -> Tensor:
        """Return f_c psi (..., B) at vectors (..., 3), B = sum over degrees of (2 l + 1) wavelets, in that order."""
        square = vectors.square().sum(-1)
        zero = square == 0
        length = torch.where(zero, torch.ones_like(square), square).sqrt()
        harmonics = real_spherical_harmonics(vectors / length.unsqueeze(-1), self.l_max)
        r = torch.where(zero, torch.zeros_like(length), length)
        x = square.unsqueeze(-1) * self.exponents
        power = torch.exp(-x) * quintic_fade(r, self.cutoff, self.cutoff_width).unsqueeze(-1)
        powers = [power]
        for _ in range(self.n_powers - 1):
            power = power * x
            powers.append(power)
        functions = torch.split(torch.cat(powers, -1) @ self.coefficients, self.counts, -1)
        angular = torch.split(harmonics, [2 * degree + 1 for degree in range(self.l_max + 1)], -1)
        parts: list[Tensor] = []
        factor = torch.ones_like(r)
        for degree in range(self.l_max + 1):
            radial = functions[degree] * factor.unsqueeze(-1)
            parts.append((angular[degree].unsqueeze(-1) * radial.unsqueeze(-2)).flatten(-2))
            factor = factor * r
        return torch.cat(parts, -1)

    def neighbourhoods(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return wavelets (C, M + 1, B) at the atom itself and its neighbors, and the rows of those atoms (C, M + 1).

        M is the largest number of neighbors; where there are fewer the wavelets are 0.
        """
        n_centres, n_edges = graph.centre.shape[0], graph.edge_vectors.shape[0]
        counts = graph.first_edge[1:] - graph.first_edge[:-1]
        most = 1 + (int(counts.max()) if n_centres > 0 else 0)
        row = edge_centres(graph.first_edge)
        rank = torch.arange(n_edges, device=row.device) - graph.first_edge.index_select(0, row)
        place = row * most + rank + 1
        vectors = torch.zeros([n_centres, most, 3], dtype=graph.edge_vectors.dtype, device=graph.edge_vectors.device)
        vectors[:, 1:, 0] = self.beyond
        vectors = vectors.reshape(-1, 3).index_copy(0, place, graph.edge_vectors)
        atoms = graph.centre.unsqueeze(1).expand(-1, most).reshape(-1).index_copy(0, place, graph.neighbour)
        return self.at(vectors.reshape(n_centres, most, 3)), atoms.reshape(n_centres, most)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the features (C, F); vectors in the dtype of the wavelets."""
        wavelets, atoms = self.neighbourhoods(graph)
        kinds = torch.nn.functional.one_hot(graph.species, self.n_species).to(wavelets.dtype)
        fields = convolve(wavelets, atoms, kinds, self.counts)
        squares = torch.cat([field.square().sum(1) for field in fields], 1)
        return squares / (torch.sqrt(squares + self.eps * self.eps) + self.eps)
