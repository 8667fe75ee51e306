"""Members whose loss explodes go back, alone, to where they still learned."""

from __future__ import annotations

import math
from pathlib import Path

import labelled
import pytest
import torch
from training_problem import NETWORK, Stopping, fit_problem, training_settings, weights

from rhopot.potentials.families.networks.fit import train_networks
from rhopot.potentials.fitting.gradient.recovery import ATTEMPTS, GROWTH, Recovery
from rhopot.potentials.fitting.gradient.trainer import Trainer

TRAIN, VALIDATION = labelled.frames(12), labelled.frames(4, seed=1)
EPOCHS, BROKEN = 12, 6  # the weights of member 0 are destroyed in this epoch


def losses(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_only_the_member_that_exploded_goes_back() -> None:
    weight = torch.zeros(3, 2)
    recovery = Recovery([weight], 3)
    for value in (1.0, 2.0):
        weight.fill_(value)
        assert not recovery.update(losses(1.0, 1.0, 1.0)).any()
    weight.fill_(3.0)
    assert recovery.update(losses(0.99 * GROWTH, 1.01 * GROWTH, math.nan)).tolist() == [False, True, True]
    assert weight.tolist() == [[3.0, 3.0], [1.0, 1.0], [1.0, 1.0]], "start of the last sound epoch"
    assert recovery.factor.tolist() == [1.0, 0.5, 0.5]


def test_a_step_that_destroys_the_weights_at_the_end_of_an_epoch_is_undone() -> None:
    """The epoch's own loss is sound: it was computed before that step."""
    weight = torch.tensor([[1.0]])
    recovery = Recovery([weight], 1)
    for value, loss in ((2.0, 3.0), (1e3, 2.0)):
        weight.fill_(value)
        assert not recovery.update(losses(loss)).any()
    weight.fill_(-1e3)
    assert recovery.update(losses(1e6)).all()
    assert weight.tolist() == [[2.0]]


def test_a_member_that_goes_on_exploding_is_exhausted() -> None:
    recovery = Recovery([torch.zeros(1, 1)], 1)
    recovery.update(losses(1.0))
    for _ in range(ATTEMPTS):
        assert not recovery.exhausted.any()
        recovery.update(losses(1e3))
    assert recovery.exhausted.all()


def test_a_first_loss_that_is_no_number_is_never_sound() -> None:
    recovery = Recovery([torch.zeros(1, 1)], 1)
    assert not recovery.update(losses(math.nan)).any()
    assert not torch.isfinite(recovery.loss).all()


def broken_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Destroy the weights of member 0 at each step of one epoch, as one step on an unusual batch may."""
    step, done = Trainer._step, []

    def breaking(self: Trainer, frames: object, rates: object, sums: object) -> None:
        if self.epoch == BROKEN and not done:
            done.append(self.epoch)
            with torch.no_grad():
                for parameter in self._parameters:
                    parameter[0] += 1e3
        step(self, frames, rates, sums)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_step", breaking)


def test_a_training_goes_on_from_the_epoch_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other member does not notice."""
    given, settings = fit_problem(TRAIN, VALIDATION, members=2), training_settings(EPOCHS, learning_rate=0.01)
    sound = train_networks(given, NETWORK, settings)
    broken_steps(monkeypatch)
    found = train_networks(given, NETWORK, settings)
    back = [row["members_taken_back"] for row in found.report["epochs"]]
    assert back == [float(k == BROKEN) for k in range(EPOCHS)]
    ours, theirs = (list(result.model.networks.parameters()) for result in (found, sound))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(ours, theirs, strict=True))
    last, before = found.report["epochs"][-1], found.report["epochs"][BROKEN - 1]
    assert last["train_loss"] < before["train_loss"]
    assert last["learning_rate"] == pytest.approx(0.75 * sound.report["epochs"][-1]["learning_rate"])


def test_what_went_back_resumes_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = training_settings(EPOCHS, learning_rate=0.01)
    broken_steps(monkeypatch)
    through = train_networks(fit_problem(TRAIN, VALIDATION, members=2), NETWORK, settings)
    broken_steps(monkeypatch)
    stopped = fit_problem(TRAIN, VALIDATION, members=2, folder=tmp_path, progress=Stopping(BROKEN + 2))
    with pytest.raises(KeyboardInterrupt):
        train_networks(stopped, NETWORK, settings)
    resumed = train_networks(fit_problem(TRAIN, VALIDATION, members=2, folder=tmp_path, resume=True), NETWORK, settings)
    assert torch.equal(weights(resumed.model), weights(through.model))
