"""Scattering features: closed forms, invariances, derivatives, subsets, and the error of coarse grids."""

import math
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, make_supercell
from scattering_systems import inputs, scattering, triclinic
from torch import Tensor
from torch.testing import assert_close

from rhopot.export.script import compile_module, plain_execution
from rhopot.potentials.descriptors.scattering import (
    ScatteringGrid,
    ScatteringSettings,
    WaveletScattering,
    all_paths,
    choose_grid,
)

SYMBOLS = ("Li", "Si")
SMALL = ScatteringSettings(symbols=SYMBOLS, max_scale=2, beta=0.6, spacing=0.3, least_points=12, regularization=1e-6)
# Sums over grid points: fine enough for 1e-3 in cells of a few A, without the cost of eps_alias = 1e-6.
FINE = ScatteringSettings(symbols=SYMBOLS, max_scale=1, beta=0.6, spacing=0.19)


def module(settings: ScatteringSettings = SMALL, order: int = 2) -> WaveletScattering:
    """Return the features of `settings` up to an order."""
    return WaveletScattering(settings, [path for path in all_paths(settings) if path.order <= order])


def rotation(seed: int = 0) -> np.ndarray:
    """Return a proper rotation."""
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return q * np.linalg.det(q)


@pytest.mark.parametrize("q", [1.0, 4 / 3, 5 / 3, 2.0])
def test_one_atom_has_the_norms_of_a_gaussian(q: float) -> None:
    # n = 1, l = 0: rho * psi = c exp(-u^2 / (2 w^2)) / (2 pi w^2)^(3/2) with w = 2^j beta; its image under a second
    # wavelet is the Gaussian of variance w1^2 + w2^2.
    settings = ScatteringSettings(
        symbols=("Si",), channels={"z": {"Si": 14.0}}, n=(1,), beta=0.6, max_scale=1, powers=(q,), regularization=0.0
    )
    atoms = ase.Atoms("Si", cell=[16.0, 16.0, 16.0], pbc=True, positions=[[1.0, 2.0, 3.0]])
    features = scattering(WaveletScattering(settings), atoms, choose_grid(settings, atoms))
    for path, value in zip(all_paths(settings)[2:], features[2:].tolist(), strict=True):
        widths = [0.6 * 2.0**j for j in (path.j1, path.j2) if j is not None]
        variance = 2 * math.pi * sum(width**2 for width in widths)
        assert value == pytest.approx(14.0**q * variance ** (-1.5 * q) * (variance / q) ** 1.5, rel=1e-6)


def test_bias_and_zeroth_order() -> None:
    atoms = triclinic("LiSiSi")
    features = scattering(module(SMALL, 0), atoms, choose_grid(SMALL, atoms))
    assert features[0] == 1.0
    expected = [(3.0**q) / 3 for q in SMALL.powers] + [2 * 14.0**q / 3 for q in SMALL.powers]
    assert_close(features[1:9], torch.tensor(expected, dtype=torch.float64))


def test_rotation_of_atoms_and_cell_and_permutation() -> None:
    atoms = triclinic("LiSiSiLi")
    grid = choose_grid(SMALL, atoms)
    reference = scattering(module(), atoms, grid)
    turned = atoms[[2, 0, 3, 1]]
    turned.set_cell(atoms.cell.array @ rotation())
    turned.set_scaled_positions(atoms.get_scaled_positions(wrap=False)[[2, 0, 3, 1]] + 1.0)
    assert_close(scattering(module(), turned, grid), reference, rtol=1e-8, atol=0.0)


def test_mirror_images_are_equal() -> None:
    atoms = triclinic("LiSiSiLi")
    mirrored = atoms.copy()
    mirrored.set_cell(-atoms.cell.array)
    mirrored.set_positions(-atoms.positions)
    grid = choose_grid(SMALL, atoms)
    assert_close(scattering(module(), mirrored, grid), scattering(module(), atoms, grid), rtol=1e-8, atol=0.0)


def relative(found: Tensor, truth: Tensor) -> Tensor:
    """Return |found - truth| / |truth|, feature by feature."""
    return (found - truth).abs() / truth.abs()


def test_translation_by_less_than_a_grid_point() -> None:
    atoms = triclinic()
    grid = choose_grid(FINE, atoms)
    moved = atoms.copy()
    moved.positions += [0.05, 0.08, 0.03]
    errors = relative(scattering(module(FINE), moved, grid), scattering(module(FINE), atoms, grid))
    assert 1e-9 < errors.max() < 1e-3


def test_primitive_and_conventional_cell_of_one_crystal() -> None:
    cells = [bulk("LiSi", "zincblende", a=5.2, cubic=cubic) for cubic in (False, True)]
    values = [scattering(module(FINE), atoms, choose_grid(FINE, atoms)) for atoms in cells]
    assert 1e-9 < relative(values[0], values[1]).max() < 1e-3


def test_supercell_on_the_same_points_is_equal_per_atom() -> None:
    atoms = triclinic()
    grid = ScatteringGrid([[13, 13, 15], [9, 9, 9], [7, 7, 7]], [0.0, 0.0, 0.0])
    tiled = ScatteringGrid([[3 * a, b, c] for a, b, c in grid.points], grid.lengths)
    found = scattering(module(), make_supercell(atoms, np.diag([3, 1, 1])), tiled)
    assert_close(found, scattering(module(), atoms, grid), rtol=1e-6, atol=1e-9)


def rattled_crystal() -> ase.Atoms:
    """Return diamond silicon, its atoms moved by nearly nothing."""
    atoms = bulk("Si", "diamond", a=5.4, cubic=True)
    atoms.rattle(1e-9, seed=0)
    return atoms


@pytest.mark.parametrize(
    ("settings", "atoms", "length"),
    [
        (SMALL, triclinic(), 1e-7),
        (SMALL.model_copy(update={"regularization": 0.2}), triclinic(), 1e-5),
        (SMALL.model_copy(update={"regularization": 0.2}), rattled_crystal(), 1e-6),
    ],
    ids=["sharp", "rounded", "crystal"],
)
def test_derivatives_by_positions_and_strain(settings: ScatteringSettings, atoms: ase.Atoms, length: float) -> None:
    # Short steps where the modulus is sharp: a field that changes sign on a grid point within the step is a kink.
    grid = choose_grid(settings, atoms)
    positions, species, cell, pbc = inputs(atoms, SYMBOLS)
    features = module(settings)
    weights = torch.randn(features.n_features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # Features that a crystal's symmetry forbids are left small: their curvature would drown the steps.
    weights = weights / scattering(features, atoms, grid).abs().clamp_min(1.0)

    def energy(x: Tensor, strain: Tensor) -> Tensor:
        deformation = torch.eye(3, dtype=torch.float64) + strain
        return weights @ features(x @ deformation, species, cell @ deformation, pbc, grid)

    x = positions.requires_grad_()
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    derivatives = torch.autograd.grad(energy(x, strain), (x, strain))
    size = sum(float(derivative.norm()) for derivative in derivatives)
    generator = torch.Generator().manual_seed(1)
    for which, derivative in enumerate(derivatives):
        for _ in range(3):
            direction = torch.randn(derivative.shape, dtype=torch.float64, generator=generator)
            steps = [length * direction if k == which else torch.zeros_like(each) for k, each in enumerate((x, strain))]
            with torch.no_grad():
                difference = energy(x + steps[0], strain + steps[1]) - energy(x - steps[0], strain - steps[1])
            expected = float(torch.sum(derivative * direction))
            assert float(difference / (2 * length)) == pytest.approx(expected, abs=1e-6 * size)


@pytest.mark.parametrize(("regularization", "vanishes"), [(1e-6, True), (0.0, False)])
def test_derivatives_of_a_perfect_crystal_are_numbers(regularization: float, vanishes: bool) -> None:
    # Fields that symmetry forbids are noise: without rounding the modulus turns their signs into forces.
    settings = SMALL.model_copy(update={"regularization": regularization})
    atoms = bulk("Si", "diamond", a=5.4, cubic=True)
    positions, species, cell, pbc = inputs(atoms, SYMBOLS)
    positions.requires_grad_()
    cell.requires_grad_()
    values = module(settings)(positions, species, cell, pbc, choose_grid(settings, atoms))
    derivatives = torch.autograd.grad((values / values.detach().clamp_min(1e-3)).sum(), (positions, cell))
    assert all(derivative.isfinite().all() for derivative in derivatives)
    assert bool(derivatives[0].abs().max() < 1e-4) == vanishes
    assert derivatives[1].abs().max() > 1e-3


@pytest.fixture(scope="module")
def amorphous() -> ase.Atoms:
    """Li16Si16 in a cube of 8.2 A."""
    return ase.io.read(Path(__file__).resolve().parents[4] / "examples/data/lisi_gpaw/Li16Si16_0.xyz", index=0)


@pytest.mark.slow
def test_coarse_grids_agree_with_the_full_one_and_converge(amorphous: ase.Atoms) -> None:
    worst = {}
    for alias in (1e-2, 1e-4, 1e-6):
        settings = ScatteringSettings(
            symbols=SYMBOLS, channels={"valence": {"Li": 1.0, "Si": 4.0}}, powers=(1.0, 2.0), alias=alias
        )
        features = module(settings)
        full = choose_grid(settings.model_copy(update={"grids": "full"}), amorphous)
        coarse = choose_grid(settings, amorphous)
        assert coarse.points[1] != full.points[1]
        with torch.no_grad():
            errors = relative(scattering(features, amorphous, coarse), scattering(features, amorphous, full))
        worst[alias] = errors.max().item()
        print(
            f"eps_alias {alias:.0e}: {coarse.points[0][0]} and {coarse.points[1][0]} points, error {worst[alias]:.1e}"
        )
    assert worst[1e-6] < 1e-3


def test_subset_has_the_values_of_the_whole() -> None:
    atoms = triclinic()
    grid = choose_grid(SMALL, atoms)
    paths = all_paths(SMALL)
    chosen = np.random.default_rng(0).permutation(len(paths))[:40]
    whole = scattering(module(), atoms, grid)
    part = WaveletScattering(SMALL, [paths[k] for k in chosen])
    assert_close(scattering(part, atoms, grid), whole[torch.from_numpy(chosen)], rtol=1e-12, atol=0.0)
    assert sum(len(block) for block in part.second_scale) < 40


def test_operators_and_their_twins_have_the_same_values_and_derivatives() -> None:
    atoms = triclinic()
    grid = choose_grid(SMALL, atoms)
    results = []
    for features in (WaveletScattering(SMALL), WaveletScattering(SMALL, reference=True)):
        positions, species, cell, pbc = inputs(atoms, SYMBOLS)
        leaves = (positions.requires_grad_(), cell.requires_grad_())
        values = features(positions, species, cell, pbc, grid)
        derivatives = torch.autograd.grad((values / values.detach().clamp_min(1e-6)).sum(), leaves)
        results.append((values.detach(), *derivatives))
    assert_close(results[0][0], results[1][0], rtol=1e-11, atol=0.0)
    assert_close(results[0][1:], results[1][1:], rtol=1e-8, atol=1e-8)


def test_compiled_module_has_the_same_values_and_derivatives() -> None:
    atoms = triclinic()
    grid = choose_grid(SMALL, atoms)
    results = []
    for features in (module(), compile_module(module())):
        positions, species, cell, pbc = inputs(atoms, SYMBOLS)
        positions.requires_grad_()
        with plain_execution():
            values = features(positions, species, cell, pbc, grid)
            results.append((values.detach(), torch.autograd.grad(values.sum(), positions)[0]))
    assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)


def test_absent_species_gives_zeros_and_no_derivative() -> None:
    atoms = triclinic("SiSi")
    positions, species, cell, pbc = inputs(atoms, SYMBOLS)
    features = WaveletScattering(SMALL, [path for path in all_paths(SMALL) if path.channel == "lithium"])
    positions.requires_grad_()
    values = features(positions, species, cell, pbc, choose_grid(SMALL, atoms))
    assert (values == 0).all()
    assert (torch.autograd.grad(values.sum(), positions)[0] == 0).all()
