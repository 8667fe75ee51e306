"""What a fit, and the run around it, will cost: told from a frame that stands for most of the atoms."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import ase
import pytest

from rhopot.potentials.config import RunConfig
from rhopot.potentials.fitting.least_squares import forecast
from rhopot.potentials.fitting.progress import Forecast
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.runs.forecast import whole_run
from rhopot.potentials.runs.training_set import TrainingSet
from rhopot.potentials.structures import Frame, FrameSet


def frames(*sizes: int) -> list[Frame]:
    return [Frame(ase.Atoms(f"Si{n}"), energy=0.0) for n in sizes]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every measured call takes two seconds."""
    ticks = itertools.count(step=2)
    monkeypatch.setattr(forecast, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))


def problem(assembled: list[int], columns: int) -> SimpleNamespace:
    return SimpleNamespace(
        design=SimpleNamespace(n_columns=columns),
        descriptor=SimpleNamespace(n_features=3),
        batch_edges=10,
        equations=lambda frame, targets: assembled.append(len(frame)),
    )


def test_time_comes_from_a_frame_of_the_size_that_most_atoms_are_in(clock: None) -> None:
    assembled: list[int] = []
    expected = forecast.forecast(frames(40, *[1] * 10, 40), [], problem(assembled, 3), Targets(), block_rows=8)
    assert set(assembled) == {40}
    assert expected.rows == 12
    assert expected.stages["equations"] == pytest.approx(90 * 2 / 40 + 12 * 2 / forecast.PROBE_ROWS)


def test_every_stage_of_a_fit_is_in_the_forecast(clock: None) -> None:
    """By hand: 2 s for a frame of 4 atoms, 2 s for PROBE_ROWS rows of 10 columns, 2 n^2 operations for a row."""
    evaluated: list[int] = []
    train, validation = frames(4, 4, 4), frames(2, 6)
    expected = forecast.forecast(
        train,
        validation,
        problem([], 10),
        Targets(),
        8,
        n_folds=3,
        both=True,
        evaluate=lambda f: evaluated.append(len(f)),
        n_points=2,
    )
    row = 2 / forecast.PROBE_ROWS
    solve = 8 * 10 / 2 * row
    assert dict(expected.stages) == pytest.approx({
        "equations": 12 * 0.5 + 3 * row,
        "solve": solve,
        "members": (3 + 3) * (10 / 6) * row,
        "validation": 8 * 0.5,
        "learning curve": 2 * solve,
        "fit to both parts": 8 * 0.5 + 2 * row + solve,
    })  # fmt: skip
    assert set(evaluated) == {4}
    assert expected.seconds_per_atom == 0.5
    assert expected.seconds == pytest.approx(sum(expected.stages.values()))


def test_the_run_around_the_fit_is_in_the_forecast() -> None:
    fit = Forecast(10, 20, {"equations": 40.0, "solve": 2.0, "members": 8.0, "validation": 4.0}, 2.0**20, 0.5)
    data = TrainingSet(FrameSet(tuple(frames(10, 10))), FrameSet(tuple(frames(6))), ("Si",), "given", False)
    run = whole_run(fit, RunConfig(family="soap_linear"), data)
    assert run.stages["learning curve"] == 0.25 * 40 + 0.5 * 40 + 2 * (2 + 4)
    assert run.stages["error tables"] == 0.5 * 26
    assert str(run) == (
        "about 109 s (equations 40, solve 2, members 8, validation 4, learning curve 42, error tables 13) and 1 MiB "
        "for 10 coefficients from 20 equations; saving, plots and the stability run are not in it"
    )
    made = Forecast(10, 20, {**fit.stages, "learning curve": 4.0}, 2.0**20, 0.5)
    assert whole_run(made, RunConfig(family="soap_linear"), data).stages["learning curve"] == 4.0
    bare = RunConfig(family="soap_linear", report={"learning_curve": [], "train_frames": 1})
    assert whole_run(fit, bare, data).stages["error tables"] == 0.5 * 16
    assert "learning curve" not in whole_run(fit, bare, data).stages


def test_a_forecast_that_knows_no_more_says_what_is_missing() -> None:
    features = Forecast(10, 20, {"features": 30.0}, 2.0**20, without="members are")
    assert whole_run(features, RunConfig(family="scattering"), None) is features  # type: ignore[arg-type]
    assert str(features).startswith("about 30 s (features 30) and 1 MiB for ")
    assert str(features).endswith("; members are not in it")
