"""Inputs of `fix rhopot/metad` that cannot be run: one sentence each, and what stops a run keeps its state."""

from __future__ import annotations

import warnings
from pathlib import Path

import lammps_process as lmp
import metadynamics_in_lammps as metad
import numpy as np
import pytest

from rhopot.export.cv_card import CvCard
from rhopot.export.cv_evaluate import evaluate_cv
from rhopot.export.cv_file import load_cv, save_cv
from rhopot.potentials import collective_variables as cvs
from rhopot.potentials.plumed_files import read_table

HILLS = "pace 5 height 0.05"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variables")
    metad.write_variables(folder)
    return folder


# What follows `fix bias all rhopot/metad`, and a part of the sentence.
REFUSED = {
    "no such file": (f"none.pt Li Si {HILLS} sigma 0.2", "collective variable 'none.pt' cannot be read"),
    "model": (f"model.pt Li Si {HILLS} sigma 0.2", "which holds no collective variable"),
    "truncated": (f"cut.pt Li Si {HILLS} sigma 0.2", "which is truncated or damaged"),
    "sigma 0": (f"coordination.pt Li Si {HILLS} sigma 0", "sigma must be a width of coordination above 0, got 0"),
    "no sigma": (f"coordination.pt Li Si {HILLS}", "hills need pace, height and sigma, one of them is missing"),
    "height": ("coordination.pt Li Si pace 5 height -1 sigma 0.2", "height must be an energy above 0, got -1"),
    "pace": (
        "coordination.pt Li Si pace 0 height 1 sigma 0.2",
        "pace must have a number of steps of at least 1",
    ),
    "not a number": ("coordination.pt Li Si pace x height 1 sigma 0.2", "pace must have numbers, got 'x'"),
    "keyword": (f"coordination.pt Li Si {HILLS} sigma 0.2 bias 3", "keyword must be one of biasfactor, colvar"),
    "element": (f"coordination.pt Li Ge {HILLS} sigma 0.2", "among those of the variable (Li, Si) or NULL, got Ge"),
    "elements": (f"coordination.pt Li {HILLS} sigma 0.2", "one element (or NULL) for each of the 2 atom types, got 1"),
    "needless element": (
        f"distance.pt Li Si {HILLS} sigma 0.2",
        "elements must be left out for a variable that reads no",
    ),
    "variable": (
        "distance.pt wall_upper angle 3 1",
        "must name a collective variable of the file (distance), got angle",
    ),
    "biasfactor": (f"distance.pt {HILLS} sigma 0.2 biasfactor 1", "biasfactor must be above 1, got 1"),
    "temperature": (f"distance.pt {HILLS} sigma 0.2 biasfactor 5", "biasfactor needs temp"),
    "nothing": ("distance.pt colvar C 5", "must have hills (pace, height, sigma), a wall or a moving restraint"),
    "grid": (f"distance.pt {HILLS} sigma 0.2 grid 0 10 20", "grid spacing must be at most half of sigma, got 0.5"),
    "period": (f"dihedral.pt {HILLS} sigma 0.2 grid 0 3 90", "must span its period"),
    "end": (f"distance.pt {HILLS} sigma", "sigma must be followed by more words"),
    "folder": (f"distance.pt {HILLS} sigma 0.2 walkers folder none 0 2", "must be a folder that exists, got 'none'"),
    "partitions": (f"distance.pt {HILLS} sigma 0.2 walkers partitions", "needs several partitions"),
    "hills of another": (f"distance.pt {HILLS} sigma 0.2 restart yes", "holds hills of another collective variable"),
    "numbers": (f"distance.pt {HILLS} sigma 0.2 restart yes hills torn", "must hold numbers, got 'x'"),
    "no hills to go on with": (
        f"distance.pt {HILLS} sigma 0.2 restart yes hills gone",
        "needs the hills of the run before",
    ),
    "one file": (f"distance.pt {HILLS} sigma 0.2 hills X colvar X 5", "hills and colvar must be two files, got 'X'"),
    "large pace": ("distance.pt pace 4294967297 height 1 sigma 0.2", "at most 2147483647, got 4294967297"),
    "large grid": (f"distance.pt {HILLS} sigma 0.2 grid 0 8 100000000000", "at most 1000000, got 100000000000"),
    "small sigma": (f"distance.pt {HILLS} sigma 1e-300", "sigma must be at least 1e-09, got 1e-300"),
    "folder for a file": (f"distance.pt {HILLS} sigma 0.2 colvar taken 5", "'taken' must be a file, got a folder"),
    "no members": (
        "distance.pt wall_upper distance 3 1 stop_uncertainty 1",
        "stop_uncertainty needs pair style rhopot",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(variables: Path, many_body: Path, tmp_path: Path, case: str) -> None:
    """On one rank; on two where one of them alone finds the fault."""
    words, sentence = REFUSED[case]
    ranks = 2 if case in ("no such file", "hills of another", "numbers", "folder for a file") else 1
    for name in ("coordination.pt", "distance.pt", "dihedral.pt"):
        (tmp_path / name).write_bytes((variables / name).read_bytes())
    (tmp_path / "model.pt").write_bytes(many_body.read_bytes())
    (tmp_path / "cut.pt").write_bytes((variables / "coordination.pt").read_bytes()[:-100])
    atoms = metad.structures()["crystal"]
    cv = load_cv(variables / "distance.pt")
    metad.write_hills(tmp_path / "HILLS", cv, metad.random_hills(cv, atoms), None)
    text = (tmp_path / "HILLS").read_text()
    (tmp_path / "taken").mkdir()
    (tmp_path / "torn").write_text(text + "x 1 1 1 1\n")
    (tmp_path / "HILLS").write_text(text.replace(cv.identity, "00000000"))
    before = (tmp_path / "HILLS").read_text()
    script = metad.start(tmp_path, atoms) + f"reset_timestep 1000\nfix bias all rhopot/metad {words}\nrun 0\n"
    result = lmp.lammps(tmp_path, script, ranks)
    assert result.status != 0
    assert sentence in result.output
    assert (tmp_path / "HILLS").read_text() == before


SITUATIONS = {
    "cutoff above the pair style's": (
        "pair_style zero 3.0\npair_coeff * *",
        "",
        "at least the cutoff of the collective variable, 3.4 A",
    ),
    "inclusion": (
        None,
        "group some id 1:20\natom_modify first some\nneigh_modify include some\n",
        "'neigh_modify include'",
    ),
    "exclusions": (None, "neigh_modify exclude type 1 1\n", "needs all neighbors of an atom"),
    "no pair style": (" ", "comm_modify cutoff 5\n", "needs a pair style"),
    "empty group": (None, "group none empty\n", "group none must hold atoms, got none"),
    "no centers": (None, "group some type 1\n", "must hold atoms of the elements of the collective variable, got none"),
    "respa": (None, "run_style respa 2 2\n", "run_style must be verlet"),
    "step 0": (None, "reset_timestep 0\n", "restart yes must begin at the step that its hills lead to"),
}


@pytest.mark.parametrize("case", SITUATIONS)
def test_impossible_runs(variables: Path, tmp_path: Path, case: str) -> None:
    pair, lines, sentence = SITUATIONS[case]
    atoms, path = metad.structures()["crystal"], variables / "coordination.pt"
    cv = load_cv(path)
    metad.write_hills(tmp_path / "HILLS", cv, metad.random_hills(cv, atoms), None)
    start = metad.start(tmp_path, atoms) if pair is None else metad.start(tmp_path, atoms, pair)
    group = {"empty group": "none", "no centers": "some"}.get(case, "all")
    fix = metad.fix(path, f"{HILLS} restart yes", group)
    if case == "no centers":
        fix = fix.replace("Li Si", "NULL Si")
    result = lmp.lammps(tmp_path, f"{start}reset_timestep 1000\n{lines}{fix}run 0\n", 2)
    assert result.status != 0
    assert sentence in result.output


def test_missing_atom(variables: Path, tmp_path: Path) -> None:
    atoms = metad.structures()["crystal"]
    script = metad.start(tmp_path, atoms) + "group gone id 8\ndelete_atoms group gone compress no\n"
    result = lmp.lammps(tmp_path, script + metad.fix(variables / "distance.pt", HILLS) + "run 0\n", 2)
    assert result.status != 0
    assert "atoms of the variable must exist, got no atom with ID 8" in result.output


def test_collective_variable_is_no_model(variables: Path, tmp_path: Path) -> None:
    atoms = metad.structures()["crystal"]
    result = lmp.lammps(tmp_path, lmp.setup(tmp_path, atoms, variables / "distance.pt", ["Li", "Si"]) + "run 0\n")
    assert result.status != 0
    assert "which holds a collective variable; give it to fix rhopot/metad" in result.output


def test_leaving_the_grid_keeps_the_state(variables: Path, tmp_path: Path, many_body: Path) -> None:
    """A variable beyond its grid stops the run; frame and restart file hold the step."""
    atoms, path = metad.structures()["crystal"], variables / "distance.pt"
    low = float(atoms.get_distance(0, 7, mic=True)) - 0.02
    words = f"{HILLS} grid {low} {low + 0.04} 60 moving distance {low} {low + 5} 50 0 100"
    script = metad.dynamics(tmp_path, atoms, many_body, words, 200, path)
    result = lmp.lammps(tmp_path, script, 2)
    assert result.status != 0
    assert "must stay on the grid from" in result.output
    frame, restart = next(tmp_path.glob("bias.*.lammpstrj")), next(tmp_path.glob("bias.*.restart"))
    assert len(lmp.read_dump(frame)[0]["id"]) == len(atoms)
    again = f"read_restart {restart}\npair_style rhopot\npair_coeff * * {many_body} Li Si\nrun 0\n"
    lmp.succeed(tmp_path, again)


def test_forces_that_are_no_numbers_keep_the_state(variables: Path, models: Path, tmp_path: Path) -> None:
    """Whatever the pair style: here a table with a hole."""
    atoms, path = metad.structures()["crystal"], variables / "distance.pt"
    pair = "pair_style lj/cut 4.0\npair_coeff * * 1e300 1e10"
    result = lmp.lammps(tmp_path, metad.start(tmp_path, atoms, pair) + metad.fix(path, HILLS) + "run 0\n", 2)
    assert result.status != 0
    assert "forces must be finite, got NaN or infinity; step 0 is kept in" in result.output
    assert len(lmp.read_dump(next(tmp_path.glob("bias.*.lammpstrj")))[0]["id"]) == len(atoms)


def test_uncertainty_stops_a_run(variables: Path, models: Path, tmp_path: Path) -> None:
    """Above the limit with a restart and a frame; below it the run ends well."""
    atoms, path = metad.structures()["crystal"], variables / "distance.pt"
    for limit, status in ((1e6, 0), (1e-6, 1)):
        words = f"{HILLS} stop_uncertainty {limit}"
        result = lmp.lammps(tmp_path, metad.dynamics(tmp_path, atoms, models / "calibrated.pt", words, 12, path), 2)
        assert (result.status != 0) == bool(status), result.output
    assert "standard deviation of forces must stay below stop_uncertainty" in result.output
    assert len(lmp.read_dump(next(tmp_path.glob("bias.*.lammpstrj")))[0]["id"]) == len(atoms)


def test_minimization_with_walls(variables: Path, tmp_path: Path, many_body: Path) -> None:
    """The minimum of energy and wall together; no hill is added."""
    atoms, path = metad.structures()["crystal"], variables / "distance.pt"
    at = float(atoms.get_distance(0, 7, mic=True)) + 0.5
    words = f"{HILLS} wall_lower distance {at} 20.0"
    fix = metad.fix(path, words) + "fix_modify bias energy yes\nthermo_style custom step pe f_bias[1] fnorm\n"
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"]) + fix
    script += 'minimize 0 1e-6 1000 10000\nprint "value d $(f_bias[1]:%.17g)"\nprint "value f $(fnorm:%.17g)"\n'
    result = lmp.succeed(tmp_path, script, 2)
    assert result.values["f"] < 1e-3
    assert result.values["d"] > at - 0.3
    assert len(read_table(tmp_path / "HILLS", allow_no_rows=True).values) == 0
    assert np.isfinite(result.values["d"])


TWO_FIXES = {
    "hills": ("hills H colvar C1 5", "hills H colvar C2 5", "must write different files, got 'H' for both"),
    "colvar": ("hills H1 colvar C 5", "hills H2 colvar C 5", "must write different files, got 'C' for both"),
    "none": ("hills H1 colvar C1 5", "hills H2 colvar C2 5", ""),
}


@pytest.mark.parametrize("case", TWO_FIXES)
def test_two_fixes_write_files_of_their_own(variables: Path, tmp_path: Path, case: str) -> None:
    first, second, sentence = TWO_FIXES[case]
    lines = metad.fix(variables / "distance.pt", f"{HILLS} {first}")
    lines += metad.fix(variables / "dihedral.pt", f"{HILLS} {second}").replace("fix bias", "fix other")
    result = lmp.lammps(tmp_path, metad.start(tmp_path, metad.structures()["crystal"]) + lines + "run 0\n", 2)
    assert (result.status != 0) == bool(sentence)
    assert sentence in result.output


DAMAGED = {
    "multivariate": (
        "#! SET multivariate false",
        "#! SET multivariate true",
        "must hold Gaussians of one variable each",
    ),
    "kernel": (
        "#! SET kerneltype gaussian",
        "#! SET kerneltype triangular",
        "must hold Gaussians of one variable each",
    ),
    "no header": ("#! FIELDS", "# FIELDS", "must begin with a line '#! FIELDS"),
    "sigma": (" 0.015", " -0.015", "must hold hills of a sigma above 0"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_hills_of_other_programs(variables: Path, tmp_path: Path, case: str) -> None:
    """Refused before HILLS or COLVAR are touched."""
    old, new, sentence = DAMAGED[case]
    atoms, cv = metad.structures()["crystal"], load_cv(variables / "distance.pt")
    metad.write_hills(tmp_path / "HILLS", cv, metad.random_hills(cv, atoms), None)
    text = (tmp_path / "HILLS").read_text()
    assert old in text
    (tmp_path / "HILLS").write_text(text.replace(old, new))
    (tmp_path / "COLVAR").write_text("mine\n")
    before = [(tmp_path / name).read_text() for name in ("HILLS", "COLVAR")]
    script = metad.start(tmp_path, atoms) + "reset_timestep 1000\n"
    result = lmp.lammps(tmp_path, script + metad.fix(variables / "distance.pt", f"{HILLS} restart yes") + "run 0\n")
    assert result.status != 0
    assert sentence in result.output
    assert [(tmp_path / name).read_text() for name in ("HILLS", "COLVAR")] == before


def test_colvar_of_another_run_is_kept(variables: Path, tmp_path: Path) -> None:
    atoms, cv = metad.structures()["crystal"], load_cv(variables / "distance.pt")
    metad.write_hills(tmp_path / "HILLS", cv, metad.random_hills(cv, atoms), None)
    (tmp_path / "COLVAR").write_text("#! FIELDS time angle metad.bias\n0 1 2\n")
    script = metad.start(tmp_path, atoms) + "reset_timestep 1000\n"
    result = lmp.lammps(tmp_path, script + metad.fix(variables / "distance.pt", f"{HILLS} restart yes") + "run 0\n")
    assert result.status != 0
    assert "it belongs to other variables or another bias" in result.output
    assert (tmp_path / "COLVAR").read_text() == "#! FIELDS time angle metad.bias\n0 1 2\n"
    assert len(read_table(tmp_path / "HILLS").values) == 7


def test_elements_in_the_wrong_order(variables: Path, tmp_path: Path) -> None:
    """As pair_coeff: masses of other elements are warned about, since nothing else would show it."""
    atoms = metad.structures()["crystal"]
    script = metad.start(tmp_path, atoms)
    line = metad.fix(variables / "coordination.pt", HILLS)
    right = lmp.succeed(tmp_path, script + line + "run 0\n")
    assert "has the mass of" not in right.output
    wrong = lmp.succeed(tmp_path, script + line.replace("Li Si", "Si Li") + "run 0\n")
    assert "WARNING: fix rhopot/metad: type 1 is Si but has the mass of Li (6.94)" in wrong.output
    assert wrong.output.count("are the elements in the order of the types?") == 1


def test_another_group_at_a_restart(variables: Path, tmp_path: Path) -> None:
    """A restart file knows how many centers the variable had, and the temperature of the hills."""
    words = f"{HILLS} biasfactor 8 temp 300"
    script = metad.start(tmp_path, metad.structures()["crystal"]) + "fix integrate all nve\n"
    lmp.succeed(tmp_path, script + metad.fix(variables / "coordination.pt", words) + "run 10\nwrite_restart r\n")
    again = "units metal\natom_modify map yes\nread_restart r\npair_style zero 4.0\npair_coeff * *\n"
    again += "fix integrate all nve\ngroup some id <= 4\n"
    same = lmp.succeed(tmp_path, again + metad.fix(variables / "coordination.pt", words) + "run 0\n")
    assert "WARNING: fix rhopot/metad" not in same.output
    other = metad.fix(variables / "coordination.pt", words.replace("300", "600"), "some")
    run = lmp.succeed(tmp_path, again + other + "run 0\n")
    assert "when the restart file was written; are group and elements the same?" in run.output
    assert "temp is 600, and was 300 when the restart file was written" in run.output


@pytest.mark.parametrize(("delete", "warned"), [("group gone id 2\ndelete_atoms group gone\n", True), ("", False)])
def test_atoms_that_were_deleted(variables: Path, tmp_path: Path, delete: str, warned: bool) -> None:
    """LAMMPS numbers the other atoms again: the variable may be that of others now."""
    script = metad.start(tmp_path, metad.structures()["crystal"]) + metad.fix(variables / "distance.pt", HILLS)
    run = lmp.succeed(tmp_path, f"{script}run 0\n{delete}run 0\n")
    assert ("in the last run; the variable is that of the atoms that have its IDs now" in run.output) == warned


def test_rerun_keeps_the_lines_of_the_run(variables: Path, tmp_path: Path) -> None:
    """Going back in time begins COLVAR again; that of the run is kept."""
    script = metad.start(tmp_path, metad.structures()["crystal"]) + "fix integrate all nve\n"
    script += (
        metad.fix(variables / "distance.pt", HILLS) + "dump d all custom 5 d.dump id type x y z\nrun 20\nundump d\n"
    )
    run = lmp.succeed(tmp_path, script + "rerun d.dump dump x y z\n")
    assert "'COLVAR' so far is now 'bck.0.COLVAR'" in run.output
    for name in ("bck.0.COLVAR", "COLVAR"):
        np.testing.assert_allclose(read_table(tmp_path / name).column("time"), 0.005 * np.arange(5), atol=1e-12)


@pytest.mark.parametrize(
    ("parts", "apart", "warned"),
    [
        ([cvs.Dihedral([1, 2, 3, 4])], 0.3, False),
        ([cvs.Dihedral([1, 2, 3, 4])], 0.49, True),
        ([cvs.Dihedral([1, 2, 3, 4])], 0.7, False),
        ([cvs.Distance([1, 2])], 0.49, False),
        ([cvs.Distance([2, 3]), cvs.Angle([1, 2, 3])], 0.49, True),
        ([cvs.Distance([3, 1]), cvs.Angle([2, 3, 4])], 0.49, False),
    ],
    ids=["near", "half", "other image", "distance", "second part", "between parts"],
)
def test_images_that_are_about_to_change(
    parts: list[cvs.CollectiveVariable], apart: float, warned: bool, tmp_path: Path
) -> None:
    """Atoms that follow each other half of the box apart: a variable of three jumps, the distance of two has a kink.

    In a combination, those of each part follow each other.
    """
    cv = tmp_path / "cv.pt"
    variable = parts[0] if len(parts) == 1 else cvs.combine(*parts)
    save_cv(variable, CvCard.of(variable), cv)
    atoms = metad.structures()["crystal"]
    atoms.positions[1:4] = atoms.positions[0] + [[0.0, 0.1, 0.2], [1.0, 2.0, 0.2], [1.0, 0.2, 2.0]]
    atoms.positions[1:4, 0] += apart * atoms.cell[0, 0]
    sigma = " ".join(["0.1"] * len(parts))
    words = f"fix bias all rhopot/metad {cv} sigma {sigma} {HILLS}\nrun 0\n"
    run = lmp.succeed(tmp_path, metad.start(tmp_path, atoms) + words)
    assert ("atoms 1 and 2 are half of the box apart at step 0" in run.output) == warned
    assert run.output.count("half of the box apart") == int(warned)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluate_cv(load_cv(cv), atoms, gradients=False)
    said = [str(each.message) for each in caught if "of a collective variable are half" in str(each.message)]
    assert [each.startswith("atoms 1 and 2 ") for each in said] == [True] * warned
