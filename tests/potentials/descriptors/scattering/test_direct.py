"""Fast path against the equations, feature by feature, on the same grids."""

from typing import Any

import ase
import pytest
import torch
from scattering_systems import inputs, scattering, triclinic
from torch.testing import assert_close

from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering, choose_grid, direct_features

SYMBOLS = ("Li", "Si")
SMALL = {"symbols": SYMBOLS, "max_scale": 2, "alias": 1e-2, "least_points": 6}
CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "several_orders": {"n": (1, 2), "max_scale": 1},
    "half_steps": {"scale_step": 0.5, "max_scale": 1.0, "scale_lag": 0.5},
    "one_channel": {"channels": {"all": {"Li": 1.0, "Si": -2.0}}},
    "modulus_itself": {"regularization": 0.0, "degree_rule": "greater"},
    "full_grids": {"grids": "full", "scale_lag": 0.0, "max_scale": 1},
    "powers": {"powers": (1.5, 3.0), "max_scale": 1},
}


def slab() -> ase.Atoms:
    return ase.Atoms("LiSi", positions=[[0, 0, 0], [1.0, 0.5, 1.5]], pbc=(True, True, False), cell=[3.0, 3.4, 0.0])


@pytest.mark.parametrize("case", list(CASES))
def test_every_feature_equals_the_reference(case: str) -> None:
    settings = ScatteringSettings(**{**SMALL, **CASES[case]})
    atoms = triclinic()
    grid = choose_grid(settings, atoms)
    found = scattering(WaveletScattering(settings), atoms, grid)
    _, species, _, _ = inputs(atoms, SYMBOLS)
    truth = direct_features(settings, atoms.positions, species.numpy(), atoms.cell.array, atoms.pbc, grid)
    assert_close(found, torch.from_numpy(truth), rtol=1e-8, atol=0.0)


def test_slab_equals_the_reference() -> None:
    settings = ScatteringSettings(**{**SMALL, "max_scale": 1, "padding": 4.0})
    grid = choose_grid(settings, slab())
    found = scattering(WaveletScattering(settings), slab(), grid)
    _, species, cell, pbc = inputs(slab(), SYMBOLS)
    truth = direct_features(settings, slab().positions, species.numpy(), cell.numpy(), pbc.numpy(), grid)
    assert_close(found, torch.from_numpy(truth), rtol=1e-8, atol=0.0)
