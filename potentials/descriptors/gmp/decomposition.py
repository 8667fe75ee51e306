"""Tensors of Maxwell-Cartesian harmonics, averaged over a Gaussian and split over spherical harmonics.

The product of a probe at the origin and a density Gaussian at r is a Gaussian of exponent g centred at k r, so what
GMP integrates is the mean of S^n(x; u) (see `maxwell`) over x = k r + noise, each component of variance v = 1/(2 g).
For unit u, x . u = k r t + s with t = u . r/r and s of variance v. The mean of each power of s is known, and what is
left is a polynomial in t, split over Legendre polynomials:

    <S^n(x; u)> = n! sum_k p_nk sum_j C(n-2k, 2j) (2j-1)!! v^j (k r t)^(n-2k-2j)
                = sum_{l = n, n-2, ...} h_nl(r) P_l(t),       h_nl = sum_{q = l, l+2 ... n} tau_ql M_nq(v) (k r)^q
    t^q         = sum_l tau_ql P_l(t),                        tau_ql = (2l+1) q! / ((q-l)!! (q+l+1)!!)

With the addition theorem P_l(t) = 4 pi / (2l+1) sum_m Y_lm(r/r) Y_lm(u) the tensor is

    S^n(u) = sum_lm C_nlm |u|^(n-l) (|u|^l Y_lm(u/|u|)),      C_nlm = 4 pi / (2l+1) sum_j h_nl(r_j) Y_lm(r_j/r_j)

and its norm, sum_abc n!/(a! b! c!) S_abc^2, is Bombieri's norm of that polynomial in u. Different (l, m) are orthogonal
in it, and <|u|^(2t) H_l, |u|^(2t) H_l> follows from Laplace |u|^(2t) H_l = 2t (2t+2l+1) |u|^(2t-2) H_l:

    sum_abc n!/(a! b! c!) S_abc^2 = sum_lm C_nlm^2 (n+l+1)!! (n-l)!! / (4 pi n!)

So c_nlm = C_nlm sqrt((n+l+1)!! (n-l)!! / (4 pi n!)) turn the weighted Cartesian norm into a plain sum of squares, and
all factors go into the radial functions. The traceless ("solid") form is the part l = n alone: n! (k r)^n P_n(t).
"""

from fractions import Fraction
from functools import cache
from math import comb, factorial, pi, sqrt

from rhopot.potentials.descriptors.gmp.maxwell import legendre_coefficient


def double_factorial(n: int) -> int:
    """Return n!! with (-1)!! = 0!! = 1."""
    product = 1
    for factor in range(n, 1, -2):
        product *= factor
    return product


def power_in_legendre(q: int, degree: int) -> Fraction:
    """Return tau_ql, the coefficient of P_l(t) in t^q, for q - l even and >= 0."""
    return Fraction((2 * degree + 1) * factorial(q), double_factorial(q - degree) * double_factorial(q + degree + 1))


@cache
def moment(order: int, q: int) -> tuple[Fraction, ...]:
    """Return the coefficients of v^0, v^1, ... in M_nq(v), where <S^n(x; u)> = sum_q M_nq(v) (k r t)^q.

    Args:
        order: n.
        q: n, n-2, ... >= 0.
    """
    half = (order - q) // 2
    terms = []
    for j in range(half + 1):
        k = half - j
        even_moment = comb(order - 2 * k, 2 * j) * double_factorial(2 * j - 1)
        terms.append(factorial(order) * legendre_coefficient(order, k) * even_moment)
    return tuple(terms)


def amplitude(order: int, degree: int) -> float:
    """Return the factor of h_nl in the radial function: 4 pi / (2l+1) sqrt((n+l+1)!! (n-l)!! / (4 pi n!))."""
    norm = double_factorial(order + degree + 1) * double_factorial(order - degree) / (4.0 * pi * factorial(order))
    return 4.0 * pi / (2 * degree + 1) * sqrt(norm)
