"""The learning curve of a training: points of the fit itself, or fits of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trained_models

from rhopot.potentials.commands import main
from rhopot.potentials.runs import learning_curve
from rhopot.potentials.runs.learning_curve import points_of_fit

AT_RANDOM = "data.split={by: fraction, fraction: 0.1}"
BY_THE_FIT = "The smaller fits are to whole folds of the training data"


def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Data of the fits that the learning curve makes of its own."""
    fit, calls = learning_curve.fit_model, []
    monkeypatch.setattr(learning_curve, "fit_model", lambda *a, **k: (calls.append(a[1]), fit(*a, **k))[1])
    return calls


def curve(folder: Path) -> tuple[dict[str, list[float]], bool]:
    """The curve in a report, and whether the text says that the fit made it."""
    report = json.loads((folder / "report.json").read_text())
    return report["learning_curve"], BY_THE_FIT in (folder / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["soap_linear", "soap_gap", "multispectrum"])
def test_folds_of_a_least_squares_fit_make_its_curve(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """36 training frames in ten folds; the points have the errors of the report at their end."""
    calls, folder = count_fits(monkeypatch), tmp_path / "run"
    trained_models.train(family, folder, AT_RANDOM, "report.learning_curve=[0.25, 0.5]")
    found, said = curve(folder)
    assert not calls
    assert said
    assert found["n_frames"] == [pytest.approx(9, abs=0.25 * 9), pytest.approx(18, abs=0.25 * 18), 36]
    validation = json.loads((folder / "report.json").read_text())["errors"]["validation"]
    for name in ("energy_mae_mev_per_atom", "forces_mae_mev_per_angstrom"):
        assert found[name][-1] == pytest.approx(validation[name], rel=1e-6)
        assert all(0.0 < error < 20.0 * found[name][-1] for error in found[name])
        assert len(set(found[name])) == 3


@pytest.mark.slow
def test_what_folds_do_not_make_up_is_fitted_on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a fold is none, and points of one curve are made in one way."""
    calls = count_fits(monkeypatch)
    trained_models.train("soap_linear", tmp_path / "run", AT_RANDOM, "report.learning_curve=[0.05, 0.25]")
    found, said = curve(tmp_path / "run")
    assert found["n_frames"] == [2, 9, 36]
    assert [len(data.train) for data in calls] == [2, 9]
    assert not said


@pytest.mark.slow
def test_a_resumed_training_takes_other_fractions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Points of the fit where it made all of them, else fits of one kind."""
    calls, folder = count_fits(monkeypatch), tmp_path / "run"
    words = ["train", *trained_models.arguments("soap_linear", folder, AT_RANDOM, "descriptor.n_max=2")]

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    def run(fractions: str, *more: str, status: int = 3) -> None:
        with monkeypatch.context() as broken:
            if status:
                broken.setattr("rhopot.potentials.runs.train.draw_curve", fails)
            assert main([*words, f"report.learning_curve={fractions}", *more]) == status

    run("[0.3, 0.5]")
    run("[0.5]", "--resume")
    assert not calls
    run("[0.1, 0.5]", "--resume", status=0)
    assert [len(data.train) for data in calls] == [4, 18]
    assert not curve(folder)[1]


def test_points_are_taken_from_a_fit_that_made_all_of_them() -> None:
    made = {"0.25": {"n_frames": 3, "errors": {}}, "0.5": {"n_frames": 5, "errors": {}}}
    assert points_of_fit({"learning_curve": made}, (0.5, 0.25)) == made
    assert list(points_of_fit({"learning_curve": made}, (0.5,))) == ["0.5"]
    assert points_of_fit({"learning_curve": made}, (0.5, 0.75)) == {}
    assert points_of_fit({}, (0.5,)) == {}
