"""Radial tables: error, smoothness, knots on the kink, exact zero at the cutoff, honest refusal."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from rhopot.potentials.density.basis import DvrBasis, GtoBasis
from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.density.hermite import evaluate_hermite
from rhopot.potentials.density.radial import RadialFunctions
from rhopot.potentials.density.scaling import multiply
from rhopot.potentials.density.spline import first_intervals, tabulate

CUTOFF = 5.0


def one_species(functions: RadialFunctions):
    return lambda r: functions(r)[:, :, None]


CASES = {
    "gto": RadialFunctions(GtoBasis(6, CUTOFF), 5, 0.4, CutoffFunction("quintic", CUTOFF, 1.0)),
    "gto_wide": RadialFunctions(GtoBasis(4, CUTOFF), 12, 0.8, CutoffFunction("quintic", CUTOFF, CUTOFF)),
    "dvr": RadialFunctions(DvrBasis(6, 6.0), 5, 0.4, CutoffFunction("quintic", CUTOFF, 0.37)),
    "delta": RadialFunctions(GtoBasis(6, CUTOFF), 1, None, CutoffFunction("quintic", CUTOFF, 0.5)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_derivative_and_curvature_follow_the_functions(name: str) -> None:
    functions = CASES[name]
    table = tabulate(one_species(functions), functions.cutoff_function)
    assert table.error <= 1e-9
    r = torch.linspace(0.0007, CUTOFF - 1e-6, 4001, dtype=torch.float64, requires_grad=True)
    species = torch.zeros(len(r), dtype=torch.int64)
    value = evaluate_hermite(r, species, torch.from_numpy(table.values), CUTOFF)
    exact = functions(r.detach().numpy())
    largest = np.abs(exact).max(axis=1)
    assert np.abs((value.detach().numpy() - exact[0]) / largest[0]).max() < 2e-9
    column = value[:, -1, -1]
    (derivative,) = torch.autograd.grad(column.sum(), r, create_graph=True)
    (curvature,) = torch.autograd.grad(derivative.sum(), r)
    np.testing.assert_allclose(derivative.detach(), exact[1, :, -1, -1], atol=2e-7 * largest[1, -1, -1])
    np.testing.assert_allclose(curvature, exact[2, :, -1, -1], atol=2e-5 * largest[2, -1, -1])


def test_zero_at_and_beyond_the_cutoff() -> None:
    functions = CASES["gto"]
    table = torch.from_numpy(tabulate(one_species(functions), functions.cutoff_function).values)
    assert_close(table[:, -1], torch.zeros_like(table[:, -1]), rtol=0, atol=0)
    r = torch.tensor([CUTOFF - 0.3, CUTOFF, CUTOFF + 1e-12, 2 * CUTOFF], dtype=torch.float64, requires_grad=True)
    value = evaluate_hermite(r, torch.zeros(4, dtype=torch.int64), table, CUTOFF)
    (derivative,) = torch.autograd.grad(value.sum(), r)
    assert float(value[0].detach().abs().max()) > 1e-4
    assert float(derivative[0].abs()) > 1e-4
    assert_close(value[1:].detach(), torch.zeros_like(value[1:]), rtol=0, atol=0)
    assert_close(derivative[1:], torch.zeros(3, dtype=torch.float64), rtol=0, atol=0)


def test_error_falls_with_the_sixth_power_of_the_step() -> None:
    def wave(r: np.ndarray) -> np.ndarray:
        return np.stack([np.cos(9 * r), -9 * np.sin(9 * r), -81 * np.cos(9 * r)])[:, :, None, None, None]

    r = torch.linspace(0.0, 3.9, 2000, dtype=torch.float64)
    errors = []
    for intervals in (40, 80, 160):
        samples = torch.from_numpy(wave(np.linspace(0.0, 4.0, intervals + 1))).movedim((0, 2), (2, 0)).contiguous()
        value = evaluate_hermite(r, torch.zeros(2000, dtype=torch.int64), samples, 4.0)
        errors.append(float((value[:, 0, 0] - torch.cos(9 * r)).abs().max()))
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 6.0, atol=0.3)


@pytest.mark.parametrize(("cutoff", "width"), [(5.0, 1.0), (5.5, 0.5), (6.37, 0.3), (4.12, 1.02)])
def test_a_knot_falls_on_the_kink(cutoff: float, width: float) -> None:
    intervals = first_intervals(CutoffFunction("quintic", cutoff, width))
    position = (cutoff - width) / cutoff * intervals
    assert position == pytest.approx(round(position), abs=1e-8)
    assert intervals >= 32


def test_kinked_functions_report_the_error_that_remains() -> None:
    functions = RadialFunctions(DvrBasis(4, CUTOFF), 1, 0.5, CutoffFunction("shifted_cosine", CUTOFF, 0.5))
    table = tabulate(one_species(functions), functions.cutoff_function)
    assert 1e-9 < table.error < 1e-5
    assert table.values.shape[1] <= 4097


def test_unreachable_tolerance_is_refused() -> None:
    cutoff_function = CutoffFunction("quintic", CUTOFF, 0.5)

    def noise(r: np.ndarray) -> np.ndarray:
        values = np.sin(1e6 * r) * (r < CUTOFF)
        return np.stack([values, 0 * r, 0 * r])[:, :, None, None, None]

    with pytest.raises(ValueError, match=r"tolerance must be reachable with 32768 intervals, got 1e-09"):
        tabulate(noise, cutoff_function)


def spike(r: np.ndarray) -> np.ndarray:
    """Two functions: a wave, and the same with a spike of width 0.02 A at the origin."""
    wave = np.stack([np.cos(2 * r), -2 * np.sin(2 * r), -4 * np.cos(2 * r)])
    peak = np.exp(-2500 * r**2)
    sharp = np.stack([peak, -5000 * r * peak, (2.5e7 * r**2 - 5000) * peak])
    fade = CutoffFunction("quintic", CUTOFF, 1.0)(r)
    return np.stack([multiply(fade, wave), multiply(fade, wave + sharp)], axis=2)[:, :, None, None, :]


def test_distances_that_never_occur_cost_no_knots() -> None:
    fade = CutoffFunction("quintic", CUTOFF, 1.0)
    everywhere, beyond = tabulate(spike, fade), tabulate(spike, fade, closest=0.4)
    assert 5 * beyond.values.shape[1] < everywhere.values.shape[1]
    assert beyond.error <= 1e-9
    r = torch.linspace(0.4, CUTOFF, 997, dtype=torch.float64)
    value = evaluate_hermite(r, torch.zeros(997, dtype=torch.int64), torch.from_numpy(beyond.values), CUTOFF)
    np.testing.assert_allclose(value[:, 0], spike(r.numpy())[0, :, 0, 0], atol=2e-9)
    assert beyond.values[0, 0, 0, 0, 1] == 2.0, "the knot at zero is exact"


def test_a_measure_says_what_errors_are_compared_with() -> None:
    fade = CutoffFunction("quintic", CUTOFF, 1.0)
    strict, loose = tabulate(spike, fade), tabulate(spike, fade, measure=lambda largest: 1000.0 * largest)
    assert loose.error <= 1e-9
    assert 2 * loose.values.shape[1] < strict.values.shape[1]


def test_species_have_their_own_functions() -> None:
    functions = RadialFunctions(DvrBasis(3, CUTOFF), 1, 0.6, CutoffFunction("quintic", CUTOFF, 1.0))
    table = tabulate(lambda r: np.stack([functions(r), 2.0 * functions(r)], axis=2), functions.cutoff_function)
    r = torch.tensor([1.1, 1.1], dtype=torch.float64)
    value = evaluate_hermite(r, torch.tensor([0, 1]), torch.from_numpy(table.values), CUTOFF)
    assert_close(value[1], 2.0 * value[0], rtol=1e-13, atol=0)
