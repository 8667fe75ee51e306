"""Trainings of angular networks: they learn, members are alone, an interrupted one continues to the same bits."""

from __future__ import annotations

from typing import Any

import labelled
import many_body_toy as toy
import numpy as np
import pytest
import torch
from ase.neighborlist import neighbor_list
from torch.testing import assert_close
from training_problem import Stopping, fit_problem, training_settings, weights

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.potentials.families.angular.fit import fit_angular
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.fitting.problem import FitResult
from rhopot.potentials.models.angular.settings import AngularNetworkSettings

BASIS = AngularBasis(AngularSettings(symbols=labelled.SYMBOLS, cutoff=labelled.CUTOFF, n_radial=6, n_angular=5))
SHAPE = AngularNetworkSettings(layers=2, width=8, filters=16, heads=2)
FAST = {"learning_rate": 0.01, "dtype": "float32"}


def fit(n_train: int, epochs: int, loss: dict[str, Any] | None = None, **changes: Any) -> FitResult:
    """A training on that many frames, eight others for validation."""
    train, validation = labelled.frames(n_train, seed=0), labelled.frames(8, seed=1)
    problem = fit_problem(train, validation, descriptor=BASIS, **changes)
    settings = training_settings(epochs, **FAST, **(loss or {}))
    return fit_angular(problem, FamilySettings(BASIS.settings, SHAPE, settings))


@pytest.mark.slow
def test_learns_the_forces_of_a_toy_potential() -> None:
    """To a quarter of their root mean square, in structures of neither training nor validation."""
    result = fit(48, 60)
    test = labelled.frames(20, seed=3)
    loaded = LoadedModel(card=toy.card(0, cutoff=labelled.CUTOFF, n_layers=2), module=result.model)
    found = evaluate(loaded, [frame.atoms for frame in test])
    reference = np.concatenate([frame.forces for frame in test])
    errors = np.concatenate([one.forces for one in found]) - reference
    assert np.abs(errors).mean() < 0.25 * np.sqrt(np.mean(reference**2))


def test_interrupted_and_resumed_is_bitwise_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KeyboardInterrupt):
        fit(12, 6, folder=tmp_path, progress=Stopping(3))
    assert torch.load(tmp_path / "training.pt")["state"]["epoch"] == 3
    resumed = fit(12, 6, folder=tmp_path, resume=True)
    through = fit(12, 6)
    assert torch.equal(weights(resumed.model), weights(through.model))
    assert len(resumed.report["epochs"]) == 6


def test_members_are_networks_of_their_own() -> None:
    """Each of two is what it is with another beside it; their deviations are calibrated."""
    result = fit(12, 3, members=2)
    assert result.model.n_members == 2
    assert result.report["calibration"]["factor"] > 0
    alone = weights(fit(12, 3).model)
    first, second = (torch.cat([p[k].flatten() for p in result.model.networks.parameters()]) for k in (0, 1))
    assert (first - second).abs().max() > 0.1
    assert_close(first, alone, rtol=0, atol=1e-4)  # float32, validated on half of the frames


def test_scale_of_the_sums_is_that_of_the_training_data() -> None:
    """1 / n, for n the mean sum of f_c over the neighbors of an atom."""
    total, count = 0.0, 0
    for frame in labelled.frames(6, seed=0):
        x = neighbor_list("d", frame.atoms, labelled.CUTOFF) / labelled.CUTOFF
        total += float((1 - 10 * x**3 + 15 * x**4 - 6 * x**5).sum())
        count += len(frame)
    assert float(fit(6, 1).model.networks.scale) == pytest.approx(count / total, rel=1e-6)
