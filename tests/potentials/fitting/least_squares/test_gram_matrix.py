"""Fits through the Gram matrix of the equations are those through their sums."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.constraints import FixAtoms
from labelled import GAP, LINEAR, fit_problem, frames, outputs

from rhopot.potentials.fitting.least_squares import gram_matrix
from rhopot.potentials.fitting.least_squares.fit import fit_gap, fit_linear
from rhopot.potentials.fitting.least_squares.gram_matrix import gram_matrix_pays
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.fitting.progress import Forecast, SilentProgress

FITS = {"linear": lambda problem: fit_linear(problem, LINEAR), "gap": lambda problem: fit_gap(problem, GAP)}


class Recorded(SilentProgress):
    """Keeps the stages and the forecast."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.forecasts: list[Forecast] = []

    def start(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def forecast(self, forecast: Forecast) -> None:
        self.forecasts.append(forecast)


def few(**changes: Any) -> FitProblem:
    """Six frames with 19 equations each, two of them for validation, for 126 coefficients."""
    made = frames(6)
    return fit_problem(made[:4], made[4:], refit_on_validation=True, **changes)


def both_ways(kind: str, problem: FitProblem, monkeypatch: pytest.MonkeyPatch) -> tuple[FitResult, FitResult]:
    """Results through the sums, and through the Gram matrix."""
    sums = FITS[kind](problem)
    monkeypatch.setattr(gram_matrix, "FEWEST_COORDINATES", 1)
    progress = Recorded()
    gram = FITS[kind](replace(problem, progress=progress))
    assert "Gram matrix of the equations" in progress.stages
    assert len(progress.forecasts) == 1
    assert progress.forecasts[0].rows == sums.report["equations"]
    return sums, gram


@pytest.mark.parametrize("refit", [True, False])
def test_models_and_errors_are_those_of_the_sums(refit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = replace(few(), refit_on_validation=refit)
    sums, gram = both_ways("linear", problem, monkeypatch)
    unseen = frames(4, seed=3)
    for name in ("model", "final"):
        found, expected = (outputs(getattr(result, name), unseen) for result in (gram, sums))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    assert (gram.final is gram.model) is not refit
    for name in ("columns", "rank", "equations", "regressor", "targets", "calibration"):
        assert gram.report[name] == sums.report[name]
    for name in ("weighted_residual_rms", "prior_norm"):
        assert gram.report[name] == pytest.approx(sums.report[name], rel=1e-8)
    assert gram.report["validation"] == pytest.approx(sums.report["validation"], rel=1e-7)
    assert set(gram.report) == set(sums.report)


def test_a_block_holds_any_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = few()
    monkeypatch.setattr(gram_matrix, "BLOCK", 7)
    sums, gram = both_ways("linear", problem, monkeypatch)
    unseen = frames(2, seed=4)
    np.testing.assert_allclose(outputs(gram.final, unseen), outputs(sums.final, unseen), rtol=0, atol=1e-9)


def test_fixed_atoms_and_missing_labels_leave_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made = frames(6)
    made[1].atoms.set_constraint(FixAtoms([1, 2]))
    made[2] = replace(made[2], forces=None, stress=None)
    made[5] = replace(made[5], stress=None)
    problem = fit_problem(made[:4], made[4:], refit_on_validation=True)
    sums, gram = both_ways("linear", problem, monkeypatch)
    unseen = frames(2, seed=5)
    for name in ("model", "final"):
        found, expected = (outputs(getattr(result, name), unseen) for result in (gram, sums))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_sparse_kernels_have_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = few()
    energies = problem.targets.model_copy(update={"forces": None, "stress": None})
    problem = replace(problem, targets=energies, refit_on_validation=False)  # 4 equations, up to 16 coefficients
    sums, gram = both_ways("gap", problem, monkeypatch)
    unseen = frames(2, seed=6)
    np.testing.assert_allclose(outputs(gram.final, unseen), outputs(sums.final, unseen), rtol=0, atol=1e-8)


def test_it_is_for_few_equations_of_many_coefficients_without_members(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = few()
    assert not gram_matrix_pays(problem, 126), "sums of so few are cheap"
    monkeypatch.setattr(gram_matrix, "FEWEST_COORDINATES", 1)
    assert not gram_matrix_pays(problem, 3 * 19 - 1), "114 equations are more than twice as many"
    assert gram_matrix_pays(problem, 3 * 19)
    assert not gram_matrix_pays(replace(problem, members=4), 3 * 19)
    assert gram_matrix_pays(replace(problem, refit_on_validation=False), 2 * 19)
    monkeypatch.setattr(gram_matrix, "FEWEST_COORDINATES", 200)
    assert not gram_matrix_pays(problem, 3 * 19)
