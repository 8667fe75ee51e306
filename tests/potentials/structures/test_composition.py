"""Element baselines: exact where compositions determine them, honest where they do not."""

from __future__ import annotations

import ase
import numpy as np
import pytest

from rhopot.potentials.structures import DataError, Frame, explicit_baseline, fit_baseline, isolated_atoms_baseline

TRUTH = {"Li": -1.9, "Si": -5.4, "O": -4.0}


def frame(formula: str, noise: float = 0.0, **fields: object) -> Frame:
    atoms = ase.Atoms(formula)
    return Frame(atoms, energy=sum(TRUTH[s] for s in atoms.symbols) + noise, **fields)  # type: ignore[arg-type]


def test_exact_energies_are_recovered() -> None:
    frames = [frame("Li2Si"), frame("LiSi4"), frame("Si2O4"), frame("Li2O"), Frame(ase.Atoms("Li"))]
    baseline = fit_baseline(frames)
    assert baseline.symbols == ("Li", "O", "Si")
    np.testing.assert_allclose(baseline.energies, [TRUTH[s] for s in baseline.symbols], rtol=1e-12)
    assert baseline.note == ""
    assert baseline.energy(ase.Atoms("Li7SiO2")) == pytest.approx(7 * -1.9 - 5.4 - 8.0)


def test_residuals_per_atom_are_weighted_equally() -> None:
    baseline = fit_baseline([frame("Si", 0.3), frame("Si100", 100 * 0.1)])
    assert baseline.energies[0] == pytest.approx(-5.4 + 0.2)
    assert fit_baseline([frame("Si", 0.3), frame("Si2", 0.0)], weights=np.array([1.0, 0.0])).energies[
        0
    ] == pytest.approx(-5.1)


def test_one_composition_takes_the_least_norm_and_says_so() -> None:
    baseline = fit_baseline([frame("Li2Si"), frame("Li4Si2")])
    total = 2 * TRUTH["Li"] + TRUTH["Si"]
    np.testing.assert_allclose(baseline.energies, np.array([2.0, 1.0]) * total / 5, rtol=1e-12)
    assert "determine 1 of 2 element energies" in baseline.note


def test_other_energies_may_be_fitted() -> None:
    frames = [frame("Li2Si"), frame("LiSi4")]
    assert fit_baseline(frames, energies=np.zeros(2)).energies == pytest.approx((0.0, 0.0))


def test_explicit_and_isolated_atoms() -> None:
    assert explicit_baseline(TRUTH, ["Si", "Li"]).energies == (-5.4, -1.9)
    boxed = Frame(ase.Atoms("Si", cell=[20] * 3, pbc=True), energy=-0.8, config_type="IsolatedAtom")
    crystal = Frame(ase.Atoms("Li", cell=[3] * 3, pbc=True), energy=-1.9)
    free = Frame(ase.Atoms("Li"), energy=-0.2)
    assert isolated_atoms_baseline([crystal, boxed, free], ["Li", "Si"]).as_dict() == {"Li": -0.2, "Si": -0.8}


def test_faults_are_named() -> None:
    with pytest.raises(ValueError, match="must name every element of the data, got no value for Xe"):
        explicit_baseline(TRUTH, ["Li", "Xe"])
    with pytest.raises(ValueError, match="must be finite energies"):
        explicit_baseline({"Li": np.nan}, ["Li"])
    with pytest.raises(ValueError, match="must give energies of chemical elements, got Lithium"):
        explicit_baseline({"Li": 1.0, "Lithium": 2.0}, ["Li"])
    with pytest.raises(DataError, match="isolated atoms must be in the data for every element, got none for O"):
        isolated_atoms_baseline([Frame(ase.Atoms("Li"), energy=0.0)], ["Li", "O"])
    with pytest.raises(DataError, match="isolated Li must have one energy"):
        isolated_atoms_baseline([Frame(ase.Atoms("Li"), energy=e) for e in (0.0, 1.0)], ["Li"])
    with pytest.raises(DataError, match="energies must be present to fit an element baseline"):
        fit_baseline([Frame(ase.Atoms("Li"))])
    with pytest.raises(DataError, match="element must be one of Li, got Si"):
        fit_baseline([frame("LiSi")], symbols=["Li"])
    with pytest.raises(ValueError, match=r"weights must have shape \(1,\), got \(2,\)"):
        fit_baseline([frame("Li")], weights=np.ones(2))
