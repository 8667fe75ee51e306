"""Combined variables are their parts: cutoffs, elements and given atoms of one do not reach another."""

from __future__ import annotations

import numpy as np
import pytest
from collective_variables_at_hand import loaded, soap

from rhopot.export import evaluate_cv
from rhopot.potentials.collective_variables import (
    Angle,
    CollectiveVariable,
    Coordination,
    Dihedral,
    Distance,
    Polarization,
    Steinhardt,
    combine,
)
from rhopot.testing import structures

SETS = {
    "cutoffs": lambda: [Coordination(["Si"], ["Si"], 2.8, 0.5), Coordination(["Si"], ["Si"], 4.2, 2.0)],
    "elements": lambda: [Steinhardt(4, ["Si"], 3.0), Steinhardt(6, ["Li"], 3.6), soap(3.9, 1)],
    "order": lambda: [Coordination(["Li"], ["Si"], 3.4), Coordination(["Si"], ["Li"], 3.3)],
    "given": lambda: [Distance([1, 2]), Dihedral([2, 5, 7, 8]), Angle([2, 1, 8])],
    "mixed": lambda: [Distance([3, 4]), Coordination(["Li"], ["Li", "Si"], 3.4), Distance([4, 3], "back")],
}


# Given atoms anywhere, some half of the cell apart: each part sees the same images.
@pytest.mark.filterwarnings("ignore:atoms .* are half of the cell apart")
@pytest.mark.parametrize("name", SETS)
def test_values_and_derivatives_are_those_of_the_parts(name: str) -> None:
    parts: list[CollectiveVariable] = SETS[name]()
    both = combine(*parts)
    for atoms in (structures.crystal((1, 1, 1)), structures.cluster(), structures.slab()):
        # Atoms of an element that no part knows are not there.
        atoms.symbols[6] = "Ge"
        found = evaluate_cv(loaded(both), atoms)
        expected = [evaluate_cv(loaded(part), atoms) for part in parts]
        for field in ("values", "gradients", "strain_gradients"):
            of_parts = np.concatenate([getattr(each, field) for each in expected])
            np.testing.assert_allclose(getattr(found, field), of_parts, rtol=1e-11, atol=1e-12)


def test_parts_may_be_combined_themselves() -> None:
    inner = combine(Distance([1, 2]), Coordination(["Li"], ["Si"], 3.4))
    outer = combine(inner, Steinhardt(6, ["Si"], 3.0))
    atoms = structures.crystal((1, 1, 1))
    expected = [*evaluate_cv(loaded(inner), atoms).values, *evaluate_cv(loaded(outer.parts[1]), atoms).values]
    np.testing.assert_allclose(evaluate_cv(loaded(outer), atoms).values, expected, rtol=1e-12)


def test_what_the_file_says_is_that_of_all_parts() -> None:
    told = combine(Distance([1, 2]), Dihedral([2, 3, 4, 5], "distance"), Coordination(["Li"], ["Si"], 3.4)).description
    assert told.names == ("distance_1", "distance_2", "coordination")
    assert told.units == ("A", "radian", "")
    assert told.periods == (None, 2 * np.pi, None)
    assert (told.atoms, told.lists) == ((1, 2, 2, 3, 4, 5), (2, 4, 0))
    assert (told.symbols, told.cutoff, told.n_sums) == (("Li", "Si"), 3.4, 2)


def test_more_than_three_are_refused() -> None:
    vector = Polarization(["Li"], ["Si"], 3.3, direction="vector")
    with pytest.raises(ValueError, match="parts must have 1 to 3 collective variables in all, got 4"):
        combine(vector, Distance([1, 2]))
