"""Trainings that are stopped from outside: by Ctrl-C, by a batch system, by a full disk, by `kill -9`."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase.io import read
from prestarted import Template
from train_process import start

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands import main
from rhopot.potentials.files import PARTIAL

pytestmark = pytest.mark.slow

QUICK = {
    "soap_linear": (
        "uncertainty.members=0",
        "report.train_frames=1",
        "regressor.block_rows=100",
        "regressor.checkpoint_seconds=0",
    ),
    "bpnn": ("training.epochs=6", "report.train_frames=1", "training.checkpoint_seconds=0"),
    "scattering": ("regressor.n_members=2", "uncertainty.members=0", "report.train_frames=3"),
}
# The checkpoint after which each family is stopped.
SAVED = {"soap_linear": "assembly-*.npz", "bpnn": "training.pt", "scattering": "features/*.npy"}
# Sends itself a signal once the pattern argv[2] matches a file of the checkpoint, at the next write.
STOPPED = """
import os, signal, sys
from pathlib import Path
from rhopot.potentials import files
from rhopot.potentials.commands import main

replace, stage = os.replace, Path(sys.argv[1]) / "checkpoint"

def replace_and_stop(source, target):
    replace(source, target)
    if Path(target).match(sys.argv[2]):
        os.replace = replace
        os.kill(os.getpid(), int(sys.argv[3]))

os.replace = replace_and_stop
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
sys.exit(main(sys.argv[4:]))
"""

# Cannot write more than argv[1] bytes to a file.
LIMITED = """
import resource, sys
from rhopot.potentials.commands import main

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def forces(folder: Path) -> np.ndarray:
    atoms = read(trained_models.DATA / "Li20Si12_0.xyz")
    atoms.calc = RhopotCalculator(folder / "model.pt")
    return np.asarray(atoms.get_forces())


@pytest.mark.parametrize(
    ("family", "number", "status", "word"),
    [
        ("soap_linear", signal.SIGTERM, 143, "terminated"),
        ("bpnn", signal.SIGINT, 130, "interrupted"),
        ("scattering", signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_stopped_training_says_how_to_go_on_and_does(
    family: str,
    number: int,
    status: int,
    word: str,
    commands: Template,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, whole = tmp_path / "a run", tmp_path / "whole"
    words = ["train", *trained_models.arguments(family, folder, *QUICK[family])]
    done = start(STOPPED, [str(folder), SAVED[family], str(int(number)), *words], commands)
    assert done.returncode == status, done.stderr
    assert done.stderr == f"rhopot: {word}; continue the training in '{folder}' with --resume\n"
    assert [path.name for path in folder.iterdir()] == ["checkpoint"]
    assert not list(folder.rglob(f"{PARTIAL}*"))
    (folder / "checkpoint" / f"{PARTIAL}0-model.pt").touch()  # as another kill leaves it
    (folder / f"{PARTIAL}0-parity.png").touch()
    damage_and_mend(folder, SAVED[family], words, capsys)
    assert main([*words, "--resume"]) == 0
    assert not list(folder.rglob(f"{PARTIAL}*"))
    assert main(["train", *trained_models.arguments(family, whole, *QUICK[family])]) == 0
    np.testing.assert_array_equal(forces(folder), forces(whole))


def damage_and_mend(folder: Path, saved: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged checkpoint is named; the whole one is put back."""
    file = next((folder / "checkpoint").glob(saved))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    assert main([*words, "--resume"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"rhopot: checkpoint '{file}' must be whole, got a damaged file (")
    assert error.endswith("); remove it to do that work again\n")
    assert len(error.splitlines()) == 1
    file.write_bytes(content)


@pytest.mark.parametrize("family", list(QUICK))
def test_a_checkpoint_without_room_is_named(family: str, commands: Template, tmp_path: Path) -> None:
    """The limit of the size of files stands for the disk: what fails is the write, with a number and without a name."""
    folder = tmp_path / "run"
    limit = 3000 if family == "scattering" else 6000
    arguments = ["train", *trained_models.arguments(family, folder, *QUICK[family])]
    done = start(LIMITED, [str(limit), *arguments], commands)
    assert done.returncode == 1
    assert done.stderr.startswith(f"rhopot: '{folder / 'checkpoint'}")
    assert done.stderr.endswith(
        f" could not be written: File too large; make room; continue the training in '{folder}' with --resume\n"
    )
    assert (folder / "checkpoint" / "run.json").exists()
    assert not list(folder.rglob(f"{PARTIAL}*"))
