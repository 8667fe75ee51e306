"""`rhopot phonons`: files, numbers, both engines, thermal expansion, imaginary modes, trained models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import closed_forms
import numpy as np
import phonopy
import pytest

from rhopot.potentials.commands import main
from rhopot.potentials.commands.phonon_settings import parse_supercell

pytestmark = pytest.mark.slow

SMALL = ["--mesh", "20", "--max-temperature", "400", "--temperature-step", "50"]
DIAMOND = ["--prototype", "diamond", "--symbol", "Si", "--lattice", "5.4"]
PNG = b"\x89PNG"


def test_both_engines_and_phonopy_find_the_same_frequencies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two implementations of one potential. phonopy's files hold what it needs to go on."""
    folder = tmp_path / "out"
    words = ["phonons", *closed_forms.tersoff_words(tmp_path), *DIAMOND, "--engine", "both", "-n", "2", *SMALL]

    assert main([*words, "-o", str(folder)]) == 0

    numbers = json.loads((folder / "phonons.json").read_text())
    rows = numbers["structures"]["diamond"]
    assert all(row["difference"] < 1e-5 for name, row in rows.items() if row["unit"] == "THz")
    assert rows["largest difference on the path"]["lammps"] < 1e-5
    assert list(rows)[:2] == ["GAMMA 1-3", "GAMMA 4-6"]
    assert numbers["imaginary"] == []
    at_l = np.array(numbers["special_points"]["L"]["ase"])
    again = phonopy.load(folder / "phonopy_params_diamond.yaml", log_level=0, produce_fc=False)
    again.produce_force_constants(show_drift=False)
    again.symmetrize_force_constants(show_drift=False)
    assert again.run_qpoints([[0.5, 0.5, 0.5]]).frequencies[0] == pytest.approx(at_l, abs=1e-4)
    assert len(again.supercell) == 64
    assert "displace_atoms moved move" in (folder / "in.phonons_diamond").read_text()
    heat = numbers["thermodynamics"]["ase"]["heat_capacity"]
    assert np.all(np.diff(heat) > 0.0)
    assert heat[-1] < 3.0
    for picture in ("phonons.png", "phonons_thermodynamics.png"):
        assert (folder / picture).read_bytes()[:4] == PNG
    capsys.readouterr()
    before = (folder / "in.phonons_diamond.log").stat().st_mtime_ns
    assert main([*words, "-o", str(folder), "--tolerance", "0.02"]) == 0
    assert (folder / "in.phonons_diamond.log").stat().st_mtime_ns == before
    assert "no imaginary mode beyond 0.02 THz" in capsys.readouterr().out


def test_thermal_expansion(tmp_path: Path) -> None:
    """Both engines; a heat capacity above that at constant volume; zero-point motion and heat expand the crystal."""
    folder = tmp_path / "out"
    words = ["phonons", *closed_forms.tersoff_words(tmp_path), *DIAMOND, "--engine", "both", *SMALL, "-o", str(folder)]

    assert main([*words, "--supercell", "2,2,2", "--qha", "--volumes", "5"]) == 0

    numbers = json.loads((folder / "phonons.json").read_text())
    rows = numbers["structures"]["diamond"]
    for name in ("volume at 300 K", "linear expansion coefficient at 300 K", "bulk modulus at 300 K"):
        assert rows[name]["difference"] < 1e-4
    assert rows["heat capacity C_P at 300 K"]["ase"] > rows["heat capacity C_V at 300 K"]["ase"]
    volume = abs(np.linalg.det(numbers["cell"])) / 2
    assert volume < rows["volume at 0 K"]["ase"] < rows["volume at 300 K"]["ase"] < 1.03 * volume
    assert rows["bulk modulus at 0 K"]["ase"] == pytest.approx(97.8, rel=0.05)  # published, without zero-point motion
    assert (folder / "phonons_qha.png").read_bytes()[:4] == PNG
    assert (folder / "in.phonons_diamond_V1.030").exists()


def test_functions_are_computed_at_the_temperature_of_the_table(tmp_path: Path) -> None:
    """Whatever the steps of the curves are."""
    found = []
    for step in ("500", "50"):
        words = [
            "phonons",
            "--calculator",
            "closed_forms:tersoff",
            *DIAMOND,
            "--supercell",
            "2,2,2",
            "--mesh",
            "10",
            "--temperature-step",
            step,
        ]
        assert main([*words, "-o", str(tmp_path / step)]) == 0
        found.append(json.loads((tmp_path / step / "phonons.json").read_text())["structures"]["diamond"])
    for row in ("free energy at 300 K", "entropy at 300 K", "heat capacity C_V at 300 K"):
        assert found[0][row]["ase"] == pytest.approx(found[1][row]["ase"], rel=1e-12)


def test_imaginary_modes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bcc crystal of a potential with short range shears into a closed packing."""
    folder = tmp_path / "out"
    words = ["phonons", "--calculator", "closed_forms:lennard_jones", "--prototype", "bcc", "--symbol", "Cu"]
    words += ["--lattice", f"{closed_forms.BOND * 2 / 3**0.5:.4f}", "--supercell", "3,3,3", *SMALL, "-o", str(folder)]

    assert main(words) == 0

    output = capsys.readouterr().out
    assert "IMAGINARY modes: bcc is not stable" in output
    assert "THz at q = (" in output
    numbers = json.loads((folder / "phonons.json").read_text())
    assert numbers["imaginary"][0]["frequency"] < -0.05
    assert "thermodynamics" not in numbers
    assert not (folder / "phonons_thermodynamics.png").exists()
    assert main([*words, "--qha"]) == 1
    assert "--qha must have a crystal without imaginary modes" in capsys.readouterr().err


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert np.array_equal(parse_supercell("2x3x1"), np.diag([2, 3, 1]))
    assert np.array_equal(parse_supercell("-1,1,1,1,-1,1,1,1,-1"), [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    for words in ("2,2", "0,1,1", "a,b,c", "1,0,0,1,0,0,0,0,1"):
        with pytest.raises(ValueError, match=r"--supercell must be three positive integers or nine that span a volume"):
            parse_supercell(words)
    words = ["phonons", "--calculator", "closed_forms:tersoff", *DIAMOND, "-o", str(tmp_path / "out")]
    assert main([*words, "--temperature-step", "0"]) == 1
    assert "--temperature-step must be positive and at most --max-temperature" in capsys.readouterr().err
    assert main([*words, "--displacement", "0"]) == 1
    assert "--displacement must be positive and at most 0.5 A, got 0" in capsys.readouterr().err
    assert main([*words, "--qha", "--volumes", "3"]) == 1
    assert "volumes must be 5 or more, got 3" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("family", "members"), [("soap_linear", True), ("bpnn", False)])
def test_trained_models_in_both_engines(
    family: str, members: bool, trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """Zincblende of lithium and silicon, which symmetry holds in place; a supercell for speed, not for truth.

    Members of the network have the crystal at volumes too far from the model's for an error bar.
    """
    folder = tmp_path / "out"
    words = ["phonons", str(trained_model(family)), "--prototype", "zincblende", "--symbol", "Li,Si", *SMALL]

    assert main([*words, "--supercell", "2,2,2", "--engine", "both", "-n", "2", "-o", str(folder)]) == 0

    numbers = json.loads((folder / "phonons.json").read_text())
    rows = [row for row in numbers["structures"]["zincblende"].values() if row["unit"] == "THz"]
    assert max(row["difference"] for row in rows) < 1e-3
    deviations = [row["standard_deviation"] for row in rows if row["members"]]
    assert bool(deviations) == members
    assert max(deviations, default=1.0) > 1e-3
    acoustic = numbers["structures"]["zincblende"]["GAMMA 1-3"]
    assert abs(acoustic["ase"]) < 1e-3
