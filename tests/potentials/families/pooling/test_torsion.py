"""Torsion: an energy of the dihedral angle alone is learned with pooling, and not without.

Chains of four atoms with fixed bonds (1.4 A) and angles (110 degrees): the distances 1-2 and 1-3 are fixed, 1-4 follows
from the dihedral angle, 2.3 to 3.7 A. The cutoff of 2 A lies between bonds and 1-3 (2.29 A): atoms see their bonded
neighbors, whose distances and angles are the same in every chain, so however many layers of messages a network has,
nothing in it changes. It is not enough that 1 and 4 do not see each other: with 1-3 inside the cutoff, atom 2 sees the
angle between 1 and 4, which follows from the dihedral angle, and one layer learns the energy without pooling.
"""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch
from ase.calculators.singlepoint import SinglePointCalculator

from rhopot.potentials.config import make_config
from rhopot.potentials.families import FamilySettings, find_family
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.structures import FrameSet, read_frames

BOND, ANGLE, CUTOFF = 1.4, np.radians(110.0), 2.0


def chain(symbols: str, dihedral: float) -> ase.Atoms:
    """Four atoms whose energy in eV is a function of their dihedral angle."""
    out, along = BOND * np.sin(ANGLE), BOND * np.cos(ANGLE)
    ends = (along, out, 0.0), (BOND - along, out * np.cos(dihedral), out * np.sin(dihedral))
    atoms = ase.Atoms(symbols, [ends[0], (0.0, 0.0, 0.0), (BOND, 0.0, 0.0), ends[1]])
    energy = 0.3 * np.cos(dihedral) + 0.2 * np.cos(2.0 * dihedral)
    atoms.calc = SinglePointCalculator(atoms, energy=float(energy))
    return atoms


def chains(symbols: str, count: int, seed: int) -> FrameSet:
    angles = np.random.default_rng(seed).uniform(0.0, np.pi, count)
    return read_frames([chain(symbols, angle) for angle in angles])


def rmse(symbols: str, nodes: list[float], layers: int, cutoff: float = CUTOFF) -> float:
    """Error in eV of networks for chains they have not seen, after 600 steps on others."""
    train, test, names = chains(symbols, 32, 0), chains(symbols, 32, 1), tuple(dict.fromkeys(symbols))
    config = make_config(
        {
            "family": "pooling",
            "descriptor": {"cutoff": cutoff},
            "regressor": {
                "nodes": nodes,
                "layers": layers,
                "width": 16,
                "filters": 16,
                "heads": 2,
                "pooled_cutoff": 6.0,
            },
            "training": {
                "epochs": 150,
                "batch": 8,
                "learning_rate": 5e-3,
                "ema": 0.98,
                "dtype": "float64",
                "loss": {"form": "regularized", "norm": "squared"},
            },
            "targets": {"forces": None},
        }
    )
    family = find_family("pooling")
    basis = family.descriptor_for(config.descriptor, (), names)
    problem = FitProblem(train, chains(symbols, 8, 2), basis, names, config.targets, [0.0] * len(names), members=0)
    model = family.fit(problem, FamilySettings(config.descriptor, config.regressor, config.training)).model
    no_cell, open_sides = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)
    nothing, species = torch.zeros(0, dtype=torch.float64), torch.tensor([names.index(each) for each in symbols])
    errors = [
        float(model(torch.tensor(frame.atoms.positions), species, no_cell, open_sides, nothing, 0, 1, False)[0])
        - frame.energy
        for frame in test
    ]
    return float(np.sqrt(np.mean(np.square(errors))))


def test_distances_are_as_stated() -> None:
    found = [chain("HCNO", angle).get_all_distances() for angle in np.linspace(0.0, np.pi, 20)]
    for d in found:
        assert [d[0, 1], d[1, 2], d[2, 3]] == pytest.approx([BOND] * 3)
        assert [d[0, 2], d[1, 3]] == pytest.approx([2.2936] * 2, abs=1e-3)
    assert min(d[0, 3] for d in found) > 2.3 > CUTOFF


@pytest.mark.slow
@pytest.mark.parametrize("symbols", ["HCNO", "HOOH"], ids=["four elements", "both ends alike"])
def test_the_energy_of_a_torsion_is_learned_with_pooling_only(symbols: str) -> None:
    without, pooled = rmse(symbols, [], 3), rmse(symbols, [0.75], 1)
    ratio = without / pooled
    print(f"{symbols}: RMSE {1000 * pooled:.1f} meV with pooling, {1000 * without:.1f} without, {ratio:.0f} to 1")
    deviation = float(np.std([frame.energy for frame in chains(symbols, 32, 1)]))
    assert without > 0.95 * deviation, "nothing but the mean is learned"
    assert ratio > 8.0


@pytest.mark.slow
def test_the_cutoff_of_this_test_must_leave_out_1_3() -> None:
    """The control: with 1-3 inside, one layer learns the torsion without any pooling."""
    assert rmse("HCNO", [], 1, cutoff=2.6) < 0.05
