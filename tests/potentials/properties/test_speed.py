"""Times of a step: what they come to, and the command with a trained model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import refusal

from rhopot.potentials.commands import main
from rhopot.potentials.properties.speed import StepTime, divisions


def test_what_a_run_takes_by_hand() -> None:
    """1000 atoms at 100 us per atom and step are 0.1 s a step: 864000 steps of 2 fs, 1.728 ns a day."""
    time = StepTime(1, 1, 100.0, 90.0, 110.0)
    assert time.nanoseconds_per_day(1000, 2.0) == pytest.approx(1.728)
    assert time.hours(1000, 1.728, 2.0) == pytest.approx(24.0)
    assert time.hours(2000, 1.728, 2.0) == pytest.approx(48.0)


def test_cores_are_divided_among_ranks_and_threads() -> None:
    assert divisions([1, 2, 4]) == [(1, 1), (2, 1), (1, 2), (4, 1), (1, 4), (2, 2)]
    assert all(ranks * threads == 6 for ranks, threads in divisions([6]))


@pytest.mark.slow
def test_a_trained_model_is_timed(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["speed", str(trained_model("soap_linear")), "--processes", "2", "--rounds", "1", "--run-atoms", "5000"]
    assert main([*words, "--atoms", "64", "--nanoseconds", "0.5", "-o", str(tmp_path / "speed")]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "speed" / "speed.json").read_text())
    assert [(each["ranks"], each["threads"]) for each in found["times"]] == [(1, 1), (2, 1), (1, 2)]
    fastest = min(found["times"], key=lambda each: each["microseconds"])
    assert found["n_atoms"] == 64
    hours = fastest["microseconds"] * 1e-6 * 5000 * 5e5 / 3600
    assert f"5000 atoms for 0.5 ns take {hours:.3g} h" in printed
    assert "2 cores: " in printed
    assert {"in.speed", "speed.data", "speed.png"} <= {file.name for file in (tmp_path / "speed").iterdir()}


def test_numbers_of_cores_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, ["speed", "no.pt", "--processes", "two", "-o", str(tmp_path / "speed")])
    assert "--processes must be numbers of cores such as 1,2,4, got 'two'" in said
    assert not (tmp_path / "speed").exists()
