"""Grids: spacing in every direction, scales, slabs, wires and molecules."""

import ase
import numpy as np
import pytest
import torch
from scattering_systems import triclinic

from rhopot.potentials.descriptors.scattering import ScatteringSettings, choose_grid, finest_spacing
from rhopot.potentials.descriptors.scattering.grid import boxed_cell, fast_length, pack_grid, unpack_grid

HYPERS = ScatteringSettings(symbols=("Li", "Si"), spacing=0.2, max_scale=2, least_points=6)


def test_frequencies_below_the_limit_of_each_scale_are_in_the_band() -> None:
    atoms = triclinic()
    grid = choose_grid(HYPERS, atoms)
    for points, scale in zip(grid.points, HYPERS.scales, strict=True):
        # Corners and faces of the band, |k_i| = n_i / 2, are at least pi / s_j from the origin.
        k = np.random.default_rng(0).uniform(-1, 1, (500, 3))
        k[np.arange(500), np.arange(500) % 3] = 1.0
        waves = 2 * np.pi * (k * np.array(points) / 2) @ np.linalg.inv(atoms.cell.array).T
        assert np.linalg.norm(waves, axis=1).min() >= np.pi / (0.2 * 2**scale)


def test_full_grids_and_stretch() -> None:
    full = choose_grid(HYPERS.model_copy(update={"grids": "full"}), triclinic())
    assert full.points == [full.points[0]] * 3
    wide = choose_grid(HYPERS, triclinic(), stretch=1.3)
    assert finest_spacing(wide, 1.3 * triclinic().cell.array) <= 0.2
    assert all(a >= b for a, b in zip(wide.points[0], full.points[0], strict=True))


def test_fast_lengths() -> None:
    assert [fast_length(x) for x in (1, 7, 8.0, 8.1, 31, 97)] == [1, 8, 8, 9, 32, 100]


def test_slab_box_stands_upright_and_turns_with_the_slab() -> None:
    cell = torch.tensor([[3.0, 0.0, 0.0], [1.0, 4.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    pbc = torch.tensor([True, True, False])
    box = boxed_cell(cell, pbc, [0.0, 0.0, 12.0])
    torch.testing.assert_close(box[2], torch.tensor([0.0, 0.0, 12.0], dtype=torch.float64))
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    turn = turn * torch.linalg.det(turn)
    torch.testing.assert_close(boxed_cell(cell @ turn, pbc, [0.0, 0.0, 12.0]), box @ turn)


@pytest.mark.parametrize(
    "pbc", [(False, False, False), (True, False, False), (False, False, True), (False, True, False)]
)
def test_wires_and_molecules_get_an_orthogonal_box(pbc: tuple[bool, ...]) -> None:
    atoms = ase.Atoms(
        "LiSi", positions=[[0, 0, 0], [1.0, 0.5, 2.0]], pbc=pbc, cell=[[0.1, 3, 0.2], [0.3, 3, 1], [1, 1, 3]]
    )
    grid = choose_grid(HYPERS, atoms)
    box = boxed_cell(torch.tensor(atoms.cell.array), torch.tensor(pbc), grid.lengths).numpy()
    lengths = np.linalg.norm(box, axis=1)
    np.testing.assert_allclose(box @ box.T, np.diag(lengths**2), atol=1e-9)
    for axis in range(3):
        spread = np.ptp(atoms.positions @ box[axis]) / lengths[axis]
        assert pbc[axis] or lengths[axis] == pytest.approx(spread + HYPERS.vacuum)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("along", [0, 1, 2])
def test_box_of_a_wire_follows_small_strains(axis: int, along: int) -> None:
    """The wire runs along a Cartesian axis, where two others are equally good for the box."""
    cell, pbc = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)
    cell[axis, along], pbc[axis] = 4.0, True
    lengths = [0.0 if k == axis else 10.0 + k for k in range(3)]
    box = boxed_cell(cell, pbc, lengths)
    for seed in range(4):
        noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        strained = cell @ (torch.eye(3, dtype=torch.float64) + 1e-4 * noise)
        torch.testing.assert_close(boxed_cell(strained, pbc, lengths), box, atol=0.01, rtol=0)


def test_packed_grids_keep_every_digit_in_torchscript() -> None:
    grid = choose_grid(ScatteringSettings(symbols=("Si",)), ase.Atoms("Si2", [(0, 0, 0), (0.1, 0.2, 1 / 3)]))
    for pack in (pack_grid, torch.jit.script(pack_grid)):
        assert unpack_grid(pack(grid)) == grid


def test_refusals() -> None:
    with pytest.raises(ValueError, match="cell must have independent vectors"):
        choose_grid(HYPERS, ase.Atoms("Li", pbc=True))
    with pytest.raises(ValueError, match="stretch must be at least 1"):
        choose_grid(HYPERS, triclinic(), stretch=0.9)
