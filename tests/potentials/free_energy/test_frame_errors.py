"""Errors of basins and barriers: which pair of basins decides about blocks, numbers without an error, disagreement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rhopot.potentials.free_energy.basins import Basins, Pass
from rhopot.potentials.free_energy.biased_frames import BiasedFrames
from rhopot.potentials.free_energy.frame_errors import blocks_of, with_errors
from rhopot.potentials.free_energy.grid import Surface, Variable, make_grid
from rhopot.potentials.free_energy.result import FreeEnergy, Measured
from rhopot.potentials.free_energy.reweighting import Frames

THERMAL = 0.025
GRID = make_grid([Variable("x")], [0.0], [2.0], [3])
THREE = Basins(GRID, np.arange(3), (0, 1, 2), (Pass(0, 1, 1, 0.1), Pass(1, 2, 1, 0.1)))


def frames(states: np.ndarray) -> Frames:
    return Frames(GRID.variables, np.arange(float(len(states))), states[:, None].astype(float), np.zeros(len(states)))


def hopping(seed: int) -> Frames:
    """Three states, left after 12 frames on average."""
    rng = np.random.default_rng(seed)
    return frames(np.repeat(rng.integers(0, 3, 60), rng.geometric(1.0 / 12.0, 60))[:400])


@pytest.mark.parametrize(("seed", "worst"), [(167, "basin 3 above 2"), (180, "basin 3 above 2")])
def test_the_worst_of_all_pairs_decides(seed: int, worst: str) -> None:
    """In 167 only the pair without basin 1 has not converged; in 180 a pair with shorter blocks than another one's."""
    blocks, quantity = blocks_of(hopping(seed), THREE, THERMAL)
    assert not blocks.converged
    assert quantity == f"free energy of {worst}"
    first, _ = blocks_of(hopping(seed), THREE, THERMAL, pairs=False)
    assert first.converged == (seed == 167)


def hills_and_frames(states: np.ndarray) -> FreeEnergy:
    """A result of hills with equal basins, and of frames in the states as they are."""
    energy = np.array([0.0, 0.1, 0.0])
    basins = Basins(GRID, np.array([0, 0, 1]), (0, 2), (Pass(0, 1, 1, 0.1),))
    values = Measured(np.zeros(2), np.array([[0.1, 0.1]]))
    p = np.bincount(states, minlength=3) / len(states)
    with np.errstate(divide="ignore"):
        second = Surface(GRID, -THERMAL * np.log(p))
    again = Measured(
        np.array([0.0, -THERMAL * np.log(p[2] / (p[0] + p[1]))]),
        second.energy[1] - second.energy[[[0, 2]]],
    )
    made = FreeEnergy(Surface(GRID, energy), basins, values, again, None, None, "", np.zeros(0), (), "", "")
    return with_errors(
        replace(made, second=second), BiasedFrames(frames(states), "equal weights"), THERMAL, errors=True
    )


def test_numbers_without_an_error_are_none() -> None:
    """One visit of the pass, in one block of many."""
    states = np.tile([0, 2], 400)
    states[100] = 1
    found = hills_and_frames(states)
    assert found.reweighted is not None
    assert found.errors is not None
    assert np.isnan(found.errors.barriers).all()
    assert np.isnan(found.reweighted.barriers).all()
    assert np.isfinite(found.values.barriers).all()
    assert found.notes == ()


def test_estimates_that_differ_are_noted() -> None:
    """Populations of 1:3 beside hills that say 1:1; barriers of the frames are half of those of the hills."""
    rng = np.random.default_rng(0)
    found = hills_and_frames(rng.choice(3, 4000, p=[0.2, 0.05, 0.75]))
    assert "differ by more than 3 errors (basin 2, barrier 1 to 2): the run has not converged" in found.notes[0]
    p = np.array([1.0, np.exp(-4.0), 1.0])
    assert hills_and_frames(rng.choice(3, 4000, p=p / p.sum())).notes == ()


def test_errors_of_nodes_belong_to_the_frames() -> None:
    found = hills_and_frames(np.tile([0, 1, 2, 2], 200))
    assert found.surface.error is None
    assert found.second is not None
    assert found.of_frames is found.second
    assert found.second.error is not None
