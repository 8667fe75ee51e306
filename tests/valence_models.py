"""Densities of a few made-up Gaussians for tests of GMP: one compact, one soft, one with a hollow centre."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Density:
    """rho(r) = sum_k coefficients[k] exp(-exponents[k] r^2), in e A^-3 and A^-2."""

    coefficients: tuple[float, ...]
    exponents: tuple[float, ...]


SOFT = Density((0.02, 0.05), (0.5, 0.9))
HOLLOW = Density((0.8, -0.5, 0.05), (1.5, 3.0, 0.6))
COMPACT = Density((2.0, 0.4, 0.1), (5.0, 2.0, 0.8))
