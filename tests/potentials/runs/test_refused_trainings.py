"""A training refused before anything is computed leaves its folder as it was, and a broken fit replaces nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import pytest
import torch
import trained_models

from rhopot.potentials import train
from rhopot.potentials.families import find_family
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.runs import fit as one_fit
from rhopot.potentials.runs.output_folder import keep_fitted

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {
    "descriptor": {"cutoff": 4.0, "n_max": 2, "l_max": 1},
    "uncertainty": {"members": 0},
    "report": {"learning_curve": [], "stability": None},
}
OURS = find_family("soap_linear")


def run(output: Path, **changes: Any) -> Any:
    frames = ase.io.read(trained_models.DATA / "Li12Si20_0.xyz", ":8")
    return train(frames, "soap_linear", output=output, quiet=True, **(SMALL | changes))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def theirs(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let the runs use a family of somebody else's package."""
    family = replace(OURS, name="mine", **changes)
    monkeypatch.setattr(one_fit, "find_family", lambda name: family)


def refuses(*any_: Any) -> Any:
    raise ValueError("descriptor.width must fit the data, got 9; make it less")


@pytest.mark.parametrize("place", ["descriptor_for", "fit"])
def test_the_corrected_training_starts_where_one_was_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with monkeypatch.context() as broken:
        theirs(broken, **{place: refuses})
        with pytest.raises(ValueError, match=r"descriptor\.width must fit the data"):
            run(folder)
    assert not folder.exists()
    run(folder)
    before = content(folder)
    with pytest.raises(ValueError, match=r"descriptor\.cutoff must reach neighbors"):
        run(folder, overwrite=True, descriptor={"cutoff": 0.5, "cutoff_width": 0.2})
    assert content(folder) == before
    with pytest.raises(ValueError, match="with a finished model"):
        run(folder)


def spoilt(**entries: Any) -> Any:
    """A fit whose report has other entries."""

    def fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
        result = OURS.fit(problem, settings)
        return replace(result, report={**result.report, **entries})

    return fit


def test_a_broken_fit_replaces_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    run(folder)
    before = content(folder)
    theirs(monkeypatch, fit=spoilt(numbers=torch.zeros(2)))
    with pytest.raises(ValueError, match="report of the fit of family mine must hold plain numbers"):
        run(folder, overwrite=True)
    assert {name: data for name, data in content(folder).items() if "checkpoint" not in name} == before


def test_what_the_fit_said_is_written_out_before_old_results_go(tmp_path: Path) -> None:
    stage = tmp_path / "checkpoint"
    stage.mkdir()
    for file in (stage / "model.pt", tmp_path / "model.pt", tmp_path / "report.md"):
        file.write_text(str(file))
    before = content(tmp_path)
    with pytest.raises(TypeError):
        keep_fitted(tmp_path, {"report": torch.zeros(1)})
    assert content(tmp_path) == before


def test_numbers_that_are_none_are_null_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN and Infinity are no JSON."""
    theirs(monkeypatch, fit=spoilt(condition=float("nan"), steps=[1.0, float("inf")]))
    found = run(tmp_path / "run")

    def refused(word: str) -> None:
        raise AssertionError(word)

    report = json.loads((tmp_path / "run" / "report.json").read_text(), parse_constant=refused)
    assert report["fit"]["condition"] is None
    assert report["fit"]["steps"] == [1.0, None]
    assert found.cautions
