"""Files of PLUMED's format and of colvars, told apart; units and walkers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rhopot.potentials.free_energy.hills import UNITS
from rhopot.potentials.free_energy.run_files import load_colvars, load_hills, load_pmf, units_of
from rhopot.potentials.plumed_files import write_table

HILLS = ("time", "d", "sigma_d", "height", "biasf")


def hills(path: Path, time: float = 1.0) -> Path:
    write_table(path, HILLS, np.array([[time, 0.3, 0.02, 1.0, -1.0], [time + 1, 0.4, 0.02, 1.0, -1.0]]))
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_units_follow_the_format(tmp_path: Path) -> None:
    plumed, colvars = hills(tmp_path / "HILLS"), written(tmp_path / "x.hills.traj", " 10 1.0 0.1 0.01\n")
    assert units_of(plumed, None) is UNITS["plumed"]
    assert units_of(colvars, None) is UNITS["metal"]
    assert units_of(plumed, "real") is UNITS["real"]
    with pytest.raises(ValueError, match="units must be one of plumed, metal, real, got 'lj'"):
        units_of(plumed, "lj")
    assert load_hills([plumed]).heights[0] == pytest.approx(0.01036427)
    assert load_hills([plumed], units="metal").heights[0] == 1.0
    assert load_hills([colvars]).heights[0] == 0.01


def test_walkers(tmp_path: Path) -> None:
    files = [hills(tmp_path / f"HILLS.{k}", 0.5 * k) for k in range(3)]
    np.testing.assert_array_equal(load_hills(files).times, [0.0, 0.5, 1.0, 1.0, 1.5, 2.0])
    a = written(tmp_path / "a", "#! FIELDS time d\n 0 1\n")
    b = written(tmp_path / "b", "#! FIELDS time e\n 0 1\n")
    assert len(load_colvars([a, a])) == 2
    with pytest.raises(ValueError, match="files of several walkers must have the same columns"):
        load_colvars([a, b])
    one, other = (written(tmp_path / c, f"#! FIELDS time d\n#! SET rhopot_cv {c}\n 0 1\n") for c in ("1a", "2b"))
    assert len(load_colvars([one, a])) == 2
    with pytest.raises(ValueError, match=r"of one collective-variable file, got rhopot_cv 1a in .* and 2b in"):
        load_colvars([one, other])
    with pytest.raises(ValueError, match="must have a column time, got d"):
        load_colvars([written(tmp_path / "c", "#! FIELDS d\n 0\n")])


def test_a_hill_counts_once(tmp_path: Path) -> None:
    """A copy of a file, or rows that were appended again, would double the free energy."""
    file, copy = hills(tmp_path / "HILLS"), hills(tmp_path / "bck.0.HILLS")
    with pytest.raises(ValueError, match="must stand in the files once each, got 2 of 4 again; leave copies"):
        load_hills([file, copy])
    rows = [line for line in file.read_text().splitlines(keepends=True) if not line.startswith("#")]
    file.write_text(file.read_text() + rows[0])
    with pytest.raises(ValueError, match="got 1 of 3 again"):
        load_hills([file])


def test_walkers_that_are_left_out_are_named(tmp_path: Path) -> None:
    files = [hills(tmp_path / f"HILLS.{k}", 0.1 * k) for k in range(3)]
    hills(tmp_path / "HILLS.old", 7.0)
    assert load_hills(files).notes == ()
    (note,) = load_hills(files[:1]).notes
    assert note == f"{files[1]}, {files[2]} of other walkers not among the files: their hills are missing"


def test_what_is_told_of_hills_must_agree_with_them(tmp_path: Path) -> None:
    """A period that the file does not state is taken; another one, or another bias factor, is refused."""
    file = hills(tmp_path / "HILLS")
    assert load_hills([file], limits={"d": (-3.0, 3.0)}).variables[0].limits == (-3.0, 3.0)
    with pytest.raises(ValueError, match=r"--biasfactor must be that of '.*HILLS', inf, got 5"):
        load_hills([file], biasfactor=5.0)
    write_table(file, HILLS, np.array([[1.0, 0.3, 0.02, 1.0, 10.0]]), {"min_d": "-pi", "max_d": "pi"})
    assert load_hills([file], biasfactor=10.0, limits={"d": (-np.pi, np.pi)}).biasfactor == 10.0
    with pytest.raises(ValueError, match=r"--period of d must be that of '.*HILLS', -3.14159,3.14159, got -180,180"):
        load_hills([file], limits={"d": (-180.0, 180.0)})


def test_names_of_colvars_hills(tmp_path: Path) -> None:
    """From the columns of the trajectory, whatever their order; else as given; else cv1, cv2."""
    file = written(tmp_path / "x.hills.traj", " 10 1.0 5.0 0.1 0.5 0.01\n 20 1.1 5.5 0.1 0.5 0.01\n")
    text = "# step z d e\n 0 4.0 0.9 0.0\n 10 5.0 1.0 0.0\n 20 5.5 1.1 0.0\n"
    frames = load_colvars([written(tmp_path / "x.colvars.traj", text)])
    limits = {"z": (-6.0, 6.0)}
    found = load_hills([file], colvars=frames, limits=limits).variables
    assert [(each.name, each.limits) for each in found] == [("d", None), ("z", (-6.0, 6.0))]
    assert [each.name for each in load_hills([file], names=["a", "b"]).variables] == ["a", "b"]
    assert [each.name for each in load_hills([file], names=["a"]).variables] == ["cv1", "cv2"]
    other = load_colvars([written(tmp_path / "y.colvars.traj", text.replace(" 10 5.0", " 10 5.1"))])
    assert [each.name for each in load_hills([file], colvars=other).variables] == ["cv1", "cv2"]


def test_pmf_in_units(tmp_path: Path) -> None:
    file = written(tmp_path / "x.pmf", "# 1\n# 0 1 3 0\n\n 0.5 0.0\n 1.5 23.06\n 2.5 0.0\n")
    assert load_pmf(file).energy[1] == pytest.approx(23.06)
    assert load_pmf(file, units="real").energy[1] == pytest.approx(1.0, abs=1e-3)
