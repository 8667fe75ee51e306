"""Maxwell-Cartesian harmonics: the angular probes of GMP, in exact rational numbers.

    S_abc(x, y, z) = (-1)^n r^(2n+1) d_x^a d_y^b d_z^c (1/r),  r -> 1 in the coefficients,  n = a + b + c   [1, table 1]

    S_000 = 1,  S_100 = x,  S_200 = 3 x^2 - 1,  S_110 = 3 x y,  S_300 = 15 x^3 - 9 x,  S_210 = 15 x^2 y - 3 y, ...

All harmonics of one order are the components of one symmetric tensor. Contracted with a vector u it is a Legendre
polynomial, because 1/|r - u| generates them:

    S^n(r; u) = sum_abc n!/(a! b! c!) S_abc(r) u_x^a u_y^b u_z^c  =  n! sum_k p_nk (r . u)^(n-2k) |u|^(2k)
    P_n(t)    = sum_k p_nk t^(n-2k),       p_nk = (-1)^k (2n-2k)! / (2^n k! (n-k)! (n-2k)!)

(the traceless tensor would have (|r| |u|)^(2k); "r -> 1" drops |r|). Reading off the coefficient of u^abc gives

    S_abc = a! b! c! sum_k p_nk sum_{p+q+s=k} k!/(p! q! s!) (n-2k)!/((a-2p)! (b-2q)! (c-2s)!) x^(a-2p) y^(b-2q) z^(c-2s)

In : exponents a, b, c. Out: polynomials as {(i, j, k): coefficient of x^i y^j z^k}. Lengths in A.

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100
"""

from fractions import Fraction
from math import factorial

Powers = tuple[int, int, int]
Polynomial = dict[Powers, Fraction]


def exponents(order: int) -> list[Powers]:
    """Return all (a, b, c) with a + b + c = `order`."""
    return [(a, b, order - a - b) for a in range(order, -1, -1) for b in range(order - a, -1, -1)]


def weight(powers: Powers) -> int:
    """Return n! / (a! b! c!), how often a component occurs in the full tensor                          [1, eq. 4]."""
    a, b, c = powers
    return factorial(a + b + c) // (factorial(a) * factorial(b) * factorial(c))


def legendre_coefficient(order: int, k: int) -> Fraction:
    """Return p_nk, the coefficient of t^(n-2k) in the Legendre polynomial P_n."""
    numerator = (-1) ** k * factorial(2 * order - 2 * k)
    return Fraction(numerator, 2**order * factorial(k) * factorial(order - k) * factorial(order - 2 * k))


def maxwell_harmonic(powers: Powers, solid: bool = False) -> Polynomial:
    """Return S_abc, or with `solid` its traceless form, which keeps each r^2 as x^2 + y^2 + z^2."""
    a, b, c = powers
    order = a + b + c
    common = factorial(a) * factorial(b) * factorial(c)
    polynomial: Polynomial = {}
    for k in range(order // 2 + 1):
        for p, q, s in exponents(k):
            rest = (a - 2 * p, b - 2 * q, c - 2 * s)
            if min(rest) < 0:
                continue
            value = common * legendre_coefficient(order, k) * weight((p, q, s)) * weight(rest)
            _add(polynomial, rest, value, k if solid else 0)
    return polynomial


def _add(polynomial: Polynomial, powers: Powers, value: Fraction, squares: int) -> None:
    """Add value x^i y^j z^k (x^2 + y^2 + z^2)^squares to `polynomial`."""
    for extra in exponents(squares):
        i, j, k = (power + 2 * more for power, more in zip(powers, extra, strict=True))
        polynomial[i, j, k] = polynomial.get((i, j, k), Fraction(0)) + value * weight(extra)
