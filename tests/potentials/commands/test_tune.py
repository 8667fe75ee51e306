"""`rhopot tune`: what it prints and writes on the shipped data, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase import Atoms
from refusals import refusal

from rhopot.export import LoadedModel
from rhopot.potentials.commands import main
from rhopot.potentials.commands.tune import parse_budget
from rhopot.potentials.config import load_config
from rhopot.potentials.runs import cross_validation
from rhopot.potentials.tuning import trials, tune
from rhopot.potentials.tuning.cost import Cost

ROOT = Path(__file__).resolve().parents[3]
DATA = [str(ROOT / f"examples/data/lisi_gpaw/{name}.xyz") for name in ("Li10Si22_0", "Li4Si28_0")]
START = ["descriptor.cutoff=3.5", "descriptor.n_max=2", "descriptor.l_max=2"]
GRID = ["--grid", "descriptor.n_max=1,2,3", "--grid", "descriptor.l_max=1,2"]
WORDS = ["soap_linear", *DATA, *START, *GRID, "--folds", "2"]
PNG = b"\x89PNG"
FORCES = "forces_mae_mev_per_angstrom"


def made_up_cost(model: LoadedModel, atoms: Atoms) -> Cost:
    """A cost that follows from the settings alone, so that searches can be compared."""
    settings: Any = model.card.descriptor
    us = 1.0 + settings["n_max"] * (1.0 + settings["l_max"])
    return Cost(us / 10.0, (us / 10.0, us / 10.0), us, 10.0, 10.0, len(atoms), 4.0)


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up costs: they say which trials a search makes."""
    monkeypatch.setattr(tune, "measure_cost", made_up_cost)


def tuned(folder: Path, *words: str, status: int = 0) -> dict[str, Any]:
    """What is in the file after a run."""
    assert main(["tune", *words, "--output", str(folder)]) == status
    found: dict[str, Any] = json.loads((folder / "tune.json").read_text())
    return found


@pytest.mark.slow
def test_a_search_with_measured_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table, plot, numbers, and a configuration that train takes as it is."""
    folder = tmp_path / "tune"
    found = tuned(folder, *WORDS, "--budget", "1000us", "--points", "4")
    output = capsys.readouterr().out
    assert len(found["trials"]) == 4
    best = min(found["trials"], key=lambda trial: trial["errors"][FORCES])
    assert found["chosen"] == best["digest"] == found["front"][-1]
    for trial in found["trials"]:
        assert 0.0 < trial["cost_microseconds"] < 1000.0
        assert [fold["n_frames"] for fold in trial["folds"]] == [10, 10]
        assert trial["errors"]["n_frames"] == 20
    for words in (
        "at most 4 trials",
        "neighbors known",
        "trials by cost",
        "chosen",
        "the most accurate within 1000 us",
    ):
        assert words in output
    names = {"config.yaml", "front.png", "search.json", "trials", "tune.json"}
    assert {file.name for file in folder.iterdir()} == names
    assert (folder / "front.png").read_bytes()[:4] == PNG
    config = load_config(folder / "config.yaml")
    chosen = {"descriptor.n_max": 2, "descriptor.l_max": 2} | best["changes"]
    assert config.descriptor.n_max == chosen["descriptor.n_max"]  # type: ignore[attr-defined]
    assert config.descriptor.l_max == chosen["descriptor.l_max"]  # type: ignore[attr-defined]
    assert config.uncertainty.members == 16
    words = ["report.learning_curve=[]", "report.stability=null", f"output={tmp_path / 'run'}"]
    assert main(["train", str(folder / "config.yaml"), *words]) == 0
    assert (tmp_path / "run" / "model.pt").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("priced")
def test_a_search_that_was_killed_goes_on_as_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is stopped in the middle of the third trial, whose first fold is done; no finished trial is fitted again."""
    words = [*WORDS, "--budget", "9", "--points", "5"]
    whole = tuned(tmp_path / "whole", *words)
    fit, calls = cross_validation.fit_model, []

    def stopped_fit(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    monkeypatch.setattr(cross_validation, "fit_model", stopped_fit)
    stopped = tmp_path / "stopped"
    capsys.readouterr()
    assert main(["tune", *words, "--output", str(stopped)]) == 130
    assert "finished trials are kept, and the same command goes on from them" in capsys.readouterr().err
    assert len(list((stopped / "trials").iterdir())) == 2
    again = tuned(stopped, *words)
    assert len(calls) == 6 + 2 * 3
    assert "(an earlier run)" in capsys.readouterr().out
    for one, other in zip(whole["trials"], again["trials"], strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}
    assert (whole["front"], whole["chosen"]) == (again["front"], again["chosen"])
    assert (tmp_path / "whole/config.yaml").read_text() == (stopped / "config.yaml").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("priced")
def test_a_finished_search_is_widened_and_chosen_from_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other budgets, numbers of trials and grids find earlier trials; other data and settings are refused."""
    folder = tmp_path / "tune"
    first = tuned(folder, *WORDS, "--points", "3")
    monkeypatch.setattr(cross_validation, "fit_model", None)  # nothing is fitted again
    unmet = tuned(folder, *WORDS, "--points", "2", "--budget", "0.5us", status=3)
    error = capsys.readouterr().err
    assert "--budget must be met by a trial, got 0.5 us below all 2; the cheapest costs" in error
    assert unmet["chosen"] is None
    assert not (folder / "config.yaml").exists()
    known = {trial["digest"] for trial in first["trials"]}
    monkeypatch.undo()
    monkeypatch.setattr(tune, "measure_cost", made_up_cost)
    wider = tuned(folder, *WORDS, "--grid", "descriptor.cutoff=3,3.5", "--points", "4")
    assert len(wider["trials"]) == 4
    assert known & {trial["digest"] for trial in wider["trials"]}

    message = "a search must go on with the data and settings that it began with, got other "
    place = ["--output", str(folder)]
    capsys.readouterr()
    assert f"{message}descriptor.cutoff for" in refusal(capsys, ["tune", *WORDS, "descriptor.cutoff=4", *place])
    assert f"{message}data for" in refusal(
        capsys, ["tune", "soap_linear", DATA[0], *START, *GRID, "--folds", "2", *place]
    )
    assert f"{message}folds for" in refusal(capsys, ["tune", *WORDS[:-1], "3", *place])
    # the same frames under another path are the same data
    copies = [shutil.copy(file, tmp_path) for file in DATA]
    monkeypatch.setattr(cross_validation, "fit_model", None)
    assert tuned(folder, "soap_linear", *map(str, copies), *WORDS[3:], "--points", "2")["trials"]
    monkeypatch.undo()
    monkeypatch.setattr(tune, "measure_cost", made_up_cost)
    other = tuned(folder, *WORDS, "descriptor.cutoff=4", "--points", "1", "--overwrite")
    assert len(other["trials"]) == len(list((folder / "trials").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("priced")
def test_settings_that_cannot_be_fitted_are_a_failed_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within 1.5 A no atom has a neighbor: the search goes on without that cutoff; a start like that is refused."""
    cutoff = ["descriptor.cutoff_width=1", "--grid", "descriptor.cutoff=1.5,3.5"]
    folder = tmp_path / "tune"
    found = tuned(folder, "soap_linear", *DATA, *START, *cutoff, "--folds", "2")
    assert [bool(trial["fault"]) for trial in found["trials"]] == [False, True]
    assert found["front"] == [found["trials"][0]["digest"]]
    assert "cutoff=1.5: failed: " in capsys.readouterr().out
    words = ["soap_linear", *DATA, *START, "descriptor.cutoff=1.5", *cutoff, "--output", str(tmp_path / "refused")]
    assert "the starting configuration must be one that can be fitted: " in refusal(capsys, ["tune", *words])


@pytest.mark.slow
@pytest.mark.usefixtures("priced")
def test_a_configuration_file_with_groups_and_without_forces(tmp_path: Path) -> None:
    """The data and the split of the file; without forces the front is that of energies."""
    settings = {
        "family": "soap_linear",
        "descriptor": {"cutoff": 3.5, "n_max": 2, "l_max": 1},
        "data": {"train": DATA, "split": {"by": "group", "key": "path"}},
        "targets": {"forces": None, "stress": None},
    }
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(settings))
    found = tuned(tmp_path / "tune", str(file), "--grid", "descriptor.n_max=1,2", "--folds", "2")
    assert found["objective"] == trials.ENERGY
    assert FORCES not in found["trials"][0]["errors"]
    assert load_config(tmp_path / "tune/config.yaml").data.split.key == "path"


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("10us", 10.0), ("10", 10.0), ("2.5 us", 2.5), ("7µs", 7.0), (".5us", 0.5), ("1e3us", 1000.0)],
)
def test_budgets(text: str | None, expected: float | None) -> None:
    assert parse_budget(text) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["soap_linear", *DATA, "--budget", "fast"], "--budget must be a time per atom and step in microseconds"),
        (["soap_linear", *DATA, "--budget", "10ms"], "got '10ms'; write 10us"),
        (["soap_linear", *DATA, "--budget", "0"], "got '0'; write 10us"),
        (["soap_linear", *DATA, "--points", "0"], "--points must be at least 1, got 0"),
        (["soap_linear", *DATA, "--folds", "1"], "folds must be at least 2, got 1"),
        (["soap_linear", *DATA, "--folds", "99"], "folds must be at most the number of frames (20), got 99"),
        (["soap_linear"], "DATA must stand behind the configuration, got none"),
        ([*DATA], "CONFIG must be a YAML configuration or one of soap_linear"),
        (["absent.yaml", *DATA], "absent.yaml: cannot be read"),
        (["soap_linear", "absent.xyz"], "absent.xyz"),
        (["soap_linear", *DATA, "descriptor.n_mx=2"], "did you mean n_max?"),
        (["soap_linear", *DATA, "--grid", "descriptor.cutoff"], "--grid must be KEY=V1,V2,..."),
        (["scattering", *DATA], "family scattering, which has no grid of its own, got none; add --grid"),
        (["soap_linear", *DATA, "-o", DATA[0]], "output must be a folder, got the file"),
        (["soap_linear", *DATA, "-o", "full"], "--output must be a new folder or one of an earlier search, got 'full'"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/model.pt").touch()
    assert message in refusal(capsys, ["tune", *words])
    assert [file.name for file in tmp_path.rglob("*")] == ["full", "model.pt"]
