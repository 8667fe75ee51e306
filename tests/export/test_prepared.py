"""What was prepared stays while it fits, and a step in the curve of energies is announced."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import ase
import many_body_toy as toy
import numpy as np
import pytest
import small_models
import torch

from rhopot.export.prepared import Prepared

MODEL = small_models.scattering()
REACH = MODEL.card.cutoff


def scaled(atoms: ase.Atoms, factor: float, axis: int | None = None) -> ase.Atoms:
    """The structure with one cell vector, or all, longer by `factor`."""
    copy, cell = atoms.copy(), atoms.cell.array.copy()
    cell[slice(None) if axis is None else axis] *= factor
    copy.set_cell(cell, scale_atoms=True)
    return copy


def spread_out(atoms: ase.Atoms, distance: float) -> ase.Atoms:
    """The structure with its topmost atom farther away by `distance` along z."""
    copy = atoms.copy()
    copy.positions[np.argmax(copy.positions[:, 2]), 2] += distance
    return copy


KEPT: list[tuple[Callable[[], ase.Atoms], Callable[[ase.Atoms], ase.Atoms]]] = [
    (toy.skewed, lambda atoms: scaled(atoms, 1.1)),
    (toy.skewed, lambda atoms: scaled(atoms, 0.7)),
    (toy.skewed, lambda atoms: scaled(scaled(atoms, 1.09, 0), 0.75, 2)),
    (toy.skewed, lambda atoms: spread_out(atoms, 30.0)),  # through a periodic cell
    (toy.slab, lambda atoms: spread_out(atoms, 0.09 * REACH)),
    (toy.slab, lambda atoms: scaled(atoms, 0.6, 2)),  # an open direction may shrink
    (toy.cluster, lambda atoms: spread_out(atoms, 0.09 * REACH)),
    (toy.cluster, lambda atoms: scaled(atoms, 0.5)),
]
LEFT: list[tuple[Callable[[], ase.Atoms], Callable[[ase.Atoms], ase.Atoms]]] = [
    (toy.skewed, lambda atoms: scaled(atoms, 1.101, 1)),
    (toy.skewed, lambda atoms: scaled(atoms, 0.699, 0)),
    (toy.slab, lambda atoms: scaled(atoms, 1.101, 0)),
    (toy.slab, lambda atoms: spread_out(atoms, 0.11 * REACH)),
    (toy.cluster, lambda atoms: spread_out(atoms, 0.11 * REACH)),
]


@pytest.mark.parametrize(("make", "change"), KEPT)
def test_what_fits_is_kept(make: Callable[[], ase.Atoms], change: Callable[[ase.Atoms], ase.Atoms]) -> None:
    prepared = Prepared(MODEL)
    before = prepared(make())
    assert torch.equal(prepared(change(make())), before)
    assert prepared.n_preparations == 1


@pytest.mark.parametrize(("make", "change"), LEFT)
def test_what_does_not_fit_is_prepared_again_with_one_warning(
    make: Callable[[], ase.Atoms], change: Callable[[ase.Atoms], ase.Atoms]
) -> None:
    prepared = Prepared(MODEL)
    prepared(make())
    sentence = r"^model 'scattering' was prepared again, .*\(edges 0\.7 to 1\.1 times .* do not lie on one smooth curve"
    with pytest.warns(UserWarning, match=sentence):
        again = prepared(change(make()))
    assert torch.equal(again, Prepared(MODEL)(change(make())))
    assert prepared.n_preparations == 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prepared(scaled(change(make()), 1.5))
        prepared(make())
    assert caught == []


def test_other_atoms_are_prepared_for_without_a_word() -> None:
    prepared, atoms = Prepared(MODEL), toy.skewed()
    other = atoms.copy()
    other.symbols[0] = "Si" if atoms.symbols[0] == "Li" else "Li"
    slab = atoms.copy()
    slab.pbc = (True, True, False)
    for number, structure in enumerate((atoms, other, atoms[1:], slab, atoms), 1):
        assert torch.equal(prepared(structure), Prepared(MODEL)(structure))
        assert prepared.n_preparations == number


def test_a_range_of_cells_is_prepared_for_on_request() -> None:
    prepared, atoms = Prepared(MODEL), toy.skewed()
    prepared.prepare(atoms, stretch=1.4)
    before = prepared(atoms)
    assert torch.equal(prepared(scaled(atoms, 1.39)), before)
    assert not torch.equal(before, Prepared(MODEL)(atoms))
    with pytest.warns(UserWarning, match=re.escape("(edges 0.7 to 1.4 times")):
        prepared(scaled(atoms, 1.41))


def test_a_sheared_or_turned_cell_has_the_same_edges() -> None:
    prepared, atoms = Prepared(MODEL), toy.skewed()
    before = prepared(atoms)
    turned = atoms.copy()
    turned.rotate(40.0, (1.0, 2.0, 3.0), rotate_cell=True)
    assert torch.equal(prepared(turned), before)


def test_a_molecule_that_turns_does_not_meet_its_images() -> None:
    """A rod along x gets a box long in x only; standing up, it needs another."""
    rod = ase.Atoms("Si6", positions=[(2.2 * k, 0.0, 0.0) for k in range(6)])
    prepared = Prepared(MODEL)
    prepared(rod)
    rod.rotate(90.0, "y")
    with pytest.warns(UserWarning, match="was prepared again"):
        prepared(rod)


def test_stretch_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"stretch must be a factor of at least 1, got 0\.5"):
        Prepared(MODEL, 0.5)
