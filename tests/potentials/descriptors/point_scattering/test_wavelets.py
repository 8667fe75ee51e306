"""Wavelets at atom centers: everything a descriptor owes, their definition in reciprocal space, closed forms."""

import math

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.integrate import quad
from scipy.special import spherical_jn
from torch import Tensor, nn

from rhopot.potentials.density.harmonics import real_spherical_harmonics
from rhopot.potentials.descriptors.point_scattering import PointScatteringSettings, PointWavelets
from rhopot.potentials.descriptors.point_scattering.wavelets import rounded_powers
from rhopot.potentials.descriptors.scattering.wavelets import mean_square, typical_field
from rhopot.testing.descriptor import SYMBOLS, DescriptorContract, features

SETTINGS = PointScatteringSettings(symbols=SYMBOLS, cutoff=4.5, n=(2, 3), beta=0.6, max_scale=1.0, scale_step=0.5)


class TestPointWavelets(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        return PointWavelets(SETTINGS)


class TestLateFadeAndOneScale(DescriptorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        changed = {"cutoff_width": 1.5, "n": (4,), "beta": 1.1, "max_scale": 0.0, "regularization": 0.1}
        return PointWavelets(SETTINGS.model_copy(update=changed))


def radial_from_frequencies(order: int, degree: int, scale: float, r: float) -> float:
    """Radial part in space of (-i)^l sqrt(4 pi/(2l+1)) w^(2(n-1)-l) exp(-beta^2 w^2/2) Y_lm, dilated: by quadrature."""

    def integrand(w: float) -> float:
        x = 2.0**scale * w
        profile = x ** (2 * (order - 1) - degree) * math.exp(-0.5 * (SETTINGS.beta * x) ** 2)
        return w * w * profile * float(spherical_jn(degree, w * r))

    factor = math.sqrt(4 * math.pi / (2 * degree + 1)) * 4 * math.pi / (2 * math.pi) ** 3
    return factor * quad(integrand, 0.0, 12.0 / SETTINGS.beta / 2.0**scale, limit=200)[0]


def block(module: PointWavelets, vector: Tensor, degree: int) -> Tensor:
    """Wavelets of one degree at a vector (2 l + 1, wavelets)."""
    sizes = [(2 * order + 1) * count for order, count in enumerate(module.counts)]
    return torch.split(module.at(vector), sizes)[degree].reshape(2 * degree + 1, -1)


@pytest.mark.parametrize("wavelet", SETTINGS.wavelets)
def test_wavelets_are_the_fourier_transforms_of_those_of_the_grid(wavelet: tuple[int, int, float]) -> None:
    order, degree, scale = wavelet
    module, index = PointWavelets(SETTINGS), SETTINGS.wavelets.index(wavelet)
    direction = torch.tensor([0.36, -0.48, 0.8], dtype=torch.float64)
    harmonics = real_spherical_harmonics(direction, degree)[degree * degree :]
    begin = sum(module.counts[:degree])
    for r in (0.7, 1.9, 3.3):
        found = block(module, direction * r, degree)[:, index - begin]
        t = r / SETTINGS.cutoff
        fade = 1 - 10 * t**3 + 15 * t**4 - 6 * t**5
        radial = radial_from_frequencies(order, degree, scale, r) / typical_field(order, degree, scale, SETTINGS.beta)
        torch.testing.assert_close(found, fade * radial * harmonics, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wavelet", SETTINGS.wavelets)
def test_square_over_space_is_that_of_the_frequencies(wavelet: tuple[int, int, float]) -> None:
    """Parseval, with the wavelet at long distances too: there the cutoff is far away."""
    order, degree, scale = wavelet
    wide = SETTINGS.model_copy(update={"cutoff": 20.0, "cutoff_width": 1.0})
    module, index = PointWavelets(wide), wide.wavelets.index(wavelet)
    begin = sum(module.counts[:degree])

    def integrand(r: float) -> float:
        values = block(module, torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64) * r, degree)[:, index - begin]
        return 4 * math.pi * r * r * float(values.square().sum())

    whole = quad(integrand, 0.0, 19.0, limit=200)[0] * typical_field(order, degree, scale, SETTINGS.beta) ** 2
    assert whole == pytest.approx(mean_square(order, degree, scale, SETTINGS.beta), rel=1e-7)


def test_an_atom_counts_itself_and_channels_are_elements() -> None:
    """Alone: wavelets of l = 0 at zero, in the channel of its element; nothing else."""
    found = features(PointWavelets(SETTINGS), ase.Atoms("Si", [(0, 0, 0)]))[0].reshape(-1, 2)
    own = np.array([radial_from_frequencies(*w, 0.0) / typical_field(*w, SETTINGS.beta) for w in SETTINGS.wavelets])
    field = torch.from_numpy(own / math.sqrt(4 * math.pi) * np.array([w[1] == 0 for w in SETTINGS.wavelets]))
    torch.testing.assert_close(found[:, 1], torch.sqrt(field**2 + 1.0) - 1.0, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(found[:, 0], torch.zeros(len(field), dtype=torch.float64), rtol=0, atol=0)


def test_powers_are_those_of_the_field_where_it_is_large_and_smooth_where_it_vanishes() -> None:
    q = torch.tensor([1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0], dtype=torch.float64)
    large = torch.tensor([[1e8, 1e10]], dtype=torch.float64)
    torch.testing.assert_close(rounded_powers(large, q / 2), large[:, None] ** (q / 2)[:, None], rtol=1e-3, atol=0)
    for number in range(4):
        field = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        value = rounded_powers(field.square().sum().reshape(1, 1), q / 2)[0, number, 0]
        (first,) = torch.autograd.grad(value, field, create_graph=True)
        second = torch.stack([torch.autograd.grad(component, field, retain_graph=True)[0] for component in first])
        torch.testing.assert_close(first.detach(), torch.zeros(3, dtype=torch.float64))
        torch.testing.assert_close(second, torch.eye(3, dtype=torch.float64) * float(q[number]))


def test_width_of_the_wavelets_follows_from_the_data() -> None:
    open_width = SETTINGS.model_copy(update={"beta": None})
    crystal = bulk("Si", "diamond", a=5.43)
    assert open_width.completed([crystal]).beta == round(0.4 * 5.43 * 3**0.5 / 4, 3)
    assert SETTINGS.completed([crystal]) == SETTINGS
    assert any("widths from the data" in line for line in open_width.describe())
    with pytest.raises(ValueError, match="beta must be known before features are made, got null"):
        PointWavelets(open_width)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="symbols must name at least one element, got none"):
        PointWavelets(PointScatteringSettings())
    with pytest.raises(ValueError, match=r"n must be different whole numbers from 1 to 8, got \(3, 3\)"):
        PointScatteringSettings(n=(3, 3))
