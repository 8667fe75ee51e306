"""Rules for width, scales and sampling: each undone by the equation it solves."""

import math

import ase
import numpy as np
import pytest

from rhopot.potentials.descriptors.scattering import (
    ScatteringSettings,
    beta_from_overlap,
    largest_scale,
    padding_error,
    spacing_from_alias,
)
from rhopot.potentials.descriptors.scattering.parameters import closest_distance, radial_profile, typical_box


def test_base_gaussians_overlap_as_asked() -> None:
    beta = beta_from_overlap(2.4, 0.1)
    assert math.exp(-((2.4 / 2) ** 2) / (2 * beta**2)) == pytest.approx(0.1)


def test_published_numbers_in_grid_points_of_a_tenth_of_an_angstrom() -> None:
    assert largest_scale(104, 1.8) == 3  # 3.35; 4 is printed, rounded up
    assert spacing_from_alias((1, 2, 3), 1.8) == pytest.approx(1.0, rel=0.25)


def test_largest_scale_is_rounded_down_and_never_negative() -> None:
    assert largest_scale(8 * math.sqrt(2), 0.5) == 2
    assert largest_scale(8 * math.sqrt(2) - 0.1, 0.5, 0.5) == 1.5
    assert largest_scale(1.0, 1.0) == 0


def test_settings_are_completed_from_the_data() -> None:
    crystal = ase.Atoms("LiSi", [[0, 0, 0], [1.2, 0, 0]], cell=[[11.4, 0, 0], [6, 12, 0], [0, 0, 14]], pbc=True)
    molecule = ase.Atoms("LiSi", [[0, 0, 0], [0, 2, 0]])
    assert closest_distance([molecule, crystal]) == pytest.approx(1.2)
    edge = (11.4 * 12 * 14) ** (1 / 3)
    assert typical_box([crystal]) == pytest.approx(edge)
    assert typical_box([molecule, crystal, crystal]) == pytest.approx(edge)
    slab = crystal.copy()
    slab.pbc = (True, True, False)
    assert typical_box([slab]) == pytest.approx(math.sqrt(11.4 * 12))
    assert typical_box([molecule]) == pytest.approx(2.0)
    open_settings = ScatteringSettings(symbols=("Li", "Si"), beta=None, max_scale=None, scale_step=0.5)
    known = open_settings.completed([crystal])
    assert known.beta == pytest.approx(beta_from_overlap(1.2), abs=1e-3)
    assert known.max_scale == largest_scale(edge, known.base_width, 0.5)
    assert ScatteringSettings(beta=0.4, max_scale=1).completed([crystal]) == ScatteringSettings(beta=0.4, max_scale=1)


def test_one_close_pair_among_many_does_not_narrow_the_wavelets() -> None:
    pairs = [ase.Atoms("Li2", [[0, 0, 0], [distance, 0, 0]]) for distance in [1.0, *np.linspace(2.0, 3.0, 499)]]
    assert closest_distance(pairs) == pytest.approx(2.01, abs=0.01)
    lonely = ase.Atoms("Li3", [[0, 0, 0], [2.5, 0, 0], [20, 0, 0]])
    assert closest_distance([lonely]) == pytest.approx(2.5)


def test_settings_that_lack_data_are_refused() -> None:
    with pytest.raises(ValueError, match="give beta"):
        ScatteringSettings(beta=None).completed([ase.Atoms("Li")])
    with pytest.raises(ValueError, match="completed"):
        _ = ScatteringSettings(beta=None).grid_spacing
    with pytest.raises(ValueError, match="completed"):
        _ = ScatteringSettings(max_scale=None).scales


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_wavelet_is_below_the_bound_beyond_the_band(order: int) -> None:
    spacing = spacing_from_alias((order,), 0.6, 1e-5)
    x = math.pi / spacing * np.linspace(1, 3, 200)
    values = x ** (2 * order - 2) * np.exp(-((0.6 * x) ** 2) / 2) * math.sqrt(4 * math.pi)
    assert values[0] == pytest.approx(1e-5)
    assert (values <= 1e-5 * (1 + 1e-9)).all()


def test_radial_profile_is_the_transform_of_the_frequency_form() -> None:
    # n = 2, l = 0: w^2 exp(-w^2 / 2) is minus the Laplacian of a Gaussian, (3 - r^2) exp(-r^2 / 2) x const.
    r = np.linspace(0, 5, 50)
    np.testing.assert_allclose(radial_profile(2, 0, 1.0, r), (3 - r**2) / 2 * np.exp(-(r**2) / 2), atol=1e-12)


def test_padding_error_falls_with_the_vacuum() -> None:
    errors = [padding_error((3,), 0.5, 1.0, padding) for padding in (3.0, 5.0, 7.0)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0


def test_refusals() -> None:
    with pytest.raises(ValueError, match="overlap must be between 0 and 1"):
        beta_from_overlap(2.0, 1.5)
    with pytest.raises(ValueError, match="distance must be positive"):
        beta_from_overlap(0.0)
    with pytest.raises(ValueError, match="alias must be between 0 and 1"):
        spacing_from_alias((3,), 0.5, 2.0)
