"""`rhopot diffusion`: walkers of known coefficients read from folders, and runs of a trained model in both engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from refusals import refusal

from rhopot.potentials.commands import main

ENERGY, PREFACTOR = 0.3, 5e-3  # eV, cm^2/s
KELVINS = (600.0, 900.0, 1200.0)


def walk(
    folder: Path,
    kelvin: float,
    seed: int,
    ensemble: str = "nvt",
    engine: str = "ase",
    host: str = "Si",
    by: float = 1.0,
) -> Path:
    """A folder as `rhopot md` leaves it: lithium walks at random among silicon at rest, frames 0.1 ps apart.

    by: factor of the coefficient
    """
    folder.mkdir()
    coefficient = by * PREFACTOR * np.exp(-ENERGY / (units.kB * kelvin))
    steps = np.random.default_rng(seed).normal(scale=np.sqrt(2.0 * coefficient * 1e4 * 0.1), size=(600, 60, 3))
    # Heavy silicon, so that the center of mass is that of the lattice.
    symbols, masses = ["Li"] * 60 + [host] * 20, [7.0] * 60 + [1e6] * 20
    frames = []
    for positions in steps.cumsum(axis=0):
        frames.append(Atoms(symbols, np.vstack([positions, np.zeros((20, 3))]), cell=[12.0] * 3, pbc=True))
        frames[-1].set_masses(masses)
    ase.io.write(folder / f"trajectory_{engine}.extxyz", frames, format="extxyz")
    dynamics = {"ensemble": ensemble, "temperature": [kelvin, kelvin], "every": 50, "timestep": 2.0}
    (folder / "md.json").write_text(json.dumps({"engines": [engine], "dynamics": dynamics}))
    return folder


def results(folder: Path) -> dict:
    return json.loads((folder / "diffusion.json").read_text())


def test_walkers_read_from_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Coefficients, activation energy and conductivity within four of the errors that are stated."""
    runs = [str(walk(tmp_path / f"{kelvin:g}", kelvin, k)) for k, kelvin in enumerate(KELVINS)]
    words = [word for run in runs for word in ("--run", run)]
    options = ["--charge", "Li=1", "--ballistic", "0.1", "--skip", "0", "-o", str(tmp_path / "out")]

    assert main(["diffusion", *words, *options]) == 0

    rows = results(tmp_path / "out")["structures"]["runs"]
    for kelvin in KELVINS:
        row = rows[f"D of Li at {kelvin:g} K"]
        known = PREFACTOR * np.exp(-ENERGY / (units.kB * kelvin))
        assert abs(row["ase"] - known) < 4 * row["standard_errors"]["ase"]
        assert row["standard_errors"]["ase"] < 0.1 * known
        sigma = rows[f"conductivity at {kelvin:g} K"]
        # 60 charges e in (12 A)^3; e^2/k in C^2 K/J, per cm^3
        expected = 60 / (12e-8) ** 3 * known * units._e**2 / (units._k * kelvin)
        assert abs(sigma["ase"] - expected) < 4 * sigma["standard_errors"]["ase"]
    energy = rows["activation energy of Li"]
    assert abs(energy["ase"] - ENERGY) < 4 * energy["standard_errors"]["ase"]
    assert energy["standard_errors"]["ase"] < 0.05
    assert "activation energy of Si" not in rows, "silicon rests"
    said = capsys.readouterr().out
    assert "ase: no measurable diffusion" in said
    assert "lines are fitted from 0.1 to 5.9 ps, half of a block\n" in said
    assert {"msd_ase.png", "arrhenius.png", "diffusion.json"} <= {file.name for file in (tmp_path / "out").iterdir()}


def test_a_short_fit_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = walk(tmp_path / "run", 600.0, 1)
    words = ["--run", str(run), "--ballistic", "3.5", "--skip", "0", "-o", str(tmp_path / "out")]
    assert main(["diffusion", *words]) == 0
    assert "from 3.5 to 5.9 ps, half of a block; note: that is less than the ballistic" in capsys.readouterr().out


ANALYSIS = ["--charge", "Li=1", "--ballistic", "0.1", "--skip", "0"]


def test_engines_are_compared_at_one_temperature(tmp_path: Path) -> None:
    """Runs of one engine at some temperatures, of the other at some: rows by temperature, a line for each."""
    runs = [walk(tmp_path / f"a{k:g}", k, 1) for k in (600.0, 900.0)]
    runs += [walk(tmp_path / f"l{k:g}", k, 2, engine="lammps", by=2.0) for k in (900.0, 1200.0)]
    words = [word for run in reversed(runs) for word in ("--run", str(run))]
    assert main(["diffusion", *words, *ANALYSIS, "-o", str(tmp_path / "out")]) == 0
    rows = results(tmp_path / "out")["structures"]["runs"]
    engines = {kelvin: {"ase", "lammps"} & set(rows[f"D of Li at {kelvin} K"]) for kelvin in (600, 900, 1200)}
    assert engines == {600: {"ase"}, 900: {"ase", "lammps"}, 1200: {"lammps"}}
    assert rows["D of Li at 900 K"]["lammps"] == pytest.approx(2 * rows["D of Li at 900 K"]["ase"], rel=0.1)
    assert set(rows["conductivity at 1200 K"]) >= {"lammps"}
    energy = rows["activation energy of Li"]
    assert {"ase", "lammps"} < set(energy)
    assert abs(energy["lammps"] - energy["ase"]) < 0.05
    assert list(results(tmp_path / "out")["fits"]["lammps"]) == ["900", "1200"]


def test_runs_at_one_temperature_are_named_apart(tmp_path: Path) -> None:
    """Both are in the table and in the numbers, and in the line."""
    runs = [walk(tmp_path / name, 600.0, k, by=k) for k, name in ((1, "first"), (4, "second"))]
    runs += [walk(tmp_path / "hot", 900.0, 3)]
    words = [word for run in runs for word in ("--run", str(run))]
    assert main(["diffusion", *words, *ANALYSIS, "-o", str(tmp_path / "out")]) == 0
    found = results(tmp_path / "out")
    rows = found["structures"]["runs"]
    first, second = (rows[f"D of Li at 600 K, {run}"]["ase"] for run in runs[:2])
    assert second == pytest.approx(4 * first, rel=0.1)
    assert "D of Li at 600 K" not in rows
    assert list(found["fits"]["ase"]) == [f"600, {runs[0]}", f"600, {runs[1]}", "900"]


@pytest.mark.parametrize("kind", ["twice", "other elements"])
def test_runs_that_do_not_belong_together(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [walk(tmp_path / "a", 600.0, 1), walk(tmp_path / "b", 900.0, 2, host="Ge")]
    if kind == "twice":
        runs[1] = tmp_path / "b" / ".." / "a"
    words = [word for run in runs for word in ("--run", str(run))]
    said = refusal(capsys, ["diffusion", *words, *ANALYSIS, "-o", str(tmp_path / "out")])
    sentences = {
        "twice": f"--run must be different folders, got {runs[0]}, {runs[1]}; name each once",
        "other elements": f"--run must be runs of one material, got Li, Si in '{runs[0]}' and Ge, Li in '{runs[1]}'",
    }
    assert sentences[kind] in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_trained_model_in_both_engines(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """A short run on two ranks, begun at one start; the same command reads it again."""
    from trained_models import DATA

    atoms = ase.io.read(DATA / "Li16Si16_0.xyz", index=0)
    Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True).write(tmp_path / "LiSi.extxyz")
    words = ["diffusion", str(trained_model("soap_linear")), str(tmp_path / "LiSi.extxyz"), "-o", str(tmp_path / "out")]
    options = ["--temperatures", "500", "--engine", "both", "-n", "2", "--steps", "60", "--every", "1"]
    more = ["--blocks", "2", "--ballistic", "0.002", "--skip", "0", "--charge", "Li=1"]

    assert main([*words, *options, *more]) == 0

    rows = results(tmp_path / "out")["structures"]["LiSi"]
    assert rows["forces at the start, largest difference"]["lammps"] < 1e-8
    # So short a run is the same in both: these are the same numbers, not only within errors.
    assert rows["D of Li at 500 K"]["lammps"] == pytest.approx(rows["D of Li at 500 K"]["ase"], rel=0.05)
    before = (tmp_path / "out" / "500K" / "thermo_lammps.csv").stat().st_mtime_ns
    assert (tmp_path / "out" / "500K" / "in.md").is_file()
    assert "activation energy of Li" not in rows, "one temperature, and no diffusion in 60 steps"
    assert main([*words, *options, *more]) == 0
    assert (tmp_path / "out" / "500K" / "thermo_lammps.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "temperatures must be given, or folders of rhopot md by --run, got neither"),
        (["--run", "nowhere"], "--run must be a folder of rhopot md, got 'nowhere' without md.json"),
        (["--temperatures", "hot"], "temperatures must be numbers in K, got 'hot'"),
        (["--temperatures", "300", "--closest", "-1"], "closest must be 0 or more, got -1"),
        (["--temperatures", "300", "--timestep", "50"], "timestep must lie between 0 and 20 fs, got 50"),
        (["--no-members"], "No such option: --no-members"),
        (["--temperatures", "300", "--charge", "Li"], "charge must be ELEMENT=NUMBER, got 'Li'; write Li=1"),
        (["--temperatures", "300", "--charge", "Li=nan"], "charge must be ELEMENT=NUMBER, got 'Li=nan'; write Li=1"),
        (["--temperatures", "300,300.0001"], "temperatures must differ in six digits, got '300,300.0001'"),
    ],
)
def test_what_is_refused(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diffusion", *words]) != 0
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "10000"], "trajectory must be long enough for 5 times between the ballistic time, 1 ps"),
        (["--ballistic", "nan"], "ballistic must be 0 ps or more, got nan"),
        (["--charge", "Na=1"], "charge must name elements of the structure, got Na; there are Li, Si"),
        (["--temperatures", "-5,500"], "temperature must be one or two positive numbers in K, got -5; write 300"),
    ],
)
def test_what_no_run_could_give_is_refused_before_it(
    words: list[str],
    sentence: str,
    trained_model: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from trained_models import DATA

    ase.io.read(DATA / "Li16Si16_0.xyz", index=0).write(tmp_path / "LiSi.extxyz")
    given = [str(trained_model("soap_linear")), str(tmp_path / "LiSi.extxyz"), "-o", str(tmp_path / "out")]
    assert main(["diffusion", *given, "--temperatures", "500", *words]) != 0
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_runs_that_have_no_temperature_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = walk(tmp_path / "nve", 600.0, 0, "nve")
    assert main(["diffusion", "--run", str(run), "-o", str(tmp_path / "out")]) != 0
    assert "--run must be dynamics at one temperature, nvt or npt, got nve" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
