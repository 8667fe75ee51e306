"""`check` and the training's report run hot dynamics: a model that runs away fails, whatever its errors are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
import trained_models
from ase.build import bulk

import rhopot.potentials.commands.check as check_command
import rhopot.potentials.runs.train as train_run
from rhopot.export import RhopotCalculator, read_card
from rhopot.potentials.commands import main
from rhopot.potentials.runs import stability
from rhopot.potentials.runs.results import measure_stability
from rhopot.potentials.runs.stability import Stability, hot_dynamics, training_structures
from rhopot.potentials.structures import read_frames
from rhopot.potentials.structures.prototypes import enlarged

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
FAST = ["--ranks", "1", "--steps", "20"]


@pytest.fixture(scope="module")
def runaway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear model of 288 coefficients with force errors of 0.2 eV/A and a hole beyond its data (prior: 1)."""
    folder = tmp_path_factory.mktemp("runaway") / "run"
    words = [f"data.train={ROOT / 'examples/data/lisi_gpaw'}", "data.split={by: group, key: path}", f"output={folder}"]
    words += ["descriptor.n_max=4", "descriptor.l_max=3", "uncertainty.members=0", "report.learning_curve=[]"]
    assert main(["train", str(ROOT / "examples/configs/soap_linear.yaml"), *words]) == 0
    return folder / "model.pt"


def test_check_fails_for_a_model_that_runs_away(
    runaway: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_command, "HOT_SECONDS", 600.0)
    errors = json.loads((runaway.parent / "report.json").read_text())["errors"]["validation"]
    assert errors["forces_rmse_mev_per_angstrom"] < 250
    assert main(["check", str(runaway), *FAST]) == 1
    found = " ".join("".join(capsys.readouterr()).split())
    assert "comparisons within their limits" in found, "all programs agree"
    assert "check failed in hot dynamics (Li12Si116, 128 atoms, 600 K: RUNAWAY after" in found
    assert "the energy reached -0." in found
    assert main(["check", str(runaway), *FAST, "--hot-ps", "0"]) == 0
    assert "hot dynamics left out (--hot-ps 0)" in capsys.readouterr().out


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_files_carry_training_structures_and_survive_them(family: str, trained_model: Callable[[str], Path]) -> None:
    file = trained_model(family)
    calculator = RhopotCalculator(file)
    card = read_card(file)
    structures = training_structures(card)
    assert len(structures) == 3
    frames = read_frames([str(trained_models.DATA / f"{path}.xyz") for path in trained_models.PATHS])
    for atoms in structures:
        twin = min(frames, key=lambda frame: _distance(frame.atoms, atoms))
        assert _distance(twin.atoms, atoms) < 1e-4
    low, high = card.training_data.summary["energy_range"]
    assert -1 < low < high < 1
    run = hot_dynamics(structures[0], calculator, card, temperature=600, picoseconds=0.04, seconds=600)
    assert run.passed, run.sentence()
    assert (run.picoseconds, run.n_atoms, run.temperature) == (0.04, 32, 600)


def _distance(a: ase.Atoms, b: ase.Atoms) -> float:
    """Largest difference of coordinates (A) of structures with the same atoms."""
    return float(np.abs(a.positions - b.positions).max()) if list(a.symbols) == list(b.symbols) else np.inf


def test_faults_are_named(trained_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    file = trained_model("soap_linear")
    calculator, card = RhopotCalculator(file), read_card(file)
    atoms = training_structures(card)[0]

    def fault() -> str:
        return hot_dynamics(atoms, calculator, card, temperature=300, picoseconds=0.04, seconds=600).fault

    assert fault() == ""
    monkeypatch.setattr(stability, "ENERGY_MARGIN", -1.0)
    assert "eV/atom, the data allow" in fault()
    summary = {name: value for name, value in card.training_data.summary.items() if name != "energy_range"}
    card = card.model_copy(update={"training_data": card.training_data.model_copy(update={"summary": summary})})
    assert fault() == "", "trained without energies"
    card = read_card(file)
    monkeypatch.setattr(stability, "ENERGY_MARGIN", 1.0)
    monkeypatch.setattr(stability, "CLOSEST_SHARE", 1.4)
    assert "times the shortest distance in the training data" in fault()


def test_the_report_carries_the_stability_of_the_saved_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_run, "measure_stability", measure_stability)
    words = ["report.stability={temperature: 500, picoseconds: 0.04, seconds: 600}", "uncertainty.members=0"]
    folder = trained_models.train("soap_linear", tmp_path / "run", *words).parent
    runs = json.loads((folder / "report.json").read_text())["stability"]
    assert [run["temperature"] for run in runs] == [500.0] * 3
    assert all(run["fault"] == "" and run["picoseconds"] == pytest.approx(0.04) for run in runs)
    assert f"- {runs[0]['sentence']}" in (folder / "report.md").read_text()
    assert "stability: Li" in capsys.readouterr().out


def test_a_stability_run_that_fails_leaves_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **settings: object) -> None:
        raise RuntimeError("no dynamics today")

    monkeypatch.setattr("rhopot.potentials.runs.results.run_hot_dynamics", broken)
    monkeypatch.setattr(train_run, "measure_stability", measure_stability)
    with pytest.raises(AssertionError, match="training soap_linear failed"):
        trained_models.train("soap_linear", tmp_path / "run", "uncertainty.members=0")
    assert "the stability run failed (no dynamics today)" in " ".join(capsys.readouterr().err.split())
    assert RhopotCalculator(tmp_path / "run" / "model.pt").model.card.family == "soap_linear"


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_check_takes_cells_of_one_atom_and_its_own_fewest_steps(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ase.io.write(tmp_path / "one.xyz", bulk("Si", "sc", a=2.6), format="extxyz")
    words = ["check", str(trained_model(family)), str(tmp_path / "one.xyz"), "--ranks", "1,2", "--steps", "20"]
    assert main([*words, "--hot-ps", "0", "--temperature", "10"]) == 0, "".join(capsys.readouterr())
    assert "Si8, 8 atoms" in capsys.readouterr().out


def test_check_with_its_fewest_steps_in_the_cold(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Atoms that hardly move build neighbor lists anew too: nothing is missing that more steps would have shown."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.rattle(0.05, seed=1)
    ase.io.write(tmp_path / "cold.xyz", atoms, format="extxyz")
    words = ["check", str(trained_model("soap_linear")), str(tmp_path / "cold.xyz"), *FAST, "--temperature", "10"]
    assert main([*words, "--hot-ps", "0"]) == 0, "".join(capsys.readouterr())


def test_check_refuses_a_lone_atom(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ase.io.write(tmp_path / "atom.xyz", ase.Atoms("Si"), format="extxyz")
    assert main(["check", str(trained_model("soap_linear")), str(tmp_path / "atom.xyz")]) == 1
    sentence = "structure must be periodic or hold at least 2 atoms, got"
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_cells_grow_along_their_shortest_edges() -> None:
    slab = ase.Atoms("Si", cell=[3.0, 4.0, 20.0], pbc=[True, True, False])
    large = enlarged(slab, 7)
    assert large.cell.lengths() == pytest.approx([12.0, 8.0, 20.0])
    assert len(large) == 8
    assert len(enlarged(ase.Atoms("Si"), 100)) == 1


def test_a_short_run_shows_nothing() -> None:
    """Less than half of what was asked for is no sign of stability."""
    run = Stability("Si", 64, 600.0, 0.4, 1.0, 600.0, -5.0, -4.9, 0.9, "")
    assert (
        ": too short to tell: nothing ran away in 0.4 ps (of 1 asked for: its processor time was up)" in run.sentence()
    )
    assert ": stable for 0.6 ps (of 1 asked for" in replace(run, picoseconds=0.6).sentence()
    assert ": stable for 1 ps;" in replace(run, picoseconds=1.0).sentence()
