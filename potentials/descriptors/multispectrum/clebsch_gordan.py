"""Clebsch-Gordan coefficients between real spherical harmonics.

Two sets of components that rotate like Y_l1 and Y_l2 are coupled to one that rotates like Y_l,

    v_m = sum_{m1 m2} C[m1, m2, m] a_m1 b_m2,          |l1 - l2| <= l <= l1 + l2                           [1, eq. 1.18]

C is orthonormal: sum_{m1 m2} C[m1, m2, m] C[m1, m2, m'] = delta_mm'. For complex harmonics the coefficients are those
of Racah's formula; the unitary matrix U_l from complex to real harmonics turns all three indices,

    C = i^(s mod 2) U_l1* U_l2* U_l <l1 m1 l2 m2 | l m>,          s = l1 + l2 + l

which is real with the factor i for odd s. Even s: v is even under inversion if a b is, and symmetric for l1 = l2;
odd s: v is a pseudo-tensor, antisymmetric for l1 = l2 (l1 = l2 = l = 1: the cross product up to a factor).

Components in the order m = -l ... l of `density.harmonics`, without the Condon-Shortley phase.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1. NICE: doi:10.1063/5.0021116
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray


@cache
def real_coupling(l1: int, l2: int, degree: int) -> NDArray[np.float64]:
    """Return C (2 l1 + 1, 2 l2 + 1, 2 l + 1), l = `degree`, not to be written to.

    Raises:
        ValueError: degrees that no rotation couples.
    """
    if not abs(l1 - l2) <= degree <= l1 + l2:
        raise ValueError(f"degrees must satisfy |l1 - l2| <= l <= l1 + l2, got {l1}, {l2} and {degree}")
    coupled = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * degree + 1), dtype=complex)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -degree - m1), min(l2, degree - m1) + 1):
            coupled[l1 + m1, l2 + m2, degree + m1 + m2] = _racah(l1, m1, l2, m2, degree)
    real = np.einsum("ai,bj,ck,ijk->abc", _to_real(l1).conj(), _to_real(l2).conj(), _to_real(degree), coupled)
    if (l1 + l2 + degree) % 2 == 1:
        real = 1j * real
    found = np.where(np.abs(real.real) < 1e-14, 0.0, real.real)
    found.flags.writeable = False
    return found


def _racah(l1: int, m1: int, l2: int, m2: int, degree: int) -> float:
    """Return <l1 m1 l2 m2 | l m1+m2> by Racah's sum; every term is a quotient of exact integers."""
    f, m = math.factorial, m1 + m2
    norm = (2 * degree + 1) * f(degree + l1 - l2) * f(degree - l1 + l2) * f(l1 + l2 - degree) / f(l1 + l2 + degree + 1)
    norm *= f(degree + m) * f(degree - m) * f(l1 - m1) * f(l1 + m1) * f(l2 - m2) * f(l2 + m2)
    total = 0.0
    for k in range(max(0, l2 - degree - m1, l1 - degree + m2), min(l1 + l2 - degree, l1 - m1, l2 + m2) + 1):
        below = f(k) * f(l1 + l2 - degree - k) * f(l1 - m1 - k) * f(l2 + m2 - k)
        below *= f(degree - l2 + m1 + k) * f(degree - l1 - m2 + k)
        total += (-1) ** k / below
    return math.sqrt(norm) * total


@cache
def _to_real(degree: int) -> NDArray[np.complex128]:
    """Return U_l (2 l + 1, 2 l + 1): Y_real = U_l Y_complex, complex harmonics with the Condon-Shortley phase."""
    matrix = np.zeros((2 * degree + 1, 2 * degree + 1), dtype=complex)
    matrix[degree, degree] = 1.0
    for m in range(1, degree + 1):
        sign = (-1.0) ** m
        matrix[degree + m, degree + m] = sign / math.sqrt(2.0)
        matrix[degree + m, degree - m] = 1.0 / math.sqrt(2.0)
        matrix[degree - m, degree + m] = -1j * sign / math.sqrt(2.0)
        matrix[degree - m, degree - m] = 1j / math.sqrt(2.0)
    return matrix
