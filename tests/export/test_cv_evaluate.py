"""Evaluation of collective variables: batches, edges that are known, groups, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from collective_variables_at_hand import READ_EDGES, loaded, variable

from rhopot.export import cv_evaluate, evaluate_cv
from rhopot.potentials.collective_variables import Coordination, Distance
from rhopot.potentials.graph.verlet import VerletList
from rhopot.testing import structures


@pytest.mark.parametrize("name", READ_EDGES)
def test_batches_add_up(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cv, atoms = loaded(variable(name)), structures.slab()
    once = evaluate_cv(cv, atoms)
    monkeypatch.setattr(cv_evaluate, "MAX_EDGES", 40)
    for group in (None, np.arange(len(atoms))):
        parts = evaluate_cv(cv, atoms, group=group)
        np.testing.assert_allclose(parts.values, once.values, rtol=1e-12)
        np.testing.assert_allclose(parts.gradients, once.gradients, rtol=0.0, atol=1e-13)
        np.testing.assert_allclose(parts.strain_gradients, once.strain_gradients, rtol=1e-10, atol=1e-13)
    assert evaluate_cv(cv, atoms, gradients=False).gradients is None


def test_known_edges_give_the_same() -> None:
    atoms = structures.skewed()
    for name in ("coordination", "combined"):
        cv = loaded(variable(name))
        verlet = VerletList(cv.card.cutoff, 0.5)
        for _ in range(3):
            found, expected = evaluate_cv(cv, atoms, edges=verlet(atoms)), evaluate_cv(cv, atoms)
            np.testing.assert_allclose(found.gradients, expected.gradients, rtol=0.0, atol=1e-14)
            atoms.rattle(0.02, seed=1)
        assert verlet.n_searches == 1


def test_atoms_of_other_elements_are_not_there() -> None:
    atoms = structures.crystal((1, 1, 1))
    cv = loaded(Coordination(["Li"], ["Si"], 3.4))
    without = atoms.copy()
    del without[5]
    atoms.symbols[5] = "Xe"
    found = evaluate_cv(cv, atoms)
    assert found.values[0] == pytest.approx(evaluate_cv(cv, without).values[0], rel=1e-12)
    np.testing.assert_array_equal(found.gradients[:, 5], 0.0)


def test_what_is_refused() -> None:
    atoms = structures.crystal((1, 1, 1))
    with pytest.raises(ValueError, match=r"atoms of 'cv.pt' must be in the structure, got atom 9 of 8"):
        evaluate_cv(loaded(Distance([1, 9])), atoms)
    cv = loaded(Coordination(["Li"], ["Si"], 3.4))
    for group in ([0.5], [8], np.ones(3, dtype=bool)):
        with pytest.raises(ValueError, match="group must be a mask of 8 atoms or their indices"):
            evaluate_cv(cv, atoms, group=group)
    only = atoms[[atom.index for atom in atoms if atom.symbol == "Si"]]
    with pytest.raises(
        ValueError, match=r"collective variable 'coordination' of 'cv\.pt' must be finite, got nan for Si5"
    ):
        evaluate_cv(cv, only)
    with pytest.raises(ValueError, match="an average needs at least one atom of its elements in the group"):
        evaluate_cv(cv, atoms, group=[])
