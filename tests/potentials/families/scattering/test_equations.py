"""Equations: what they say of a model with any coefficients, their weights, and what is drawn together."""

from __future__ import annotations

from dataclasses import replace

import labelled
import numpy as np
import pytest
import torch
from scattering_problem import ALL, BOTH, ENERGIES, SMALL, features, fit_problem, frames, sample

from rhopot.potentials.descriptors.scattering import WaveletScattering
from rhopot.potentials.families.scattering.directional_features import (
    StructureFeatures,
    evaluate_plan,
    plan_evaluations,
)
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.equations import equations
from rhopot.potentials.families.scattering.feature_store import FeatureStore
from rhopot.potentials.families.scattering.perturbations import random_shift, random_strains
from rhopot.potentials.fitting.sparse_regression import stack
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.models.scattering_model import ScatteringModel
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.composition import CompositionBaseline
from rhopot.potentials.units import to_voigt

SCATTERING = WaveletScattering(SMALL)
BASELINE = CompositionBaseline(labelled.SYMBOLS, labelled.BASELINE, "given")


def measured(made: list[Frame], n_directions: int = 2, n_strains: int = 2) -> StructureFeatures:
    """All features of some frames, every frame shifted."""
    settings = ScatteringFitSettings(directions=n_directions, strains=n_strains)
    given = fit_problem(made, targets=ALL)
    return evaluate_plan(
        plan_evaluations(given, settings, made, True), "some", given, SCATTERING, FeatureStore(None, SCATTERING)
    )


def model(seed: int = 0) -> tuple[ScatteringModel, np.ndarray, float]:
    """A model with random coefficients of sensible size, the coefficients and the constant."""
    random = np.random.default_rng(seed)
    size = np.abs(features(SCATTERING, frames(1)[0]).numpy())
    w, b = random.standard_normal(len(size)) / (size + 1e-6 * size.max()), 0.3
    both = torch.tensor(np.column_stack([w, w])), torch.tensor([b, b], dtype=torch.float64)
    return ScatteringModel(SCATTERING, *both, labelled.BASELINE), w, b


def with_labels_of_a_model(made: list[Frame]) -> tuple[list[Frame], np.ndarray, float]:
    """The same structures with energies, forces and stresses that some coefficients give exactly."""
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
        energy = module(positions, species, cell.requires_grad_(), pbc, prepared, 0, 1, False)[0]
        by_positions, by_cell = (derivative.numpy() for derivative in torch.autograd.grad(energy, [positions, cell]))
        stress = (atoms.positions.T @ by_positions + atoms.cell.array.T @ by_cell) / atoms.get_volume()
        found.append(replace(frame, energy=float(energy.detach()), forces=-by_positions, stress=stress))
    return found, w, b


def test_equations_hold_for_the_model_that_made_the_labels() -> None:
    """Energies to rounding; forces along directions and stresses along strains to the error of a difference."""
    made, w, b = with_labels_of_a_model(frames(5))
    blocks = equations(measured(made), ALL, BASELINE, 1e-4)
    assert {kind: len(rows.targets) for kind, rows in blocks.items()} == {
        "energies": 5, "forces": 10, "stresses": 10, "translations": 5,
    }  # fmt: skip
    for kind, error in (("energies", 1e-11), ("forces", 1e-6), ("stresses", 1e-6)):
        rows = blocks[kind]
        left = rows.features @ w + b * rows.constant - rows.targets
        assert rows.constant.all() == (kind == "energies")
        assert (np.abs(rows.targets) > 1e-3).all()
        assert (np.abs(left) < error * np.abs(rows.features * w).sum(axis=1)).all(), kind


def test_strains_say_what_the_components_of_the_stress_are() -> None:
    """Six of them: their equations give all components back, each once."""
    (frame,) = frames(1)
    rows = equations(measured([frame], n_strains=6), ALL, BASELINE, None)["stresses"]
    strains = random_strains(frame, 6, 0)
    components = to_voigt(frame.stress) * frame.atoms.get_volume()
    u = to_voigt(strains) * np.array([1, 1, 1, 2, 2, 2])
    np.testing.assert_allclose(u @ u.T, np.eye(6), atol=1e-13)
    np.testing.assert_allclose(rows.targets, u @ components, rtol=1e-10)
    np.testing.assert_allclose(rows.targets @ rows.targets, components @ components, rtol=1e-10)


def test_shifts_ask_for_no_change() -> None:
    made = frames(3)
    rows = equations(measured(made, 0, 0), ENERGIES, BASELINE, 1e-4)["translations"]
    assert (rows.targets == 0).all()
    assert not rows.constant.any()
    for row, frame in zip(rows.features, made, strict=True):
        shift = random_shift(frame, sample(frame).grid, 0)
        change = features(SCATTERING, frame, frame.atoms.positions + shift) - features(SCATTERING, frame)
        np.testing.assert_allclose(row, change.numpy(), rtol=0, atol=1e-12)
    assert set(equations(measured(made, 0, 0), ENERGIES, BASELINE, None)) == {"energies"}


def test_weights_are_inverse_squares_of_expected_errors() -> None:
    """Of an energy per atom sigma / sqrt N; K directions stand for 3 N components, K strains for 6."""
    made = frames(4)
    made[1] = replace(made[1], config_type="hot", fixed=np.array([True, False, False, False]))
    made[0], made[3] = (replace(frame, config_type="default") for frame in (made[0], made[3]))
    targets = Targets.model_validate(
        {"energy": {"sigma": 0.002, "config_type": {"hot": 0.006}}, "forces": 0.05, "stress": 0.01}
    )
    blocks = equations(measured(made), targets, BASELINE, 1e-3)
    energies = np.array([4 / 0.002**2, 4 / 0.006**2, 4 / 0.002**2, 4 / 0.002**2])
    one = energies.mean()
    np.testing.assert_allclose(blocks["energies"].weights, energies / one)
    np.testing.assert_allclose(blocks["forces"].weights, np.repeat([12, 9, 12, 12], 2) / 2 / 0.05**2 / one)
    np.testing.assert_allclose(blocks["stresses"].weights, 6 / 2 / (4 * 0.01**2) / one)
    np.testing.assert_allclose(blocks["translations"].weights, 1 / 1e-3**2 / one)


def test_few_shifted_frames_stand_for_all() -> None:
    made = frames(6)
    settings, given = ScatteringFitSettings(directions=0, strains=0, translated=2), fit_problem(made)
    part = evaluate_plan(
        plan_evaluations(given, settings, made, True), "some", given, SCATTERING, FeatureStore(None, SCATTERING)
    )
    assert part.shifted.owners.tolist() == [0, 3]
    blocks = equations(part, ENERGIES, BASELINE, 1e-3)
    np.testing.assert_allclose(blocks["translations"].weights * 1e-3**2 / 3, 0.002**2 / 4)


def test_groups_or_frames_are_drawn() -> None:
    made = frames(6)
    part = measured(made, 2, 0)
    rows = stack(list(equations(part, BOTH, BASELINE, 1e-4).values()))
    assert rows.n_groups == 2
    np.testing.assert_array_equal(rows.groups[:6], [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(rows.groups[6:18], np.repeat([0, 1], 6))
    np.testing.assert_array_equal(rows.groups[18:], [0, 0, 0, 1, 1, 1])
    assert equations(part, BOTH, BASELINE, 1e-4, "frames")["energies"].n_groups == 6
    alone = replace(part, frames=[replace(frame, group=None) for frame in made])
    assert equations(alone, BOTH, BASELINE, 1e-4)["energies"].n_groups == 6


def test_parts_join_to_the_equations_of_both() -> None:
    parts = [measured(frames(2)), measured(frames(3, seed=1))]
    joined = equations(parts[0].join(parts[1]), ALL, BASELINE, 1e-4)
    apart = [equations(part, ALL, BASELINE, 1e-4) for part in parts]
    for kind, rows in joined.items():
        for name in ("features", "targets"):
            expected = np.concatenate([getattr(blocks[kind], name) for blocks in apart])
            np.testing.assert_array_equal(getattr(rows, name), expected)
        labels = [str(label) for blocks in apart for label in blocks[kind].labels[blocks[kind].groups]]
        assert rows.labels[rows.groups].tolist() == labels


def test_forces_alone_are_refused() -> None:
    made = [replace(frame, energy=None) for frame in frames(3)]
    with pytest.raises(ValueError, match=r"targets\.energy must be a sigma, and present in the data, got none"):
        equations(measured(made, 1, 0), BOTH, BASELINE, 1e-4)
