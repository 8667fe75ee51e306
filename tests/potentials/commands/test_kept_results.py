"""Results that are kept in a folder are those of the same potential and the same structure, or they are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import ase.io
import closed_forms
import numpy as np
import pytest
from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands import main

ELSEWHERE = "output must be a new folder, or that of the same command"


def test_an_edited_function_is_another_potential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    source = (
        "from ase.calculators.lj import LennardJones\ndef make(): return LennardJones(sigma=2.3, epsilon={}, rc=6)\n"
    )
    words = ["eos", "--calculator", "made_here:make", "--prototype", "fcc", "--symbol", "Cu", "-o", "out"]
    (tmp_path / "made_here.py").write_text(source.format("0.4"))
    assert main(words) == 0
    assert main(words) == 0
    (tmp_path / "made_here.py").write_text(source.format("0.81"))
    monkeypatch.delitem(sys.modules, "made_here")
    assert main(words) == 1
    assert ELSEWHERE in capsys.readouterr().err


def test_an_edited_file_of_coefficients_is_another_potential(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = closed_forms.tersoff_style(tmp_path)
    words = ["eos", "--pair-style", pair.style, "--pair-coeff", pair.coefficients[0], "--engine", "lammps"]
    words += ["--prototype", "diamond", "--symbol", "Si", "--lattice", "5.43", "-o", str(tmp_path / "out")]
    assert main(words) == 0
    file = tmp_path / "Si.tersoff"
    file.write_text(file.read_text().replace("1830.8", "1930.8"))
    assert main(words) == 1
    assert ELSEWHERE in capsys.readouterr().err


@pytest.mark.parametrize("what", ["initial_charges", "initial_magnetic_moments", "tags"])
def test_what_calculators_may_depend_on_counts(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = bulk("Cu", cubic=True)
    words = ["eos", str(tmp_path / "cu.json"), "--calculator", "ase.calculators.emt:EMT", "-o", str(tmp_path / "out")]
    ase.io.write(tmp_path / "cu.json", atoms)
    assert main(words) == 0
    getattr(atoms, f"set_{what}")([1, 0, 0, 0])
    ase.io.write(tmp_path / "cu.json", atoms)
    assert main(words) == 1
    assert ELSEWHERE in capsys.readouterr().err
    if what != "tags":
        assert main(["phonons", *words[1:-1], str(tmp_path / "phonons")]) == 1
        assert "must have no initial charges and magnetic moments" in capsys.readouterr().err


def test_a_file_and_a_prototype_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ase.io.write(tmp_path / "fcc.xyz", bulk("Cu", "bcc", a=2.9))
    words = ["eos", str(tmp_path / "fcc.xyz"), "--prototype", "fcc", "--symbol", "Cu"]
    assert main([*words, "--calculator", "ase.calculators.emt:EMT", "-o", str(tmp_path / "out")]) == 1
    assert "structures must have names of their own, got file and prototype fcc" in capsys.readouterr().err


def test_error_bars_are_those_of_the_structure_that_was_given(
    trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """Positions that are not relaxed: the members' curves keep them too."""
    model = trained_model("soap_linear")
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.15, seed=3)
    ase.io.write(tmp_path / "si.extxyz", atoms)
    assert main(["eos", str(model), str(tmp_path / "si.extxyz"), "-o", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "eos.json").read_text())["structures"]["si"]["lowest energy"]
    for k, energy in enumerate(found["members"]):
        curve = []
        for scale in np.linspace(0.95, 1.3, 71):
            strained = atoms.copy()
            strained.set_cell(scale * atoms.cell.array, scale_atoms=True)
            strained.calc = RhopotCalculator(model, member=k)
            curve.append(strained.get_potential_energy() / 8)
        assert energy == pytest.approx(min(curve), abs=5e-3)
