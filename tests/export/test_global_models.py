"""Global models: the contract, in memory and from a file, and refusals."""

from __future__ import annotations

from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import small_models

from rhopot.export import STRETCH, LoadedModel, evaluate, load_model
from rhopot.export.global_models import evaluate_global, inputs_of, prepare
from rhopot.potentials.families.scattering import diagnostics as assess
from rhopot.testing import GlobalModelContract

MODEL = small_models.scattering()


class TestScattering(GlobalModelContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return MODEL


class TestScatteringFromFile(GlobalModelContract):
    @pytest.fixture
    def model(self, scattering_file: Path) -> LoadedModel:
        return load_model(scattering_file)


def test_single_share_has_no_more_than_its_part() -> None:
    """The control of sums over shares: one share alone is not the whole."""
    atoms = toy.skewed()
    inputs = [*inputs_of(MODEL, atoms), prepare(MODEL, atoms)]
    parts = [float(MODEL.module(*inputs, share, 2, False)[0]) for share in (0, 1)]
    assert min(abs(part) for part in parts) > 0.1


def test_unknown_elements_are_refused_naming_the_known() -> None:
    with pytest.raises(ValueError, match=r"model 'scattering' knows \(Li, Si\), got O, Xe; train a model with them"):
        evaluate(MODEL, [ase.Atoms("SiXeO", positions=np.eye(3))])


@pytest.mark.parametrize("stretch", [0.9, float("nan"), float("inf")])
def test_stretch_is_a_factor(stretch: float) -> None:
    with pytest.raises(ValueError, match=f"^stretch must be a factor of at least 1, got {stretch}; 1.1 lets edges"):
        prepare(MODEL, toy.skewed(), stretch)


def test_flat_cells_are_refused_where_periodic() -> None:
    atoms = toy.cluster()
    atoms.set_cell([10.0, 10.0, 0.0])
    assert np.isfinite(evaluate(MODEL, [atoms])[0].energy)
    atoms.pbc = True
    with pytest.raises(ValueError, match=r"^cell must have independent vectors along periodic axes, got .*; set the"):
        evaluate(MODEL, [atoms])


def test_positions_that_are_no_numbers_are_refused() -> None:
    atoms = toy.cluster()
    atoms.positions[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"^positions must be finite, got NaN or infinity; remove or"):
        evaluate(MODEL, [atoms])


def test_results_that_are_not_finite_are_refused() -> None:
    broken = small_models.scattering()
    broken.module.coefficients[3] = np.inf
    with pytest.raises(ValueError, match="energies and forces of model 'scattering' must be finite, got NaN or"):
        evaluate(broken, [toy.skewed()])


def test_models_are_fitted_on_the_grids_they_run_on() -> None:
    assert assess.STRETCH == STRETCH


def test_finer_grids_change_little() -> None:
    """The stretch chooses the grid; the energy is the same to the error of grids, but not to the bit."""
    atoms = toy.skewed()
    coarse, fine = (evaluate_global(MODEL, atoms, prepare(MODEL, atoms, stretch)).energy for stretch in (1.0, 1.5))
    assert coarse != fine
    assert coarse == pytest.approx(fine, abs=GlobalModelContract.grid * len(atoms))
