"""Wavelet scattering by its equations, path by path: slow, obvious, and the truth for the fast one.

Every atom is summed at every frequency, transforms are complex and full, harmonics are complex, channels are formed
from atoms. The grids are the same as the fast path's: what is under test is everything but the choice of grids.

In : `ScatteringSettings`, a structure (positions and cell in A), a `ScatteringGrid`. Out: (F,), order of `all_paths`.
Cost: O(C (N + log M) M) per wavelet for M grid points. NumPy, float64; no gradients.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapters 2-4
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import lpmv

from rhopot.potentials.descriptors.scattering.convolution_plan import block_level
from rhopot.potentials.descriptors.scattering.grid import ScatteringGrid, boxed_cell
from rhopot.potentials.descriptors.scattering.paths import WaveletPath, all_paths
from rhopot.potentials.descriptors.scattering.scattering_settings import ScatteringSettings
from rhopot.potentials.descriptors.scattering.wavelets import typical_field, typical_gain

Points = list[int]
Wavelet = tuple[int, int, float]


def direct_features(
    settings: ScatteringSettings,
    positions: np.ndarray,
    species: np.ndarray,
    cell: np.ndarray,
    pbc: np.ndarray,
    grid: ScatteringGrid,
    paths: Sequence[WaveletPath] | None = None,
) -> np.ndarray:
    """Return the features (F,) per atom of `paths` (None: all of them)."""
    box = boxed_cell(torch.from_numpy(cell), torch.from_numpy(pbc), grid.lengths).numpy()
    reference = _Reference(settings, positions, species, box, grid)
    return np.array([reference.feature(path) for path in (all_paths(settings) if paths is None else paths)])


class _Reference:
    """One structure; moduli are kept because four powers and many second wavelets share them."""

    def __init__(
        self,
        settings: ScatteringSettings,
        positions: np.ndarray,
        species: np.ndarray,
        box: np.ndarray,
        grid: ScatteringGrid,
    ) -> None:
        self.settings, self.positions, self.box, self.grid = settings, positions, box, grid
        weights = dict(zip(settings.channel_table, np.array(settings.weights), strict=True))
        self.atom_weights = {name: row[species] for name, row in weights.items()}
        self.largest = {name: np.abs(row).max() for name, row in weights.items()}
        self.volume = abs(np.linalg.det(box))
        self.moduli: dict[tuple[str | None, Wavelet, Wavelet | None], np.ndarray] = {}

    def feature(self, path: WaveletPath) -> float:
        """Return one feature."""
        n_atoms = len(self.positions)
        if path.order < 0:
            return 1.0
        assert path.channel is not None
        assert path.q is not None
        if path.order == 0:
            return float(np.sum(np.abs(self.atom_weights[path.channel]) ** path.q) / n_atoms)
        assert path.n1 is not None
        assert path.l1 is not None
        assert path.j1 is not None
        first = (path.n1, path.l1, path.j1)
        if path.order == 1:
            modulus = self.first(path.channel, first)
        else:
            assert path.n2 is not None
            assert path.l2 is not None
            assert path.j2 is not None
            modulus = self.second(path.channel, first, (path.n2, path.l2, path.j2))
        return float(np.sum(modulus**path.q) * self.volume / modulus.size / n_atoms)

    def first(self, channel: str, wavelet: Wavelet) -> np.ndarray:
        """Return sigma(rho_c * psi) on the grid of the block."""
        if (channel, wavelet, None) not in self.moduli:
            points = self.grid.points[block_level(self.settings, wavelet[2])]
            waves = self.waves(points)
            phases = np.exp(-1j * np.einsum("xyzc,nc->xyzn", waves, self.positions))
            density = phases @ self.atom_weights[channel] / self.volume
            floor = self.first_floor(channel, wavelet)
            self.moduli[channel, wavelet, None] = self.modulus(density, points, wavelet, floor)
        return self.moduli[channel, wavelet, None]

    def second(self, channel: str, first: Wavelet, wavelet: Wavelet) -> np.ndarray:
        """Return sigma(sigma(rho_c * psi_1) * psi_2) on the grid of the second scale."""
        if (channel, first, wavelet) not in self.moduli:
            points = self.grid.points[self.settings.scales.index(wavelet[2])]
            inner = self.first(channel, first)
            spectrum = _regrid(np.fft.fftn(inner, norm="forward"), points)
            floor = self.first_floor(channel, first) * typical_gain(*wavelet, self.settings.base_width, first[2])
            self.moduli[channel, first, wavelet] = self.modulus(spectrum, points, wavelet, floor)
        return self.moduli[channel, first, wavelet]

    def first_floor(self, channel: str, wavelet: Wavelet) -> float:
        """Return eps of a first modulus."""
        size = typical_field(*wavelet, self.settings.base_width)
        return float(self.settings.regularization * size * self.largest[channel])

    def modulus(self, spectrum: np.ndarray, points: Points, wavelet: Wavelet, floor: float) -> np.ndarray:
        """Return sigma of the inverse transforms of spectrum x psi^_m, m = -l ... l."""
        filters = self.wavelet(points, wavelet)
        square = sum(np.abs(np.fft.ifftn(spectrum * each, norm="forward")) ** 2 for each in filters)
        return np.asarray(square / np.maximum(np.sqrt(square + floor**2) + floor, 1e-300))

    def waves(self, points: Points) -> np.ndarray:
        """Return the frequencies (n1, n2, n3, 3) in 1/A, in FFT order."""
        numbers = [np.rint(np.fft.fftfreq(n) * n) for n in points]
        k = np.stack(np.meshgrid(*numbers, indexing="ij"), axis=-1)
        return 2 * np.pi * k @ np.linalg.inv(self.box).T

    def wavelet(self, points: Points, wavelet: Wavelet) -> list[np.ndarray]:
        """Return psi^_m of complex harmonics for m = -l ... l, zero outside the band."""
        order, degree, scale = wavelet
        waves = 2.0**scale * self.waves(points)
        length = np.linalg.norm(waves, axis=-1)
        safe = np.where(length > 0, length, 1.0)
        polar, azimuth = np.where(length > 0, waves[..., 2] / safe, 1.0), np.arctan2(waves[..., 1], waves[..., 0])
        numbers = np.meshgrid(*(np.abs(np.fft.fftfreq(n)) for n in points), indexing="ij")
        band = np.all([number < 0.5 - 1e-9 for number in numbers], axis=0)
        radial = band * length ** (2 * (order - 1) - degree) * np.exp(-0.5 * (self.settings.base_width * length) ** 2)
        filters = []
        for m in range(-degree, degree + 1):
            ratio = math.factorial(degree - abs(m)) / math.factorial(degree + abs(m))
            norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio)
            harmonic = norm * lpmv(abs(m), degree, polar) * np.exp(1j * m * azimuth)
            filters.append((-1j) ** degree * math.sqrt(4 * math.pi / (2 * degree + 1)) * radial * harmonic)
        return filters


def _regrid(spectrum: np.ndarray, points: Points) -> np.ndarray:
    """Return the coefficients of the frequencies that two grids share, zero elsewhere, on the second grid."""
    result = np.zeros(points, dtype=complex)
    halves = [(min(a, b) - 1) // 2 for a, b in zip(spectrum.shape, points, strict=True)]
    shared = np.ix_(*(np.arange(-half, half + 1) for half in halves))
    result[shared] = spectrum[shared]
    return result
