"""`rhopot melt`: Lennard-Jones against its known melting point, and trained models in both engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import units

from rhopot.potentials.commands import main
from rhopot.potentials.properties import dynamics_lammps

EPSILON, SIGMA = 0.0104, 3.4  # eV, A
ARGON = ["--pair-style", f"lj/cut {3.0 * SIGMA}", "--pair-coeff", f"* * {EPSILON} {SIGMA}"]
ARGON += ["--prototype", "fcc", "--symbol", "Ar", "--lattice", "5.4", "--timestep", "10"]
pytestmark = pytest.mark.slow


def results(folder: Path) -> dict:
    return json.loads((folder / "melt.json").read_text())


def test_lennard_jones(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """0.694 epsilon/k at the triple point (E. A. Mastny, J. J. de Pablo, J. Chem. Phys. 127, 104504 (2007)).

    Of the potential that is not cut off, in the limit of many atoms: 10 % for 360 atoms in 20 ps, cut off at 3 sigma.
    The first guess is so hot that the whole cell melts.
    """
    words = ["melt", *ARGON, "--temperature", "100", "--repeat", "3,3,10", "--prepare-steps", "500"]
    words += ["--steps", "2000", "--every", "20", "-o", str(tmp_path / "melt")]

    assert main(words) == 0

    found = results(tmp_path / "melt")
    rows = found["structures"]["fcc"]
    point, error = rows["melting point"]["lammps"], rows["melting point"]["standard_errors"]["lammps"]
    assert point * units.kB / EPSILON == pytest.approx(0.694, rel=0.1)
    assert 0.0 < error < 5.0
    assert 0.15 < rows["solid fraction"]["lammps"] < 0.85
    assert found["attempts"]["lammps"][0]["outcome"] == "melted"
    assert found["attempts"]["lammps"][-1]["outcome"] == "coexist"
    said = capsys.readouterr().out
    assert "lammps, attempt 1, 100.0 K: the cell melted completely, at " in said
    assert "note: lammps: the average is over 14 ps, and phases settle within tens of ps" in said
    assert "+- errors of this run" in said
    written = {file.name for file in (tmp_path / "melt").iterdir()}
    assert {"melt_lammps.png", "melt_lammps.csv", "in.melt", "melt.data"} <= written
    assert "nph z 0 0" in (tmp_path / "melt" / "in.melt").read_text()

    def again(*arguments: object, **keywords: object) -> None:
        raise AssertionError("all stages are kept")

    monkeypatch.setattr(dynamics_lammps, "run_lammps", again)
    assert main(words) == 0
    assert results(tmp_path / "melt") == found


def test_a_crystal_that_melts_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["melt", *ARGON, "--temperature", "400", "--repeat", "3,3,8", "--prepare-steps", "500", "--every", "20"]
    assert main([*words, "--steps", "400", "--attempts", "1", "-o", str(tmp_path / "melt")]) == 1
    printed = capsys.readouterr()
    assert "lammps, attempt 1, 400.0 K: the crystal melted by itself" in printed.out
    assert "got one of them alone in 1 attempts (400 K melted); give another --temperature" in printed.err
    assert not (tmp_path / "melt" / "melt.json").exists()


def test_a_trained_model_in_both_engines(
    trained_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that are too short to melt anything, of which any is taken for a coexistence: engines and files."""
    monkeypatch.setattr("rhopot.potentials.commands.melt.LIQUID", 2.0)
    monkeypatch.setattr("rhopot.potentials.properties.melting.BOTH", (-1.0, 2.0))
    monkeypatch.setattr("rhopot.potentials.properties.melting.CLOSE", 10.0)
    folder = tmp_path / "melt"
    words = ["melt", str(trained_model("soap_linear")), "--prototype", "diamond", "--symbol", "Si"]
    words += ["--temperature", "300", "--repeat", "1,1,8", "--steps", "12", "--prepare-steps", "12", "--every", "1"]

    assert main([*words, "--closest", "0", "--engine", "both", "-o", str(folder)]) == 0

    found = results(folder)
    rows = found["structures"]["diamond"]
    for row in ("energy at the start", "forces at the start, largest difference"):
        assert rows[row]["difference"] < rows[row]["limit"]
    assert set(rows["melting point"]) >= {"ase", "lammps"}
    assert found["n_atoms"] == 64
    for engine in ("ase", "lammps"):
        lines = (folder / f"melt_{engine}.csv").read_text().splitlines()
        assert len(lines) == 1 + 13
        assert len(lines[0].split(",")) == 3 + 8


@pytest.mark.parametrize(
    ("closest", "sentence"),
    [
        ("2.3", "crystal at 20 K must run to its end, got two atoms Si-Si are closer than 2.3 A at step"),
        ("1.7", "melting_1 at 20000 K must run to its end, got two atoms Si-Si are closer than 1.7 A at step"),
    ],
)
def test_a_model_that_does_not_hold_its_phases_is_refused(
    closest: str,
    sentence: str,
    trained_model: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here because atoms may not come closer than that: the stage, the reason and the frame are named."""
    monkeypatch.setattr("rhopot.potentials.commands.melt.CRYSTAL", 0.0)
    words = ["melt", str(trained_model("soap_linear")), "--prototype", "diamond", "--symbol", "Si"]
    words += ["--lattice", "5.12687"]
    words += ["--temperature", "20", "--hot", "1000", "--repeat", "1,1,8", "--prepare-steps", "200", "--every", "2"]
    assert main([*words, "--closest", closest, "-o", str(tmp_path / "melt")]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert f"the potential does not hold its {'crystal' if closest == '2.3' else 'liquid'} there: train it on" in error
    assert not (tmp_path / "melt" / "melt.json").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--hot", "1"], "hot must be above 1, got 1; 2 melts most crystals"),
        (["--repeat", "3,3,7"], "repeat must be even and 8 or more along z, got 7"),
        (["--skip", "1"], "skip must be a fraction from 0 to below 1, got 1"),
        (["--temperature", "-5"], "temperature must be one or two positive numbers in K, got -5; write 300"),
        (["--timestep", "0"], "timestep must lie between 0 and 20 fs, got 0"),
        (["--closest", "-3"], "closest must be 0 or more, got -3; 0 watches no distances"),
        (["--steps", "500", "--prepare-steps", "300"], "frames must be 8 or more after those that are skipped, got 5"),
        (["--prepare-steps", "30"], "prepare-steps must be at least every, got 30 with every 100"),
        (["--no-members"], "No such option: --no-members"),
    ],
)
def test_options_that_are_refused(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["melt", *ARGON, "--temperature", "80", *options, "-o", str(tmp_path / "melt")]) != 0
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "melt").exists()
