"""Threads with one calculator, or each with its own of one model: every structure has its own numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import trained_models

from rhopot.export import RhopotCalculator

N_THREADS = 4
N_ROUNDS = 5


def structures() -> list[ase.Atoms]:
    return [toy.crystal((1, 1, 1), seed) for seed in range(1, 1 + N_THREADS)]


def numbers(atoms: ase.Atoms) -> tuple[float, np.ndarray, float]:
    """Energy and forces by one path of ASE's protocol, the energy by another."""
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_properties(["energy", "stress"])["energy"]


@pytest.mark.parametrize("shared", [True, False], ids=["one calculator", "one each"])
@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_threads_have_the_numbers_of_their_structures(
    family: str, shared: bool, trained_model: Callable[[str], Path]
) -> None:
    calc = RhopotCalculator(trained_model(family))
    calc.prepare(structures()[0])
    right = []
    for atoms in structures():
        atoms.calc = calc
        right.append(numbers(atoms))
    assert np.ptp([energy for energy, _, _ in right]) > 0.01

    def many(k: int) -> list[tuple[float, np.ndarray, float]]:
        atoms = structures()[k]
        atoms.calc = calc if shared else copy.copy(calc)
        found = []
        for _ in range(N_ROUNDS):
            atoms.calc.reset()
            found.append(numbers(atoms))
        return found

    with ThreadPoolExecutor(N_THREADS) as pool:
        for (energy, forces, again), rounds in zip(right, pool.map(many, range(N_THREADS)), strict=True):
            for found in rounds:
                assert (found[0], found[2]) == pytest.approx((energy, again), abs=1e-9)
                np.testing.assert_allclose(found[1], forces, rtol=0, atol=1e-9)
    assert copy.copy(calc).model is calc.model
