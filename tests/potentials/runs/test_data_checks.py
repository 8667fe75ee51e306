"""From files to a training set: what targets leave out is used nowhere, and faults are known before the fit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import trained_models
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from rhopot.export import read_card
from rhopot.potentials.commands import main
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.fitting.communicator import find_communicator
from rhopot.potentials.runs.fit import TrainedModel, fit_model
from rhopot.potentials.runs.training_set import load_training_set
from rhopot.potentials.structures import DataError

pytestmark = pytest.mark.slow

DATA = trained_models.DATA / "Li20Si12_0.xyz"


def settings(family: str, *words: str) -> RunConfig:
    config = trained_models.ROOT / "examples" / "configs" / f"{family}.yaml"
    return load_config(config, [*trained_models.SETTINGS[family], *words])


def other_code(atoms: Atoms) -> Atoms:
    """A structure whose energy is of another code, a thousand eV per atom off."""
    atoms = atoms.copy()
    atoms.info.update(config_type="other_code", REF_energy=atoms.info["REF_energy"] - 1e3 * len(atoms))
    return atoms


def without_energy(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    del atoms.info["REF_energy"]
    return atoms


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Frames with two energies of another code, the same without these energies, and three for validation.

    One isolated atom of an element that occurs nowhere else is among the training frames of the first two sets.
    """
    frames: list[Atoms] = read(DATA, ":")
    oxygen = Atoms("O", cell=[12.0] * 3, pbc=True, info={"REF_energy": -1.5, "config_type": "IsolatedAtom"})
    foreign = [other_code(frames[2]), other_code(frames[5])]
    alloys, bare = [frames[k] for k in (0, 1, 4, 6, 8, 9)], [without_energy(f) for f in foreign]
    sets = {"all": [*alloys, oxygen, *foreign], "removed": [*alloys, oxygen, *bare], "val": frames[3:8:2]}
    sets |= {"all_alloys": alloys + foreign, "removed_alloys": alloys + bare}
    for name, atoms in sets.items():
        write(tmp_path / f"{name}.xyz", atoms, format="extxyz")
    return {name: tmp_path / f"{name}.xyz" for name in sets}


def fitted(family: str, files: dict[str, Path], train: str, *words: str) -> TrainedModel:
    trained = any(word.startswith("training.epochs") for word in trained_models.SETTINGS[family])
    epochs = ["training.epochs=4"] if trained else []
    config = settings(family, f"data.train={files[train]}", f"data.validation={files['val']}", *epochs, *words)
    return fit_model(config, load_training_set(config), find_communicator())


@pytest.mark.parametrize(
    ("family", "baseline"),
    [*((family, "least_squares") for family in trained_models.FAMILIES), ("soap_linear", "isolated")],
)
def test_an_element_that_occurs_only_as_an_isolated_atom(
    family: str, baseline: str, files: dict[str, Path], tmp_path: Path
) -> None:
    """No coefficient enters its energy, which the baseline gives exactly: neither error nor deviation to divide by."""
    energies = {"Li": -0.5, "O": -1.5, "Si": -0.8}
    alone = [Atoms(symbol, info={"REF_energy": energy, "config_type": "IsolatedAtom"}) for symbol, energy in
             energies.items()]  # fmt: skip
    write(tmp_path / "free.xyz", read(DATA, ":6") + alone, format="extxyz")
    trained = fitted(family, files | {"free": tmp_path / "free.xyz"}, "free", f"baseline.elements={baseline}")
    assert trained.card.symbols == ("Li", "O", "Si")
    found = trained.card.baseline_energies
    assert found["O"] == pytest.approx(-1.5, abs=1e-6)
    assert baseline == "least_squares" or found == pytest.approx(energies)
    for name, value in trained.final.state_dict().items():
        assert torch.isfinite(value.to(torch.float64)).all(), name


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_energies_left_out_are_used_nowhere(family: str, files: dict[str, Path]) -> None:
    """Digit for digit the model of the data without them, in every family."""
    null = "{sigma: 0.007, config_type: {other_code: null}}"
    left_out = fitted(family, files, "all_alloys", f"targets.energy={null}")
    removed = fitted(family, files, "removed_alloys", "targets.energy=0.007")
    assert left_out.card.baseline_energies == removed.card.baseline_energies
    assert left_out.card.training_data.hash == removed.card.training_data.hash
    assert left_out.report["calibration"] == removed.report["calibration"]
    states = [model.final.state_dict() for model in (left_out, removed)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_labels_that_are_not_fitted_are_named(files: dict[str, Path]) -> None:
    words = [f"data.train={files['all_alloys']}", f"data.validation={files['val']}"]
    for stress, count in (("null", 8), ("0.1", 0)):
        data = load_training_set(settings("soap_linear", *words, f"targets.stress={stress}"))
        assert dict(data.not_fitted) == ({"stress": count} if count else {})
        said = [note for note in data.notes if "not fitted" in note]
        assert (
            said == ["the data carry labels of stress (8 frames) that are not fitted: targets.stress is null"][:count]
        )


def test_forces_under_an_unknown_name_are_said_unless_they_are_not_wanted(tmp_path: Path) -> None:
    frames: list[Atoms] = read(DATA, ":")
    for atoms in frames:
        atoms.arrays["F_PBE"] = atoms.arrays.pop("REF_forces")
    write(tmp_path / "data.xyz", frames, format="extxyz")
    words = [f"data.train={tmp_path / 'data.xyz'}"]
    note = "no forces are read; per-atom arrays of three numbers that are not used: F_PBE (10 frames)"
    assert load_training_set(settings("soap_linear", *words)).train.notes[0].startswith(note)
    for off in ("targets.forces=null", "data.keys.forces=none"):
        assert load_training_set(settings("soap_linear", words[0], off)).train.notes == ()


def test_a_pair_baseline_does_not_see_them_either(files: dict[str, Path]) -> None:
    pair = "baseline.pair={kind: two_body, cutoff: 4.0}"
    null = "targets.energy={sigma: 0.007, config_type: {other_code: null}}"
    models = [fitted("soap_linear", files, "all_alloys", null, pair)]
    models.append(fitted("soap_linear", files, "removed_alloys", pair))
    states = [model.final.state_dict() for model in models]
    assert any("pair" in name for name in states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_what_is_left_out_is_said(files: dict[str, Path]) -> None:
    null = "targets.energy={sigma: 1, config_type: {other_code: null}}"
    data = load_training_set(settings("soap_linear", f"data.train={files['all']}", null))
    assert "targets.energy leaves out config_type other_code (2 frames): not used anywhere" in data.notes
    assert {frame.config_type for frame in data.train if frame.energy is None} <= {"other_code"}


def test_structures_of_which_everything_is_left_out_are_not_used(files: dict[str, Path]) -> None:
    """Neither their elements nor their environments: no sparse point, scale or shortest distance comes from them."""
    nulls = [f"targets.{name}={{sigma: 0.1, config_type: {{IsolatedAtom: null, other_code: null}}}}" for name in
             ("energy", "forces", "stress")]  # fmt: skip
    config = settings("soap_linear", f"data.train={files['all']}", f"data.validation={files['val']}", *nulls)
    data = load_training_set(config)
    assert {frame.config_type for frame in data.train} == {"relaxation"}
    assert data.symbols == ("Li", "Si")
    assert f"3 training frames carry no fitted label and are not used (first: {files['all']}, frame 6)" in data.notes


SPLITS = {
    "at random": "data.split.fraction=0.1",
    "by group": "data.split={by: group, key: path, fraction: 0.2}",
}


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_isolated_atoms_train_in_every_split_and_at_every_point_of_a_learning_curve(split: str, tmp_path: Path) -> None:
    """Energies of elements come from them, so that no seed may hold them out; each point is a fit of its own."""
    frames: list[Atoms] = [atoms for name in trained_models.PATHS for atoms in read(DATA.with_name(f"{name}.xyz"), ":")]
    energies = {"Li": -0.5, "Si": -0.8}
    for symbol, energy in energies.items():
        labels = {"REF_energy": energy, "config_type": "IsolatedAtom", "path": f"free {symbol}"}
        frames.append(Atoms(symbol, cell=[12.0] * 3, pbc=True, info=labels))
    write(tmp_path / "data.xyz", frames, format="extxyz")
    words = f"data.train={tmp_path / 'data.xyz'}", "baseline.elements=isolated", split
    for seed in range(8):
        data = load_training_set(settings("soap_linear", *words, f"seed={seed}"))
        assert {len(frame.atoms) for frame in data.validation} == {32}, f"seed {seed}"
    small = "descriptor.n_max=2", "descriptor.l_max=1", "uncertainty.members=0", "report.learning_curve=[0.2, 0.5]"
    config = trained_models.ROOT / "examples" / "configs" / "soap_linear.yaml"
    assert main(["train", str(config), *words, *small, f"output={tmp_path / 'run'}"]) == 0
    assert read_card(tmp_path / "run" / "model.pt").baseline_energies == pytest.approx(energies)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    alloys = len(data.train) - len(energies)
    assert report["learning_curve"]["n_frames"] == [round(part * alloys) + len(energies) for part in (0.2, 0.5, 1.0)]


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1.0, ""),
        (-1.0, "forces of config_type relaxation have the wrong sign"),
        (0.0, r"forces of config_type relaxation are zero on all atoms of \d+ frame\(s\) whose symmetry does not"),
    ],
)
def test_forces_of_the_wrong_sign_or_missing_are_said(factor: float, said: str, tmp_path: Path) -> None:
    """Relaxations of alloys: steps of little displacement."""
    frames = [atoms for file in sorted(DATA.parent.glob("*.xyz")) for atoms in read(file, "3:6")]
    for atoms in frames:
        atoms.arrays["REF_forces"] *= factor
    write(tmp_path / "data.xyz", frames, format="extxyz")
    notes = load_training_set(settings("soap_linear", f"data.train={tmp_path / 'data.xyz'}")).notes
    about = [note for note in notes if note.startswith("forces of")]
    assert [bool(re.match(said, note)) for note in about] == [True] * bool(said)


@pytest.mark.parametrize(("fraction", "n_held_out"), [(0.01, 3), (0.6, 12), (0.9, 18)])
def test_a_split_takes_the_fraction_that_is_asked_for(fraction: float, n_held_out: int, tmp_path: Path) -> None:
    frames = read(DATA, ":") + read(DATA.with_name("Li4Si28_0.xyz"), ":")
    write(tmp_path / "data.xyz", frames, format="extxyz")
    split = f"data.split={{by: fraction, fraction: {fraction}}}"
    data = load_training_set(settings("soap_linear", f"data.train={tmp_path / 'data.xyz'}", split))
    assert (len(data.train), len(data.validation)) == (20 - n_held_out, n_held_out)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("isolated_atom", "did you mean IsolatedAtom?"), ("zzz", "remove it or correct its name")],
)
def test_config_types_that_no_frame_has(name: str, meant: str, files: dict[str, Path]) -> None:
    words = f"data.train={files['all']}", f"targets.energy={{sigma: 1, config_type: {{{name}: 0.1}}}}"
    message = (
        rf"targets\.energy\.config_type must name config_types of the data \(IsolatedAtom, other_code, relaxation\), "
        rf"got {name}; {meant}"
    )
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        load_training_set(settings("soap_linear", *words))


def test_validation_without_labels_is_refused_at_the_start(files: dict[str, Path], tmp_path: Path) -> None:
    bare = [Atoms(f.numbers, f.positions, cell=f.cell, pbc=True) for f in read(files["val"], ":")]
    write(tmp_path / "bare.xyz", bare, format="extxyz")
    message = r"data\.validation must carry energy or forces to be of use, got none in 3 frames"
    with pytest.raises(ValueError, match=message):
        load_training_set(
            settings("soap_linear", f"data.train={files['all']}", f"data.validation={tmp_path / 'bare.xyz'}")
        )
    for atoms in bare:
        atoms.info["REF_stress"] = [0.01] * 6
    write(tmp_path / "few.xyz", read(DATA, ":1") + bare * 6, format="extxyz")
    with pytest.raises(ValueError, match="the validation set must carry energy or forces, got none in the 3 frames"):
        load_training_set(settings("soap_linear", f"data.train={tmp_path / 'few.xyz'}"))


def test_a_validation_file_that_is_the_training_file_is_said(files: dict[str, Path]) -> None:
    def notes(validation: Path) -> tuple[str, ...]:
        config = settings("soap_linear", f"data.train={files['removed']}", f"data.validation={validation}")
        return load_training_set(config).notes

    assert notes(files["removed"]) == (
        f"9 of 9 validation frames are training frames too (first: {files['removed']}, frame 0): "
        "their errors say nothing about other structures",
    )
    assert notes(files["val"])[0].startswith("1 of 3 validation frames are training frames too")


def test_copies_on_both_sides_of_a_split_are_said(tmp_path: Path) -> None:
    write(tmp_path / "twice.xyz", read(DATA, ":") * 2, format="extxyz")
    data = load_training_set(settings("soap_linear", f"data.train={tmp_path / 'twice.xyz'}"))
    assert any("validation frames are training frames too" in note for note in data.notes)


def test_validation_is_read_by_the_keys_of_the_training_data(files: dict[str, Path], tmp_path: Path) -> None:
    """A second energy in the validation file, under a key that comes first by itself, is not taken."""
    frames: list[Atoms] = read(files["val"], ":")
    for atoms in frames:
        atoms.info["energy"] = atoms.info.pop("REF_energy")
        atoms.arrays["forces"] = atoms.arrays.pop("REF_forces")
        atoms.info.pop("REF_stress")
    write(tmp_path / "train.xyz", frames, format="extxyz")
    for atoms in frames:
        atoms.info["dft_energy"] = 0.0
    write(tmp_path / "val.xyz", frames, format="extxyz")
    config = settings("soap_linear", f"data.train={tmp_path / 'train.xyz'}", f"data.validation={tmp_path / 'val.xyz'}")
    data = load_training_set(config)
    assert [frame.energy for frame in data.validation] == [frame.energy for frame in data.train]
    assert "labels left aside: dft_energy (3 frames)" in data.validation.notes


@pytest.mark.parametrize("kept", ["forces", "stress"])
@pytest.mark.parametrize("family", ["soap_linear", "soap_gap"])
def test_ready_configurations_without_energies(family: str, kept: str, tmp_path: Path) -> None:
    """`targets.energy=null` is enough for data of forces or stresses alone; data without any label are refused."""
    frames = read(DATA, ":")
    for atoms in frames:
        del atoms.info["REF_energy"]
        del (atoms.info if kept == "forces" else atoms.arrays)["REF_stress" if kept == "forces" else "REF_forces"]
    write(tmp_path / "some.xyz", frames, format="extxyz")
    with pytest.raises(DataError, match=r"target energy must be present .* or leave it out with targets.energy=null"):
        load_training_set(settings(family, f"data.train={tmp_path / 'some.xyz'}"))
    config = settings(family, f"data.train={tmp_path / 'some.xyz'}", "targets.energy=null")
    data = load_training_set(config)
    assert data.train.count(kept) == len(data.train) > 0
    fitted_to = fit_model(config, data, find_communicator()).card.training_data.summary["targets"]
    assert {target: count for target, count in fitted_to.items() if count} == {kept: len(data.train)}
    unlabelled = [Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True) for atoms in frames]
    write(tmp_path / "none.xyz", unlabelled, format="extxyz")
    with pytest.raises(DataError, match="forces or stress must be present in the data, got no label under a known key"):
        load_training_set(settings(family, f"data.train={tmp_path / 'none.xyz'}", "targets.energy=null"))


def strained_copper(pressure: float) -> list[Atoms]:
    """Strained cells of copper by effective medium theory, whose stresses are `pressure` (eV/A^3) too tensile."""
    frames = []
    for strain in np.linspace(-0.02, 0.02, 13):
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain * np.diag([1.0, 0.8, 1.2])), scale_atoms=True)
        atoms.rattle(0.01, seed=3)
        atoms.calc = EMT()
        stress = atoms.get_stress(voigt=False) + pressure * np.eye(3)
        plain = atoms.copy()
        plain.info.update(REF_energy=atoms.get_potential_energy(), REF_stress=stress, config_type="strained")
        plain.arrays["REF_forces"] = atoms.get_forces()
        frames.append(plain)
    return frames


@pytest.mark.parametrize("pressure", [0.0, 0.02])
def test_stresses_that_contradict_the_energies_are_not_fitted(pressure: float, tmp_path: Path) -> None:
    """0.02 eV/A^3 is 3.2 GPa; stresses that a configuration requires are fitted all the same."""
    file = tmp_path / "copper.xyz"
    write(file, strained_copper(pressure), format="extxyz")
    data = load_training_set(settings("soap_linear", f"data.train={file}"))
    for word in ("targets.stress=0.1", "targets.stress.required=true"):
        required = load_training_set(settings("soap_linear", f"data.train={file}", word))
        assert required.train.count("stress") == len(required.train)
    if pressure == 0.0:
        assert data.train.count("stress") == len(data.train)
        assert not data.wrong_stresses
        return
    assert data.train.count("stress") == data.validation.count("stress") == 0
    assert data.wrong_stresses in data.notes
    assert re.match(r"stresses of config_type strained are 3\.2 GPa too tensile against", data.wrong_stresses)


@pytest.mark.parametrize(
    ("energy", "stress", "said"),
    [
        (1.0, 160.2, r"stresses of config_type strained are in GPa, not in eV/A\^3 \(.* [0-9]+ pairs"),
        (0.25, 1.0, r"config_type strained seems to have energies per atom"),
        (1.0, 1.0, ""),
    ],
)
def test_few_stresses_that_contradict_the_energies_are_said(
    energy: float, stress: float, said: str, tmp_path: Path
) -> None:
    """The pairs of eight frames do not decide to leave out stresses; the sentence of `data lint` is a note."""
    frames = strained_copper(0.0)[:8]
    for atoms in frames:
        atoms.info["REF_energy"] *= energy
        atoms.info["REF_stress"] *= stress
    write(tmp_path / "few.xyz", frames, format="extxyz")
    for word in ("targets.stress.required=false", "targets.stress.required=true"):
        data = load_training_set(settings("soap_linear", f"data.train={tmp_path / 'few.xyz'}", word))
        assert data.train.count("stress") == len(data.train)
        notes = [note for note in data.notes if re.match(r".*fitted all the same, `rhopot data lint`", note)]
        assert len(notes) == (1 if said else 0)
        assert not said or re.match(said, notes[0])
