"""Candidate features: those above the noise of the grids and not too wide for the training cells.

A column is left out, before anything is scaled, where

    noise   its standard deviation over the training frames is less than `signal` times its change under a shift of
            all atoms (root mean square): the error of the grid, scaled to unit deviation, would be fitted
    size    its fields are not `size` times those that the wavelets have in a solid (`wavelets.typical_field`)

The second is of wavelets that are too wide for the training cells: the lowest wave of the cell lies where the filter
has decayed to 1e-10, and what is left varies from frame to frame like any other feature. In a cell twice as long, once
its atoms have moved, the filter has a wave to pass, and the same feature is larger by ten to fifty orders of magnitude:
no model that uses it can be carried over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletPath
from rhopot.potentials.descriptors.scattering.wavelets import TYPICAL_DENSITY, typical_field, typical_gain

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """Features that may be used, and why others may not.

    usable: (F); noisy, small: (F) those left out, for the first and for the second reason alone
    """

    usable: Booleans
    noisy: Booleans
    small: Booleans

    def __str__(self) -> str:
        return (
            f"{self.usable.sum()} of {len(self.usable)} features may be used; left out: {self.noisy.sum()} not above "
            f"the noise of the grids, {self.small.sum()} of wavelets too wide for the training cells"
        )


def choose_columns(
    features: Floats,
    changes: Floats,
    settings: ScatteringSettings,
    paths: Sequence[WaveletPath],
    signal: float,
    size: float,
) -> Columns:
    """Return the features that may be used.

    Args:
        features: (n, F) of the training frames.
        changes: (s, F) what shifts of all atoms add to them; none: nothing is known about noise.
        settings, paths: what the features are.
        signal, size: least ratios (see above).
    """
    noise = np.sqrt(np.mean(changes**2, axis=0)) if len(changes) else np.zeros(features.shape[1])
    noisy = features.std(axis=0) < signal * noise
    small = np.abs(features).mean(axis=0) < size_limits(settings, paths, size)
    return Columns(~(noisy | small), noisy, small & ~noisy)


def size_limits(settings: ScatteringSettings, paths: Sequence[WaveletPath], size: float) -> Floats:
    """Return the integrals per atom (F) of fields of `size` times the typical one, in a solid of typical density.

    The modulus of a field f, both in units of the typical one, is sqrt(f^2 + eps^2) - eps (`modulus`). Features without
    wavelets have no limit.
    """
    modulus = np.hypot(size, settings.regularization) - settings.regularization
    largest = dict(zip(settings.channel_table, np.abs(np.array(settings.weights)).max(axis=1), strict=True))
    limits = np.zeros(len(paths))
    for k, path in enumerate(paths):
        if path.n1 is None or path.l1 is None or path.j1 is None or path.q is None:
            continue
        field = typical_field(path.n1, path.l1, path.j1, settings.base_width) * largest[str(path.channel)]
        if path.n2 is not None and path.l2 is not None and path.j2 is not None:
            field *= typical_gain(path.n2, path.l2, path.j2, settings.base_width, path.j1)
        limits[k] = (modulus * field) ** path.q / TYPICAL_DENSITY
    return limits
