"""Derivatives block by block: those of autograd through the whole, for every kind of cell and set of paths."""

import ase
import pytest
import torch
from scattering_systems import inputs, triclinic
from torch.testing import assert_close

from rhopot.export.script import compile_module, plain_execution
from rhopot.potentials.descriptors.scattering import (
    ScatteringJacobian,
    ScatteringSettings,
    WaveletPath,
    WaveletScattering,
    all_paths,
    choose_grid,
)

SYMBOLS = ("Li", "Si")
HYPERS = ScatteringSettings(symbols=SYMBOLS, max_scale=2, beta=0.6, spacing=0.35, least_points=8, padding=4.0)
PATHS = all_paths(HYPERS)
SUBSETS: dict[str, list[WaveletPath]] = {
    "all": PATHS,
    "some": PATHS[7::61],
    "first_order": [path for path in PATHS if path.order == 1][::5],
    "without_fields": PATHS[:9],
    "twice": [PATHS[40], PATHS[400], PATHS[40]],
}
SLAB = ase.Atoms("LiSi", positions=[[0, 0, 0], [1.0, 0.5, 1.5]], pbc=(True, True, False), cell=[3.0, 3.4, 0.0])
MOLECULE = ase.Atoms("LiSi", positions=[[0, 0, 0], [1.0, 0.5, 1.5]])


@pytest.mark.parametrize("atoms", [triclinic(), SLAB, MOLECULE], ids=["triclinic", "slab", "molecule"])
@pytest.mark.parametrize("subset", list(SUBSETS))
def test_derivatives_are_those_of_autograd(subset: str, atoms: ase.Atoms) -> None:
    scattering = WaveletScattering(HYPERS, SUBSETS[subset])
    grid = choose_grid(HYPERS, atoms)
    positions, species, cell, pbc = inputs(atoms, SYMBOLS)
    weights = torch.randn(scattering.n_features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    positions.requires_grad_()
    cell.requires_grad_()
    features = scattering(positions, species, cell, pbc, grid)
    by_positions, by_cell = torch.autograd.grad(
        weights @ features + 0.0 * (positions.sum() + cell.sum()), [positions, cell]
    )
    # Portions of one row each: the same numbers.
    scattering.chunk = 1
    found = ScatteringJacobian(scattering)(weights, positions, species, cell, pbc, grid)
    assert_close(found[0], features.detach(), rtol=1e-12, atol=0.0)
    assert_close(found[1], by_positions, rtol=1e-9, atol=1e-9)
    assert_close(found[2], by_cell, rtol=1e-9, atol=1e-9)
    assert not found[0].requires_grad


@pytest.mark.parametrize("n_shares", [2, 3, 20])
def test_compiled_shares_add_up(n_shares: int) -> None:
    scattering = WaveletScattering(HYPERS, PATHS[::7])
    atoms = triclinic()
    grid = choose_grid(HYPERS, atoms)
    arguments = inputs(atoms, SYMBOLS)
    weights = torch.randn(scattering.n_features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = ScatteringJacobian(scattering)(weights, *arguments, grid)
    compiled = compile_module(ScatteringJacobian(scattering))
    with plain_execution():
        parts = [compiled(weights, *arguments, grid, share, n_shares) for share in range(n_shares)]
    for k, expected in enumerate(whole):
        assert_close(sum(part[k] for part in parts), expected, rtol=1e-10, atol=1e-10)


def test_two_shares_have_equal_work() -> None:
    settings = ScatteringSettings(symbols=SYMBOLS)
    jacobian = ScatteringJacobian(WaveletScattering(settings))
    points = [[48, 48, 48]] + 4 * [[24, 24, 24]]
    costs = [jacobian.scattering.block_cost(block, points) for block in range(jacobian.scattering.n_blocks)]
    shares = jacobian.scattering.block_shares(points, 2)
    loads = [sum(cost for cost, share in zip(costs, shares, strict=True) if share == k) for k in range(2)]
    assert max(loads) < 1.05 * min(loads)
