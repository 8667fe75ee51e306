"""Radial functions of the density expansion: what a neighbour at distance r adds to channel (n, l).

    R_nl(r) = f_c(r) u(r) * int_0^inf x^2 R_n(x) g_l(x, r) dx                                        [1, eqs. 1.22-1.23]

    Gaussian density, width sigma   g_l = 4 pi (pi sigma^2)^(-3/4) k_l(x, r)          (see `bessel`; unit L2 norm)
    Dirac density                   g_l = delta(x - r) / x^2,  so  R_nl(r) = f_c(r) u(r) R_n(r), the same for every l

R_n are the primitive functions of `basis`, f_c and u those of `cutoff` and `scaling`. The integral is evaluated with
Gauss-Legendre points in a window of 9 sigma around r, beyond which the Gaussian is below 3e-18; with the DVR basis it
*is* its own quadrature. The DVR interval ends 3 sigma beyond the cutoff, to hold the tails of the outermost Gaussians.

A contraction combines primitives, and may differ between neighbour species a                        [1, eqs. 2.4, 2.10]

    R[q, l, a](r) = sum_n U[l, q, a, n] R_nl(r)

In : distances (R,) in A. Out: (3, R, L+1, N) or contracted (3, R, A, L+1, Q): value, d/dr, d2/dr2.
Cost: paid when a table is made, never during a run (see `spline`).

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1-2; doi:10.1063/5.0044689
"""

from dataclasses import dataclass

import numpy as np

from rhopot.potentials.density.basis import DvrBasis, GtoBasis
from rhopot.potentials.density.bessel import gaussian_projection
from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.density.scaling import WillattScaling, multiply

WINDOW = 9.0  # half width of the integration window, in sigma
NODES = 96  # Gauss-Legendre points of that window when sigma is the shortest length
CHUNK = 64  # distances integrated at a time


@dataclass(frozen=True)
class RadialFunctions:
    """Radial functions of one density on one primitive basis.

    Args:
        basis: orthonormal primitives.
        l_max: highest angular degree.
        density_width: sigma in A of the Gaussian density; None is the Dirac density.
        cutoff_function: f_c.
        scaling: u, or None.
    """

    basis: GtoBasis | DvrBasis
    l_max: int
    density_width: float | None
    cutoff_function: CutoffFunction
    scaling: WillattScaling | None = None

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return (3, R, L+1, N) at `distance` (R,), zero at and beyond the cutoff."""
        envelope = self.cutoff_function(distance)
        if self.scaling is not None:
            envelope = multiply(envelope, self.scaling(distance))
        return multiply(envelope[:, :, None, None], self.projections(distance))

    def projections(self, distance: np.ndarray) -> np.ndarray:
        """Return the integrals alone, without f_c and u: (3, R, L+1, N)."""
        if self.density_width is None:
            return np.repeat(self.basis(distance)[:, :, None, :], self.l_max + 1, axis=2)
        norm = 4.0 * np.pi * (np.pi * self.density_width**2) ** -0.75
        if isinstance(self.basis, DvrBasis):
            values = gaussian_projection(self.basis.points, distance[:, None], self.density_width, self.l_max)
            return norm * np.moveaxis(values, 1, 2) * self.basis.root_weights
        parts = [distance[i : i + CHUNK] for i in range(0, distance.shape[0], CHUNK)]
        return norm * np.concatenate([self._integrate(self.basis, self.density_width, part) for part in parts], axis=1)

    def _integrate(self, basis: GtoBasis, sigma: float, distance: np.ndarray) -> np.ndarray:
        """Return int x^2 R_n(x) (k_l, k_l', k_l'') dx by quadrature: (3, R, L+1, N)."""
        resolution = max(1.0, sigma / basis.shortest)
        nodes, weights = np.polynomial.legendre.leggauss(int(np.ceil(NODES * resolution)))
        low = np.maximum(distance - WINDOW * sigma, 0.0)[:, None]
        half = 0.5 * (distance[:, None] + WINDOW * sigma - low)
        x = low + half * (nodes + 1.0)
        primitives = basis.values(x.ravel()).reshape(*x.shape, basis.size)
        kernel = gaussian_projection(x, distance[:, None], sigma, self.l_max)
        return np.einsum("dlrx,rxn->drln", kernel * (half * weights * x**2), primitives, optimize=True)


def contract(values: np.ndarray, coupling: np.ndarray) -> np.ndarray:
    """Return contracted functions of each neighbour species.

    Args:
        values: (3, R, L+1, N) primitive radial functions.
        coupling: U (L+1, Q, A, N).

    Returns:
        (3, R, A, L+1, Q).
    """
    return np.einsum("drln,lqan->dralq", values, coupling, optimize=True)
