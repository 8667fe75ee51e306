"""Angular projection of a displaced Gaussian, without overflow.

The l-th radial coefficient of exp(-|x - r|^2 / (2 sigma^2)) about the origin is 4 pi times

    k_l(x, r) = exp(-(x^2 + r^2) / (2 sigma^2)) i_l(x r / sigma^2)
              = exp(-(x - r)^2 / (2 sigma^2)) exp(-z) i_l(z),            z = x r / sigma^2

with i_l the modified spherical Bessel function of the first kind. i_l(z) grows like exp(z), and z reaches 1000 for
ordinary arguments, so the exponentially scaled function exp(-z) i_l(z) is the one that is computed. Derivatives use

    i_l'(z) = (l i_{l-1} + (l + 1) i_{l+1}) / (2 l + 1)

which has no division by z and so holds at z = 0, twice for the second.

In : x, r in A, broadcast against each other; sigma in A
Out: (3, l_max+1, ...), k_l and its first two derivatives by r
Reference: NIST DLMF, sections 10.47, 10.51; radial integrals: doi:10.1063/5.0044689
"""

import numpy as np
from scipy.special import ive

SMALLEST = 1e-8  # below, the first term of the series is exact to double precision


def scaled_bessel(argument: np.ndarray, l_max: int) -> np.ndarray:
    """Return exp(-z) i_l(z) for l = 0 ... l_max: (l_max+1, ...), for z >= 0.

    The two highest degrees come from SciPy, the others from i_{l-1} = i_{l+1} + (2 l + 1) i_l / z, stable downwards.
    """
    small = argument < SMALLEST
    safe = np.where(small, 1.0, argument)
    factor = np.sqrt(0.5 * np.pi / safe)
    values = np.empty((l_max + 1, *argument.shape))
    for degree in range(l_max, -1, -1):
        if degree >= l_max - 1:
            values[degree] = ive(degree + 0.5, safe) * factor
        else:
            values[degree] = values[degree + 2] + (2 * degree + 3) * values[degree + 1] / safe
    odd_factorial = np.cumprod(2.0 * np.arange(l_max + 1) + 1.0)
    for degree in range(l_max + 1):
        values[degree][small] = argument[small] ** degree / odd_factorial[degree] * np.exp(-argument[small])
    return values


def _differentiate(values: np.ndarray) -> np.ndarray:
    """Return derivatives i_l' for l = 0 ... n-2 from i_l, l = 0 ... n-1 (both carry the factor exp(-z))."""
    degrees = np.arange(1, values.shape[0] - 1).reshape(-1, *([1] * (values.ndim - 1)))
    higher = (degrees * values[:-2] + (degrees + 1) * values[2:]) / (2 * degrees + 1)
    return np.concatenate([values[1:2], higher])


def gaussian_projection(x: np.ndarray, r: np.ndarray, sigma: float, l_max: int) -> np.ndarray:
    """Return k_l(x, r), dk_l/dr and d2k_l/dr2 (module equation): (3, l_max+1, ...)."""
    x, r = np.broadcast_arrays(x, r)
    square = sigma * sigma
    bessel = scaled_bessel(x * r / square, l_max + 2)
    derivative = _differentiate(bessel)
    curvature = _differentiate(derivative)
    bessel, derivative = bessel[: l_max + 1], derivative[: l_max + 1]
    envelope = np.exp(-0.5 * (x - r) ** 2 / square)
    first = x / square * derivative - r / square * bessel
    second = (
        (x / square) ** 2 * curvature - 2.0 * r * x / square**2 * derivative + (r**2 / square - 1.0) / square * bessel
    )
    return np.stack([bessel, first, second]) * envelope
