"""Bad data and bad model files through the command line: one sentence, a non-zero status, nothing written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read, write
from refusals import refusal

from rhopot.potentials.commands import main

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "examples/configs/soap_linear.yaml")
FRAMES = ROOT / "examples/data/lisi_gpaw/Li20Si12_0.xyz"


def nothing(frames: list[Atoms]) -> list[Atoms]:
    return []


def nan_energies(frames: list[Atoms]) -> list[Atoms]:
    for atoms in frames:
        atoms.info["REF_energy"] = np.nan
    return frames


def no_atoms(frames: list[Atoms]) -> list[Atoms]:
    frames[3] = Atoms(info={"REF_energy": 0.0}, cell=[8, 8, 8], pbc=True)
    return frames


def flat_cell(frames: list[Atoms]) -> list[Atoms]:
    frames[3].cell[2] = frames[3].cell[0] + frames[3].cell[1]
    return frames


def no_cell(frames: list[Atoms]) -> list[Atoms]:
    frames[3].cell[:] = 0.0
    return frames


def coincident(frames: list[Atoms]) -> list[Atoms]:
    frames[3].positions[9] = frames[3].positions[5] + frames[3].cell[1]
    return frames


def no_element(frames: list[Atoms]) -> list[Atoms]:
    frames[3].numbers[4] = 0
    return frames


def nan_position(frames: list[Atoms]) -> list[Atoms]:
    frames[3].positions[0, 0] = np.inf
    return frames


def unlabelled(frames: list[Atoms]) -> list[Atoms]:
    for atoms in frames:
        del atoms.info["REF_energy"]
    return frames


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (nothing, "must hold at least one structure, got none"),
        (nan_energies, "target energy must be present in the data"),
        (no_atoms, "frame 3: a frame must hold atoms, got none; remove the frame"),
        (flat_cell, "frame 3: cell vectors must be linearly independent, got pbc T T T and cell [["),
        (no_cell, "frame 3: cell must have a vector in every periodic direction, got pbc T T T and cell [["),
        (coincident, "frame 3: positions must be distinct, got atoms 5 and 9 in one place; remove one"),
        (no_element, "frame 3: atoms must be chemical elements, got X (atom 4); name its element"),
        (nan_position, "frame 3: positions and cell must be finite"),
        (unlabelled, "target energy must be present in the data"),
    ],
)
def test_bad_data_stop_a_training(
    spoil: Callable[[list[Atoms]], list[Atoms]], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.xyz"
    write(data, spoil(read(FRAMES, ":")), format="extxyz")
    words = ["train", CONFIG, f"data.train={data}", f"output={tmp_path / 'run'}"]
    assert message in refusal(capsys, words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("spoil", [no_atoms, flat_cell, no_cell, coincident, no_element, nan_position])
def test_impossible_frames_are_named_by_every_command(
    spoil: Callable[[list[Atoms]], list[Atoms]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = tmp_path / "data.xyz", tmp_path / "features.npz"
    write(data, spoil(read(FRAMES, ":")), format="extxyz")
    model = str(ROOT / "tests/data/format_1_linear.pt")
    for words in (["evaluate", model, str(data)], ["features", model, str(data), "-o", str(output)]):
        assert refusal(capsys, words).startswith(f"rhopot: {data}, frame 3: ")
    assert main(["data", "lint", str(data)]) == 1
    assert f"error [frames] {data}, frame 3: " in capsys.readouterr().out
    assert not output.exists()


def test_frames_that_a_model_cannot_take_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An element that the model does not know; fragments too far apart for a grid, in training too."""
    data, output = tmp_path / "data.xyz", tmp_path / "features.npz"
    linear, scattering = (str(ROOT / f"tests/data/format_1_{name}.pt") for name in ("linear", "scattering"))
    frames = read(FRAMES, ":5")
    frames[3].symbols[2] = "Xe"
    write(data, frames, format="extxyz")
    for model in (linear, scattering):
        said = refusal(capsys, ["evaluate", model, str(data)])
        assert said.startswith(f"rhopot: {data}, frame 3: elements must be among")
    frames = read(FRAMES, ":5")
    frames[3].positions[2, 0] += 1e7
    frames[3].pbc = False
    write(data, frames, format="extxyz")
    said = refusal(capsys, ["evaluate", scattering, str(data)])
    assert said.startswith(f"rhopot: {data}, frame 3: the box of a structure must be at most")
    config = str(ROOT / "examples/configs/scattering.yaml")
    train = ["train", config, f"data.train={data}", "descriptor.beta=0.6", f"output={tmp_path / 'run'}"]
    for words in (["features", scattering, str(data), "-o", str(output)], [*train, f"data.validation={FRAMES}"]):
        said = refusal(capsys, words)
        assert said.startswith(f"rhopot: {data}, frame 3: the grid of a structure must have at most 2e+08 points, got")
    assert not output.exists()


def truncated(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:3000])


def damaged(model: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 255
    model.write_bytes(content)


def empty(model: Path) -> None:
    model.write_bytes(b"")


def foreign(model: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, model)


def newer(model: Path) -> None:
    """The same archive with a card of a format to come."""
    with zipfile.ZipFile(model) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(model, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            if name.endswith("rhopot.json"):
                content = json.dumps(json.loads(content) | {"format_version": 99}).encode()
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "is truncated or damaged"),
        (damaged, "is damaged in its part"),
        (empty, "is empty"),
        (foreign, "holds objects of torch.save"),
        (newer, "must be at most 1 for this rhopot"),
    ],
)
def test_bad_models_are_refused_by_every_command(
    spoil: Callable[[Path], None], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes((ROOT / "tests/data/format_1_linear.pt").read_bytes())
    spoil(model)
    output = tmp_path / "features.npz"
    for words in (
        ["info", str(model)],
        ["evaluate", str(model), str(FRAMES)],
        ["features", str(model), str(FRAMES), "-o", str(output)],
        ["check", str(model), "--ranks", "1"],
    ):
        assert message in refusal(capsys, words)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(
    ("device", "message"),
    [("tpu", "device must be auto, cpu or cuda, got 'tpu'"), ("cuda", "where torch finds no GPU, got cuda")],
)
@pytest.mark.parametrize("command", ["evaluate", "check"])
def test_devices_that_are_not_there(
    command: str, device: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = str(ROOT / "tests/data/format_1_linear.pt")
    assert message in refusal(capsys, [command, model, str(FRAMES), "--device", device])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "nowhere/e.json"], "--json must lie in an existing folder, got 'nowhere/e.json'; make 'nowhere'"),
        (["--json", "."], "--json must name a file, got the folder '.'"),
        (["--plot", "nowhere/p.png"], "--plot must lie in an existing folder"),
        (["--plot", "p.foo"], "--plot must end in the format of a picture, got 'p.foo'"),
        (["--key", "config_type=a,b"], "--key config_type must be one name, got 'a,b'"),
        (["--shift-from", "forces.xyz"], "--shift-from must name data with energies, got none"),
        (
            ["--shift-from", "lithium.xyz"],
            "--shift-from must name data with energies of every element, got none with Si",
        ),
    ],
)
def test_evaluate_refuses_options_before_it_evaluates(
    words: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    frames: list[Atoms] = read(FRAMES, ":2")
    write("lithium.xyz", Atoms("Li", info={"REF_energy": -1.0}), format="extxyz")
    for atoms in frames:
        del atoms.info["REF_energy"]
    write("forces.xyz", frames, format="extxyz")
    model = str(ROOT / "tests/data/format_1_linear.pt")
    monkeypatch.setattr("rhopot.potentials.commands.evaluate.predict_frames", None)
    assert message in refusal(capsys, ["evaluate", model, str(FRAMES), *words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["descriptor.cutoff=0.5", "descriptor.cutoff_width=0.4"], "descriptor.cutoff must reach neighbors of atoms"),
        pytest.param(
            ["targets.energy=1.0e-12"], "sigmas of targets must leave the prior some weight", marks=pytest.mark.slow
        ),
    ],
)
def test_settings_that_leave_nothing_to_fit(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cutoff in nm, and sigmas beyond double precision."""
    small = ["descriptor.n_max=2", "descriptor.l_max=1", "descriptor.cutoff=4.0", "descriptor.cutoff_width=1.5"]
    assert message in refusal(capsys, ["train", CONFIG, f"data.train={FRAMES}", f"output={tmp_path}", *small, *words])
