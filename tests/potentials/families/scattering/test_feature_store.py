"""Rows of features: values, derivatives, where they are kept, and that threads change no bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scattering_problem import SMALL, features, frames, sample

from rhopot.potentials.descriptors.scattering import WaveletScattering
from rhopot.potentials.families.scattering.feature_store import FeatureStore, feature_rows
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.progress import SilentProgress

SCATTERING = WaveletScattering(SMALL)


def rows(samples, store=None, scattering=SCATTERING) -> np.ndarray:
    store = FeatureStore(None, scattering) if store is None else store
    return feature_rows(samples, scattering, store, SingleProcess(), SilentProgress(), "features")


def test_values_are_features_of_moved_atoms() -> None:
    one, other = frames(2)
    displacement = np.random.default_rng(0).standard_normal((4, 3))
    found = rows([sample(one), sample(other), sample(one, displacement)])
    expected = [features(SCATTERING, one), features(SCATTERING, other)]
    expected.append(features(SCATTERING, one, one.atoms.positions + displacement))
    np.testing.assert_array_equal(found, torch.stack(expected).numpy())


def test_derivatives_are_those_along_the_displacement() -> None:
    """Against reverse differentiation, feature by feature."""
    frame = frames(1)[0]
    displacement = np.random.default_rng(1).standard_normal((4, 3))
    displacement /= np.linalg.norm(displacement)
    found = rows([sample(frame, displacement, derivative=True)])[0]
    positions = torch.tensor(frame.atoms.positions, requires_grad=True)
    values = features(SCATTERING, frame, positions)
    expected = np.array(
        [
            float((torch.autograd.grad(value, positions, retain_graph=True)[0] * torch.tensor(displacement)).sum())
            if value.requires_grad
            else 0.0
            for value in values.unbind()
        ]
    )
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9 * np.abs(expected).max())
    assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


def test_strains_move_the_cell_along() -> None:
    """Against reverse differentiation by positions and cell; an atom at the origin has nothing but the cell."""
    strain = np.array([[0.4, 0.1, 0.0], [0.1, -0.3, 0.2], [0.0, 0.2, 0.7]])
    frame = frames(1)[0]
    atoms = frame.atoms[:1]
    atoms.positions[:] = 0.0
    for one in (frame, replace(frame, atoms=atoms)):
        asked = replace(sample(one, one.atoms.positions @ strain, derivative=True), strain=strain)
        found = rows([asked])[0]
        moved = [one.atoms.copy() for _ in range(2)]
        for atoms, step in zip(moved, (1e-5, -1e-5), strict=True):
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + step * strain), scale_atoms=True)
        ends = rows([replace(sample(one), atoms=atoms) for atoms in moved])
        expected = (ends[0] - ends[1]) / 2e-5
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_rows_are_kept_and_read_again_bit_by_bit(tmp_path: Path) -> None:
    samples = [sample(frame) for frame in frames(3)]
    first = rows(samples, FeatureStore(tmp_path, SCATTERING))
    assert len(list(tmp_path.glob("*.npy"))) == 3
    assert not list(tmp_path.glob("*.partial"))
    refused = WaveletScattering(SMALL)
    refused.forward = None  # type: ignore[method-assign, assignment]
    np.testing.assert_array_equal(rows(samples, FeatureStore(tmp_path, refused), refused), first)


def test_names_of_kept_rows_tell_all_they_depend_on(tmp_path: Path) -> None:
    frame = frames(1)[0]
    rows([sample(frame)], FeatureStore(tmp_path, SCATTERING))
    store = FeatureStore(tmp_path, SCATTERING)
    assert store.read(sample(frame)) is not None
    assert store.read(sample(frame, np.full((4, 3), 1e-9))) is None
    assert store.read(sample(frame, derivative=True)) is None
    assert store.read(sample(frames(1, seed=1)[0])) is None
    softer = WaveletScattering(SMALL.model_copy(update={"regularization": 0.3}))
    assert FeatureStore(tmp_path, softer).read(sample(frame)) is None
    fewer = WaveletScattering(SMALL, SCATTERING.paths[:40])
    assert FeatureStore(tmp_path, fewer).read(sample(frame)) is None


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [sample(frame) for frame in frames(4)]
    threads = torch.get_num_threads()
    found = []
    for count in (1, 3):
        torch.set_num_threads(count)
        found.append(rows(samples))
        assert torch.get_num_threads() == count, "as it was before"
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(*found)


def test_a_failure_in_a_thread_is_raised() -> None:
    frame = frames(1)[0]
    with pytest.raises(ValueError, match="broadcast"):
        rows([sample(frame, np.zeros((3, 3)))] * 3)
