"""Curves of two atoms: known ones, a hole and a jump."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones

from rhopot.potentials.verification.diatomics import diatomic_curves


class Pair(Calculator):
    """Two atoms with the energy 1/r^4, changed at short range; (5 A - r)^3 has a curvature without steps."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, hole: float = 0.0, jump: float = 0.0, kink: float = 0.0, cutoff: float = 0.0) -> None:
        super().__init__()
        self.hole, self.jump, self.kink, self.cutoff = hole, jump, kink, cutoff

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        r = atoms.get_distance(0, 1)
        inside = r < 1.0
        energy = r**-4 - inside * self.hole * (1.0 - r) ** 3 + (r < 2.0) * self.jump
        energy += self.kink * max(4.0 - r, 0.0) - self.cutoff * max(5.0 - r, 0.0) ** 3
        slope = -4 * r**-5 + inside * self.hole * 3 * (1.0 - r) ** 2
        self.results = {"energy": energy, "forces": np.array([[slope, 0, 0], [-slope, 0, 0]])}


def test_a_known_curve() -> None:
    """Lennard-Jones: the minimum is -epsilon at 2^(1/6) sigma."""
    (curve,) = diatomic_curves(["Ar"], LennardJones(sigma=2.0, epsilon=0.3, rc=20.0), reach=8.0)
    assert curve.attractive is None
    assert curve.rough is None
    lowest = int(np.argmin(curve.energies))
    assert curve.distances[lowest] == pytest.approx(2 ** (1 / 6) * 2.0, abs=0.04)
    assert "Ar-Ar: repulsive down to 0.5 A, smooth" in curve.sentence()


def test_pairs_of_two_elements() -> None:
    assert [curve.pair for curve in diatomic_curves(["Li", "Si"], Pair())] == [("Li", "Li"), ("Li", "Si"), ("Si", "Si")]


def test_a_hole_is_seen() -> None:
    (curve,) = diatomic_curves(["Si"], Pair(hole=1000.0))
    assert curve.attractive == pytest.approx(0.93, abs=0.06)
    assert "ATTRACTIVE below 0.9" in curve.sentence()


def test_a_jump_is_seen() -> None:
    (curve,) = diatomic_curves(["Si"], Pair(jump=0.01))
    assert curve.rough == pytest.approx(2.0, abs=0.06)
    assert "NOT SMOOTH near" in curve.sentence()


def test_a_step_of_the_force_is_seen() -> None:
    (curve,) = diatomic_curves(["Si"], Pair(kink=0.01))
    assert curve.rough == pytest.approx(4.0, abs=0.06)


def test_a_smooth_cutoff_is_smooth() -> None:
    """Energy, force and curvature end without steps; a jump elsewhere is still seen beside it."""
    (curve,) = diatomic_curves(["Si"], Pair(cutoff=10.0), reach=5.04)
    assert curve.rough is None
    (curve,) = diatomic_curves(["Si"], Pair(cutoff=10.0, jump=1.0), reach=5.04)
    assert curve.rough == pytest.approx(2.0, abs=0.06)
