"""`rhopot relax`: files, numbers, both engines, trained models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import closed_forms
import numpy as np
import pytest
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read, write

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands import main

pytestmark = pytest.mark.slow

TRAINED = ("soap_linear", "bpnn")  # one linear model, one network; each computes with all its members


@pytest.fixture
def rattled(tmp_path: Path) -> Path:
    atoms = bulk("Si", a=5.5, cubic=True)
    atoms.rattle(0.1, seed=3)
    write(tmp_path / "rattled.vasp", atoms)
    return tmp_path / "rattled.vasp"


def test_both_engines_find_one_crystal(tmp_path: Path, rattled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Published lattice constant of Tersoff's silicon: 5.432 A; Phys. Rev. B 38, 9902 (1988)."""
    folder = tmp_path / "out"
    words = ["relax", str(rattled), *closed_forms.tersoff_words(tmp_path), "--engine", "both", "-n", "2"]

    assert main([*words, "-o", str(folder)]) == 0

    numbers = json.loads((folder / "relax.json").read_text())
    found = numbers["structures"]["rattled"]
    assert found["a"]["ase"] == pytest.approx(5.432, abs=1e-3)
    assert found["energy"]["difference"] < 1e-9
    assert found["distance from the first engine"]["lammps"] < 1e-4
    assert numbers["relaxed"]["rattled"]["space_group"] == {"before": "P1 (1)", "after": "Fd-3m (227)"}
    for file in ("relaxed_rattled.extxyz", "relaxed_rattled.vasp"):
        assert read(folder / file).cell.lengths() == pytest.approx([5.432] * 3, abs=1e-3)
    energy = read(folder / "relaxed_rattled.extxyz").get_potential_energy()
    assert energy / 8 == pytest.approx(found["energy"]["ase"], abs=1e-9)
    assert "fix box all box/relax tri 0" in (folder / "in.relax_rattled").read_text()
    assert (folder / "relax.png").read_bytes()[:4] == b"\x89PNG"
    assert "space group P1 (1) before and Fd-3m (227) after" in capsys.readouterr().out


def test_pressure_and_what_is_kept(tmp_path: Path, rattled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Energies at pressure are no minimum: enthalpies are compared. The same command reads its results."""
    folder = tmp_path / "out"
    words = ["relax", str(rattled), *closed_forms.tersoff_words(tmp_path), "--engine", "both", "-o", str(folder)]
    words += ["--pressure", "10", "--cell", "isotropic"]
    assert main(words) == 0
    found = json.loads((folder / "relax.json").read_text())["structures"]["rattled"]
    assert found["pressure"]["lammps"] == pytest.approx(10.0, abs=1e-3)
    assert found["enthalpy"]["difference"] < 1e-9
    assert found["a"]["ase"] < 5.432 - 0.1
    capsys.readouterr()
    before = (folder / "in.relax_rattled.log").stat().st_mtime_ns
    assert main(words) == 0
    assert (folder / "in.relax_rattled.log").stat().st_mtime_ns == before
    assert main([*words, "--fmax", "1e-4"]) == 1
    assert "output must be a new folder, or that of the same command" in capsys.readouterr().err


@pytest.mark.parametrize("family", TRAINED)
def test_trained_models_in_both_engines(family: str, trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Zincblende of lithium and silicon, which symmetry holds in place; members have crystals of their own."""
    folder = tmp_path / "out"
    words = ["relax", str(trained_model(family)), "--prototype", "zincblende", "--symbol", "Li,Si", "-o", str(folder)]

    assert main([*words, "--engine", "both", "-n", "2"]) == 0

    found = json.loads((folder / "relax.json").read_text())["structures"]["zincblende"]
    assert found["energy"]["difference"] < 1e-9
    assert found["a"]["difference"] < 1e-4
    relaxed = read(folder / "relaxed_zincblende.extxyz")
    relaxed.calc = RhopotCalculator(trained_model(family))
    assert relaxed.get_potential_energy() / 2 == pytest.approx(found["energy"]["ase"], abs=1e-8)
    assert np.abs(relaxed.get_stress()).max() < 1e-5
    assert np.std(found["volume"]["members"]) == pytest.approx(found["volume"]["standard_deviation"])
    assert found["volume"]["standard_deviation"] > 1e-3


def test_kept_symmetry_is_exact(tmp_path: Path) -> None:
    """Noise within the tolerance of 0.01 A is taken out first, so that all its forces are seen."""
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.positions += np.random.default_rng(1).uniform(-0.004, 0.004, size=(4, 3))
    write(tmp_path / "noise.extxyz", atoms)
    words = ["relax", str(tmp_path / "noise.extxyz"), "--calculator", "ase.calculators.emt:EMT", "--keep-symmetry"]
    assert main([*words, "--fmax", "1e-6", "-o", str(tmp_path / "out")]) == 0
    (file,) = (tmp_path / "out").glob("relaxed_*.extxyz")
    found = read(file)
    off = found.get_scaled_positions() - bulk("Cu", cubic=True).get_scaled_positions()
    off -= np.round(off)
    assert np.abs(off - off.mean(axis=0)).max() < 1e-7


def test_refusals(tmp_path: Path, rattled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    potential = closed_forms.tersoff_words(tmp_path)
    cases = {
        "--cell must be one of fixed, isotropic, full, got 'all'": [str(rattled), "--cell", "all"],
        "pressure must be 0 for a fixed cell": [str(rattled), "--cell", "fixed", "--pressure", "1"],
        "structure must be a file": [str(tmp_path / "none.xyz")],
    }
    for k, (sentence, words) in enumerate(cases.items()):
        assert main(["relax", *words, *potential, "-o", str(tmp_path / f"out{k}")]) == 1
        captured = capsys.readouterr()
        assert sentence in captured.err
        assert "Traceback" not in captured.err
        assert not (tmp_path / f"out{k}" / "relax.json").exists()
    held = read(rattled)
    held.set_constraint(FixAtoms([0]))
    write(tmp_path / "held.vasp", held)
    words = ["relax", str(tmp_path / "held.vasp"), *potential, "-o", str(tmp_path / "held")]
    assert main([*words, "--engine", "lammps"]) == 1
    assert "held must have no constraints in LAMMPS, got FixAtoms" in capsys.readouterr().err
    assert main([*words, "--cell", "fixed", "--overwrite"]) == 0
    assert not (tmp_path / "held" / "in.relax_held").exists()
    assert read(tmp_path / "held" / "relaxed_held.extxyz").positions[0] == pytest.approx(held.positions[0], abs=1e-6)
