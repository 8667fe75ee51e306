"""`rhopot train ... append=RUN`: new frames are added to a finished training, in each family that can."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import trained_models
import yaml
from ase import Atoms
from ase.io import read, write
from refusals import refusal
from train_process import RUN, mpirun, start

from rhopot.export import RhopotCalculator, read_card
from rhopot.potentials.commands import main
from rhopot.potentials.config import load_config
from rhopot.potentials.fitting.least_squares.kept_equations import NAME, read_equations
from rhopot.potentials.runs.training_set import load_training_set

pytestmark = pytest.mark.slow

FAMILIES = ("soap_linear", "soap_gap", "multispectrum", "multispectrum_gap")
OLD = [str(trained_models.DATA / f"{name}.xyz") for name in ("Li4Si28_0", "Li12Si20_0", "Li8Si24_0", "Li16Si16_0")]
NEW = [str(trained_models.DATA / f"{name}.xyz") for name in ("Li20Si12_0", "Li24Si8_0")]
QUICK = ("report.stability=null", "report.train_frames=1", "report.learning_curve=[]", "data.split={by: fraction}")


def words(family: str, folder: Path, *more: str) -> list[str]:
    """A small training on the old frames that keeps its equations."""
    keep = "regressor.keep_equations=true"
    return ["train", *trained_models.arguments(family, folder, *QUICK, keep, *more)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    for family in FAMILIES:
        assert main(words(family, root / family)) == 0
    return {family: root / family for family in FAMILIES}


def appended(run: Path, folder: Path, files: list[str], *more: str) -> list[str]:
    return ["train", str(run / "config.yaml"), f"data.train={files}", f"append={run}", f"output={folder}", *more]


def predictions(file: Path) -> np.ndarray:
    """Energies per atom and forces of some structures."""
    found = []
    for name in ("Li20Si12_0", "Li12Si20_1"):
        atoms = read(trained_models.DATA / f"{name}.xyz")
        atoms.calc = RhopotCalculator(file)
        found += [[atoms.get_potential_energy() / len(atoms)], atoms.get_forces().ravel()]
    return np.concatenate(found)


@pytest.mark.parametrize("family", FAMILIES)
def test_new_frames_are_added(
    family: str, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Basis, columns, energies per element stay; frames known already are not added again; it can be repeated."""
    run, folder = runs[family], tmp_path / "more"
    before = json.loads((run / "report.json").read_text())
    capsys.readouterr()
    assert main(appended(run, folder, [*NEW, OLD[0]])) == 0
    output = " ".join(capsys.readouterr().out.split())
    n_train = before["training_data"]["summary"]["n_frames"]
    assert f"equations of its {n_train} training frames are kept, 18 frames are added to them, 2 to the" in output
    assert "10 of the new frames are among them and not added again" in output
    old, new = read_card(run / "model.pt"), read_card(folder / "model.pt")
    assert new.baseline_energies == old.baseline_energies
    assert new.descriptor == old.descriptor
    report = json.loads((folder / "report.json").read_text())
    assert report["training_data"]["summary"]["n_frames"] == n_train + 18
    assert report["fit"]["equations"] == before["fit"]["equations"] + 18 * (1 + 96 + 6)
    assert report["errors"]["validation"]["n_frames"] == before["errors"]["validation"]["n_frames"] + 2
    assert f"added in part to those of `{run}`" in (folder / "report.md").read_text(encoding="utf-8")
    kept, more = read_equations(run / NAME, 100), read_equations(folder / NAME, 100)
    for name, array in kept.columns.items():
        np.testing.assert_array_equal(more.columns[name], array)
    assert np.abs(predictions(folder / "model.pt") - predictions(run / "model.pt")).max() > 1e-3
    if family == "soap_linear":
        again = tmp_path / "again"
        (run / NAME).rename(tmp_path / "moved")  # only the latest equations are needed
        assert main(appended(folder, again, [str(trained_models.DATA / "Li10Si22_0.xyz")])) == 0
        (tmp_path / "moved").rename(run / NAME)
        assert len(read_equations(again / NAME, 100).folds) == n_train + 18 + 9


def test_the_model_is_that_of_a_training_from_scratch(tmp_path: Path) -> None:
    """With nothing taken from the data (scaling 0, given energies per element and distances), to 1e-9 eV and eV/A."""
    same = (
        "regressor.scaling=0",
        "baseline.elements={Li: -2.0, Si: -5.0}",
        "baseline.pair.inner=1.4",
        "baseline.pair.outer=2.0",
        "data.split={by: fraction, refit: false}",
        "uncertainty.members=0",
    )
    validation = f"data.validation={[str(trained_models.DATA / 'Li10Si22_1.xyz')]}"
    run, more, scratch = tmp_path / "run", tmp_path / "more", tmp_path / "scratch"
    assert main(words("soap_linear", run, *same, validation)) == 0
    assert main(appended(run, more, NEW)) == 0
    everything = words("soap_linear", scratch, *same, validation)
    everything[everything.index(f"data.train={OLD}")] = f"data.train={OLD + NEW}"
    assert main(everything) == 0
    found, expected = (predictions(folder / "model.pt") for folder in (more, scratch))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_on_two_ranks_as_on_one(runs: dict[str, Path], tmp_path: Path) -> None:
    run = runs["soap_gap"]
    assert main(appended(run, tmp_path / "one", NEW)) == 0
    done = start(RUN, appended(run, tmp_path / "two", NEW), mpirun(2))
    assert done.returncode == 0, done.stderr
    said = [json.loads((tmp_path / name / "report.json").read_text())["forecast"][0] for name in ("two", "one")]
    of_all_ranks = {re.findall(r"\d+ coefficients from \d+ equations", forecast)[0] for forecast in said}
    assert len(of_all_ranks) == 1
    found, expected = (predictions(tmp_path / name / "model.pt") for name in ("two", "one"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("regressor.prior=0.5", "regressor.prior must be that of '{run}' (0.1), which this training is appended to"),
        ("descriptor.cutoff=5", "descriptor.cutoff must be that of '{run}' (4.5)"),
        ("targets.forces=0.3", "targets.forces"),
        ("targets.stress=null", "targets.stress must be that of '{run}'"),
        ("baseline.pair=null", "baseline.pair must be that of '{run}'"),
        ("descriptor.scaling={rate: 1, scale: 3, exponent: 4}", "descriptor.scaling must be that of '{run}'"),
        ("append=nowhere", "append must be the output folder of a finished training, got 'nowhere'"),
        ("output={run}", "output must be another folder than append"),
        ("", "data.train must hold new frames, got 40 that are all in '{run}' already"),
    ],
)
def test_what_does_not_go_together_is_refused(
    change: str, sentence: str, runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["soap_linear"]
    overwrite = ["--overwrite"] if change.startswith("output") else []
    more = [change.replace("{run}", str(run))] if change else []
    said = refusal(capsys, [*appended(run, tmp_path / "more", NEW if change else OLD, *more), *overwrite])
    assert sentence.format(run=run) in said
    assert not (tmp_path / "more").exists()
    assert (run / "model.pt").exists()


def germanium(folder: Path) -> str:
    """A labelled frame of an element that no training here has."""
    atoms = Atoms("Ge2", [[0, 0, 0], [0, 0, 2.4]], cell=[5, 5, 5], pbc=True)
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = -9.0, np.zeros((2, 3))
    write(folder / "ge.xyz", atoms, format="extxyz")
    return str(folder / "ge.xyz")


def test_other_elements_other_data_and_missing_equations_are_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, appended(runs["soap_linear"], tmp_path / "more", [germanium(tmp_path)]))
    assert "(Li, Si), got Ge as well; train from scratch" in said
    run = tmp_path / "run"
    shutil.copytree(runs["soap_linear"], run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("Li16Si16_0", "Li16Si16_1"))
    said = refusal(capsys, appended(run, tmp_path / "more", NEW))
    assert f"training data of '{run}' must be the 36 frames that it was trained on, got 36 from" in said
    shutil.copy(runs["soap_linear"] / "config.yaml", config)
    (run / NAME).unlink()
    said = refusal(capsys, appended(run, tmp_path / "more", NEW))
    assert "append must be a training that kept its equations" in said
    assert "train it again with regressor.keep_equations=true" in said
    assert not (tmp_path / "more").exists()
    assert main(appended(run, tmp_path / "more", NEW)) == 1
    assert "are kept" not in capsys.readouterr().out


def test_data_of_the_earlier_training_that_are_elsewhere(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Relative paths of its configuration, which nobody typed now, from another folder than before."""
    run, old = tmp_path / "run", "../Li4Si28_0.xyz"
    shutil.copytree(runs["soap_linear"], run)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["data"]["train"] = [old]
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    shutil.copy(OLD[0], tmp_path)
    monkeypatch.chdir(tmp_path)
    said = refusal(capsys, appended(run, tmp_path / "more", NEW))
    assert f"data.train of '{run / 'config.yaml'}', which append reads again: data path must name an existing" in said
    assert f"got '{old}'; check its spelling and place; relative paths there are from the current folder, '" in said
    assert f"'{tmp_path}', so start in the folder of that training" in said
    monkeypatch.chdir(run)
    assert f"training data of '{run}' must be the 36 frames" in refusal(capsys, appended(run, tmp_path / "more", NEW))


def test_labels_that_have_changed_and_ancestors_are_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["soap_linear"], run)
    atoms = read(OLD[0])
    atoms.info["REF_energy"] += 0.1
    write(tmp_path / "changed.xyz", atoms, format="extxyz")
    said = refusal(capsys, appended(run, tmp_path / "more", [str(tmp_path / "changed.xyz")]))
    assert "must have the labels of the same structure that was trained on before" in said
    assert main(appended(run, tmp_path / "more", [NEW[0]])) == 0
    said = refusal(capsys, [*appended(tmp_path / "more", run, [NEW[1]]), "--overwrite"])
    assert f"output must be no folder that '{tmp_path / 'more'}' was appended to" in said
    assert (run / "model.pt").exists()


def test_a_validation_set_that_is_given_is_not_fitted(runs: dict[str, Path], tmp_path: Path) -> None:
    given = f"data.validation={[NEW[1]]}"
    assert main(appended(runs["soap_linear"], tmp_path / "more", [NEW[0]], given)) == 0
    summary = read_card(tmp_path / "more" / "model.pt").training_data.summary
    assert not summary["fitted_to_validation"]
    assert summary["split"].endswith("; 10 of them added from data.validation")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_configuration_that_a_training_began_with_will_do(
    family: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    """What it leaves null is what the training took from its data."""
    first, *changes = words(family, tmp_path / "more", f"append={runs[family]}")[1:]
    changes[changes.index(f"data.train={OLD}")] = f"data.train={NEW}"
    data = load_training_set(load_config(first, changes))
    assert data.earlier is not None
    assert len(data.train) + len(data.validation) == 60


def test_groups_stay_in_their_part(tmp_path: Path) -> None:
    """New frames of a group go where it is; those of new groups are split; isolated atoms train."""
    halves = []
    for name in (*OLD, *NEW):
        frames = read(name, ":")
        halves.append((frames[:7], frames[7:]))
    atom = Atoms("Li", cell=[12, 12, 12], pbc=True)
    atom.info |= {"REF_energy": -1.0, "REF_stress": np.zeros((3, 3)), "path": "free", "config_type": "IsolatedAtom"}
    atom.arrays["REF_forces"] = np.zeros((1, 3))
    old = [frame for half in halves[:4] for frame in half[0]]
    write(tmp_path / "old.xyz", old, format="extxyz")
    write(tmp_path / "new.xyz", [frame for half in halves for frame in half[1]] + [atom], format="extxyz")
    groups = "data.split={by: group, key: path, fraction: 0.25}"
    run = tmp_path / "run"
    first = words("soap_linear", run, "uncertainty.members=0", groups)
    first[first.index(f"data.train={OLD}")] = f"data.train={tmp_path / 'old.xyz'}"
    assert main(first) == 0
    for file, n_new in (("new.xyz", 2), ("one.xyz", 0)):
        if file == "one.xyz":  # a single new group beside an isolated atom
            write(tmp_path / file, [*halves[4][1], atom], format="extxyz")
        changes = appended(run, tmp_path / "more", [str(tmp_path / file)])[2:]
        data = load_training_set(load_config(run / "config.yaml", changes))
        parts = {frame.group for frame in data.train}, {frame.group for frame in data.validation}
        assert not parts[0] & parts[1]
        assert "free" in parts[0]
        held_out = {frame.group for frame in load_training_set(load_config(run / "config.yaml")).validation}
        assert held_out <= parts[1]
        assert len(parts[1] - held_out) <= n_new
        if n_new:
            assert len([frame for frame in data.validation if frame.group in held_out]) == 10 * len(held_out)


def test_elements_of_given_validation_frames_are_those_of_the_training(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"data.validation={germanium(tmp_path)}"
    said = refusal(capsys, appended(runs["soap_linear"], tmp_path / "more", NEW, given))
    assert "data.validation must hold only the elements of" in said
    assert not (tmp_path / "more" / "checkpoint").exists()


def test_families_without_equations_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, ["train", *trained_models.arguments("bpnn", tmp_path / "more", "append=run")])
    assert "append must be left out for bpnn, whose fit is no sum of equations, got run" in said


def test_a_training_on_structures_in_memory_cannot_be_read_again(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["soap_linear"], run)
    text = (run / "config.yaml").read_text()
    settings = yaml.safe_load(text)
    settings["data"]["train"] = []  # as rhopot.potentials.train writes it for a list of Atoms
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    said = refusal(capsys, appended(run, tmp_path / "more", NEW))
    assert f"append must be a training whose data are files, got '{run}', which was given structures in memory" in said
