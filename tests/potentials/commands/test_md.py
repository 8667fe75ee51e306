"""`rhopot md`: trained models in both engines, resumed, from a YAML file, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from rhopot.potentials.commands import main
from rhopot.potentials.properties.integrators import Integrator
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.structures.velocities import thermal_momenta

EMT = ["--calculator", "ase.calculators.emt:EMT"]
FAST = ["--repeat", "2", "--temperature", "300", "--steps", "40", "--every", "2", "--timestep", "4"]


@pytest.fixture
def copper(tmp_path: Path) -> str:
    file = tmp_path / "copper.extxyz"
    bulk("Cu", a=3.6).write(file)
    return str(file)


def results(folder: Path) -> dict:
    return json.loads((folder / "md.json").read_text())


@pytest.fixture
def training_structure(tmp_path: Path) -> str:
    """One that the trained models were fitted to."""
    from trained_models import DATA

    file = tmp_path / "LiSi.extxyz"
    atoms = ase.io.read(DATA / "Li16Si16_0.xyz", index=0)
    Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True).write(file)
    return str(file)


def test_few_atoms_are_noted(copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for repeat, few in (("1,1,2", True), ("3", False)):
        words = ["md", *EMT, copper, "--repeat", repeat, "--steps", "4", "--every", "1", "-o", str(tmp_path / repeat)]
        assert main(words) == 0
        said = capsys.readouterr().out
        assert ("note: 2 atoms in a periodic cell: temperatures of so few mean little" in said) == few


@pytest.mark.parametrize("family", ["soap_linear", "multispectrum", "bpnn"])
def test_engines_agree(
    family: str, trained_model: Callable[[str], Path], training_structure: str, tmp_path: Path
) -> None:
    """The same start, the same short run, and averages of two runs within their errors, on two ranks."""
    words = [str(trained_model(family)), training_structure, "--engine", "both", "-n", "2", "-o", str(tmp_path / "md")]
    options = ["--ensemble", "npt", "--barostat", "full", "--steps", "40", "--every", "2", "--skip", "0"]

    assert main(["md", *words, *options]) == 0

    folder, found = tmp_path / "md", results(tmp_path / "md")
    rows = found["structures"]["LiSi"]
    assert rows["energy at the start"]["difference"] < 1e-9
    assert rows["forces at the start, largest difference"]["lammps"] < 1e-8
    assert rows["stress at the start, largest difference"]["lammps"] < 1e-6
    assert rows["positions after 50 steps of nve, largest difference"]["lammps"] < 1e-6
    for name in ("temperature", "potential energy", "volume", "pressure"):
        errors = rows[name]["standard_errors"]
        assert rows[name]["difference"] < 5 * max(errors.values()), name
    assert found["dynamics"]["timestep"] == 1.0, "lithium"
    assert {"Li-Li", "Li-Si", "Si-Si"} == set(found["limits"]["closest"])
    names = {file.name for file in folder.iterdir()}
    assert {"in.md", "md.data", "rdf.png", "adf.png", "msd.png", "md.json"} < names
    for engine in ("ase", "lammps"):
        assert {f"{stem}_{engine}.csv" for stem in ("thermo", "rdf", "adf", "msd")} < names
        assert {f"trajectory_{engine}.extxyz", f"thermodynamics_{engine}.png"} < names
        assert len(ase.io.read(folder / f"trajectory_{engine}.extxyz", index=":")) == 21


def test_uncertainty_ends_both_engines_in_one_step(
    trained_model: Callable[[str], Path], training_structure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit that the heated structure passes: an exit status of its own, with a sentence and the frame."""
    words = [str(trained_model("soap_linear")), training_structure, "--engine", "both", "-n", "2"]
    options = ["--ensemble", "nve", "--temperature", "3000", "--steps", "60", "--every", "2", "--skip", "0"]
    assert main(["md", *words, *options, "--until-uncertain", "1000", "-o", str(tmp_path / "free")]) == 0
    rows = np.genfromtxt(tmp_path / "free" / "thermo_ase.csv", delimiter=",", names=True)["force_uncertainty_eV_A"]
    others = np.genfromtxt(tmp_path / "free" / "thermo_lammps.csv", delimiter=",", names=True)["force_uncertainty_eV_A"]
    assert others == pytest.approx(rows, rel=1e-5)
    limit = 0.5 * (rows[:8].max() + rows.max())
    step = 2 * int(np.argmax(rows > limit))
    assert step >= 16

    folder = tmp_path / "limited"
    assert main(["md", *words, *options, "--until-uncertain", f"{limit}", "-o", str(folder)]) == 3

    ended = results(folder)["ended"]
    assert {engine: (each["step"], each["kind"]) for engine, each in ended.items()} == {
        "ase": (step, "uncertain"),
        "lammps": (step, "uncertain"),
    }
    said = capsys.readouterr()
    assert f"ase stopped at step {step}" in said.out
    assert f"rhopot: ase stopped at step {step}" in said.err
    assert f"what to label: rhopot harvest {trained_model('soap_linear')} {folder}" in said.err
    frames = [ase.io.read(folder / f"stopped_{engine}.extxyz") for engine in ("ase", "lammps")]
    assert frames[1].positions == pytest.approx(frames[0].positions, abs=1e-5)

    at_once = tmp_path / "at_once"
    assert main(["md", *words, *options, "--until-uncertain", "1e-9", "-o", str(at_once)]) == 3
    ended = results(at_once)["ended"]
    assert (ended["ase"]["step"], ended["lammps"]["step"]) == (0, 2), "fix halt does not look at the start"
    assert len(ase.io.read(at_once / "stopped_ase.extxyz")) == len(frames[0])


def test_the_same_command_goes_on(
    copper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted at step 25 with states saved at every frame; then steps are made once more and kept results used.

    Another command is refused, and leaves the interrupted run as it is.
    """
    words = ["md", copper, *EMT, *FAST, "--ensemble", "nve", "-o"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    step = Integrator.step

    def interrupted(self: Integrator) -> None:
        if self.step_number == 25:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr("rhopot.potentials.properties.dynamics_ase.SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Integrator, "step", interrupted)
        assert main([*words, str(tmp_path / "parts")]) != 0
    assert "interrupted; the same command goes on from the last saved state" in capsys.readouterr().err
    for name, changed in (("temperature", "400"), ("timestep", "2")):
        assert main([*words, str(tmp_path / "parts"), f"--{name}", changed]) == 1
        assert f"with results of another {name} (" in capsys.readouterr().err
    made: list[int] = []
    monkeypatch.setattr(Integrator, "step", lambda self: (made.append(self.step_number), step(self))[1])
    assert main([*words, str(tmp_path / "parts")]) == 0
    assert made == list(range(24, 40))
    first, second = (results(tmp_path / name)["averages"]["ase"] for name in ("whole", "parts"))
    assert second["potential energy"]["mean"] == pytest.approx(first["potential energy"]["mean"], abs=1e-10)
    whole, parts = ((tmp_path / name / "trajectory_ase.extxyz").read_text() for name in ("whole", "parts"))
    assert len(parts.splitlines()) == len(whole.splitlines())

    assert main([*words, str(tmp_path / "parts")]) == 0
    assert len(made) == 16, "nothing is computed again"
    assert main([*words, str(tmp_path / "parts"), "--steps", "50"]) == 0
    assert made[16:] == list(range(40, 50)), "more steps extend a run"


def test_one_command_at_a_time_writes_a_folder(copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "md"
    words = ["md", copper, *EMT, *FAST, "-o", str(folder)]
    with lock_folder(folder):
        assert main(words) == 1
        sentence = f"output must be a folder that no other process is writing, got '{folder}', in use by process"
        assert sentence in capsys.readouterr().err
        assert [file.name for file in folder.iterdir()] == [".lock"]
    assert main(words) == 0
    assert not (folder / ".lock").exists()


def moving(path: Path, velocity: float) -> str:
    """Copper with thermal velocities of 300 K and a common one in A/fs."""
    atoms = bulk("Cu", cubic=True)
    atoms.set_momenta(thermal_momenta(atoms, 300.0, seed=5))
    atoms.set_velocities(atoms.get_velocities() + [velocity / units.fs, 0.0, 0.0])
    ase.io.write(path, atoms)
    return str(path)


def test_copies_do_not_move_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell = moving(tmp_path / "cell.extxyz", 0.0)
    words = ["md", cell, *EMT, "--ensemble", "nve", "--steps", "20", "--every", "5", "--repeat", "2"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    assert "velocities of the file are not used: all copies would move alike" in capsys.readouterr().out
    momenta = ase.io.read(tmp_path / "out" / "trajectory_ase.extxyz", index=0).get_momenta().reshape(8, 4, 3)
    assert np.abs(momenta[1:] - momenta[0]).max(axis=(1, 2)).min() > 0.1


def test_a_common_velocity_is_taken_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The temperature counts 3 N - 3 degrees of freedom, which do not hold it."""
    words = ["md", *EMT, "--ensemble", "nve", "--steps", "20", "--every", "5", "--skip", "0"]
    for name, velocity in (("still", 0.0), ("moving", 0.01)):
        assert main([*words, moving(tmp_path / f"{name}.extxyz", velocity), "-o", str(tmp_path / name)]) == 0
        assert ("common velocity" in capsys.readouterr().out) == (velocity > 0.0)
    still, other = (results(tmp_path / name)["averages"]["ase"]["temperature"]["mean"] for name in ("still", "moving"))
    assert other == pytest.approx(still, rel=1e-5), "velocities of the file have eight digits"


def test_a_run_does_not_become_shorter(copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["md", copper, *EMT, "--ensemble", "nve", "--every", "2", "--repeat", "2", "-o", str(tmp_path)]
    assert main([*words, "--steps", "20"]) == 0
    assert main([*words, "--steps", "10"]) == 1
    assert "steps must be at least the 20 that this run in" in capsys.readouterr().err


def test_a_yaml_file_holds_the_same_keys(copper: str, tmp_path: Path) -> None:
    """The command line comes before the file, the file before defaults."""
    (tmp_path / "run.yaml").write_text(
        f"structure: {copper}\ncalculator: ase.calculators.emt:EMT\nensemble: npt\nbarostat: full\npressure: 1\n"
        f"temperature: [300, 500]\nsteps: 20\nevery: 2\nrepeat: [2, 2, 3]\ntimestep: 4\noutput: {tmp_path / 'out'}\n"
        "engine: lammps\n"
    )
    assert main(["md", "--config", str(tmp_path / "run.yaml"), "--steps", "24", "--engine", "ase"]) == 0
    found = results(tmp_path / "out")
    assert found["engines"] == ["ase"]
    assert found["dynamics"] == {
        "ensemble": "npt",
        "barostat": "full",
        "pressure": 1.0,
        "temperature": [300.0, 500.0],
        "steps": 24,
        "timestep": 4.0,
        "every": 2,
        "seed": 0,
        "held": 0,
        "thermostat": "nose-hoover",
    }
    assert found["n_atoms"] == 12
    assert "drift of the conserved quantity" not in found["structures"]["copper"]


def test_the_picture_shows_the_conserved_quantity_where_it_is_one(
    copper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not along a ramp, where the thermostat works."""
    drawn: list[list[str]] = []

    def time_series(path: Path, time: object, panels: dict[str, object], title: str = "") -> Path:
        drawn.append(list(panels))
        return path

    monkeypatch.setattr("rhopot.potentials.plots.time_series", time_series)
    for name, kelvin in (("constant", "300"), ("ramp", "300,500")):
        assert main(["md", copper, *EMT, *FAST, "--temperature", kelvin, "-o", str(tmp_path / name)]) == 0
    assert ["conserved (meV/atom)" in panels for panels in drawn] == [True, False]
    assert drawn[0][0] == drawn[1][0] == "temperature (K)"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tempertaure: 300", "line 1: tempertaure must be one of"),
        ("steps: many", "line 1: steps must be a whole number, got 'many'"),
        ("every: 2\nsteps: true", "line 2: steps must be a whole number, got 'True'"),
        ("engine: 3", "line 1: engine must be text, got 3"),
        ("pressure: 2", "pressure must be given with npt or nph, got 2.0 with nvt"),
        ("temperature: [1, 2, 3]", "temperature must be one or two numbers in K, got [1.0, 2.0, 3.0]"),
    ],
)
def test_files_that_are_refused(
    text: str, sentence: str, copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    assert main(["md", copper, *EMT, "--config", str(tmp_path / "run.yaml"), "-o", str(tmp_path / "out")]) != 0
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*.csv"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ensemble", "nvp"], "ensemble must be nve, nvt, npt or nph, got 'nvp'"),
        (["--temperature", "hot"], "temperature must be a number, got 'hot'"),
        (["--repeat", "2,2"], "repeat must be one or three positive numbers, got [2, 2]"),
        (["--repeat", "2", "--atoms", "9"], "repeat must be given without atoms, got both"),
        (["--until-uncertain", "1"], "until_uncertain must be used with a model whose ensemble members have forces"),
        (["--until-uncertain", "0"], "until_uncertain must be above 0, got 0; leave it out to run to the end"),
        (["--closest", "-3"], "closest must be 0 or more, got -3; 0 watches no distances"),
        (["--pressure", "5"], "pressure must be given with npt or nph, got 5.0 with nvt, whose cell is fixed"),
        (["--ensemble", "nve", "--barostat", "full"], "barostat must be given with npt or nph, got full with nve"),
        (["--adf-cutoff", "nan"], "adf_cutoff must be above 0 A, got nan"),
        (["--ensemble", "npt", "--pressure", "nan"], "pressure must be a number in GPa, got nan"),
        (["--steps", "5"], "steps must be at least every, and every at least 1, got steps 5 and every 10"),
        (["--timestep", "-1"], "timestep must lie between 0 and 20 fs, got -1"),
        (["--temperature", "-5"], "temperature must be one or two positive numbers in K, got -5; write 300"),
        (["--no-members"], "No such option: --no-members"),
        (["--skip", "1"], "skip must be a fraction from 0 to below 1, got 1"),
        ([], "structure must hold two atoms or more for dynamics, got 1"),
    ],
)
def test_options_that_are_refused(
    options: list[str], sentence: str, copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = [] if not options or options[0] == "--repeat" else ["--repeat", "2"]
    assert main(["md", copper, *EMT, *grown, *options, "-o", str(tmp_path / "out")]) != 0
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "refused before anything is written"


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (
            ["--steps", "20"],
            "ase has no averages: they take 4 frames after those that are skipped, got 3; give more",
            0,
        ),
        (["--closest", "9"], "ase has no averages: they take 4 frames after those that are skipped, got 0", 1),
    ],
)
def test_why_a_run_has_no_averages(
    options: list[str], said: str, status: int, copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too few frames, or stopped at its start: no empty list of files and no empty table."""
    assert main(["md", copper, *EMT, "--repeat", "2", *options, "-o", str(tmp_path / "out")]) == status
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(said) for line in lines)
    assert not [line for line in lines if line.startswith("files:") or line.strip() in ("copper", "ase  unit")]


def test_a_runaway_fails_with_everything_written(
    copper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["md", copper, *EMT, *FAST, "--closest", "2.4", "--temperature", "3000", "-o", str(tmp_path / "md")]
    assert main(words) != 0
    printed = capsys.readouterr()
    assert "two atoms Cu-Cu are closer than 2.4 A; frame in" in printed.err
    assert results(tmp_path / "md")["ended"]["ase"]["kind"] == "closest"
    assert (tmp_path / "md" / "stopped_ase.extxyz").is_file()
    assert main(words) != 0, "the same command says the same"
