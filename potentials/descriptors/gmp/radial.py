"""Radial functions of GMP: Gaussian probes overlapped analytically with the Gaussians of a neighbour's density.

A probe of width sigma, normalised, with alpha = 1/(2 sigma^2), times a density Gaussian B exp(-beta |x - r|^2) is a
Gaussian, so that each neighbour contributes to order n, degree l                                     [1, eqs. 7-8]

    R_nl(r) = f_c(r) amplitude_nl sum_beta B (1 + beta/alpha)^(-3/2) exp(-alpha beta r^2 / g) sum_q tau_ql M_nq (k r)^q
    g = alpha + beta,   k = beta / g,   v = 1 / (2 g)

with tau, M and the amplitude of `decomposition`: r^l times a polynomial in r^2 times a Gaussian, summed over the 2-7
Gaussians of the element. The fade f_c brings it to zero at a finite cutoff.

In : distances (R,) in A. Out: (3, R, A, L+1, Q), value, d/dr, d2/dr2; L = max_order, column q = t P + p for probe p and
     order n = l + 2 t. Cartesian: t = 0 ... L//2; solid: t = 0. Columns with l + 2 t > L are zero.
Unit: e A^-3 times powers of A that "r -> 1" hides. Cost: paid when a table is made, never during a run.

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100, SI 0.2
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.density.scaling import multiply
from rhopot.potentials.descriptors.gmp.decomposition import amplitude, moment, power_in_legendre


class AtomDensity(Protocol):
    """A spherical density rho(r) = sum_k coefficients[k] exp(-exponents[k] r^2), in e A^-3 and A^-2."""

    @property
    def coefficients(self) -> Sequence[float]:
        """Heights of the Gaussians in e A^-3."""

    @property
    def exponents(self) -> Sequence[float]:
        """Exponents of the Gaussians in A^-2."""


@dataclass(frozen=True)
class GmpRadialFunctions:
    """Radial functions of all probes, orders and neighbour species.

    Args:
        densities: one density per species.
        widths: standard deviations of the probes in A.
        max_order: highest order N.
        solid: True keeps l = n alone, the traceless part.
        cutoff_function: f_c.
    """

    densities: Sequence[AtomDensity]
    widths: Sequence[float]
    max_order: int
    solid: bool
    cutoff_function: CutoffFunction

    @property
    def n_traces(self) -> int:
        """Number T of radial functions per probe and degree."""
        return 1 if self.solid else self.max_order // 2 + 1

    @property
    def terms(self) -> list[tuple[int, int]]:
        """All (l, t) with l + 2 t <= N and t < T: the functions that are not zero."""
        traces, highest = range(self.n_traces), self.max_order
        return [(degree, t) for degree in range(highest + 1) for t in traces if degree + 2 * t <= highest]

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return (3, R, A, L+1, Q) at `distance` (R,), zero at and beyond the cutoff."""
        fade = self.cutoff_function(distance)[:, :, None, None]
        return np.stack([multiply(fade, self.overlaps(density, distance)) for density in self.densities], axis=2)

    def overlaps(self, density: AtomDensity, distance: np.ndarray) -> np.ndarray:
        """Return the functions of one species without f_c: (3, R, L+1, Q)."""
        alpha = 0.5 / np.asarray(self.widths, dtype=float) ** 2
        beta = np.asarray(density.exponents, dtype=float)
        decay = alpha[:, None] * beta / (alpha[:, None] + beta)
        height = np.asarray(density.coefficients, dtype=float) * (1.0 + beta / alpha[:, None]) ** -1.5
        powers = distance[:, None] ** np.arange(self.max_order + 3)
        values = np.zeros((3, len(distance), self.max_order + 1, self.n_traces, len(alpha)))
        for p in range(len(alpha)):
            gaussians = np.exp(-(distance[:, None] ** 2) * decay[p])
            basis = (gaussians[:, :, None] * powers[:, None, :]).reshape(len(distance), -1)
            polynomials = height[p, :, None] * self._polynomials(alpha[p] + beta, beta / (alpha[p] + beta))
            for order in range(3):
                columns = polynomials.reshape(*polynomials.shape[:2], -1)
                values[order, :, :, :, p] = np.einsum("rx,ltx->rlt", basis, columns, optimize=True)
                polynomials = _derivative(polynomials, decay[p])
        return values.reshape(*values.shape[:3], -1)

    def _polynomials(self, exponent: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return coefficients of r^q, (L+1, T, K, L+3), for K products of exponents g and centres k r."""
        result = np.zeros((self.max_order + 1, self.n_traces, len(exponent), self.max_order + 3))
        variance = 0.5 / exponent
        for degree, t in self.terms:
            order = degree + 2 * t
            for q in range(degree, order + 1, 2):
                mean = sum(float(term) * variance**j for j, term in enumerate(moment(order, q)))
                scale = amplitude(order, degree) * float(power_in_legendre(q, degree))
                result[degree, t, :, q] = scale * mean * shift**q
        return result


def _derivative(polynomials: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """Return the polynomials of d/dr [P(r) exp(-decay r^2)], coefficients (..., K, powers), decay (K,)."""
    result = np.zeros_like(polynomials)
    result[..., :-1] = polynomials[..., 1:] * np.arange(1, polynomials.shape[-1])
    result[..., 1:] -= 2.0 * decay[:, None] * polynomials[..., :-1]
    return result
