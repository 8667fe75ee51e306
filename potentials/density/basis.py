"""Primitive radial bases: orthonormal functions of the distance from the centre.

GTO, Gaussian type orbitals, n = 0 ... N-1:

    chi_n(x) = x^n exp(-x^2 / (2 s_n^2)),        s_n = r_c sqrt(max(n, 1)) / N
    R        = S^(-1/2) chi / |chi|,             S the overlap of the normalised chi over (0, infinity)   [1, eq. 1.20]

whose maxima are spread evenly over (0, r_c). The symmetric (Loewdin) orthonormalisation keeps R_n closest to chi_n.
S is nearly singular for large N (its smallest eigenvalue is 1e-4 at N = 8, 8e-14 at N = 20), so its inverse root is
taken with 60 digits and the sums that combine chi_n are done in extended precision.

DVR, discrete variable representation: N Gauss-Legendre points x_n with weights w_n on (0, X),

    R_n(x) = L_n(x) / (x_n sqrt(w_n)),           L_n the Lagrange polynomial that is 1 at x_n and 0 at the other points

orthonormal under the quadrature itself, in which any integral with R_n is one number:

    int x^2 R_n f dx = x_n sqrt(w_n) f(x_n)

In : distances x (R,) in A. Out: (3, R, N): R_n, R_n', R_n'' in A^-3/2, A^-5/2, A^-7/2.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), sec. 1.3.2. GTO: doi:10.1063/5.0044689; DVR: J. C. Light et al.,
J. Chem. Phys. 82, 1400 (1985), doi:10.1063/1.448462
"""

from dataclasses import dataclass
from functools import cached_property

import mpmath
import numpy as np

DIGITS = 60


@dataclass(frozen=True)
class GtoBasis:
    """Orthonormalised Gaussian type orbitals.

    Args:
        size: N >= 1 functions.
        radius: r_c in A, over which the maxima are spread.
    """

    size: int
    radius: float

    @cached_property
    def variances(self) -> np.ndarray:
        """s_n^2 in A^2, extended precision: (N,)."""
        orders = np.maximum(np.arange(self.size), 1).astype(np.longdouble)
        return np.longdouble(self.radius) ** 2 * orders / np.longdouble(self.size) ** 2

    @property
    def shortest(self) -> float:
        """Length in A over which the functions vary: the smallest s_n."""
        return float(np.sqrt(self.variances[0]))

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Return (N, N), extended precision: R_n(x) = sum_m coefficients[n, m] (x/r_c)^m exp(-x^2 / (2 s_m^2))."""
        return _loewdin(self.size) / np.longdouble(self.radius) ** np.longdouble(1.5)

    def values(self, distance: np.ndarray) -> np.ndarray:
        """Return the functions alone at `distance` (R,): (R, N)."""
        x = distance.astype(np.longdouble)[:, None] / np.longdouble(self.radius)
        envelope = np.exp(-0.5 * (x * np.longdouble(self.radius)) ** 2 / self.variances)
        return np.asarray((_powers(x, self.size) * envelope) @ self.coefficients.T, dtype=float)

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return (3, R, N): the functions and their first two derivatives at `distance` (R,)."""
        x = distance.astype(np.longdouble)[:, None]
        orders = np.arange(self.size)
        variance = self.variances
        scale = np.exp(-0.5 * x**2 / variance) / np.longdouble(self.radius) ** orders
        power = _powers(x, self.size)
        power1 = orders * power[:, np.maximum(orders - 1, 0)]
        power2 = orders * (orders - 1) * power[:, np.maximum(orders - 2, 0)]
        first = power1 - power * x / variance
        second = power2 - (2.0 * power1 * x + power) / variance + power * x**2 / variance**2
        return np.stack([(part * scale) @ self.coefficients.T for part in (power, first, second)]).astype(float)


def _powers(x: np.ndarray, size: int) -> np.ndarray:
    """Return x^0 ... x^(size-1) of (R, 1): (R, size)."""
    factors = np.repeat(x, size, axis=1)
    factors[:, 0] = 1.0
    return np.asarray(np.cumprod(factors, axis=1))


def _loewdin(size: int) -> np.ndarray:
    """Return S^(-1/2) diag(1/|chi|) of the GTOs with r_c = 1, exact to extended precision: (N, N)."""
    with mpmath.workdps(DIGITS):
        widths = [mpmath.sqrt(max(n, 1)) / size for n in range(size)]

        def overlap(n: int, m: int) -> mpmath.mpf:
            exponent = (1 / widths[n] ** 2 + 1 / widths[m] ** 2) / 2
            power = mpmath.mpf(3 + n + m) / 2
            return mpmath.gamma(power) * exponent ** (-power) / 2

        norms = [mpmath.sqrt(overlap(n, n)) for n in range(size)]
        gram = mpmath.matrix(size, size)
        for n in range(size):
            for m in range(size):
                gram[n, m] = overlap(n, m) / (norms[n] * norms[m])
        values, vectors = mpmath.eigsy(gram)
        root = vectors * mpmath.diag([1 / mpmath.sqrt(value) for value in values]) * vectors.T
        text = [[mpmath.nstr(root[n, m] / norms[m], 25) for m in range(size)] for n in range(size)]
    return np.array([[np.longdouble(number) for number in row] for row in text])


@dataclass(frozen=True)
class DvrBasis:
    """Discrete variable representation on Gauss-Legendre points.

    Args:
        size: N >= 1 points.
        radius: X in A, the upper end of the interval.
    """

    size: int
    radius: float

    @cached_property
    def points(self) -> np.ndarray:
        """x_n in A: (N,)."""
        return 0.5 * self.radius * (np.polynomial.legendre.leggauss(self.size)[0] + 1.0)

    @cached_property
    def root_weights(self) -> np.ndarray:
        """x_n sqrt(w_n) in A^(3/2): what turns values at the points into coefficients, (N,)."""
        return self.points * np.sqrt(0.5 * self.radius * np.polynomial.legendre.leggauss(self.size)[1])

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return (3, R, N): the functions and their first two derivatives at `distance` (R,)."""
        result = np.empty((3, distance.shape[0], self.size))
        for n in range(self.size):
            polynomial = np.stack([np.ones_like(distance), np.zeros_like(distance), np.zeros_like(distance)])
            for other in np.delete(self.points, n):
                gap = self.points[n] - other
                factor = (distance - other) / gap
                polynomial[2] = polynomial[2] * factor + 2.0 * polynomial[1] / gap
                polynomial[1] = polynomial[1] * factor + polynomial[0] / gap
                polynomial[0] = polynomial[0] * factor
            result[:, :, n] = polynomial / self.root_weights[n]
        return result
