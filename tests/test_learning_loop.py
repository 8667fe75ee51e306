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

    def counted(frame: Atoms, name: str, keys: dict[str, str]) -> Atoms:
        if len(calculated) == 2:
            calculated.append(0)
            raise KeyboardInterrupt
        calculated.append(1)
        return label(frame, name, keys)

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
        (["--structure", "{cell}", "--md", "--seed 0 -o x"], "--md must leave --output, --seed to the loop, got", 1),
        (["--structure", "{cell}", "--md", "--until-uncertain 1"], "--md must leave --until-uncertain to the loop", 1),
        (["--structure", "{cell}", "--md=--overwrite"], "--md must leave --overwrite to the loop, got '--over", 1),
        (["--structure", "{cell}", "--md", "--config md.yaml"], "--md must leave --config to the loop, got '--co", 1),
        (["--structure", "{cell}", "--md", "--prototype fcc"], "--md must leave --prototype to the loop, got", 1),
        (["--structure", "{cell}", "--md", "'abc"], "--md must be words as in a shell, got 'abc: No closing quot", 1),
        (["--structure", "{cell}", "--md", "more.xyz"], "--md must be options of rhopot md, got 'more.xyz'", 1),
        (["--pool", "{pool}", "--test", "{pool}"], "--test must have energy labels in every frame, got 12 of 12", 1),
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


def test_a_pool_without_labels_needs_them(files: dict[str, str], tmp_path: Path) -> None:
    """Each frame, whatever else it carries; labels are then what the calculator gives."""
    frames = [copper(100 + k, 0.1) for k in range(3)]
    del frames[1].info["REF_energy"]
    frames[1].info["config_type"] = "rattled"
    ase.io.write(tmp_path / "pool.xyz", frames, format="extxyz")
    config = EXAMPLES / "configs" / "soap_linear.yaml"
    given = [files["start"], "--config", str(config), "--output", str(tmp_path / "loop")]
    said = r"--pool must have energy labels in every frame, got 1 of 3 .* \(first: frame 1\); give --labels"
    with pytest.raises(SystemExit, match=said):
        example("learning_loop/loop")([*given, "--pool", str(tmp_path / "pool.xyz")])
    assert not (tmp_path / "loop").exists()


def test_labels_have_the_keys_of_the_training_data() -> None:
    """Those of another method that the frame carries are not taken for them."""
    calculated = example("learning_loop/loop").__globals__["_calculated"]
    frame = copper(1, 0.1)
    energy, forces = frame.info["REF_energy"], frame.arrays["REF_forces"].copy()
    frame.info |= {"REF_energy": 7.0, "REF_stress": np.eye(3), "my_energy": 8.0}
    for keys, names in (
        ({"energy": "energy", "forces": "forces"}, ("energy", "forces", "stress")),
        ({"energy": ("my_energy", "energy"), "virial": "my_virial"}, ("my_energy", "my_forces", "my_virial")),
        ({}, ("REF_energy", "REF_forces", "REF_stress")),
    ):
        made = calculated(frame, "ase.calculators.emt:EMT", keys)
        assert made.info[names[0]] == pytest.approx(energy)
        assert made.arrays[names[1]] == pytest.approx(forces)
        assert set(made.info) - {"my_energy"} <= {names[0], names[2]}
    stress = calculated(frame, "ase.calculators.emt:EMT", {}).info["REF_stress"]
    virial = calculated(frame, "ase.calculators.emt:EMT", {"virial": "virial"}).info["virial"]
    assert virial == pytest.approx(-frame.get_volume() * stress)


def test_labels_that_are_not_finite_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    calculated = example("learning_loop/loop").__globals__["_calculated"]
    monkeypatch.setattr(EMT, "get_potential_energy", lambda self, *_, **__: float("nan"))
    with pytest.raises(ValueError, match=r"--labels must give finite energies and forces, got others of 'ase.calc"):
        calculated(bulk("Cu", cubic=True), "ase.calculators.emt:EMT", {})


def test_a_folder_holds_rounds_of_the_same_inputs(files: dict[str, str], output: Path, tmp_path: Path) -> None:
    """Other ones are refused by name; what rounds do not depend on may change: errors are of the test set that is."""
    main = example("learning_loop/loop")
    plain = [copper(k, 0.05) for k in range(16)]
    for frame in plain:
        frame.calc = EMT()
        frame.get_forces()
        frame.info.clear()
        del frame.arrays["REF_forces"]
    ase.io.write(tmp_path / "start.xyz", plain[:12], format="extxyz")
    for name, frames in (("test", plain[12:]), ("other", plain[13:])):
        ase.io.write(tmp_path / f"{name}.xyz", frames, format="extxyz")
    shutil.copy(files["pool"], tmp_path / "pool.xyz")
    config = tmp_path / "config.yaml"
    shutil.copy(EXAMPLES / "configs" / "soap_linear.yaml", config)
    shutil.rmtree(output)
    first = [str(tmp_path / "start.xyz"), "--config", str(config), "--output", str(output), "--limit", "0.01"]
    given = [*first, "--pool", str(tmp_path / "pool.xyz"), "--labels", "ase.calculators.emt:EMT", *SMALL]
    rounds = main([*given, "--rounds", "1", "--batch", "3", "--test", str(tmp_path / "test.xyz")])
    assert [row["labels"] for row in rounds] == [0, 3]
    assert json.loads((output / "inputs.json").read_text())["--labels"]["given"] == "ase.calculators.emt:EMT"

    more = main([*given, "--rounds", "2", "--batch", "2", "--test", str(tmp_path / "other.xyz")])
    assert [row["labels"] for row in more] == [0, 3, 5]
    assert more[0]["test"] != rounds[0]["test"]

    def refused(said: str, words: list[str]) -> None:
        with pytest.raises(SystemExit, match=f"loop.py: {said} must be as for the rounds in .*; give another --output"):
            main(words)

    refused("--labels", [*given, "--labels", "ase.calculators.lj:LennardJones"])
    refused("--random", [*given, "--random", "1"])
    refused("--labels, --random", [*given, "--labels", "ase.calculators.lj:LennardJones", "--random", "1"])
    refused("KEY=VALUE", [*given, "report.train_frames=2"])
    for name, file in (("--pool", "pool.xyz"), ("START", "start.xyz"), ("--config", "config.yaml")):
        before = (tmp_path / file).read_bytes()
        if file == "config.yaml":
            config.write_bytes(before + b"# more\n")
        else:
            ase.io.write(tmp_path / file, ase.io.read(tmp_path / file, ":")[1:], format="extxyz")
        refused(name, given)
        (tmp_path / file).write_bytes(before)
    assert len(main([*given, "--rounds", "2"])) == 3


def test_calculations_are_kept_by_structure(files: dict[str, str], output: Path) -> None:
    """A round that goes on with another batch has every frame once."""
    main = example("learning_loop/loop")
    label = main.__globals__["_label"]
    frames = [copper(400 + k, 0.1) for k in range(3)]
    options = main.__globals__["_options"](words(files, output, "--pool", files["pool"]))
    options.keys = {}
    label(options, output / "done.xyz", frames[1:])
    label(options, output / "done.xyz", frames)
    for made, frame in zip(ase.io.read(output / "done.xyz", ":"), frames, strict=True):
        assert made.positions == pytest.approx(frame.positions, abs=1e-6)


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
