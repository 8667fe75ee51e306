"""Losses against their equations, written out structure by structure."""

from __future__ import annotations

from dataclasses import replace

import labelled
import numpy as np
import prepared_training as prepared
import pytest
import torch

from rhopot.potentials.fitting.gradient.loss import Loss, Predictions, weights_and_scales
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.targets import Target, Targets
from rhopot.potentials.structures import Frame

FORMS = [
    LossSettings(beta=7.0, stress=0.4),
    LossSettings(beta=7.0, stress=0.4, norm="squared"),
    LossSettings(beta=7.0, stress=0.4, energy_per_atom=True),
    LossSettings(form="balanced", p=0.2, stress=0.4),
    LossSettings(form="likelihood", stress=0.4),
    LossSettings(form="likelihood", stress=0.4, huber=1.5),
]


def by_hand(settings: LossSettings, frame: Frame, energy: float, forces: np.ndarray, strain: np.ndarray) -> float:
    """Loss of one structure from its errors; forces hold the free atoms only."""
    n = len(frame)
    if settings.form == "regularized":
        power = 1 if settings.norm == "absolute" else 2
        size = n if settings.energy_per_atom else 1
        return float(
            abs(energy / size) ** power
            + settings.beta * np.mean(np.abs(forces) ** power)
            + settings.stress * np.mean(np.abs(strain / size) ** power)
        )
    if settings.form == "balanced":
        return float(
            settings.p * energy**2
            + (1 - settings.p) / len(forces) * np.sum(forces**2)
            + settings.stress * np.mean(strain**2)
        )
    scaled = [[energy / (0.002 * n**0.5)], forces.ravel() / 0.05, strain / (0.01 * n**0.5)]

    def penalty(x: np.ndarray) -> float:
        beyond = np.abs(x) > (settings.huber or np.inf)
        outside = np.abs(x) - 0.5 * (settings.huber or 0.0)
        return float(np.sum(np.where(beyond, (settings.huber or 0.0) * outside, 0.5 * x**2)))

    energies, components, strains = (penalty(np.asarray(part)) for part in scaled)
    return energies + components + settings.stress * strains


@pytest.mark.parametrize("settings", FORMS, ids=lambda h: f"{h.form}-{h.norm}-{h.huber}-{h.energy_per_atom}")
def test_loss_is_the_equation(settings: LossSettings) -> None:
    frames = prepared.mixed_frames()
    networks = prepared.networks()
    held = prepared.cache(frames, networks, settings)
    labels = held.batch(range(len(frames))).labels
    random = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(shape, generator=random, dtype=torch.float64)

    n_atoms = sum(map(len, frames))
    errors = noise(2, len(frames), 1), noise(2, n_atoms, 3), noise(2, len(frames), 6)
    values = labels.energy.value, labels.forces.value, labels.strain.value
    found = Loss(settings)(Predictions(*(v + e for v, e in zip(values, errors, strict=True))), labels)
    expected = np.zeros(2)
    first = 0
    for k, frame in enumerate(frames):
        free = slice(None) if frame.fixed is None else ~frame.fixed
        for member in range(2):
            energy, forces, strain = (e[member].numpy() for e in errors)
            mine = forces[first : first + len(frame)][free]
            expected[member] += by_hand(settings, frame, float(energy[k, 0]), mine, strain[k])
        first += len(frame)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_the_paper_s_equation_6_in_numbers() -> None:
    """Two atoms, dE = 0.3 eV, one force component off by 0.6 eV/A: 0.3 + beta / 6 * 0.6."""
    frame = labelled.frames(1)[0]
    table = weights_and_scales(replace(frame, atoms=frame.atoms[:2]), prepared.TARGETS, LossSettings(beta=5.0))
    weight, scale = table["forces"]
    assert table["energy"] == (1.0, 1.0)
    assert 0.3 + weight * 0.6 / scale == pytest.approx(0.3 + 5.0 / 6.0 * 0.6)


def test_absent_labels_and_excluded_config_types_do_not_count() -> None:
    hot, cold = labelled.frames(2)
    assert (hot.config_type, cold.config_type) == ("hot", "default")
    targets = Targets(energy=0.002, forces=Target(sigma=0.05, config_type={"hot": None}), stress=None)
    assert set(weights_and_scales(hot, targets, LossSettings())) == {"energy"}
    assert set(weights_and_scales(cold, targets, LossSettings())) == {"energy", "forces"}
    assert set(weights_and_scales(replace(cold, energy=None), targets, LossSettings())) == {"forces"}
    networks = prepared.networks()
    held = prepared.cache([hot, replace(cold, energy=None)], networks, targets=targets)
    labels = held.labels
    assert labels.energy.weight.tolist() == [1.0, 0.0]
    assert [bool(w) for w in labels.forces.weight] == [False] * 4 + [True] * 4
    assert not labels.strain.weight.any()


def test_config_types_have_their_own_sigmas_in_a_likelihood() -> None:
    hot, cold = labelled.frames(2)
    targets = Targets(energy=Target(sigma=0.002, config_type={"hot": 0.01}), forces=0.05)
    settings = LossSettings(form="likelihood")
    assert weights_and_scales(hot, targets, settings)["energy"] == (1.0, pytest.approx(0.01 * 2.0))
    assert weights_and_scales(cold, targets, settings)["energy"] == (1.0, pytest.approx(0.002 * 2.0))
