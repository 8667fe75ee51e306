"""The program of the learning loop: with a pool and with dynamics, labelled by a calculator, stopped and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from examples_at_hand import EXAMPLES, example

from rhopot.export import read_card
from rhopot.potentials.commands import main as rhopot

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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Twelve labelled frames, a pool of unlabelled ones, some farther from the crystal, a test set, a start of md."""
    folder = tmp_path_factory.mktemp("files")
    pool = [copper(100 + k, 0.05 + 0.03 * (k % 6)) for k in range(12)]
    bare = [Atoms(f.symbols, positions=f.positions, cell=f.cell, pbc=True) for f in pool]
    sets = {
        "start": [copper(k, 0.05) for k in range(12)],
        "pool": bare,
        "test": [copper(200 + k, 0.2) for k in range(4)],
        "cell": bare[:1],
    }
    for name, frames in sets.items():
        ase.io.write(folder / f"{name}.xyz", frames, format="extxyz")
    return {name: str(folder / f"{name}.xyz") for name in sets}


@pytest.fixture
def output(files: dict[str, str], tmp_path: Path) -> Path:
    """A loop whose first model is there already, which is the same in all tests."""
    first = Path(files["start"]).parent / "first"
    if not first.exists():
        config = EXAMPLES / "configs" / "soap_linear.yaml"
        keep = ["regressor.keep_equations=true", "report.learning_curve=[]", "report.stability=null"]
        assert rhopot(["train", str(config), f"data.train={files['start']}", *keep, *SMALL, f"output={first}"]) == 0
    shutil.copytree(first, tmp_path / "loop" / "round_00" / "run")
    return tmp_path / "loop"


def words(files: dict[str, str], output: Path, *more: str) -> list[str]:
    config = EXAMPLES / "configs" / "soap_linear.yaml"
    labels = ["--labels", "ase.calculators.emt:EMT", "--config", str(config), "--output", str(output)]
    return [files["start"], *labels, *more, *SMALL]


def test_a_pool_is_harvested_labelled_and_appended(
    files: dict[str, str], output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors fall, labels are the calculator's, a stopped loop goes on without a label twice, and it ends by itself."""
    main = example("learning_loop/loop")
    given = words(files, output, "--pool", files["pool"], "--batch", "4", "--test", files["test"])
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
    assert json.loads((output / "loop.json").read_text()) == rounds
    for frame in ase.io.read(output / "round_01" / "labelled.xyz", ":"):
        moving = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=True, calculator=EMT())
        assert frame.info["REF_energy"] == pytest.approx(moving.get_potential_energy(), abs=1e-6)
        assert frame.arrays["REF_forces"] == pytest.approx(moving.get_forces(), abs=1e-6)
    sizes = [read_card(output / f"round_{k:02d}" / "run" / "model.pt").training_data for k in (0, 1)]
    assert sizes[1].summary["n_frames"] + sizes[1].summary["n_validation"] == 16

    assert len(main([*given, "--limit", "1e6", "--rounds", "3"])) == 2, "nothing is above the limit: no third model"
    assert not (output / "round_02" / "run").exists()


@pytest.mark.parametrize(
    ("given", "said", "status"),
    [
        (["--pool", "nofile.xyz"], "--pool must be a file, got 'nofile.xyz'; check the name", 1),
        (["--pool", "{pool}", "--test", "no.xyz"], "--test must be a file, got 'no.xyz'", 1),
        (["--pool", "{gold}"], "--pool must have elements of '{start}', Cu, got Au; add structures", 1),
        (["--pool", "{pool}", "--labels", "ase.calculators.emt:EMTX"], "--labels must be module:function, got", 1),
        (["--pool", "{pool}", "--limit", "-0.3"], "--limit must be above 0 eV/A, got -0.3", 2),
        (["--pool", "{pool}", "--batch", "0"], "--batch must be 1 or more, got 0", 2),
        (["--structure", "{cell}", "--md", "--step 5"], "--md '--step 5': No such option: --step", 1),
        (["--structure", "{cell}", "--md", "--ensemble nvp"], "--md '--ensemble nvp': ensemble must be nve, nvt,", 1),
        (["--structure", "{cell}", "--limit", "0.001"], "limit of the predicted force error must be above", 1),
    ],
)
def test_what_is_refused(
    given: list[str],
    said: str,
    status: int,
    files: dict[str, str],
    output: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All but the last, which depends on the model, before the first training: its folder is not there."""
    ase.io.write(tmp_path / "gold.xyz", bulk("Au", cubic=True), format="extxyz")
    names = {**files, "gold": str(tmp_path / "gold.xyz")}
    where = output if "0.001" in given else tmp_path / "other"
    with pytest.raises(SystemExit) as refused:
        example("learning_loop/loop")(words(files, where, *(word.format_map(names) for word in given)))
    text = str(refused.value.code) if status == 1 else capsys.readouterr().err.strip()
    assert status == 1 or refused.value.code == status
    assert text.startswith(f"loop.py: {said.format_map(names)}")
    assert "\n" not in text
    assert (where / "round_00").exists() == ("0.001" in given)


def test_a_pool_without_labels_needs_them(files: dict[str, str], output: Path) -> None:
    config = EXAMPLES / "configs" / "soap_linear.yaml"
    given = [files["start"], "--config", str(config), "--output", str(output), "--pool", files["pool"]]
    with pytest.raises(SystemExit, match="--pool must carry labels, or --labels be given, got"):
        example("learning_loop/loop")(given)


def test_kept_dynamics_of_other_options(files: dict[str, str], output: Path) -> None:
    """What to do is said in words of the loop."""
    main = example("learning_loop/loop")
    dynamics = words(files, output, "--structure", files["cell"], "--rounds", "1", "--limit", "1e5")
    main([*dynamics, "--md", "--steps 20 --every 4"])
    with pytest.raises(SystemExit, match=r"--md must stay as it was for the dynamics in .*, got '--steps 24.* remove"):
        main([*dynamics, "--md", "--steps 24 --every 4"])


def test_dynamics_gives_the_candidates(files: dict[str, str], output: Path) -> None:
    main = example("learning_loop/loop")
    dynamics = ["--structure", files["cell"], "--md", "--temperature 300,1500 --steps 40 --every 4", "--batch", "2"]
    rounds = main(words(files, output, *dynamics, "--rounds", "1", "--limit", "0.04"))
    assert rounds[0]["labels"] == 0
    assert rounds[1]["labels"] in (1, 2)
    assert rounds[0]["largest_error_eV_A"] > 0.04
    assert (output / "round_01" / "md" / "md.json").is_file()


def test_random_choice_takes_labels_of_the_pool_and_never_one_twice(files: dict[str, str], output: Path) -> None:
    main = example("learning_loop/loop")
    ase.io.write(output / "pool.xyz", [copper(300 + k, 0.1) for k in range(6)], format="extxyz")
    config = EXAMPLES / "configs" / "soap_linear.yaml"
    given = [files["start"], "--config", str(config), "--output", str(output), "--pool", str(output / "pool.xyz")]
    given += ["--random", "1", "--batch", "3", *SMALL]
    assert [row["labels"] for row in main([*given, "--rounds", "1"])] == [0, 3]
    first = output / "round_01" / "labelled.xyz"
    assert np.isfinite([frame.info["REF_energy"] for frame in ase.io.read(first, ":")]).all()
    options = main.__globals__["_options"](given)
    second, _ = main.__globals__["_chosen"](options, output / "round_02", output / "round_01" / "run", [first], 2)
    known = {frame.info["pool_frame"] for frame in ase.io.read(first, ":")}
    assert known | {frame.info["pool_frame"] for frame in second} == set(range(6))
