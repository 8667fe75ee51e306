"""Labels and features: baseline subtracted, features standardised, batches of any structures."""

from __future__ import annotations

import labelled
import numpy as np
import prepared_training as prepared
import pytest
import torch
from torch.testing import assert_close

from rhopot.potentials.families.networks.feature_cache import GIB, make_cache, structures
from rhopot.potentials.families.networks.jacobians import PairJacobians
from rhopot.potentials.families.networks.standardise import energy_scale_and_shift, mean_and_deviation
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.graph.atomic_graph import AtomicGraph, graphs
from rhopot.potentials.graph.derivatives import energy_forces_virial
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.pair import ZblPair
from rhopot.potentials.units import to_voigt
from rhopot.testing.spectrum import SmallSpectrum


def test_labels_lack_the_baseline_s_energies_forces_and_stresses() -> None:
    frames = labelled.frames(2)
    pair = ZblPair(labelled.SYMBOLS)
    baseline = EnergyBaseline(labelled.BASELINE, pair)
    found = structures(
        frames, SmallSpectrum(2, 4.0), labelled.SYMBOLS, baseline, prepared.TARGETS, LossSettings(), lambda done: None
    ).labels
    for k, frame in enumerate(frames):
        parts = list(graphs(frame.atoms, labelled.SYMBOLS, 4.0, 10**6))
        energy, forces, virial = energy_forces_virial(baseline, parts, 4)
        assert forces.abs().max() > 1e-3
        atoms = slice(4 * k, 4 * k + 4)
        assert float(found.energy.value[k]) == pytest.approx(float(frame.energy or 0) - energy, abs=1e-11)
        np.testing.assert_allclose(found.forces.value[atoms], frame.forces - forces.numpy(), atol=1e-11)
        assert frame.stress is not None
        expected = to_voigt(frame.stress * frame.atoms.get_volume() + virial.numpy())
        np.testing.assert_allclose(found.strain.value[k], expected, atol=1e-11)


@pytest.mark.parametrize("per_element", [False, True])
def test_features_have_mean_zero_and_spread_one(per_element: bool) -> None:
    held = prepared.cache(prepared.mixed_frames(), prepared.networks(per_element=per_element), dtype=torch.float32)
    groups = [held.species == a for a in range(2)] if per_element else [held.species >= 0]
    for group in groups:
        rows = held.features[group].double()
        assert_close(rows.mean(0), torch.zeros(rows.shape[1], dtype=torch.float64), rtol=0, atol=1e-6)
        assert_close(rows.std(0, correction=0), torch.ones(rows.shape[1], dtype=torch.float64), rtol=0, atol=1e-5)


def test_features_that_vary_by_rounding_only_are_constants() -> None:
    random = torch.Generator().manual_seed(0)
    rows = torch.randn((50, 3), generator=random, dtype=torch.float64)
    rows[:, 0] = 1e6 + 1e-9 * rows[:, 0]
    rows[:, 1] = 1e6 + 1e-4 * rows[:, 1]
    _, spread = mean_and_deviation([rows], [torch.zeros(50, dtype=torch.int64)], 1, SingleProcess())
    assert spread[0, 0] == 0
    assert float(spread[0, 1]) == pytest.approx(float(rows[:, 1].std(correction=0)), rel=1e-6)


def test_energy_scale_follows_the_forces_or_else_the_energies() -> None:
    networks = prepared.networks()
    labels = prepared.cache(labelled.frames(6), networks).labels
    sizes = torch.full([6], 4)
    scale, shift = energy_scale_and_shift(labels, sizes, SingleProcess())
    assert scale == pytest.approx(float(labels.forces.value.square().mean().sqrt()))
    assert shift == pytest.approx(float(labels.energy.value.mean()) / 4)
    labels.forces.weight.zero_()
    scale, _ = energy_scale_and_shift(labels, sizes, SingleProcess())
    assert scale == pytest.approx(float(labels.energy.value.std(correction=0)) / 4 * 2)


@pytest.mark.parametrize("gib", [1.0, 0.0], ids=["cached", "operators"])
def test_a_batch_is_its_structures_one_by_one(gib: float) -> None:
    networks = prepared.networks()
    held = prepared.cache(prepared.mixed_frames(), networks, gib=gib)
    prepared.on_standardised(networks)
    together = prepared.predict(networks, held.batch([0, 2, 4]))
    alone = [prepared.predict(networks, held.batch([k])) for k in (0, 2, 4)]
    for name in ("energy", "forces", "strain"):
        parts = torch.cat([getattr(one, name) for one in alone], 1)
        assert_close(getattr(together, name), parts, rtol=0, atol=1e-11)


def test_no_structure_at_all_is_a_batch_too() -> None:
    """A process without a share in a minibatch takes part in it."""
    networks = prepared.networks()
    for gib in (1.0, 0.0):
        held = prepared.cache(labelled.frames(2), networks, gib=gib)
        found = prepared.predict(networks, held.batch([]), graph=True)
        assert found.energy.shape == (2, 0, 1)
        gradients = torch.autograd.grad(found.energy.sum(), list(networks.parameters()))
        assert all(not g.any() for g in gradients)


def test_derivatives_kept_from_the_first_pass_change_no_bit() -> None:
    frames, descriptor = prepared.mixed_frames(), CountingSpectrum()
    baseline = EnergyBaseline(labelled.BASELINE)
    given = (frames, descriptor, labelled.SYMBOLS, baseline, prepared.TARGETS, LossSettings(), lambda done: None)
    n_features = descriptor.n_features
    constants = torch.zeros((1, n_features), dtype=torch.float64), torch.full((1, n_features), 2.0, dtype=torch.float64)
    caches = []
    for kept_bytes, calls in ((0.0, 2 * len(frames)), (GIB, len(frames))):
        descriptor.calls = 0
        data = structures(*given, kept_bytes=kept_bytes)
        assert len(data.jacobians) == (len(frames) if kept_bytes else 0)
        caches.append(make_cache(data, descriptor, constants, prepared.ALL, GIB, prepared.CPU, torch.float32))
        assert descriptor.calls == calls
        assert not data.jacobians
    one, other = caches
    assert torch.equal(one.features, other.features)
    assert isinstance(one.jacobians, PairJacobians)
    assert isinstance(other.jacobians, PairJacobians)
    assert torch.equal(one.jacobians.jacobian, other.jacobians.jacobian)
    assert one.jacobians.strain is not None
    assert other.jacobians.strain is not None
    assert torch.equal(one.jacobians.strain, other.jacobians.strain)


class CountingSpectrum(SmallSpectrum):
    """Counts how often features or derivatives of a structure are computed."""

    def __init__(self) -> None:
        super().__init__(2, labelled.CUTOFF)
        self.calls = 0

    def forward(self, graph: AtomicGraph) -> torch.Tensor:
        self.calls += 1
        return super().forward(graph)

    def jacobian(self, graph: AtomicGraph) -> tuple[torch.Tensor, torch.Tensor]:
        self.calls += 1
        before = self.calls
        found = super().jacobian(graph)
        self.calls = before
        return found
