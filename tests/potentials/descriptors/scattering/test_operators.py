"""The compiled operators of scattering against their twins in plain PyTorch: values and gradients, and refusals."""

import os
import subprocess
import sys

import pytest
import torch
from scattering_systems import triclinic
from torch import Tensor
from torch.testing import assert_close

from rhopot.potentials import operators
from rhopot.potentials.descriptors.scattering import modulus as twin
from rhopot.potentials.descriptors.scattering.wavelets import dual_vectors, frequencies, wavelet_filters

operators.load()
OPS = torch.ops.rhopot
BETA = 0.6
# Points of the spectra's grid and of the wavelet's: the same, coarser, finer, and both along different axes; lengths
# that transforms have no radix for, and axes of next to no points.
GRIDS = {
    "same": ([9, 8, 10], [9, 8, 10]),
    "coarser": ([12, 15, 16], [8, 9, 6]),
    "finer": ([6, 7, 5], [9, 10, 12]),
    "mixed": ([6, 12, 9], [10, 8, 9]),
    "primes": ([11, 7, 26], [13, 14, 22]),
    "thin": ([3, 1, 50], [2, 1, 45]),
}
POWERS = [1.0, 4 / 3, 5 / 3, 2.0, 3.0, 1.25, 2.7]


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def spectra(points: list[int], count: int = 3) -> Tensor:
    """Fourier coefficients of real fields."""
    return torch.fft.rfftn(normal(count, *points), dim=(1, 2, 3), norm="forward")


def dual(scale: float = 0.0) -> Tensor:
    return dual_vectors(torch.tensor(triclinic().cell.array), scale)


def filters(points: list[int], degree: int) -> Tensor:
    return wavelet_filters(dual(), points, BETA, 3, degree)


def banded(filtered: Tensor, points: list[int]) -> Tensor:
    """Filters that stay zero at the edge of the band, where the operators do not look."""
    return filtered * frequencies(dual(), points)[1]


def compared(fast: object, slow: object, arguments: dict[str, Tensor], tolerance: float = 1e-12) -> None:
    """Assert equal values and, for one random incoming gradient, equal gradients by every argument."""
    found, expected = ([], [])
    for function, results in ((fast, found), (slow, expected)):
        leaves = {name: value.clone().requires_grad_() for name, value in arguments.items()}
        value = function(**leaves)  # type: ignore[operator]
        results += [value.detach(), *torch.autograd.grad(value, list(leaves.values()), normal(*value.shape, seed=5))]
        with torch.no_grad():  # the way without a graph is another one
            assert_close(function(**arguments), value.detach(), rtol=1e-13, atol=0.0)  # type: ignore[operator]
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert float(other.abs().max()) > 0
        assert_close(one, other, rtol=0.0, atol=tolerance * float(other.abs().max()))


@pytest.mark.parametrize("points", [[9, 8, 10], [4, 5, 21]], ids=["even", "odd"])
@pytest.mark.parametrize(("order", "degree"), [(1, 0), (3, 0), (3, 1), (3, 2), (5, 4), (8, 7)])
def test_filters_equal_their_twin(order: int, degree: int, points: list[int]) -> None:
    compared(
        lambda dual: OPS.wavelet_filters_v1(dual, points, BETA, order, degree),
        lambda dual: wavelet_filters(dual, points, BETA, order, degree),
        {"dual": dual(0.5)},
    )


@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_moduli_of_mixtures_equal_their_twin(degree: int, grid: str) -> None:
    have, points = GRIDS[grid]
    rest = (have, degree % 2 == 1, normal(4, 3, seed=1), torch.tensor([0.0, 1e-3, 0.2, 1.0], dtype=torch.float64))

    def call(function: object, spectrum: Tensor, filtered: Tensor) -> Tensor:
        return function(spectrum, rest[0], banded(filtered, points), points, *rest[1:])  # type: ignore[operator]

    compared(
        lambda spectrum, filtered: call(OPS.wavelet_modulus_v1, spectrum, filtered),
        lambda spectrum, filtered: call(twin.wavelet_modulus, spectrum, filtered),
        {"spectrum": spectra(have), "filtered": filters(points, degree)},
    )


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0], [1]], ids=["all", "some", "one"])
@pytest.mark.parametrize("grid", list(GRIDS))
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_power_sums_of_moduli_equal_their_twin(degree: int, grid: str, rows: list[int]) -> None:
    have, points = GRIDS[grid]
    floor = torch.tensor([0.0, 1e-2, 0.5], dtype=torch.float64)[: len(rows)]

    def call(function: object, spectrum: Tensor, filtered: Tensor) -> Tensor:
        odd = degree % 2 == 1
        return function(spectrum, have, banded(filtered, points), points, odd, rows, floor, POWERS)  # type: ignore[operator]

    compared(
        lambda spectrum, filtered: call(OPS.wavelet_power_sums_v1, spectrum, filtered),
        lambda spectrum, filtered: call(twin.wavelet_power_sums, spectrum, filtered),
        {"spectrum": spectra(have), "filtered": filters(points, degree)},
    )


@pytest.mark.parametrize("points", [[9, 8, 10], [13, 7, 22], [3, 1, 45], [48, 20, 24]], ids=str)
def test_coefficients_of_fields_equal_their_twin(points: list[int]) -> None:
    inside = (points[2] + 1) // 2  # the plane 2 k_3 = n_3 has no meaning
    compared(
        lambda fields: torch.view_as_real(OPS.field_coefficients_v1(fields)[..., :inside]),
        lambda fields: torch.view_as_real(twin.field_coefficients(fields)[..., :inside]),
        {"fields": normal(2, *points)},
    )
    incoming = spectra(points)
    incoming[..., inside:] = 0
    found = OPS.field_coefficients_adjoint_v1(incoming, points)
    assert_close(found, twin.field_coefficients_adjoint(incoming, points), rtol=0.0, atol=1e-15)


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e12])
@pytest.mark.parametrize("n_points", [1, 8, 263, 700])
def test_power_sums_equal_their_twin(n_points: int, size: float) -> None:
    compared(
        lambda modulus: OPS.power_sums_v1(modulus, POWERS),
        lambda modulus: twin.power_sums(modulus, POWERS),
        {"modulus": size * (normal(2, n_points).abs() + 1e-3)},
    )


def test_power_sums_of_nothing_are_zero() -> None:
    modulus = torch.zeros(2, 20, dtype=torch.float64, requires_grad=True)
    sums = OPS.power_sums_v1(modulus, POWERS)
    assert (sums == 0).all()
    (derivative,) = torch.autograd.grad(sums[:, 1:].sum(), modulus)
    assert (derivative == 0).all()


def test_a_vanishing_field_has_no_derivative() -> None:
    """The tip of the cone (eps = 0): derivative zero, not NaN."""
    have = [6, 5, 8]
    spectrum = torch.zeros(1, 6, 5, 5, dtype=torch.complex128, requires_grad=True)
    floor = torch.zeros(1, dtype=torch.float64)
    sums = OPS.wavelet_power_sums_v1(spectrum, have, filters(have, 1), have, True, [0], floor, [1.0, 2.0])
    (derivative,) = torch.autograd.grad(sums.sum(), spectrum)
    assert (sums == 0).all()
    assert (derivative == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["baseline", "v3"])
def test_lesser_instruction_sets_give_the_same_numbers(variant: str) -> None:
    names = ("filters_equal_their_twin", "power_sums_equal_their_twin", "power_sums_of_moduli_equal_their_twin")
    tests = [f"{__file__}::test_{name}" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "RHOPOT_KERNELS": variant}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_second_derivatives_are_refused() -> None:
    modulus = normal(1, 9).abs().requires_grad_()
    sums = OPS.power_sums_v1(modulus, [2.0])
    with pytest.raises(NotImplementedError, match="power_sums_v1 has no second derivative; use reference=True for it"):
        torch.autograd.grad(sums.sum(), modulus, create_graph=True)


HAVE, POINTS = GRIDS["coarser"]
BAD = {
    "spectrum": ({"spectrum": spectra(POINTS)}, r"spectrum must be of shape \(S, 12, 15, 9\) for its points, got"),
    "filter": ({"filtered": filters(HAVE, 1)}, r"filter must be of shape \(M, 8, 9, 4\) for its points, got"),
    "points": ({"points": [8, 9]}, r"points must be three positive numbers of grid points, got \[8, 9\]"),
    "rows": ({"rows": [0, 3]}, "rows must be from 0 to 2, got 3"),
    "floor": ({"floor": torch.zeros(3, dtype=torch.float64)}, r"floor must be 2 float64 numbers on the CPU, got \[3\]"),
    "powers": ({"powers": [0.5]}, "powers must be at least 1, got 0.5; below 1 derivatives diverge"),
    "dtype": ({"spectrum": spectra(HAVE).to(torch.complex64)}, "spectrum must be ComplexDouble, got ComplexFloat"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_arguments_that_do_not_fit_are_refused(case: str) -> None:
    arguments = {
        "spectrum": spectra(HAVE), "have": HAVE, "filtered": filters(POINTS, 1), "points": POINTS, "odd": True,
        "rows": [0, 2], "floor": torch.zeros(2, dtype=torch.float64), "powers": POWERS,
    }  # fmt: skip
    changes, sentence = BAD[case]
    with pytest.raises((ValueError, TypeError, IndexError), match=sentence):
        OPS.wavelet_power_sums_v1(*{**arguments, **changes}.values())


def test_degrees_beyond_the_order_are_refused() -> None:
    with pytest.raises(ValueError, match="degree must be from 0 to order - 1 and at most 12, got 3 for order 3"):
        OPS.wavelet_filters_v1(dual(), [4, 4, 4], BETA, 3, 3)
