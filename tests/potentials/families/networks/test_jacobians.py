"""Forces and stresses of networks on features: cached derivatives, the operators, finite differences, the model."""

from __future__ import annotations

import copy

import labelled
import many_body_toy as toy
import numpy as np
import prepared_training as prepared
import pytest
import torch
from parameter_differences import derivative_along, directions
from torch.testing import assert_close

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings
from rhopot.potentials.families.networks.jacobians import OperatorJacobians, PairJacobians, ranges, runs
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_model import NetworkModel
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.structures import Frame
from rhopot.potentials.units import to_voigt
from rhopot.testing.spectrum import SmallSpectrum

LOSS = LossSettings(form="likelihood", stress=0.3)
SHAPES = [{}, {"per_element": True}, {"normalization": "batch_norm", "activation": "gelu"}]


@pytest.mark.parametrize("shape", SHAPES, ids=["single", "per element", "batch norm"])
def test_both_ways_to_the_derivatives_give_the_same_gradients(shape: dict[str, object]) -> None:
    frames = prepared.mixed_frames()
    networks = prepared.networks(**shape)
    cached = prepared.cache(frames, networks, LOSS)
    streamed = prepared.cache(frames, networks, LOSS, gib=0.0)
    assert isinstance(cached.jacobians, PairJacobians)
    assert isinstance(streamed.jacobians, OperatorJacobians)
    prepared.on_standardised(networks)
    networks.freeze_statistics(cached.features, cached.species)
    parameters = list(networks.parameters())
    for chosen in ([0, 1, 2, 3, 4], [1, 2, 4], [3]):
        losses = [prepared.loss_of(networks, held, LOSS, chosen) for held in (cached, streamed)]
        assert_close(losses[0], losses[1], rtol=1e-11, atol=0.0)
        gradients = [torch.autograd.grad(loss.sum(), parameters) for loss in losses]
        for one, other in zip(*gradients, strict=True):
            assert_close(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))


def test_derivatives_on_perfect_sites_survive_single_precision() -> None:
    """Norms of multipoles vanish there: in float32 their derivatives would be noise, with the cache and without it."""
    descriptor = GmpFeatures(GmpSettings(symbols=labelled.SYMBOLS, cutoff=4.0, n_probes=3, max_order=4))
    assert descriptor.settings.regularization == 1e-6
    crystals = [toy.crystal((1, 1, 1), seed=k, rattle=rattle) for k, rattle in enumerate((0.0, 0.1, 0.1))]
    crystals[0].symbols[:] = "Si"
    frames = [Frame(atoms=atoms, energy=-30.0, forces=np.zeros((8, 3)), stress=np.zeros((3, 3))) for atoms in crystals]
    networks = Networks(descriptor.n_features, 2, NetworkSettings(hidden=(8, 6)), [0, 1])
    found = {}
    for gib in (1.0, 0.0):
        for dtype in (torch.float32, torch.float64):
            held = prepared.cache(frames, networks, gib=gib, dtype=dtype, descriptor=descriptor)
            mine = prepared.on_standardised(copy.deepcopy(networks)).to(dtype)
            found[gib, dtype] = prepared.predict(mine, held.batch([0, 1, 2]))
    for name in ("forces", "strain"):
        exact = getattr(found[1.0, torch.float64], name)
        scale = float(exact.abs().max())
        assert scale > 0.1
        assert_close(getattr(found[0.0, torch.float64], name), exact, rtol=0.0, atol=1e-10 * scale)
        for gib in (1.0, 0.0):
            assert_close(getattr(found[gib, torch.float32], name).double(), exact, rtol=0.0, atol=3e-6 * scale)
    assert float(found[0.0, torch.float32].forces[:, :8].abs().max()) < 1e-4


@pytest.mark.parametrize("gib", [1.0, 0.0], ids=["cached", "operators"])
def test_gradient_of_the_loss_is_its_finite_difference(gib: float) -> None:
    networks = prepared.networks()
    held = prepared.cache(prepared.mixed_frames(), networks, LOSS, gib=gib)
    prepared.on_standardised(networks)
    parameters = list(networks.parameters())
    gradients = torch.autograd.grad(prepared.loss_of(networks, held, LOSS).sum(), parameters)
    along = directions(parameters, seed=1)
    numeric = derivative_along(lambda: prepared.loss_of(networks, held, LOSS).sum(), parameters, along, step=1e-5)
    analytic = float(sum((g * d).sum() for g, d in zip(gradients, along, strict=True)))
    assert analytic == pytest.approx(numeric, rel=1e-7)


def test_predictions_are_those_of_the_model() -> None:
    """Energies, forces and V * stress of the training are what the model's edges give, baseline added."""
    frames = labelled.frames(4, seed=5)
    networks = prepared.networks(per_element=True)
    held = prepared.cache(frames, networks)
    model = NetworkModel(SmallSpectrum(2, labelled.CUTOFF), networks, [0.0, 0.0])
    prepared.on_standardised(networks)
    found = prepared.predict(networks, held.batch(range(4)))
    assert found.forces is not None
    assert found.strain is not None
    loaded = LoadedModel(card=toy.card(2, cutoff=labelled.CUTOFF), module=model)
    results = evaluate(loaded, [frame.atoms for frame in frames])
    energy, forces, strain = (part.mean(0).numpy() for part in (found.energy, found.forces, found.strain))
    np.testing.assert_allclose(energy[:, 0], [one.energy for one in results], rtol=0, atol=1e-11)
    np.testing.assert_allclose(forces, np.concatenate([one.forces for one in results]), rtol=0, atol=1e-11)
    expected = [
        to_voigt(one.stress(frame.atoms) * frame.atoms.get_volume()) for one, frame in zip(results, frames, strict=True)
    ]
    np.testing.assert_allclose(strain, expected, rtol=0, atol=1e-10)


def test_images_of_a_pair_are_one_row_and_own_images_none() -> None:
    frames = labelled.frames(1)
    held = prepared.cache(frames, prepared.networks())
    assert isinstance(held.jacobians, PairJacobians)
    assert held.jacobians.jacobian.shape[0] == 4 * 3
    assert (held.jacobians.centre != held.jacobians.neighbour).all()
    assert held.jacobians.first_pair.tolist() == [0, 3, 6, 9, 12]


def test_energies_alone_need_no_derivatives() -> None:
    held = prepared.cache(labelled.frames(2), prepared.networks(), quantities=("energy",))
    assert held.jacobians is None
    assert held.nbytes == held.features.nbytes


def test_rows_of_some_items() -> None:
    first = torch.tensor([0, 2, 2, 5, 6])
    assert ranges(first, torch.tensor([0, 2])).tolist() == [0, 1, 2, 3, 4]
    assert ranges(first, torch.tensor([1])).tolist() == []
    assert ranges(first, torch.zeros(0, dtype=torch.int64)).tolist() == []
    assert runs(torch.tensor([0, 1, 2, 5, 7, 8])) == [(0, 3), (5, 6), (7, 9)]
    assert runs(torch.zeros(0, dtype=torch.int64)) == []
