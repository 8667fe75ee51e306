"""Trainings of families with many coefficients for their equations, through the Gram matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase.io import read

from rhopot.export import RhopotCalculator
from rhopot.potentials import check
from rhopot.potentials.commands import main
from rhopot.potentials.fitting.least_squares import gram_matrix

pytestmark = pytest.mark.slow

FAMILIES = ("soap_linear", "multispectrum")
ENERGIES = ("targets.forces=null", "targets.stress=null", "uncertainty.members=0", "report.stability=null")


def words(family: str, folder: Path, *more: str) -> list[str]:
    """A training on energies alone, which has fewer equations than coefficients."""
    return ["train", *trained_models.arguments(family, folder, *ENERGIES, *more)]


def outputs(model: Path) -> np.ndarray:
    atoms = read(trained_models.DATA / "Li10Si22_0.xyz", "0")
    atoms.calc = RhopotCalculator(model)
    return np.concatenate([[atoms.get_potential_energy()], atoms.get_forces().ravel()])


@pytest.mark.parametrize("family", FAMILIES)
def test_trained_models_are_those_of_the_sums(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(family, tmp_path / "sums")) == 0
    assert "Gram matrix" not in capsys.readouterr().out
    monkeypatch.setattr(gram_matrix, "FEWEST_COORDINATES", 1)
    assert main(words(family, tmp_path / "gram")) == 0
    assert "Cholesky factorization of the Gram matrix" in capsys.readouterr().out
    found, expected = (outputs(tmp_path / name / "model.pt") for name in ("gram", "sums"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)
    structure = read(trained_models.DATA / "Li10Si22_0.xyz", "0")
    results = check(tmp_path / "gram" / "model.pt", structure, ranks=(1, 2), temperature=100.0, hot_ps=0.0)
    assert all(one.passed for one in results.comparisons if "drift" not in one.name)


def test_an_interrupted_training_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram_matrix, "FEWEST_COORDINATES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(gram_matrix, "_solve", interrupt)
        assert main(words("soap_linear", tmp_path / "run")) != 0
    assert not (tmp_path / "run" / "model.pt").exists()
    assert main([*words("soap_linear", tmp_path / "run"), "--resume"]) == 0
    assert main(words("soap_linear", tmp_path / "whole")) == 0
    np.testing.assert_array_equal(*(outputs(tmp_path / name / "model.pt") for name in ("run", "whole")))


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt
