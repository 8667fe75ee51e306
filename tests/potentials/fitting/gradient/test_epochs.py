"""Number of epochs: few structures are seen often, many at least a fixed number of times, and a number insists."""

from __future__ import annotations

import pytest

from rhopot.potentials.fitting.gradient.epochs import FEWEST, STEPS, training_length
from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings

SIZES = [(k * 7) % 23 + 1 for k in range(4000)]


@pytest.mark.parametrize(("batch", "by"), [(8, "frames"), (96, "atoms")])
def test_few_structures_are_seen_until_there_are_enough_steps(batch: int, by: str) -> None:
    settings = TrainingSettings(batch=batch, batch_by=by)  # type: ignore[arg-type]
    found = training_length(settings, SIZES[:200], seed=0)
    assert found.epochs > FEWEST
    assert (found.epochs - 1) * found.steps < STEPS <= found.epochs * found.steps
    assert found.steps == pytest.approx(200 / 8 if by == "frames" else sum(SIZES[:200]) / 96, rel=0.15)


def test_many_structures_are_seen_a_fixed_number_of_times() -> None:
    found = training_length(TrainingSettings(batch=4), SIZES, seed=0)
    assert (found.epochs, found.steps) == (FEWEST, 1000)


def test_a_number_insists() -> None:
    found = training_length(TrainingSettings(epochs=3, batch=8), SIZES[:8], seed=0)
    assert str(found) == "3 epochs of 1 step"
