"""`rhopot metad`: both engines, walkers, killed runs that go on, a YAML file, what is written and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from rhopot.export.cv_card import CvCard
from rhopot.export.cv_file import save_cv
from rhopot.export.metadynamics_files import Columns
from rhopot.potentials.collective_variables import Dihedral, Distance
from rhopot.potentials.commands import main
from rhopot.potentials.commands.metad_summary import Summary
from rhopot.potentials.plumed_files import PlumedTable, read_table, write_table
from rhopot.potentials.properties.integrators import Integrator

EMT = ["--calculator", "ase.calculators.emt:EMT"]
FAST = ["--temperature", "300", "--steps", "60", "--every", "5", "--timestep", "4", "--pace", "5"]


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with d.pt, a distance, and phi.pt, a dihedral."""
    folder = tmp_path_factory.mktemp("variables")
    for name, variable in (("d", Distance([1, 2], "d")), ("phi", Dihedral([1, 2, 3, 4], "phi"))):
        save_cv(variable, CvCard.of(variable), folder / f"{name}.pt")
    return folder


@pytest.fixture
def copper(tmp_path: Path) -> str:
    file = tmp_path / "copper.extxyz"
    atoms = bulk("Cu", a=3.6, cubic=True)
    atoms.rattle(0.02, seed=1)
    atoms.write(file)
    return str(file)


@pytest.fixture
def alloy(tmp_path: Path) -> str:
    """A structure that the trained models were fitted to."""
    from trained_models import DATA

    file = tmp_path / "LiSi.extxyz"
    atoms = ase.io.read(DATA / "Li16Si16_0.xyz", index=0)
    Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True).write(file)
    return str(file)


def words(copper: str, variables: Path) -> list[str]:
    return ["metad", copper, *EMT, *FAST, "--cv", str(variables / "d.pt"), "--sigma", "0.05"]


def test_files_and_summary(copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "metad"
    assert main([*words(copper, variables), "--height", "0.02", "-o", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "hills of 0.02 eV every 5 steps, sigma 0.05; well-tempered, biasfactor 10; no grid; 1 walker" in said
    assert f"next: rhopot fes {folder}/HILLS --colvar {folder}/COLVAR --temperature 300" in said
    hills, colvar = read_table(folder / "HILLS"), read_table(folder / "COLVAR")
    assert hills.column("time") == pytest.approx(0.02 * np.arange(1, 13))
    assert colvar.column("time") == pytest.approx(0.02 * np.arange(13))
    assert colvar.fields == ("time", "d", "metad.bias")
    frames = ase.io.read(folder / "trajectory_ase.extxyz", index=":")
    distances = [frame.get_distance(0, 1, mic=True) for frame in frames]
    assert colvar.column("d") * 10.0 == pytest.approx(distances, abs=1e-6)
    rows = json.loads((folder / "metad.json").read_text())["structures"]["copper"]
    assert rows["hills"]["ase"] == 12
    assert rows["d, largest"]["ase"] == pytest.approx(max(distances), abs=1e-6)
    least, largest = (rows[f"final bias at the lines of COLVAR, {end}"]["ase"] for end in ("least", "largest"))
    assert 0.0 < least < largest < 12 * 0.02
    assert "+-" not in said, "no column that is always empty"
    assert "; atoms 1 2\n" in said
    assert "centers" not in said
    assert (folder / "metad.png").stat().st_size > 0


@pytest.mark.parametrize("extra", [["--thermostat", "langevin"], ["--ensemble", "npt"], ["--walkers", "2"]])
def test_a_stopped_run_goes_on(
    extra: list[str],
    copper: str,
    variables: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Interrupted in the 33rd step, with states saved at every frame: hills and lines are those of a whole run."""
    command = [*words(copper, variables), *extra, "--moving", "d,2.5,2.8,0.5,10,50", "-o"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    step = Integrator.step

    def interrupted(self: Integrator) -> None:
        if self.step_number == 33:
            raise KeyboardInterrupt
        step(self)

    monkeypatch.setattr("rhopot.potentials.properties.metadynamics_ase.SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Integrator, "step", interrupted)
        assert main([*command, str(tmp_path / "parts")]) == 130
    stopped = capsys.readouterr()
    assert "the same command with --restart goes on from the last saved state" in stopped.err
    assert "goes on from step" not in stopped.out
    assert main([*command, str(tmp_path / "parts"), "--restart"]) == 0
    kept = 12 if "--walkers" in extra else 6
    assert f"goes on from step 30 (0.12 ps), with {kept} hills\n" in capsys.readouterr().out

    ends = ["", ".0", ".1"]
    names = [
        f"{name}{end}" for name in ("HILLS", "COLVAR") for end in ends if (tmp_path / "whole" / f"{name}{end}").exists()
    ]
    assert len(names) == (4 if "--walkers" in extra else 2)
    for name in names:
        whole, parts = (read_table(tmp_path / folder / name) for folder in ("whole", "parts"))
        assert len(whole) == (12 if name.startswith("HILLS") else 13)
        assert parts.values == pytest.approx(whole.values, rel=1e-10, abs=1e-10)
    first, second = (
        json.loads((tmp_path / f / "metad.json").read_text())["structures"]["copper"] for f in ("whole", "parts")
    )
    for name, row in first.items():
        assert second[name]["ase"] == pytest.approx(row["ase"], rel=1e-9), name


@pytest.mark.parametrize("rows", [0, 1])
def test_a_run_does_not_go_on_without_its_hills(
    rows: int, copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*words(copper, variables), "-o", str(tmp_path / "metad")]
    assert main(command) == 0
    file = tmp_path / "metad/HILLS"
    table = read_table(file)
    write_table(file, table.fields, table.values[:rows], table.constants)
    capsys.readouterr()
    assert main([*command, "--restart", "--steps", "80"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"must hold the {len(table)} hills up to the saved step, got {rows}; bring the file back" in said


def test_a_run_that_saved_nothing_begins_anew_and_says_so(
    copper: str, variables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "metad"
    command = [*words(copper, variables), "--every", "20", "--pace", "10", "-o", str(folder)]
    step = Integrator.step

    def interrupted(self: Integrator) -> None:
        if self.step_number == 7:
            raise KeyboardInterrupt
        step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Integrator, "step", interrupted)
        assert main(command) == 130
    capsys.readouterr()
    assert main([*command, "--restart"]) == 0
    said = capsys.readouterr().out
    assert "nothing was saved yet: the run begins anew, at step 0; HILLS, COLVAR of before are kept as bck.*" in said
    assert (folder / "bck.0.HILLS").is_file()
    assert len(read_table(folder / "HILLS")) == 6
    assert main([*command, "--restart"]) == 0
    assert "all 60 steps are there: nothing is run; more --steps go on" in capsys.readouterr().out


def test_a_short_run_that_is_stopped_has_a_state(
    copper: str, variables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first state is saved at the first frame or hill, not seconds later; with other options it does not go on."""
    command = [*words(copper, variables), "-o", str(tmp_path / "metad")]
    step = Integrator.step

    def interrupted(self: Integrator) -> None:
        if self.step_number == 33:
            raise KeyboardInterrupt
        step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Integrator, "step", interrupted)
        assert main(command) == 130
    for name, changed in (("temperature", "400"), ("sigma", "0.06")):
        assert main([*command, "--restart", f"--{name}", changed]) == 1
        assert f"with results of another {name} (" in capsys.readouterr().err
    (tmp_path / "metad" / "stages.json").rename(tmp_path / "stages.json")
    assert main([*command, "--restart", "--sigma", "0.06"]) == 1
    assert "state_ase.npz' must be of a run with the same model" in capsys.readouterr().err
    (tmp_path / "stages.json").rename(tmp_path / "metad" / "stages.json")
    assert main([*command, "--restart"]) == 0
    assert "goes on from step 5 (0.02 ps), with 1 hill\n" in capsys.readouterr().out


@pytest.mark.parametrize("bias", [["--moving", "d,2.5,2.8,0.5,10,50"], ["--wall-upper", "d,2.5,1"]])
def test_walls_and_moving_restraints_without_hills(
    bias: list[str], copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "metad"
    command = ["metad", copper, *EMT, *FAST, "--cv", str(variables / "d.pt"), *bias, "-o", str(folder)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "no hills; " in said
    assert "next: rhopot fes" not in said
    assert "files: COLVAR, metad.png" in said
    assert not (folder / "HILLS").exists()
    term = "moving.bias" if "--moving" in bias else "walls.bias"
    assert read_table(folder / "COLVAR").column(term).max() > 0.0
    assert main([*command, "--restart", "--steps", "80"]) == 0
    assert "goes on from step 60 (0.24 ps)\n" in capsys.readouterr().out
    for further, sentence in (
        (["--walkers", "2"], "sigma must be given with walkers, got none"),
        (["--height", "0.1"], "sigma must be given with height, got none"),
    ):
        assert main([*command, *further]) == 1
        assert sentence in capsys.readouterr().err


def test_no_command_is_proposed_where_no_hill_was_added(
    copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(copper, variables), "--pace", "500", "-o", str(tmp_path / "metad")]) == 0
    assert "next: rhopot fes" not in capsys.readouterr().out


def test_picture_of_all_walkers(copper: str, variables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, object] = {}

    def draw(path: Path, time: np.ndarray, panels: dict[str, dict[str, np.ndarray]], title: str) -> None:
        drawn.update(time=time, panels=panels, title=title)

    monkeypatch.setattr("rhopot.potentials.plots.time_series", draw)
    assert main([*words(copper, variables), "--walkers", "2", "-o", str(tmp_path / "metad")]) == 0
    panels = drawn["panels"]
    assert {label: list(curves) for label, curves in panels.items()} == {  # type: ignore[attr-defined]
        "d (Å)": ["walker 0", "walker 1"],
        "bias of hills (eV)": ["walker 0", "walker 1"],
    }
    for k in range(2):
        found = panels["d (Å)"][f"walker {k}"]  # type: ignore[index]
        assert found == pytest.approx(10.0 * read_table(tmp_path / "metad" / f"COLVAR.{k}").column("d"))
    assert drawn["title"] == "ase.calculators.emt:EMT (ase)"


def test_energies_of_distant_hills_are_zero() -> None:
    columns = Columns(("d",), ("A",), (None,))
    table = PlumedTable(("time", "d"), np.zeros((1, 2)))
    summary = Summary(3, (5e-204, 0.1), np.zeros(1), np.ones(1), [table], columns)
    assert [value for name, _, value in summary.rows() if name.endswith("COLVAR, least")] == [0.0]


def test_help_offers_the_engines_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metad", "--help"]) == 0
    found = " ".join(capsys.readouterr().out.split())
    assert "ase|lammps" in found
    assert "both, which are compared" not in found
    assert "ase|lammps|both" not in found


def test_walkers_share_their_hills(copper: str, variables: Path, tmp_path: Path) -> None:
    """Without tempering the final bias is the sum of the hills of both; each starts with velocities of its own."""
    folder = tmp_path / "metad"
    assert main([*words(copper, variables), "--walkers", "2", "--biasfactor", "0", "-o", str(folder)]) == 0
    tables = [read_table(folder / f"HILLS.{k}") for k in range(2)]
    assert [len(table) for table in tables] == [12, 12]
    assert tables[0].column("d")[0] != tables[1].column("d")[0]
    # What walker 1 feels in its last step: the hills of both walkers but those of that step.
    last = read_table(folder / "COLVAR.1").values[-1]
    centers = np.concatenate([table.column("d")[:-1] for table in tables])
    heights = np.concatenate([table.column("height")[:-1] for table in tables])
    expected = (heights * np.exp(-0.5 * ((last[1] - centers) / 0.005) ** 2)).sum()
    assert last[2] == pytest.approx(expected, rel=1e-10)


def test_yaml(copper: str, variables: Path, tmp_path: Path) -> None:
    config = tmp_path / "metad.yaml"
    config.write_text(
        f"structure: {copper}\ncalculator: ase.calculators.emt:EMT\ncv: {variables / 'd.pt'}\nsigma: 0.05\nsteps: 20\n"
        "every: 5\npace: 5\ntimestep: 4\ntemperature: 300\nwall_upper: [d, 2.6, 5.0]\nwall_lower: ['d,2.0,1']\n"
        f"grid: [1.5, 4.0, 100]\nthermostat: langevin\noutput: {tmp_path / 'a'}\n"
    )
    assert main(["metad", "--config", str(config)]) == 0
    options = ["--thermostat", "langevin", "--wall-upper", "d,2.6,5", "--wall-lower", "d,2,1", "--grid", "1.5,4,100"]
    assert main([*words(copper, variables), *options, "--steps", "20", "-o", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a" / "COLVAR").read_text() == (tmp_path / "b" / "COLVAR").read_text()
    config.write_text(config.read_text() + "skip: 0.1\n")
    assert main(["metad", "--config", str(config), "-o", str(tmp_path / "c")]) == 1


def test_a_folder_with_a_run(copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*words(copper, variables), "-o", str(tmp_path / "metad")]
    assert main(command) == 0
    assert main(command) == 1
    assert "output must be a folder without a run" in capsys.readouterr().err
    assert main([*command, "--restart"]) == 0, "nothing is left to do"
    assert main([*command, "--restart", "--steps", "80"]) == 0
    assert read_table(tmp_path / "metad" / "HILLS").column("time") == pytest.approx(0.02 * np.arange(1, 17))
    assert main([*command, "--overwrite"]) == 0
    assert len(read_table(tmp_path / "metad" / "HILLS")) == 12
    assert main([*command, "--restart", "--sigma", "0.06"]) == 1
    assert "results of another sigma" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("walkers", [1, 2])
def test_lammps(
    walkers: int,
    trained_model: Callable[[str], Path],
    alloy: str,
    variables: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Values and hills are those of ASE, the input has the fix, and a longer run goes on with no hill twice."""
    model, cv = str(trained_model("soap_linear")), str(variables / "d.pt")
    command = ["metad", model, alloy, "--cv", cv, "--sigma", "0.05", "--temperature", "300", "--pace", "5"]
    command += [
        "--every",
        "5",
        "--wall-upper",
        "d,4.0,2",
        "--group",
        "Li",
        "--walkers",
        str(walkers),
        "--height",
        "0.05",
    ]
    assert main([*command, "--steps", "20", "-o", str(tmp_path / "ase")]) == 0
    lammps = [*command, "--engine", "lammps", "-n", "2", "-o", str(tmp_path / "lammps")]
    assert main([*lammps, "--steps", "20"]) == 0
    deck = (tmp_path / "ase" / "in.metad").read_text()
    assert "group biased type 1\n" in deck
    fix = f"fix metad biased rhopot/metad {cv} pace 5 height 0.05"
    assert f"{fix} sigma 0.05" in deck
    assert "wall_upper d 4 2 hills HILLS colvar COLVAR 5 restart no" in deck
    for k in range(walkers):
        end = "" if walkers == 1 else f".{k}"
        for name in ("COLVAR", "HILLS"):
            first, second = (read_table(tmp_path / engine / f"{name}{end}") for engine in ("ase", "lammps"))
            assert second.fields == first.fields
            assert second.constants == first.constants
            assert second.values == pytest.approx(first.values, rel=1e-6, abs=1e-8)
    kept = tmp_path / "lammps" / "stages.json"
    kept.rename(tmp_path / "kept.json")
    capsys.readouterr()
    assert main([*lammps, "--steps", "40", "--restart", "--seed", "1"]) == 1
    assert "metad.run' must be of a run with the same model" in capsys.readouterr().err
    (tmp_path / "kept.json").rename(kept)
    assert main([*lammps, "--steps", "40", "--restart"]) == 0
    assert f"goes on from step 20 (0.02 ps), with {4 * walkers} hills\n" in capsys.readouterr().out
    for k in range(walkers):
        end = "" if walkers == 1 else f".{k}"
        times = read_table(tmp_path / "lammps" / f"HILLS{end}").column("time")
        assert times == pytest.approx(times[0] * np.arange(1, 9))
    assert len(ase.io.read(tmp_path / "lammps" / f"trajectory_lammps{'' if walkers == 1 else '.1'}.extxyz", ":")) == 9


@pytest.mark.slow
def test_uncertainty_ends_a_run(
    trained_model: Callable[[str], Path],
    alloy: str,
    variables: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["metad", str(trained_model("soap_linear")), alloy, "--cv", str(variables / "d.pt"), "--sigma", "0.05"]
    assert main([*command, "--steps", "20", "--until-uncertain", "1e-9", "-o", str(tmp_path / "metad")]) == 3
    assert "the largest force uncertainty is" in capsys.readouterr().err
    assert (tmp_path / "metad" / "stopped_ase.extxyz").is_file()


def test_variables_that_leave_their_grid(
    copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*words(copper, variables), "--grid", "2.40,2.62,40", "--height", "0.5", "-o", str(tmp_path / "metad")]
    assert main(command) == 1
    assert "d must stay within its grid, 2.4 to 2.62, got 2." in capsys.readouterr().err
    assert (tmp_path / "metad" / "stopped_ase.extxyz").is_file()


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--engine", "both"], "--engine must be ase or lammps for metadynamics, got both"),
        (["--restart", "--overwrite"], "--restart must be given without --overwrite, got both"),
        (["--temperature", "300,400"], "temperature must be one number for metadynamics"),
        (["--ensemble", "nve"], "ensemble must be nvt or npt for metadynamics, got nve"),
        (["--thermostat", "langevin", "--ensemble", "npt"], "thermostat langevin must go with nvt"),
        (["--thermostat", "andersen"], "thermostat must be nose-hoover or langevin, got 'andersen'"),
        (["--sigma", "0.1,0.2"], "sigma must be given for each of d, got 2"),
        (["--biasfactor", "1"], "biasfactor must be above 1, got 1"),
        (["--wall-upper", "q,1,1"], "must name one of d, got 'q'"),
        (["--wall-upper", "d,1"], "wall_upper must be name,at,kappa, got 'd,1'"),
        (["--moving", "d,1,2,x,0,10"], "moving must be name,from,to,kappa,first,last, got 'd,1,2,x,0,10'"),
        (["--grid", "0,5,2.5"], "grid must be lo,hi,n, got '0,5,2.5'"),
        (["--grid", "2,3,10"], "grid spacing must be at most half of sigma, got 0.1 of d with sigma 0.05; give 60"),
        (["--walkers", "0"], "walkers must be 1 or more, got 0"),
        (["--group", "Au"], "group must be elements of the structure or numbers of atoms from 1 to 4, got 'Au'"),
        (["--cv", "nothing.pt"], "file of collective variables must exist, got no file at 'nothing.pt'"),
    ],
)
def test_refusals(
    extra: list[str], sentence: str, copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words(copper, variables), "-o", str(tmp_path / "metad"), *extra]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "metad").exists(), "nothing is written"


def test_what_must_be_given(copper: str, variables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, sentence in (
        ([], "cv must be a file of collective variables, got none; make one with rhopot cv"),
        (["--cv", str(variables / "d.pt")], "sigma must be given for hills, got none"),
    ):
        assert main(["metad", copper, *EMT, *options, "-o", str(tmp_path / "metad")]) == 1
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("limits", ["-3.1416,3.1416", "-pi,pi", "0,2pi"])
def test_a_turn_may_be_written_with_few_digits(limits: str, copper: str, variables: Path, tmp_path: Path) -> None:
    command = ["metad", copper, *EMT, *FAST, "--cv", str(variables / "phi.pt"), "--sigma", "0.1", "--grid"]
    assert main([*command, f"{limits},130", "--steps", "10", "-o", str(tmp_path / "metad")]) == 0
    assert read_table(tmp_path / "metad" / "HILLS").limits("phi") == (-np.pi, np.pi)
