"""Keys of labels through the commands: models are judged by the labels they were fitted to, unless told otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.io import read, write
from trained_models import DATA, FAMILIES, SETTINGS

from rhopot.potentials.api import evaluate
from rhopot.potentials.commands import main

pytestmark = pytest.mark.slow

SOURCE = DATA / "Li20Si12_0.xyz"
ROOT = Path(__file__).resolve().parents[3]


def renamed(prefix: str, attached: bool = False, n_frames: int = 2) -> list[Atoms]:
    """Frames with labels under a prefix; attached: beside energy and forces of another method."""
    frames: list[Atoms] = read(SOURCE, f":{n_frames}")
    for atoms in frames:
        atoms.info[f"{prefix}energy"] = atoms.info.pop("REF_energy")
        atoms.arrays[f"{prefix}forces"] = atoms.arrays.pop("REF_forces")
        del atoms.info["REF_stress"]
        if attached:
            atoms.info["dft_energy"] = 100.0
    return frames


def errors(tmp_path: Path, *words: str) -> dict[str, Any]:
    assert main(["evaluate", *words, "--json", str(tmp_path / "errors.json")]) == 0
    table: dict[str, Any] = json.loads((tmp_path / "errors.json").read_text())
    return table


@pytest.mark.parametrize("family", FAMILIES)
def test_evaluate_reads_the_labels_of_the_training(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Models fitted to REF_ labels: another method's in the same file do not count, other keys are asked for."""
    model = str(trained_model(family))
    frames: list[Atoms] = read(SOURCE, ":1")
    write(tmp_path / "ref.xyz", frames, format="extxyz")
    for atoms in frames:
        atoms.info["energy"] = 100.0
    write(tmp_path / "both.xyz", frames, format="extxyz")
    write(tmp_path / "plain.xyz", renamed("", n_frames=1), format="extxyz")
    expected = errors(tmp_path, model, str(tmp_path / "ref.xyz"))
    assert errors(tmp_path, model, str(tmp_path / "both.xyz")) == expected
    assert "note: labels left aside: energy (1 frames)" in capsys.readouterr().out
    assert main(["evaluate", model, str(tmp_path / "plain.xyz")]) == 1
    said = capsys.readouterr().err
    assert "energy must be under REF_energy, got energy alone (1 frames" in said
    assert "write --key energy=energy or --key energy=none" in said
    chosen = errors(tmp_path, model, str(tmp_path / "plain.xyz"), "--key", "energy=energy")
    assert chosen["energy_mae_mev_per_atom"] == expected["energy_mae_mev_per_atom"]
    assert chosen["forces_mae_mev_per_angstrom"] == expected["forces_mae_mev_per_angstrom"]


def test_keys_named_in_a_configuration_hold_for_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data.xyz"
    write(data, renamed("hse_", attached=True, n_frames=8), format="extxyz")
    config = str(ROOT / "examples/configs/soap_linear.yaml")
    words = [
        *SETTINGS["soap_linear"],
        f"data.train={data}",
        "data.keys.energy=hse_energy",
        f"output={tmp_path / 'run'}",
    ]
    assert main(["train", config, *words]) == 0
    said = capsys.readouterr().out
    table = errors(tmp_path, str(tmp_path / "run" / "model.pt"), str(data))
    assert table["energy_mae_mev_per_atom"] < 100.0
    assert "note: labels left aside: dft_energy (8 frames)" in said
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("8 frames")]
    assert "energy from hse_energy (8), forces from hse_forces (8)" in line
    assert line.count("hse_energy") == 1
    assert "not used: dft_energy (8)" in line
    assert main(["data", "lint", str(data), "--model", str(tmp_path / "run" / "model.pt")]) == 0
    assert "dft_energy (not used)" in capsys.readouterr().out


def test_config_types_and_groups_are_those_of_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read from the entries that the configuration named, unless --key says otherwise or frames lack them."""
    frames: list[Atoms] = read(SOURCE, ":8")
    for k, atoms in enumerate(frames):
        atoms.info |= {"phase": f"phase{k % 2}", "trajectory": f"t{k // 2}"}
    data, predicted = str(tmp_path / "data.xyz"), tmp_path / "predicted.xyz"
    write(data, frames, format="extxyz")
    config = str(ROOT / "examples/configs/soap_linear.yaml")
    split = "data.split={by: group, key: trajectory, fraction: 0.25}"
    words = [*SETTINGS["soap_linear"], f"data.train={data}", "data.keys.config_type=phase", split]
    assert main(["train", config, *words, f"output={tmp_path / 'run'}"]) == 0
    model = str(tmp_path / "run" / "model.pt")
    capsys.readouterr()
    assert set(errors(tmp_path, model, data, "--predictions", str(predicted))["per_config_type"]) == {
        "phase0",
        "phase1",
    }
    assert [(a.info["config_type"], a.info["group"]) for a in read(predicted, ":")] == [
        (f"phase{k % 2}", f"t{k // 2}") for k in range(8)
    ]
    assert set(evaluate(model, data)["per_config_type"]) == {"phase0", "phase1"}
    for key, name in (("trajectory", "t3"), ("config_type", "relaxation")):
        assert name in errors(tmp_path, model, data, "--key", f"config_type={key}")["per_config_type"]
    without = errors(tmp_path, model, str(SOURCE), "--predictions", str(predicted))
    assert set(without["per_config_type"]) == {"relaxation"}
    assert "group" not in read(predicted).info
    assert main(["data", "lint", data, "--model", model]) == 0
    assert "config_type phase1 " in capsys.readouterr().out


def test_forces_under_an_unknown_name_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = read(SOURCE, ":2")
    for atoms in frames:
        atoms.arrays["F_PBE"] = atoms.arrays.pop("REF_forces")
    data = str(tmp_path / "data.xyz")
    write(data, frames, format="extxyz")
    note = "note: no forces are read; per-atom arrays of three numbers that are not used: F_PBE (2 frames); where it"
    for command in (["data", "lint", data], ["evaluate", str(ROOT / "tests/data/format_1_linear.pt"), data]):
        assert main(command) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert f"{note} holds forces, name it: --key forces=F_PBE" in said
        assert main([*command, "--key", "forces=F_PBE"]) == 0
        assert "no forces are read" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["energy"],
            "--key must be TARGET=NAME with a target of energy, forces, stress, virial, config_type, got 'energy'",
        ),
        (["charge=q"], "--key must be TARGET=NAME"),
        (["energy=a", "energy=b"], "--key must name energy once, got it twice; join several names: energy=a,b"),
        (["energy=absent"], "--key energy must name an entry of the data, got 'absent'; the frames carry: REF_energy"),
    ],
)
def test_keys_that_cannot_be_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [part for word in words for part in ("--key", word)]
    for command in (
        ["data", "lint", str(SOURCE)],
        ["evaluate", str(ROOT / "tests/data/format_1_linear.pt"), str(SOURCE)],
    ):
        assert main([*command, *options]) == 1
        assert message in capsys.readouterr().err


def test_features_need_no_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames whose labels no training could read."""
    frames: list[Atoms] = read(SOURCE, ":2")
    frames[1].info["energy"] = frames[1].info.pop("REF_energy")
    frames[0].info["REF_stress"] = [1.0, 2.0]
    write(tmp_path / "data.xyz", frames, format="extxyz")
    model = str(ROOT / "tests/data/format_1_linear.pt")
    assert main(["features", model, str(tmp_path / "data.xyz"), "-o", str(tmp_path / "f.npz")]) == 0
    assert "left aside" not in capsys.readouterr().out


def test_lint_finds_labels_of_two_families(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [*renamed("REF_"), *renamed("", n_frames=4)[2:]]
    write(tmp_path / "data.xyz", frames, format="extxyz")
    assert main(["data", "lint", str(tmp_path / "data.xyz")]) == 1
    printed = capsys.readouterr().out
    assert "error [keys] energy must be under one key in the whole data set, got REF_energy (2 frames)" in printed
    assert "write --key energy=REF_energy or --key energy=energy to take one of them" in printed
    assert main(["data", "lint", str(tmp_path / "data.xyz"), "--key", "energy=REF_energy,energy"]) == 0


def test_lint_of_two_files_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """Two files are one data set: copies between them are found, and the test for leakage is named."""
    other = DATA / "Li8Si24_0.xyz"
    assert main(["data", "lint", str(SOURCE), str(other)]) == 0
    printed = capsys.readouterr().out
    assert f"2 files are looked at as one data set; to look for leakage: rhopot data lint {SOURCE} --test" in printed
    assert main(["data", "lint", str(SOURCE), "--test", str(other)]) == 0
    printed = capsys.readouterr().out
    assert "leakage: 0 of the 10 test structures are in the data" in printed
    assert main(["data", "lint", str(SOURCE), "--test", str(SOURCE)]) == 1
    printed = capsys.readouterr().out
    assert "leakage: 10 of the 10 test structures are in the data" in printed


def test_lint_of_test_data_with_other_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One advice, which works; copies are summed up; frames that lack something are those of the data they are in."""
    train, test = str(tmp_path / "train.xyz"), str(tmp_path / "test.xyz")
    write(train, renamed("REF_", n_frames=10), format="extxyz")
    write(test, renamed("", n_frames=10), format="extxyz")
    assert main(["data", "lint", train, "--test", test]) == 1
    printed = capsys.readouterr().out
    advice = "--key energy=REF_energy,energy"
    assert (
        f"error [keys] energy must be under REF_energy, got energy alone (10 frames, first: {test}, frame 0), and "
        f"forces likewise; write {advice} if all are of the same method, or --key energy=none\n"
    ) in printed
    assert printed.count("[keys]") == 1
    assert "labels left aside: energy" not in printed
    assert "warning [targets] no test frame carries energy\n" in printed
    assert "frames lack" not in printed
    assert printed.count("error [leakage]") == 4
    assert f"error [leakage] and 7 more: {test}, frames 3-9\n" in printed
    assert "leakage: 10 of the 10 test structures are in the data" in printed
    assert "11 errors, 2 warnings in 20 frames" in printed
    assert main(["data", "lint", train, "--test", test, *advice.split()]) == 1
    printed = capsys.readouterr().out
    assert "[keys]" not in printed
    assert "[targets]" not in printed
    assert "10 errors, 0 warnings in 20 frames" in printed


def test_names_with_brackets_are_printed_as_they_are(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files and config_types may be called `[bulk]` or `[/a]`, which rich would take for markup."""
    frames: list[Atoms] = read(SOURCE, ":2")
    frames[0].info["config_type"], frames[1].info["config_type"] = "slab[bcc]", "[/a]"
    file = tmp_path / "run[one].xyz"
    write(file, frames, format="extxyz")
    assert main(["evaluate", str(trained_model("soap_linear")), str(file)]) == 0
    printed = capsys.readouterr().out
    assert "slab[bcc] " in printed
    assert "[/a] " in printed
    assert "run[one].xyz" in printed
