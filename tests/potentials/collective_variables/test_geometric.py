"""Distances, angles and projections against closed forms and against ASE."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule
from collective_variables_at_hand import loaded, values

from rhopot.export import evaluate_cv
from rhopot.potentials.collective_variables import Angle, Dihedral, Distance, Projection


def test_a_molecule_has_the_angles_that_ase_finds() -> None:
    atoms = molecule("H2O2")
    o1, o2, h1, h2 = 1, 2, 3, 4
    assert values(Distance([o1, o2]), atoms)[0] == pytest.approx(atoms.get_distance(0, 1))
    assert values(Angle([h1, o1, o2]), atoms)[0] == pytest.approx(np.radians(atoms.get_angle(2, 0, 1)))
    expected = np.radians(atoms.get_dihedral(2, 0, 1, 3))
    found = values(Dihedral([h1, o1, o2, h2]), atoms)[0]
    assert np.angle(np.exp(1j * (found - expected))) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("degrees", [-180.0, -120.0, -1.0, 0.0, 59.0, 179.0, 180.0])
def test_dihedrals_of_a_closed_form_lie_within_half_a_turn(degrees: float) -> None:
    """Seen along the middle bond, a positive dihedral turns clockwise (IUPAC)."""
    turn = np.radians(degrees)
    atoms = ase.Atoms("H4", [(1, 0, 0), (0, 0, 0), (0, 0, 1), (np.cos(turn), np.sin(turn), 1)])
    found = values(Dihedral([1, 2, 3, 4]), atoms)[0]
    assert -np.pi <= found < np.pi
    assert np.angle(np.exp(1j * (found - turn))) == pytest.approx(0.0, abs=1e-12)


def test_given_atoms_are_nearest_images() -> None:
    atoms = ase.Atoms("H3", [(0.5, 0.5, 0.5), (9.5, 0.5, 0.5), (9.5, 9.5, 0.5)], cell=[10.0, 10.0, 10.0], pbc=True)
    assert values(Distance([1, 2]), atoms)[0] == pytest.approx(1.0)
    assert values(Angle([1, 2, 3]), atoms)[0] == pytest.approx(np.pi / 2)
    assert values(Projection([1, 2], [-2.0, 0.0, 0.0]), atoms)[0] == pytest.approx(1.0)
    atoms.pbc = False
    assert values(Distance([1, 2]), atoms)[0] == pytest.approx(9.0)


def test_derivatives_are_finite_where_directions_coincide() -> None:
    line = ase.Atoms("H4", [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3)])
    same = ase.Atoms("H4", positions=np.zeros((4, 3)))
    for module in (Distance([1, 2]), Angle([1, 2, 3]), Dihedral([1, 2, 3, 4])):
        for atoms in (line, same):
            found = evaluate_cv(loaded(module), atoms)
            assert np.isfinite(found.values).all()
            assert np.isfinite(found.gradients).all()


def test_second_derivatives_are_those_of_first_ones() -> None:
    positions = torch.randn(4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    none = torch.zeros(0, dtype=torch.float64)
    for module in (Angle([1, 2, 3]), Dihedral([1, 2, 3, 4])):
        count = len(module.description.atoms)
        torch.autograd.gradgradcheck(lambda x, of=module, n=count: of.finish(none, x[:n]), (positions,))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Distance([3, 3]), "atoms of a distance must be 2 distinct numbers from 1, got 3 3"),
        (lambda: Angle([1, 2]), "atoms of an angle must be 3 distinct numbers from 1, got 1 2"),
        (lambda: Dihedral([0, 1, 2, 3]), "atoms of a dihedral must be 4 distinct numbers from 1, got 0 1 2 3"),
        (lambda: Projection([1, 2], [0.0, 0.0, 0.0]), "direction must be three numbers, not all zero"),
    ],
)
def test_what_is_refused(make: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()
