"""The program of the learning loop: with a pool and with dynamics, labelled by a calculator, stopped and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from examples_at_hand import EXAMPLES, example

from rhopot.export import read_card

pytestmark = pytest.mark.slow

SMALL = [
    "descriptor.n_max=3", "descriptor.l_max=2", "descriptor.cutoff=4.5", "descriptor.cutoff_width=1.5",
    "uncertainty.members=4", "report.train_frames=1", "targets.stress=null",
]  # fmt: skip


def copper(seed: int, size: float) -> Atoms:
    """A rattled cell of copper with the labels of the effective-medium potential."""
    atoms = bulk("Cu", a=3.6, cubic=True).repeat((2, 1, 1))
    atoms.rattle(size, seed=seed)
    made = atoms.copy()
    atoms.calc = EMT()
    made.info["REF_energy"] = atoms.get_potential_energy()
    made.arrays["REF_forces"] = atoms.get_forces()
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Twelve labelled frames, a pool of unlabelled ones, some farther from the crystal, a test set, a start of md."""
    pool = [copper(100 + k, 0.05 + 0.03 * (k % 6)) for k in range(12)]
    bare = [Atoms(f.symbols, positions=f.positions, cell=f.cell, pbc=True) for f in pool]
    sets = {
        "start": [copper(k, 0.05) for k in range(12)],
        "pool": bare,
        "test": [copper(200 + k, 0.2) for k in range(4)],
        "cell": bare[:1],
    }
    for name, frames in sets.items():
        ase.io.write(tmp_path / f"{name}.xyz", frames, format="extxyz")
    return {name: str(tmp_path / f"{name}.xyz") for name in sets}


def words(files: dict[str, str], output: Path, *more: str) -> list[str]:
    config = EXAMPLES / "configs" / "soap_linear.yaml"
    labels = ["--labels", "ase.calculators.emt:EMT", "--config", str(config), "--output", str(output)]
    return [files["start"], *labels, *more, *SMALL]


def test_a_pool_is_harvested_labelled_and_appended(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors fall, labels are the calculator's, a stopped loop goes on without a label twice, and it ends by itself."""
    main = example("learning_loop/loop")
    given = words(files, tmp_path / "loop", "--pool", files["pool"], "--batch", "4", "--test", files["test"])
    calculated: list[int] = []
    label = main.__globals__["_calculated"]

    def counted(frame: Atoms, name: str) -> Atoms:
        if len(calculated) == 2:
            calculated.append(0)
            raise KeyboardInterrupt
        calculated.append(1)
        return label(frame, name)

    monkeypatch.setitem(main.__globals__, "_calculated", counted)
    with pytest.raises(KeyboardInterrupt):
        main([*given, "--limit", "0.01", "--rounds", "1"])
    rounds = main([*given, "--limit", "0.01", "--rounds", "1"])
    assert sum(calculated) == 4, "two before, two after"
    assert [row["labels"] for row in rounds] == [0, 4]
    errors = [row["test"]["forces_mae_mev_per_angstrom"] for row in rounds]
    assert errors[1] < 0.8 * errors[0]
    assert json.loads((tmp_path / "loop" / "loop.json").read_text()) == rounds
    for frame in ase.io.read(tmp_path / "loop" / "round_01" / "labelled.xyz", ":"):
        moving = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=True, calculator=EMT())
        assert frame.info["REF_energy"] == pytest.approx(moving.get_potential_energy(), abs=1e-6)
        assert frame.arrays["REF_forces"] == pytest.approx(moving.get_forces(), abs=1e-6)
    sizes = [read_card(tmp_path / "loop" / f"round_{k:02d}" / "run" / "model.pt").training_data for k in (0, 1)]
    assert sizes[1].summary["n_frames"] + sizes[1].summary["n_validation"] == 16

    assert len(main([*given, "--limit", "1e6", "--rounds", "3"])) == 2, "nothing is above the limit: no third model"
    assert not (tmp_path / "loop" / "round_02" / "run").exists()


def test_dynamics_gives_the_candidates(files: dict[str, str], tmp_path: Path) -> None:
    main = example("learning_loop/loop")
    dynamics = ["--structure", files["cell"], "--md", "--temperature 300,1500 --steps 40 --every 4", "--batch", "2"]
    rounds = main(words(files, tmp_path / "loop", *dynamics, "--rounds", "1", "--limit", "0.06"))
    assert rounds[0]["labels"] == 0
    assert rounds[1]["labels"] in (1, 2)
    assert rounds[0]["largest_error_eV_A"] > 0.06
    assert (tmp_path / "loop" / "round_01" / "md" / "md.json").is_file()


def test_random_choice_takes_labels_of_the_pool_and_never_one_twice(files: dict[str, str], tmp_path: Path) -> None:
    main = example("learning_loop/loop")
    ase.io.write(tmp_path / "labelled.xyz", [copper(300 + k, 0.1) for k in range(6)], format="extxyz")
    config = EXAMPLES / "configs" / "soap_linear.yaml"
    given = ["--config", str(config), "--output", str(tmp_path / "loop"), "--pool", str(tmp_path / "labelled.xyz")]
    rounds = main([files["start"], *given, "--random", "1", "--batch", "3", "--rounds", "2", *SMALL])
    assert [row["labels"] for row in rounds] == [0, 3, 6]
    parts = [ase.io.read(tmp_path / "loop" / f"round_{k:02d}" / "labelled.xyz", ":") for k in (1, 2)]
    assert sorted(frame.info["pool_frame"] for part in parts for frame in part) == list(range(6))
    assert np.isfinite([frame.info["REF_energy"] for part in parts for frame in part]).all()
