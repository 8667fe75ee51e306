"""Invariances hold for a sound potential, and each fault is seen by the comparison that is made for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from rhopot.export import RhopotCalculator
from rhopot.potentials.structures.prototypes import sample_structure
from rhopot.potentials.verification.check import Limits
from rhopot.potentials.verification.invariances import check_invariances

LIMITS = Limits.of("float64")
REACH = 8.0  # A, more than EMT of copper acts over


class Faulty(Calculator):
    """Springs to fixed neighbors, with one fault."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        inner = EMT()
        energy, forces = inner.get_potential_energy(atoms), inner.get_forces(atoms)
        if self.fault == "translation":  # an outer potential
            energy, forces = energy + 0.01 * atoms.positions[:, 0].sum(), forces - [0.01, 0, 0]
        elif self.fault == "rotation":  # a preferred direction
            weights = np.array([1.0, 1.0, 1.3])
            forces = forces * weights
        elif self.fault == "permutation":  # the first atom is special
            energy = energy + 0.1 * np.linalg.norm(forces[0])
        elif self.fault == "extensivity":
            energy = energy + 1e-3 * len(atoms) ** 2
        elif self.fault == "locality":  # charges of opposite sign
            energy = energy - 0.1 / atoms.get_distance(0, len(atoms) - 1)
        self.results = {"energy": energy, "forces": forces}


def structure() -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=2)
    return atoms


@pytest.mark.parametrize("fault", ["translation", "rotation", "permutation", "extensivity", "locality"])
def test_each_fault_is_seen(fault: str) -> None:
    atoms = structure()
    atoms.calc = Faulty(fault)
    found = check_invariances(atoms, LIMITS, reach=REACH)
    failed = {finding.name.split(":")[0] for finding in found if not finding.passed}
    assert fault in failed


def test_a_sound_potential_passes() -> None:
    atoms = structure()
    atoms.calc = EMT()
    found = check_invariances(atoms, LIMITS, reach=REACH)
    assert len(found) == 10
    assert [finding for finding in found if not finding.passed] == []


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_trained_models_are_invariant(family: str, trained_model: Callable[[str], Path]) -> None:
    atoms = sample_structure(("Li", "Si"), min_atoms=32)
    atoms.calc = RhopotCalculator(trained_model(family))
    found = check_invariances(atoms, LIMITS, reach=atoms.calc.model.card.cutoff)
    assert [finding for finding in found if not finding.passed] == []


def test_a_reach_that_is_too_short_is_seen() -> None:
    atoms = structure()
    atoms.calc = EMT()
    failed = {finding.name for finding in check_invariances(atoms, LIMITS, reach=2.5) if not finding.passed}
    assert failed == {"locality: energy", "locality: forces"}
