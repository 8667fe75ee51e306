"""`rhopot fes`: what it prints and writes for PLUMED's and colvars' files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import colvars_runs
import numpy as np
import pytest
from biased_runs import KT, BiasedRun, difference, metadynamics

from rhopot.potentials.commands import main
from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, read_table
from rhopot.potentials.runs.folder_lock import lock_folder

PNG = b"\x89PNG"
ANGSTROM = {"rhopot_unit_s": "A", "rhopot_unit_y": "A"}


@pytest.fixture(scope="module")
def run() -> BiasedRun:
    return metadynamics(6000, walkers=2, height=0.2)


@pytest.fixture
def folder(run: BiasedRun, tmp_path: Path) -> Path:
    """Two walkers' files; s and y are written in nm and shown in A."""
    run.write(tmp_path, 0.1, ANGSTROM)
    return tmp_path


def fes(folder: Path, *words: str, status: int = 0) -> dict[str, Any]:
    """The numbers of a command in a folder, whose words name files there."""
    known = [str(folder / word) if (folder / word).exists() else word for word in words]
    assert main(["fes", *known, "--output", str(folder / "fes")]) == status
    numbers: dict[str, Any] = json.loads((folder / "fes" / "fes.json").read_text())
    return numbers


def walkers(name: str) -> list[str]:
    return [f"{name}.0", f"{name}.1"]


COLVARS = ["--colvar", "COLVAR.0", "--colvar", "COLVAR.1"]


def test_hills_and_frames(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = fes(folder, *walkers("HILLS"), *COLVARS, "--temperature", "300")
    output = capsys.readouterr().out
    for words in (
        "free energy of s (Å): minus the sum of 600 hills of well-tempered metadynamics with bias factor 6",
        "frames, ",
        "weights exp(V / kT), V: V(s, t) - c(t) of the hills",
        "bootstrap of blocks of",
        "F of basin (eV)",
        "1 to 2",
        "2 to 1",
    ):
        assert words in output
    first, second = found["basins"]
    assert first["place"]["s"] == pytest.approx(-1.0, abs=0.1)
    assert second["place"]["s"] == pytest.approx(1.0, abs=0.1)
    assert second["free_energy_ev"] == pytest.approx(difference() * KT, abs=0.4 * KT)
    assert 0.0 < second["free_energy_error_ev"] < 0.4 * KT
    assert len(found["barriers"]) == 1
    assert len(found["convergence"]["times"]) == 20
    assert {file.name for file in (folder / "fes").iterdir()} == {"fes.dat", "fes.json", "fes.png", "convergence.png"}
    for name in ("fes.png", "convergence.png"):
        assert (folder / "fes" / name).read_bytes()[:4] == PNG
    table = read_table(folder / "fes" / "fes.dat")
    assert table.fields == ("s", "free_energy", "reweighted", "error", "basin")
    assert table.constants == {"unit_s": "A", "unit_free_energy": "eV"}
    assert table.column("free_energy").min() == 0.0
    assert set(table.column("basin")) == {1.0, 2.0}


def test_a_folder_that_another_process_writes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock_folder(folder / "fes"):
        words = [*(str(folder / name) for name in walkers("HILLS")), "--output", str(folder / "fes")]
        assert main(["fes", *words]) == 1
    assert "output must be a folder that no other process is writing" in capsys.readouterr().err


def test_another_temperature_than_that_of_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which stands in metad.json beside the files."""
    (folder / "metad.json").write_text(json.dumps({"settings": {"temperature": [300.0]}}))
    fes(folder, "HILLS.0", "--temperature", "300")
    capsys.readouterr()
    fes(folder, "HILLS.0", "--temperature", "400", status=1)
    assert "--temperature must be that of the run, 300 K in " in capsys.readouterr().err


def test_other_units_and_an_own_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = folder / "numbers.json"
    words = [*walkers("HILLS"), "--energy", "kJ/mol", "--grid", "-1.5,1.5,61", "--json", str(own), "--no-blocks"]
    found = fes(folder, *words)
    assert json.loads(own.read_text()) == found
    output = capsys.readouterr().out
    assert "F of minimum (kJ/mol)" in output
    assert "error" not in output
    table = read_table(folder / "fes" / "fes.dat")
    np.testing.assert_allclose(table.column("s"), np.linspace(-1.5, 1.5, 61), atol=1e-8)
    in_ev = found["barriers"][0]["forward_ev"]
    assert f"{in_ev / EV_PER_KJ_PER_MOL:.3f}" in output
    assert "free_energy_ev" not in found["basins"][0]


def test_a_column_of_colvar(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """F(y) has one basin; without hills the bias as it was is undone."""
    words = [*COLVARS, "-T", "300", "--variable", "y", "--bandwidth", "0.1"]
    found = fes(folder, *walkers("HILLS"), *words)
    assert found["method"].startswith("weighted kernel density estimate of")
    assert found["variables"] == [{"name": "y", "unit": "A"}]
    alone = fes(folder, *words)
    assert alone["frames"].endswith("exp(V / kT), V: metad.bias")
    plane = fes(folder, *walkers("HILLS"), *words, "--variable", "s", "--bandwidth", "0.1", "--weights", "final")
    assert [each["name"] for each in plane["variables"]] == ["y", "s"]
    assert "V(s, t_end)" in plane["frames"]
    assert "basin" in capsys.readouterr().out


@pytest.mark.slow
def test_files_of_colvars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = colvars_runs.DISTANCE + colvars_runs.WALL
    colvars_runs.run(tmp_path, "wt", config + colvars_runs.METADYNAMICS, 60_000)
    hills = ["wt.colvars.mtd.hills.traj", "--biasfactor", "6"]
    found = fes(tmp_path, *hills, "--colvar", "wt.colvars.traj", "--temperature", "300")
    assert found["variables"] == [{"name": "d", "unit": ""}]
    assert "V(s, t) - c(t) of the hills" in found["frames"]
    assert "walls (E_wall) belong to the system" in " ".join(found["notes"])
    assert found["convergence"]["times"][-1] == 60_000
    named = fes(tmp_path, *hills, "--variable", "distance", "--temperature", "300")
    assert named["variables"][0]["name"] == "distance"
    pmf = fes(tmp_path, "wt.pmf", "--variable", "d", "--temperature", "300")
    assert pmf["basins"][0]["place"]["d"] == pytest.approx(found["basins"][0]["place"]["d"], abs=0.15)
    colvars_runs.run(tmp_path, "opes", config + colvars_runs.OPES, 60_000)
    opes = fes(
        tmp_path, "--colvar", "opes.colvars.traj", "--variable", "d", "--temperature", "300", "--bandwidth", "0.1"
    )
    assert opes["frames"].endswith("exp(V / kT), V: E_opes")
    assert opes["basins"][0]["place"]["d"] == pytest.approx(3.85, abs=0.2)
    capsys.readouterr()
    assert main(["fes", str(tmp_path / hills[0]), "--output", str(tmp_path / "x")]) == 1
    assert "bias factor must be given for hills of different weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "files must be hills, a .pmf, or --colvar, got none"),
        (["empty"], "got an empty file; has the run begun?"),
        (["header"], "must hold rows of numbers, got none"),
        (["COLVAR.0"], "must be a HILLS file with columns NAME, sigma_NAME and height"),
        (["nowhere"], "No such file or directory"),
        (["few"], "hills must be 10 or more for a free energy, got 2"),
        (["HILLS.0", "--colvar", "COLVAR.0"], "temperature must be given for weights of frames"),
        (
            ["HILLS.0", "HILLS.1", "--colvar", "COLVAR.0", "-T", "300", "--variable", "q"],
            "column must be one of time, s, y",
        ),
        (["HILLS.0", "--variable", "q", "-T", "300"], "variable must be one of s without a COLVAR file, got q"),
        (["HILLS.0", "-T", "0"], "temperature must be positive, got 0"),
        (["--colvar", "COLVAR.0", "-T", "300"], "variables must be given for frames without hills"),
        (["HILLS.0", "--grid", "1,2"], "--grid must be lo,hi,n with a whole number n, got '1,2'"),
        (["HILLS.0", "--grid", "2,1,9"], "grid of s must be lo,hi,n with lo < hi"),
        (["HILLS.0", "--energy", "Ry"], "--energy must be one of eV, kJ/mol, got 'Ry'"),
        (["HILLS.0", "--units", "lj"], "units must be one of plumed, metal, real, got 'lj'"),
        (
            ["HILLS.0", "--weights", "x", "--colvar", "COLVAR.0", "-T", "300"],
            "weights must be one of time, final, bias",
        ),
        (["HILLS.0", "--colvar", "COLVAR.0", "-T", "300"], "column metad.bias in"),
        (["HILLS.0", "--period", "s"], "--period must be NAME=lo,hi, got 's'"),
        (["HILLS.0", "--period", "s=2,1"], "--period must be NAME=lo,hi with lo < hi"),
        (["HILLS.0", "--depth", "0"], "depth must be positive, got 0"),
        (["HILLS.0", "--last", "2"], "last must be a fraction between 0 and 1, got 2"),
        (["HILLS.0", "--json", "nowhere/x.json"], "--json must lie in an existing folder"),
        (["a.pmf", "HILLS.0"], "a .pmf file must be given alone"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty").write_text("")
    (folder / "header").write_text("#! FIELDS time s sigma_s height biasf\n")
    (folder / "few").write_text("#! FIELDS time s sigma_s height biasf\n 1 0 1 1 -1\n 2 1 1 1 -1\n")
    (folder / "a.pmf").write_text("# 1\n")
    known = [str(folder / word) if (folder / word).exists() else word for word in words]
    assert main(["fes", *known, "--output", str(folder / "fes")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("rhopot: ")
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert not (folder / "fes").exists()
