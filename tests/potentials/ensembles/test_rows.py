"""Equations: what they say of a model with any coefficients, their weights, and what is drawn together."""

from __future__ import annotations

from dataclasses import replace

import labelled
import numpy as np
import pytest
import torch
from ensemble_task import BOTH, ENERGIES, SMALL, features, frames, sample

from rhopot.potentials.ensembles.matrix import FeatureStore, feature_rows
from rhopot.potentials.ensembles.moves import random_directions, random_shift
from rhopot.potentials.ensembles.rows import Measured, equations
from rhopot.potentials.fit import Alone, Silent, Targets
from rhopot.potentials.regressors.scattering_model import ScatteringModel
from rhopot.potentials.scattering import WaveletScattering
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.composition import Baseline

SCATTERING = WaveletScattering(SMALL)
BASELINE = Baseline(labelled.SYMBOLS, labelled.BASELINE, "given")


def measured(made: list[Frame], n_directions: int = 2) -> Measured:
    """All features of some frames, every other one shifted, and directions of each."""
    shifted = np.arange(0, len(made), 2)
    pairs = [(k, u) for k, frame in enumerate(made) for u in random_directions(frame, n_directions, 0)]

    def rows(samples):
        return feature_rows(samples, SCATTERING, FeatureStore(None, SCATTERING), Alone(), Silent(), "rows")

    values = rows([sample(frame) for frame in made])
    moved = rows([sample(made[k], random_shift(made[k], sample(made[k]).grid, 0)) for k in shifted])
    slopes = rows([sample(made[k], u, slope=True) for k, u in pairs])
    owners = np.array([k for k, _ in pairs], dtype=np.int64)
    return Measured(made, values, shifted, moved - values[shifted], owners, [u for _, u in pairs], slopes)


def model(seed: int = 0) -> tuple[ScatteringModel, np.ndarray, float]:
    """A model with random coefficients of sensible size, the coefficients and the constant."""
    random = np.random.default_rng(seed)
    size = np.abs(features(SCATTERING, frames(1)[0]).numpy())
    w, b = random.standard_normal(len(size)) / (size + 1e-6 * size.max()), 0.3
    both = torch.tensor(np.column_stack([w, w])), torch.tensor([b, b], dtype=torch.float64)
    return ScatteringModel(SCATTERING, *both, labelled.BASELINE), w, b


def with_labels_of_a_model(made: list[Frame]) -> tuple[list[Frame], np.ndarray, float]:
    """The same structures with energies and forces that some coefficients give exactly."""
    module, w, b = model()
    found = []
    for frame in made:
        grid = sample(frame).grid
        atoms = frame.atoms
        positions = torch.tensor(atoms.positions, requires_grad=True)
        cell, pbc = torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc)
        prepared = module.prepare(positions, cell, pbc, 1.1)
        assert prepared[:3].tolist() == grid.points[0]
        species = torch.tensor([labelled.SYMBOLS.index(symbol) for symbol in atoms.symbols])
        energy = module(positions, species, cell, pbc, prepared, 0, 1, False)[0]
        forces = -torch.autograd.grad(energy, positions)[0].numpy()
        found.append(replace(frame, energy=float(energy.detach()), forces=forces))
    return found, w, b


def test_equations_hold_for_the_model_that_made_the_labels() -> None:
    """Energies to rounding; forces along directions, the derivatives of that energy, to the error of a difference."""
    made, w, b = with_labels_of_a_model(frames(5))
    rows = equations(measured(made), BOTH, BASELINE, 1e-4)
    left = rows.features @ w + b * rows.constant - rows.targets
    size = np.abs(rows.features * w).sum(axis=1)
    assert rows.constant.sum() == 5
    assert (np.abs(left)[:5] < 1e-11 * size[:5]).all()
    assert len(rows.targets) == 5 + 10 + 3
    assert (np.abs(rows.targets[5:15]) > 1e-3).all()
    assert (np.abs(left)[5:15] < 1e-6 * size[5:15]).all()


def test_shifts_ask_for_no_change() -> None:
    made = frames(4)
    rows = equations(measured(made), ENERGIES, BASELINE, 1e-4)
    shifted = rows.features[-2:]
    assert (rows.targets[-2:] == 0).all()
    assert not rows.constant[-2:].any()
    for row, k in zip(shifted, (0, 2), strict=True):
        shift = random_shift(made[k], sample(made[k]).grid, 0)
        change = features(SCATTERING, made[k], made[k].atoms.positions + shift) - features(SCATTERING, made[k])
        np.testing.assert_allclose(row, change.numpy(), rtol=0, atol=1e-12)
    assert equations(measured(made), ENERGIES, BASELINE, None).constant.sum() == 4


def test_weights_are_inverse_squares_of_expected_errors() -> None:
    """Of an energy per atom sigma / sqrt N; K directions stand for 3 N components, s shifts for all frames."""
    made = frames(4)
    made[1] = replace(made[1], config_type="hot", fixed=np.array([True, False, False, False]))
    made[0], made[3] = (replace(frame, config_type="default") for frame in (made[0], made[3]))
    targets = Targets.model_validate({"energy": {"sigma": 0.002, "config_type": {"hot": 0.006}}, "forces": 0.05})
    rows = equations(measured(made), targets, BASELINE, 1e-3)
    energies = np.array([4 / 0.002**2, 4 / 0.006**2, 4 / 0.002**2, 4 / 0.002**2])
    one = energies.mean()
    free = np.repeat([12, 9, 12, 12], 2)
    expected = np.concatenate([energies, free / 2 / 0.05**2, [4 / 2 / 1e-3**2] * 2]) / one
    np.testing.assert_allclose(rows.weights, expected)


def test_groups_or_frames_are_drawn() -> None:
    made = frames(6)
    rows = equations(measured(made), BOTH, BASELINE, 1e-4)
    assert rows.n_groups == 2
    np.testing.assert_array_equal(rows.groups[:6], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(rows.groups[6:18], np.repeat([0, 1], 6))
    np.testing.assert_array_equal(rows.groups[18:], [0, 0, 1])
    assert equations(measured(made), BOTH, BASELINE, 1e-4, "frames").n_groups == 6
    alone = [replace(frame, group=None) for frame in made]
    assert equations(measured(alone), BOTH, BASELINE, 1e-4).n_groups == 6


def test_parts_join_to_the_equations_of_both() -> None:
    one, other = frames(3), frames(4, seed=1)
    joined = equations(measured(one).join(measured(other)), BOTH, BASELINE, None)
    apart = [equations(measured(part), BOTH, BASELINE, None) for part in (one, other)]
    for kind in (True, False):
        expected = np.concatenate([rows.targets[rows.constant == kind] for rows in apart])
        np.testing.assert_array_equal(joined.targets[joined.constant == kind], expected)
    np.testing.assert_array_equal(np.unique(joined.labels), sorted({f"group {f.group}" for f in (*one, *other)}))


def test_forces_alone_are_refused() -> None:
    made = [replace(frame, energy=None) for frame in frames(3)]
    with pytest.raises(ValueError, match=r"targets\.energy must be a sigma, and present in the data, got none"):
        equations(measured(made), BOTH, BASELINE, 1e-4)
