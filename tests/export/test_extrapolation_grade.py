"""Extrapolation grades of trained models: training structures are supported, other phases are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import many_body_toy as toy
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from scipy.spatial.transform import Rotation
from trained_models import DATA, LOCAL

from rhopot.export import RhopotCalculator, evaluate, load_model
from rhopot.potentials.structures import read_frames

SEEN = ("Li16Si16_0", "Li4Si28_0", "Li12Si20_0", "Li8Si24_0")


@pytest.mark.parametrize("family", LOCAL)
def test_training_structures_are_supported_and_other_phases_are_not(
    trained_model: Callable[[str], Path], family: str
) -> None:
    calc = RhopotCalculator(load_model(trained_model(family)))
    frames = [frame.atoms for name in SEEN for frame in read_frames([str(DATA / f"{name}.xyz")])[::3]]
    grades = np.concatenate([calc.get_property("extrapolation_grade", atoms) for atoms in frames])
    supported = np.concatenate([calc.get_property("supported", atoms) for atoms in frames])
    assert supported.dtype == bool
    np.testing.assert_array_equal(supported, grades <= 1.0)
    assert supported.mean() > 0.97
    dense = bulk("Si", "fcc", a=3.4)
    assert not calc.get_property("supported", dense).any()
    assert calc.get_property("extrapolation_grade", bulk("Li", "bcc", a=2.4))[0] > 1.5


def test_free_atoms_are_not_supported(trained_model: Callable[[str], Path]) -> None:
    calc = RhopotCalculator(load_model(trained_model("soap_linear")))
    for symbol in ("Li", "Si"):
        assert not calc.get_property("supported", Atoms(symbol)).any()


@pytest.mark.parametrize("family", ["soap_linear", "gmp_snn"])
def test_grades_of_a_turned_structure_in_batches(trained_model: Callable[[str], Path], family: str) -> None:
    """The grade is a function of the environment alone, whatever else is evaluated with it."""
    model = load_model(trained_model(family))
    atoms = read_frames([str(DATA / "Li16Si16_0.xyz")])[0].atoms
    turned, turn = atoms.copy(), Rotation.random(rng=np.random.default_rng(2)).as_matrix()
    turned.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    one, other = evaluate(model, [atoms, turned], grades=True, gradients=False)
    np.testing.assert_allclose(one.extrapolation_grades, other.extrapolation_grades, rtol=1e-8)
    (batches,) = evaluate(model, [atoms], grades=True, members=True, deviations=True, max_edges=200)
    np.testing.assert_allclose(batches.extrapolation_grades, one.extrapolation_grades, rtol=1e-12)
    member = RhopotCalculator(model, member=0)
    np.testing.assert_allclose(member.get_property("extrapolation_grade", atoms), one.extrapolation_grades, rtol=1e-12)


def test_models_without_it_refuse_it(trained_model: Callable[[str], Path]) -> None:
    atoms = toy.skewed()
    few = "has no grades: its training data have fewer than 20 atoms of an element, uncertainty.extrapolation was"
    for model, why in (
        (toy.in_memory(members=3), few),
        (load_model(trained_model("scattering")), "grades none; take a model of kind 'local'"),
    ):
        calc = RhopotCalculator(model)
        assert "supported" not in calc.implemented_properties
        assert evaluate(model, [atoms], grades=True)[0].extrapolation_grades is None
        with pytest.raises(
            PropertyNotImplementedError,
            match=f"must be asked of a model of kind 'local' that grades environments, '.*' of kind '.*' {why}",
        ):
            calc.get_property("supported", atoms)
