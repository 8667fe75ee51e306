"""Best weights and early stopping, member by member."""

from __future__ import annotations

import torch

from rhopot.potentials.fitting.gradient.stopping import BestWeights


def weights(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(values, dtype=torch.float64).reshape(-1, 1)]


def losses(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_every_member_keeps_its_own_best_weights() -> None:
    best = BestWeights(weights(0.0, 0.0), 2, None)
    best.update(weights(1.0, 1.0), losses(5.0, 3.0), 1)
    best.update(weights(2.0, 2.0), losses(4.0, 3.5), 2)
    best.update(weights(3.0, 3.0), losses(4.5, 2.0), 3)
    assert best.values[0].flatten().tolist() == [2.0, 3.0]
    assert best.epoch.tolist() == [2, 3]
    assert best.loss.tolist() == [4.0, 2.0]
    assert not best.finished


def test_a_member_stops_after_waiting_and_learns_nothing_later() -> None:
    best = BestWeights(weights(0.0, 0.0), 2, 2)
    best.update(weights(1.0, 1.0), losses(5.0, 5.0), 1)
    best.update(weights(2.0, 2.0), losses(6.0, 4.0), 2)
    assert best.stopped.tolist() == [False, False]
    best.update(weights(3.0, 3.0), losses(7.0, 3.0), 3)
    assert best.stopped.tolist() == [True, False]
    best.update(weights(4.0, 4.0), losses(1.0, 3.5), 4)
    assert best.values[0].flatten().tolist() == [1.0, 3.0]
    best.update(weights(5.0, 5.0), losses(1.0, 3.5), 5)
    assert best.finished


def test_a_loss_that_is_no_number_is_never_best() -> None:
    best = BestWeights(weights(0.0), 1, None)
    best.update(weights(1.0), losses(2.0), 1)
    best.update(weights(2.0), losses(float("nan")), 2)
    assert best.values[0].item() == 1.0
