"""Trainings of point scattering: they learn, and resume to the same bits; constants of the features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import labelled
import many_body_toy as toy
import numpy as np
import pytest
import torch
from training_problem import Stopping, fit_problem, training_settings, weights

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.descriptors.point_scattering import PointScatteringSettings, PointWavelets
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.point_scattering.family import FAMILY
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.models.point_scattering.network import PointScatteringNetworks
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings
from rhopot.testing.spectrum import arguments

WAVELETS = PointScatteringSettings(symbols=labelled.SYMBOLS, cutoff=labelled.CUTOFF, n=(2, 3))
NETWORK = PointScatteringNetworkSettings(channels=3, combined=6, hidden=(8,))
TARGETS = Targets(energy=0.002, forces=0.05, stress=0.01)


def problem(n_train: int = 9, **changes: Any) -> FitProblem:
    """A small problem with energies, forces and stresses."""
    fields: dict[str, Any] = {"targets": TARGETS, "members": 2, "descriptor": PointWavelets(WAVELETS)} | changes
    return fit_problem(labelled.frames(n_train), labelled.frames(5, seed=1), **fields)


def train(
    given: FitProblem, epochs: int, network: PointScatteringNetworkSettings = NETWORK, **changes: Any
) -> FitResult:
    """What the family's fit gives, trained on one thread."""
    loss = LossSettings(form="balanced", p=0.1, stress=0.1)
    settings = FamilySettings(WAVELETS, network, training_settings(epochs, **({"loss": loss, "ema": 0.9} | changes)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return FAMILY.fit(given, settings)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "limit"), [({}, 0.2), ({"embedding": "fixed", "combined": 0, "hidden": ()}, 0.7)])
def test_learns_the_forces_of_a_toy_potential(changes: dict[str, object], limit: float) -> None:
    network = PointScatteringNetworkSettings.model_validate({**NETWORK.model_dump(), **changes})
    result = train(problem(40, members=0), 40, network, dtype="float32", learning_rate=0.01)
    reference = np.concatenate([frame.forces for frame in labelled.frames(5, seed=1) if frame.forces is not None])
    found = result.report["validation"]["forces_mae_mev_per_angstrom"]
    assert found < limit * 1000 * np.sqrt(np.mean(reference**2))
    embedding = result.model.networks.layers[0].send
    assert isinstance(embedding, torch.nn.Parameter) == (network.embedding == "learned")


def test_the_model_has_the_errors_of_its_report() -> None:
    result, frames = train(problem(), 3), labelled.frames(5, seed=1)
    card = toy.card(2, cutoff=labelled.CUTOFF).model_copy(update={"n_layers": 2})
    found = evaluate(LoadedModel(card=card, module=result.model), [frame.atoms for frame in frames])
    errors = np.concatenate([one.forces - frame.forces for one, frame in zip(found, frames, strict=True)])
    validation = result.report["validation"]
    assert 1000 * np.abs(errors).mean() == pytest.approx(validation["forces_mae_mev_per_angstrom"], rel=1e-6)
    assert len(result.model.networks.layers) == 2
    assert result.model.n_members == 2
    assert "point scattering, 2 layers, 3 channels" in result.report["networks"]
    assert result.report["regressor"]["channels"] == 3


def test_stopped_and_resumed_is_bitwise_the_same(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(problem(folder=tmp_path, progress=Stopping(2)), 4)
    resumed = train(problem(folder=tmp_path, resume=True), 4)
    through = train(problem(), 4)
    assert torch.equal(weights(resumed.model), weights(through.model))
    assert torch.equal(resumed.model.calibration, through.model.calibration)


def test_constants_make_features_of_order_one() -> None:
    """Over the training atoms, at the initial weights, moduli have mean 0 and one deviation, all together 8."""
    given = problem()
    network = train(given, 1, learning_rate=1e-12).model.networks
    layer, rows = network.layers[0], []
    for frame in given.train:
        graph = arguments(frame.atoms, labelled.SYMBOLS, labelled.CUTOFF)
        sent = layer.sent(network.elements(graph.species), graph, 1)
        moduli = layer.moduli(layer.squares(sent, *given.descriptor.neighbourhoods(graph), 1))
        rows.append((moduli - layer.mean[1]) * layer.rate[1])
    moduli = torch.cat(rows)
    torch.testing.assert_close(moduli.mean(0), torch.zeros_like(moduli[0]), rtol=0, atol=1e-6)
    deviation = torch.full_like(moduli[0], 8 * network.read_out.n_features**-0.5)
    torch.testing.assert_close(moduli.std(0, correction=0), deviation, rtol=0, atol=1e-6)


def test_fixed_channels_are_those_of_scattering_each_relative_to_its_largest() -> None:
    networks = PointScatteringNetworks(PointWavelets(WAVELETS), PointScatteringNetworkSettings(embedding="fixed"), [0])
    expected = [[1, 0, 1 / 4, 2 / 10, (3 / 14) ** 0.5], [0, 1, 1, 1, 1]]  # Li and Si: own, valence, ionic, kinetic
    torch.testing.assert_close(networks.layers[0].send[0], torch.tensor(expected, dtype=torch.float64))
    assert "layers.0.send" not in dict(networks.named_parameters())
