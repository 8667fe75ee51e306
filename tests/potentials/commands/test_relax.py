"""`rhopot relax`: files, numbers, both engines, trained models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import closed_forms
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read, write

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands import main
from rhopot.potentials.commands.property_task import Measured
from rhopot.potentials.commands.relax import _of_the_same_crystal
from rhopot.potentials.properties.relaxation import Relaxation

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
def test_trained_models_in_both_engines(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zincblende of lithium and silicon, which symmetry holds in place; members have crystals of their own.

    Those of a small network may be so far from each other that they are no error bar: then the command says so.
    """
    folder = tmp_path / "out"
    words = ["relax", str(trained_model(family)), "--prototype", "zincblende", "--symbol", "Li,Si"]
    words += ["--lattice", "5.52", "-o", str(folder)]  # soft in shear: from nearer, LAMMPS stops 0.002 degrees off

    assert main([*words, "--engine", "both", "-n", "2"]) == 0

    found = json.loads((folder / "relax.json").read_text())["structures"]["zincblende"]
    assert found["energy"]["difference"] < 1e-9
    assert found["a"]["difference"] < 1e-4
    relaxed = read(folder / "relaxed_zincblende.extxyz")
    relaxed.calc = RhopotCalculator(trained_model(family))
    assert relaxed.get_potential_energy() / 2 == pytest.approx(found["energy"]["ase"], abs=1e-8)
    assert np.abs(relaxed.get_stress()).max() < 1e-5
    if "too few are left for an error bar" in capsys.readouterr().out:
        assert found["volume"]["standard_deviation"] is None
        assert family == "bpnn"
    else:
        assert np.std(found["volume"]["members"]) == pytest.approx(found["volume"]["standard_deviation"])
        assert found["volume"]["standard_deviation"] > 1e-3


def test_a_cluster_may_turn_and_a_structure_of_several_is_named(tmp_path: Path) -> None:
    """Engines may leave a free cluster turned; of a file with several structures, the first one is asked for."""
    cluster = Atoms("Si5", [[0, 0, 0], [2.3, 0.1, 0], [1.1, 2.1, 0.1], [1.0, 0.8, 2.0], [2.9, 2.0, 1.4]])
    write(tmp_path / "clusters.xyz", [cluster, bulk("Si", cubic=True)])
    words = ["relax", *closed_forms.tersoff_words(tmp_path), "--engine", "both", "-o", str(tmp_path / "out")]

    assert main([*words, str(tmp_path / "clusters.xyz@0")]) == 0

    found = json.loads((tmp_path / "out/relax.json").read_text())["structures"]["clusters"]
    assert found["distance from the first engine"]["lammps"] < 1e-3
    assert len(read(tmp_path / "out/relaxed_clusters.extxyz")) == 5


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


def test_the_lattice_constant_of_a_prototype(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the conventional cell where that is a cube; the table has the primitive one, 2.54 A."""
    words = ["--calculator", "ase.calculators.emt:EMT", "--symbol", "Cu", "-o"]
    for verb, name, cubic in (("relax", "fcc", True), ("relax", "hcp", False), ("elastic", "fcc", True)):
        assert main([verb, "--prototype", name, *words, str(tmp_path / f"{verb}_{name}")]) == 0
        assert ("; lattice constant 3.5" in capsys.readouterr().out) == cubic


@pytest.mark.parametrize(("others", "left"), [(1, 3), (2, 0)])
def test_members_of_another_crystal_give_no_error_bar(others: int, left: int) -> None:
    """One of four, and half of them."""
    made = [
        Relaxation(bulk("Cu", a=a), np.zeros(1), np.zeros(1)) for a in [3.6, *[3.61] * (4 - others), *[5.0] * others]
    ]
    said: list[str] = []
    task: Any = SimpleNamespace(console=SimpleNamespace(print=said.append))
    found = _of_the_same_crystal(task, "fcc", Measured({"ase": made[0]}, made[1:], range(4)))
    assert len(found.members) == left
    assert said[0].startswith(f"note: fcc: {others} of 4 members relax to a volume that differs by more than 20%")


def test_refusals(tmp_path: Path, rattled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    potential = closed_forms.tersoff_words(tmp_path)
    cases = {
        "--cell must be one of fixed, isotropic, full, got 'all'": [str(rattled), "--cell", "all"],
        "pressure must be 0 for a fixed cell": [str(rattled), "--cell", "fixed", "--pressure", "1"],
        "structure must be a file": [str(tmp_path / "none.xyz")],
        "structure must be one of the 1 of": [f"{rattled}@1"],
        "structure must be FILE or FILE@NUMBER": [f"{rattled}@last"],
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
