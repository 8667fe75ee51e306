"""Files of `fix colvars`: of real runs, whose .pmf is our free energy, and damaged ones."""

from __future__ import annotations

import math
from pathlib import Path

import colvars_runs
import numpy as np
import pytest

from rhopot.potentials.free_energy.biased_frames import weigh
from rhopot.potentials.free_energy.colvars_files import bias_of_hills, read_hills, read_pmf, read_trajectory
from rhopot.potentials.free_energy.grid import Grid, Variable, thermal_energy
from rhopot.potentials.free_energy.hills import UNITS
from rhopot.potentials.free_energy.reweighting import reweighted_surface
from rhopot.potentials.free_energy.run_files import load_colvars, load_hills, load_pmf
from rhopot.potentials.free_energy.surface import surface_of_hills

TRUNCATED = 2e-6  # eV: colvars leaves Gaussians out below exp(-11.5) of their height


@pytest.mark.slow
def test_well_tempered_metadynamics(tmp_path: Path) -> None:
    colvars_runs.run(tmp_path, "run", colvars_runs.DISTANCE + colvars_runs.WALL + colvars_runs.METADYNAMICS)
    frames = load_colvars([tmp_path / "run.colvars.traj"])
    assert frames[0].table.fields == ("time", "d", "E_wall", "E_mtd")
    assert len(frames[0].table) == 2001
    file = tmp_path / "run.colvars.mtd.hills.traj"
    hills = load_hills([file], biasfactor=6.0, colvars=frames)
    assert (len(hills), hills.variables[0].name, bias_of_hills(file)) == (400, "d", "E_mtd")
    pmf = load_pmf(tmp_path / "run.pmf", names=["d"])
    mine = surface_of_hills(hills, Grid(hills.variables, pmf.grid.axes, pmf.grid.wraps))
    assert pmf.energy.max() > 0.05
    np.testing.assert_allclose(mine.energy, pmf.energy, rtol=0, atol=TRUNCATED)
    with pytest.raises(ValueError, match=r"bias factor must be given for hills of different weights in .*hills\.traj"):
        load_hills([file])


@pytest.mark.slow
def test_two_variables_one_of_them_periodic(tmp_path: Path) -> None:
    colvars_runs.run(
        tmp_path, "run", colvars_runs.DISTANCE + colvars_runs.HEIGHT + colvars_runs.WALL + colvars_runs.IN_TWO
    )
    limits = {"z": (-15.0, 15.0)}
    frames = load_colvars([tmp_path / "run.colvars.traj"], limits=limits)
    hills = load_hills([tmp_path / "run.colvars.mtd.hills.traj"], colvars=frames, limits=limits)
    pmf = load_pmf(tmp_path / "run.pmf", names=["d", "z"])
    assert hills.variables == pmf.grid.variables == (Variable("d"), Variable("z", "", (-15.0, 15.0)))
    assert pmf.grid.wraps == (False, True)
    mine = surface_of_hills(hills, Grid(hills.variables, pmf.grid.axes, pmf.grid.wraps), last=0.0)
    np.testing.assert_allclose(mine.energy, pmf.energy, rtol=0, atol=TRUNCATED)
    open_z = load_hills([tmp_path / "run.colvars.mtd.hills.traj"], colvars=frames)
    other = surface_of_hills(open_z, Grid(hills.variables, pmf.grid.axes, pmf.grid.wraps), last=0.0)
    assert open_z.variables[1].limits is None
    np.testing.assert_allclose(other.energy, mine.energy, atol=1e-12)  # the grid's variables count


@pytest.mark.slow
def test_opes(tmp_path: Path) -> None:
    """Its .pmf is the histogram of all steps with weights exp(E / kT); .misc.traj has the same bias."""
    colvars_runs.run(tmp_path, "run", colvars_runs.DISTANCE + colvars_runs.WALL + colvars_runs.OPES, 20_000, every=1)
    thermal = thermal_energy(300.0)
    found = weigh(load_colvars([tmp_path / "run.colvars.traj"]), ["d"], thermal)
    assert found.weights == "exp(V / kT), V: E_opes"
    assert "walls (E_wall) belong to the system" in found.notes[0]
    pmf = load_pmf(tmp_path / "run.colvars.opes.pmf", names=["d"])
    mine = reweighted_surface(found.frames, pmf.grid, thermal)
    sampled = np.isfinite(mine.energy)
    assert sampled.sum() > 30
    np.testing.assert_allclose(mine.energy[sampled], pmf.energy[sampled], rtol=0, atol=1e-5)
    misc = weigh(load_colvars([tmp_path / "run.colvars.opes.misc.traj"], units="metal"), ["d"], thermal)
    again = reweighted_surface(misc.frames, pmf.grid, thermal)
    np.testing.assert_allclose(again.energy[sampled], mine.energy[sampled], atol=1e-3)


@pytest.mark.slow
def test_real_units(tmp_path: Path) -> None:
    """kcal/mol: the same hills, 23 times as high in the file, are the same in eV."""
    weight = colvars_runs.METADYNAMICS.replace("0.005", "0.1153").replace("wellTempered on", "wellTempered off")
    colvars_runs.run(tmp_path, "run", colvars_runs.DISTANCE + weight, 4000, units="real")
    hills = load_hills([tmp_path / "run.colvars.mtd.hills.traj"], units="real")
    np.testing.assert_allclose(hills.heights, 0.005, rtol=1e-3)
    pmf = load_pmf(tmp_path / "run.pmf", units="real")
    mine = surface_of_hills(hills, Grid(hills.variables, pmf.grid.axes, pmf.grid.wraps), last=0.0)
    np.testing.assert_allclose(mine.energy, pmf.energy, rtol=0, atol=TRUNCATED)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_trajectories_of_restarts(tmp_path: Path) -> None:
    """A header every now and then; vectors and a line cut off are left out; a repeated step counts once, the last."""
    text = "# step d v E_m\n 0 1.0 ( 1 , 2 , 3 ) 0.1\n 10 1.5 ( 1 , 2 , 3 ) 0.2\n# step d v E_m\n"
    text += " 10 1.6 ( 1 , 2 , 3 ) 0.3\n 20 1.7 ( 1 , 2 , 3 ) 0.4\n 30 1."
    found = read_trajectory(written(tmp_path / "a.colvars.traj", text))
    assert found.fields == ("time", "d", "E_m")
    np.testing.assert_array_equal(found.values, [[0, 1.0, 0.1], [10, 1.6, 0.3], [20, 1.7, 0.4]])
    assert "line 7: an incomplete line was dropped" in found.notes[0]


def test_hills_of_replicas(tmp_path: Path) -> None:
    file = written(tmp_path / "x.hills.traj", " 10 1.0 0.1 0.01 one\n 20 1.1 0.1 0.01 one\n 30 1.")
    hills = read_hills(file, names=["d"])
    np.testing.assert_array_equal(hills.times, [10, 20])
    np.testing.assert_array_equal(hills.heights, [0.01, 0.01])
    assert math.isinf(hills.biasfactor)
    assert "an incomplete line was dropped" in hills.notes[0]
    assert bias_of_hills(file) == ""
    tempered = read_hills(file, biasfactor=5.0, units=UNITS["real"])
    np.testing.assert_allclose(tempered.weights, 0.01 * UNITS["real"].energy)
    np.testing.assert_allclose(tempered.heights, 0.0125 * UNITS["real"].energy)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must hold hills or frames, got an empty file"),
        ("# nothing\n", "must hold hills, got none"),
        (" 10 1.0 0.1\n", "must have lines of step, centers, sigmas and weight"),
        (" 10 1.0 0.1 0.01\n 10 1.0\n 20 1.0 0.1 0.01\n", "must have lines of step, centers"),
        (" 10 1.0 0.1 abc\n", "must hold lines of equally many numbers"),
        (" 10 1.0 0.1 0.01\n 20 1.0 nan 0.01\n", "must be finite numbers"),
    ],
)
def test_damaged_hills_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_hills(written(tmp_path / "x.hills.traj", text))


def test_hills_and_names_that_do_not_fit(tmp_path: Path) -> None:
    file = written(tmp_path / "x.hills.traj", " 10 1.0 0.1 0.01\n")
    with pytest.raises(ValueError, match="variables must be the 1 of the hills"):
        read_hills(file, names=["d", "z"])
    with pytest.raises(ValueError, match=r"bias factor must be above 1, got 0\.5"):
        read_hills(file, biasfactor=0.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" 0 1.0\n", "must begin with '# step'"),
        ("# step d\n", "must hold rows of numbers, got none"),
        ("# step d\n 0 1.0\n 1\n 2 1.0\n", "line 3 must have 2 columns, got 1"),
        ("# step d\n 0 1.0\n# step z\n", "line 3 must name the columns of the lines above"),
    ],
)
def test_damaged_trajectories_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_trajectory(written(tmp_path / "x.colvars.traj", text))


def test_grids(tmp_path: Path) -> None:
    text = "# 2\n# 0.0 0.5 2 0\n# -180 90 4 1\n\n"
    text += "\n".join(f"{0.25 + 0.5 * i} {-135 + 90 * j} {10 * i + j}" for i in range(2) for j in range(4)) + "\n"
    found = read_pmf(written(tmp_path / "x.pmf", text), ["d", "phi"])
    np.testing.assert_array_equal(found.energy, [[0, 1, 2, 3], [10, 11, 12, 13]])
    np.testing.assert_allclose(found.grid.axes[1], [-135, -45, 45, 135])
    assert found.grid.variables[1].limits == (-180.0, 180.0)
    with pytest.raises(ValueError, match="variables must be the 2 of"):
        read_pmf(tmp_path / "x.pmf", ["d"])
    with pytest.raises(ValueError, match="must have 8 lines of 3 numbers"):
        read_pmf(written(tmp_path / "y.pmf", text[: text.rindex("\n", 0, -1) + 1]))
    with pytest.raises(ValueError, match="must be a grid of colvars"):
        read_pmf(written(tmp_path / "z.pmf", "0 1\n1 2\n"))
