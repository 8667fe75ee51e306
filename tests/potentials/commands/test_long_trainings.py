"""Trainings through the command line that run on several ranks, or are killed and resumed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from prestarted import Template
from train_process import RUN, dying, mpirun, start

from rhopot.export import RhopotCalculator, load_model
from rhopot.potentials.commands import main
from rhopot.potentials.fitting.least_squares.checkpoint import Checkpoint

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"
UNSEEN = DATA / "Li20Si12_0.xyz"


def words(family: str, output: Path) -> list[str]:
    """Arguments of a small training: blocks of few rows and a checkpoint after every one."""
    return [
        "train",
        str(ROOT / f"examples/configs/{family}.yaml"),
        f"data.train={[str(DATA / f'{name}.xyz') for name in ('Li8Si24_0', 'Li16Si16_0')]}",
        f"output={output}",
        "descriptor.n_max=2",
        "descriptor.l_max=2",
        "descriptor.cutoff=4.0",
        "regressor.block_rows=100",
        "regressor.checkpoint_seconds=0",
        "report.learning_curve=[]",
        *(["regressor.n_sparse=20"] if family == "soap_gap" else []),
    ]


def predictions(model: Path) -> tuple[np.ndarray, np.ndarray]:
    """Energies per atom and forces of unseen structures."""
    calculator = RhopotCalculator(model)
    frames = read(UNSEEN, ":3")
    energies = [calculator.get_potential_energy(atoms) / len(atoms) for atoms in frames]
    return np.array(energies), np.array([calculator.get_forces(atoms) for atoms in frames])


@pytest.mark.parametrize("family", ["soap_linear", "soap_gap"])
def test_two_ranks_train_the_same_model(family: str, tmp_path: Path) -> None:
    alone, both = tmp_path / "alone", tmp_path / "both"
    assert main(words(family, alone)) == 0
    done = start(RUN, words(family, both), mpirun(2))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training frames") == 1, "only the first rank speaks"
    count = json.loads((both / "report.json").read_text())["fit"]["equations"]
    assert f" from {count} equations" in " ".join(done.stdout.split()), "of all ranks"
    assert sorted(file.name for file in both.iterdir()) == sorted(file.name for file in alone.iterdir())
    if family == "soap_gap":
        points = [load_model(folder / "model.pt").module.points for folder in (alone, both)]
        np.testing.assert_array_equal(points[0].numpy(), points[1].numpy())
    energies, forces = zip(*(predictions(folder / "model.pt") for folder in (alone, both)), strict=True)
    np.testing.assert_allclose(energies[0], energies[1], rtol=0, atol=1e-8)
    np.testing.assert_allclose(forces[0], forces[1], rtol=0, atol=1e-7)


def test_a_failure_on_two_ranks_is_one_sentence(tmp_path: Path) -> None:
    settings = [word for word in words("soap_linear", tmp_path / "run") if not word.startswith("data.train=")]
    done = start(RUN, [*settings, "data.train=absent.xyz"], mpirun(2))
    assert done.returncode == 1
    assert done.stderr.count("rhopot: data path must name an existing file, got 'absent.xyz'") == 1
    assert not (tmp_path / "run").exists()


def test_killed_training_is_resumed(commands: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the killed process had assembled is used, and the model is the same to the last bit."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(words("soap_gap", whole)) == 0
    done = start(dying(Checkpoint, saves=2), words("soap_gap", killed), commands)
    assert done.returncode == -signal.SIGKILL
    assert sorted(file.name for file in killed.iterdir()) == [".lock", "checkpoint"], "no final name"
    assert main(words("soap_gap", killed)) == 1
    assert "continue it with --resume" in capsys.readouterr().err
    assert start(RUN, [*words("soap_gap", killed), "--resume"], mpirun(2)).returncode == 1, "other ranks are refused"
    assert main([*words("soap_gap", killed), "--resume"]) == 0
    assert "resumed: 2 of 17 frames were assembled before" in capsys.readouterr().out
    assert sorted(file.name for file in killed.iterdir()) == sorted(file.name for file in whole.iterdir())
    for resumed, expected in zip(predictions(killed / "model.pt"), predictions(whole / "model.pt"), strict=True):
        np.testing.assert_array_equal(resumed, expected)
