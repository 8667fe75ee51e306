"""Which columns are left out: planted noise, and wavelets that are wider than the cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scattering_problem import SMALL, frames, sample

from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering, all_paths, choose_grid
from rhopot.potentials.families.scattering.candidate_features import choose_columns, size_limits
from rhopot.potentials.families.scattering.feature_store import FeatureStore, feature_rows
from rhopot.potentials.families.scattering.perturbations import random_shift
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.progress import SilentProgress


def rows(settings: ScatteringSettings, count: int, shifted: bool) -> np.ndarray:
    scattering = WaveletScattering(settings)
    samples = []
    for frame in frames(count):
        still = replace(sample(frame), grid=choose_grid(settings, frame.atoms, 1.1))
        samples.append(replace(still, displacement=random_shift(frame, still.grid, 0)) if shifted else still)
    return feature_rows(
        samples, scattering, FeatureStore(None, scattering), SingleProcess(), SilentProgress(), "features"
    )


def test_columns_that_are_nothing_but_noise_are_left_out() -> None:
    """They would be scaled to unit spread like all others."""
    paths = all_paths(SMALL)
    features = rows(SMALL, 12, shifted=False)
    random = np.random.default_rng(0)
    changes = 1e-6 * np.abs(features).mean(axis=0) * random.standard_normal(features.shape)
    changes[:, 0] = 0.0
    clean = choose_columns(features, changes, SMALL, paths, 3.0, 0.02)
    assert clean.usable[1:].all()
    noise = 1e-4 * features[:, 50].mean() * random.standard_normal((2, 12))
    features[:, 50] = features[:, 50].mean() + noise[0]
    changes[:, 50] = noise[0] - noise[1]
    found = choose_columns(features, changes, SMALL, paths, 3.0, 0.02)
    assert np.flatnonzero(found.noisy).tolist() == [50]
    assert np.flatnonzero(clean.usable & ~found.usable).tolist() == [50]
    assert "1 not above the noise of the grids" in str(found)
    assert choose_columns(features, changes, SMALL, paths, 0.0, 0.02).usable[50]
    assert choose_columns(features, changes[:0], SMALL, paths, 3.0, 0.02).usable[50], "nothing is known about noise"


def test_noise_of_the_grids_is_far_below_what_features_say() -> None:
    changes = rows(SMALL, 6, shifted=True) - rows(SMALL, 6, shifted=False)
    assert (np.abs(changes).max(axis=0)[20:] > 0).any(), "a shift is seen"
    found = choose_columns(rows(SMALL, 12, shifted=False), changes, SMALL, all_paths(SMALL), 3.0, 0.0)
    assert found.noisy.sum() == 0


def test_wavelets_wider_than_the_cells_are_left_out() -> None:
    """Widths of 0.8 to 12.8 A in cells of 4.6 A: what passes the widest decays beyond any use."""
    settings = SMALL.model_copy(update={"max_scale": 4.0, "max_order": 1})
    paths, features = all_paths(settings), rows(settings, 4, shifted=False)
    found = choose_columns(features, features[:0], settings, paths, 3.0, 0.02)
    left_out = {path.j1 for path, small in zip(paths, found.small, strict=True) if small}
    kept = {path.j1 for path, usable in zip(paths, found.usable, strict=True) if usable}
    assert left_out == {2.0, 3.0, 4.0}
    assert kept == {None, 0.0, 1.0}
    small = features[:, found.small]
    assert (np.ptp(small, axis=0) > 0.1 * small.max(axis=0)).all(), "they vary as others do"


@pytest.mark.parametrize("regularization", [0.0, 0.2, 1.0])
def test_limits_of_size_are_integrals_of_moduli_of_weak_fields(regularization: float) -> None:
    settings = SMALL.model_copy(update={"regularization": regularization})
    paths = all_paths(settings)
    factor = np.sqrt(0.02**2 + regularization**2) - regularization
    unrounded = size_limits(SMALL.model_copy(update={"regularization": 0.0}), paths, 1.0)
    for path, limit, typical in zip(paths, size_limits(settings, paths, 0.02), unrounded, strict=True):
        assert limit == (pytest.approx(typical * factor**path.q) if path.order > 0 else 0.0)
