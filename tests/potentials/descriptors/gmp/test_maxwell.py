"""Maxwell-Cartesian harmonics: the published table, the derivatives of 1/r, Laplace's equation."""

from fractions import Fraction

import pytest

from rhopot.potentials.descriptors.gmp.maxwell import (
    Polynomial,
    exponents,
    legendre_coefficient,
    maxwell_harmonic,
    weight,
)

Extended = dict[tuple[int, int, int, int], int]  # powers of x, y, z and of s = r^2

PUBLISHED = {
    (0, 0, 0): {(0, 0, 0): 1},
    (0, 1, 0): {(0, 1, 0): 1},
    (2, 0, 0): {(2, 0, 0): 3, (0, 0, 0): -1},
    (1, 0, 1): {(1, 0, 1): 3},
    (0, 0, 3): {(0, 0, 3): 15, (0, 0, 1): -9},
    (2, 1, 0): {(2, 1, 0): 15, (0, 1, 0): -3},
    (1, 0, 2): {(1, 0, 2): 15, (1, 0, 0): -3},
    (1, 1, 1): {(1, 1, 1): 15},
}


@pytest.mark.parametrize("powers", list(PUBLISHED))
def test_published_table(powers: tuple[int, int, int]) -> None:
    assert maxwell_harmonic(powers) == PUBLISHED[powers]


def next_numerator(numerator: Extended, axis: int, order: int) -> Extended:
    """Return Q of -d/dx (P / r^(2n+1)) = Q / r^(2n+3): Q = (2n+1) x P - s (dP/dx + 2 x dP/ds), s = r^2."""
    result: Extended = {}

    def add(powers: list[int], value: int) -> None:
        key = (powers[0], powers[1], powers[2], powers[3])
        result[key] = result.get(key, 0) + value

    for powers, value in numerator.items():
        up, down = list(powers), list(powers)
        up[axis] += 1
        add(up, (2 * order + 1 - 2 * powers[3]) * value)
        if powers[axis]:
            down[axis] -= 1
            down[3] += 1
            add(down, -powers[axis] * value)
    return {powers: value for powers, value in result.items() if value}


def derivative_of_inverse_distance(wanted: tuple[int, int, int]) -> Extended:
    numerator: Extended = {(0, 0, 0, 0): 1}
    order = 0
    for axis, times in enumerate(wanted):
        for _ in range(times):
            numerator = next_numerator(numerator, axis, order)
            order += 1
    return numerator


@pytest.mark.parametrize("order", range(9))
def test_harmonics_are_derivatives_of_the_inverse_distance(order: int) -> None:
    for powers in exponents(order):
        expected: Polynomial = {}
        for (i, j, k, _), value in derivative_of_inverse_distance(powers).items():  # s -> 1
            expected[i, j, k] = expected.get((i, j, k), Fraction(0)) + value
        assert maxwell_harmonic(powers) == {key: value for key, value in expected.items() if value}


def laplacian(polynomial: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for powers, value in polynomial.items():
        for axis in range(3):
            lower = list(powers)
            lower[axis] -= 2
            key = (lower[0], lower[1], lower[2])
            result[key] = result.get(key, Fraction(0)) + powers[axis] * (powers[axis] - 1) * value
    return {key: value for key, value in result.items() if value}


@pytest.mark.parametrize("order", range(2, 9))
def test_solid_harmonics_are_homogeneous_and_solve_laplace(order: int) -> None:
    for powers in exponents(order):
        solid = maxwell_harmonic(powers, solid=True)
        assert {sum(key) for key in solid} == {order}
        assert laplacian(solid) == {}


@pytest.mark.parametrize("order", range(9))
def test_solid_tensors_have_no_trace(order: int) -> None:
    for a, b, c in exponents(max(order - 2, 0)):
        trace: Polynomial = {}
        for powers in ((a + 2, b, c), (a, b + 2, c), (a, b, c + 2)):
            for key, value in maxwell_harmonic(powers, solid=True).items():
                trace[key] = trace.get(key, Fraction(0)) + value
        assert not any(trace.values())


@pytest.mark.parametrize("order", range(9))
def test_weights_count_the_components_of_the_tensor(order: int) -> None:
    assert sum(weight(powers) for powers in exponents(order)) == 3**order
    assert len(exponents(order)) == (order + 1) * (order + 2) // 2
    assert sum(legendre_coefficient(order, k) for k in range(order // 2 + 1)) == 1, "P_n(1) = 1"
