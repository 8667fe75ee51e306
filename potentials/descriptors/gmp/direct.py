"""GMP features by their published equations, integral by integral: slow, obvious, and the truth for the fast path.

    mu_abc(p) = sum_jk f_c(r_j) A_p B_k e^(-alpha beta r_j^2 / g) sum_t C_t I(m_x, x_j) I(m_y, y_j) I(m_z, z_j)
    I(m, x)   = int x'^m exp(-g (x' - k x)^2) dx' = sqrt(pi/g) sum_i C(m, 2i) (2i-1)!! (2 g)^-i (k x)^(m-2i)
    Phi[p, n] = sqrt(sum_abc n!/(a! b! c!) mu_abc^2 + eps^2) - eps                                  [1, eqs. 3-10]

No splines, no spherical harmonics, no custom operators: monomials of the Cartesian harmonics (eq. 2) one by one. The
centre's own density is a neighbour at r = 0, times `center_weight`. Differentiable by autograd (eps > 0).

In : `GmpSettings`, one density per species, the shared edge arguments (float64). Out: (C, F), order p (L+1) + n.
Cost: O(E K P L^6).

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100, SI 0.2
"""

from collections.abc import Sequence
from math import comb, pi

import torch
from torch import Tensor

from rhopot.potentials.descriptors.gmp.decomposition import double_factorial
from rhopot.potentials.descriptors.gmp.gmp_settings import GmpSettings
from rhopot.potentials.descriptors.gmp.maxwell import Polynomial, exponents, maxwell_harmonic, weight
from rhopot.potentials.descriptors.gmp.radial import AtomDensity
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres


def direct_features(
    settings: GmpSettings, densities: Sequence[AtomDensity], graph: AtomicGraph, floor: Tensor | None = None
) -> Tensor:
    """Return the features (C, F) of `settings`, Cartesian or solid.

    Args:
        densities: one per species.
        graph: edges, in float64.
        floor: eps (F,) of each norm; None is zero.
    """
    n_centres = len(graph.centre)
    own = graph.edge_vectors.new_zeros(n_centres, 3)
    vectors = torch.cat([graph.edge_vectors, own])
    kinds = graph.species[torch.cat([graph.neighbour, graph.centre])]
    rows = torch.cat([edge_centres(graph.first_edge), torch.arange(n_centres, device=graph.centre.device)])
    own_factor = graph.edge_vectors.new_full((n_centres,), settings.center_weight)
    factor = torch.cat([quintic_fade(graph.edge_vectors, settings), own_factor])
    columns = []
    for order in range(settings.max_order + 1):
        harmonics = {powers: maxwell_harmonic(powers, settings.solid) for powers in exponents(order)}
        moments = graph.edge_vectors.new_zeros(n_centres, len(settings.probe_widths), len(harmonics))
        for kind, density in enumerate(densities):
            of_kind = torch.nonzero(kinds == kind).flatten()
            integrals = harmonic_integrals(vectors[of_kind], density, settings.probe_widths, list(harmonics.values()))
            moments = moments.index_add(0, rows[of_kind], factor[of_kind, None, None] * integrals)
        weights = torch.tensor([weight(powers) for powers in harmonics], dtype=moments.dtype, device=moments.device)
        columns.append((weights * moments**2).sum(dim=2))
    squares = torch.stack(columns, dim=2).flatten(1)
    eps = torch.zeros_like(squares[:1]) if floor is None else floor
    return torch.sqrt(squares + eps**2) - eps


def quintic_fade(edge_vectors: Tensor, settings: GmpSettings) -> Tensor:
    """Return f_c (E,): 1 - 10 t^3 + 15 t^4 - 6 t^5 over the last `cutoff_width`."""
    length = edge_vectors.norm(dim=1)
    t = ((length - settings.cutoff + settings.cutoff_width) / settings.cutoff_width).clamp(0.0, 1.0)
    return 1.0 - 10.0 * t**3 + 15.0 * t**4 - 6.0 * t**5


def harmonic_integrals(
    vectors: Tensor, density: AtomDensity, widths: Sequence[float], harmonics: Sequence[Polynomial]
) -> Tensor:
    """Return the integrals of each harmonic x probe x density around `vectors` (E, 3): (E, P, number of harmonics)."""
    alpha = 0.5 / vectors.new_tensor(widths)[:, None] ** 2
    beta, height = vectors.new_tensor(density.exponents), vectors.new_tensor(density.coefficients)
    gamma = alpha + beta
    probe_height = (alpha / pi) ** 1.5
    square = (vectors**2).sum(dim=1)[:, None, None]
    front = probe_height * height * torch.exp(-alpha * beta / gamma * square)
    centres = vectors[:, :, None, None] * (beta / gamma)
    highest = max(max(powers) for harmonic in harmonics for powers in harmonic)
    axes = [moment_integral(m, centres, gamma) for m in range(highest + 1)]
    results = []
    for harmonic in harmonics:
        total = torch.zeros_like(front)
        for (i, j, k), coefficient in harmonic.items():
            total = total + float(coefficient) * axes[i][:, 0] * axes[j][:, 1] * axes[k][:, 2]
        results.append((front * total).sum(dim=2))
    return torch.stack(results, dim=2)


def moment_integral(power: int, position: Tensor, gamma: Tensor) -> Tensor:
    """Return int x^power exp(-gamma (x - position)^2) dx                                        [1, eqs. 9-10]."""
    total = torch.zeros_like(position)
    for i in range(power // 2 + 1):
        number = comb(power, 2 * i) * double_factorial(2 * i - 1)
        total = total + number * (2.0 * gamma) ** -i * position ** (power - 2 * i)
    return torch.sqrt(pi / gamma) * total
