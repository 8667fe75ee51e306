"""Learning rates in closed form, and the plateau of every member."""

from __future__ import annotations

import math

import pytest
import torch

from rhopot.potentials.fitting.gradient.schedule import Plateau, rate_factor
from rhopot.potentials.fitting.gradient.training_settings import ScheduleSettings


def test_warmup_is_linear() -> None:
    settings = ScheduleSettings(name="constant", warmup=0.1)
    assert [rate_factor(settings, 100, t) for t in (0.0, 2.5, 10.0, 99.0)] == [0.0, 0.25, 1.0, 1.0]


def test_cosine_falls_to_the_final_part() -> None:
    settings = ScheduleSettings(name="cosine", warmup=0.2, final=0.1)
    assert rate_factor(settings, 100, 20.0) == pytest.approx(1.0)
    assert rate_factor(settings, 100, 60.0) == pytest.approx(0.55)
    assert rate_factor(settings, 100, 40.0) == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi / 4)))
    assert rate_factor(settings, 100, 100.0) == pytest.approx(0.1)


def test_halving_is_the_paper_s() -> None:
    """12000 epochs, halved every 2000: from 1e-2 to 3e-4."""
    settings = ScheduleSettings(name="halving", warmup=0.0, every=2000, final=0.01)
    rates = [1e-2 * rate_factor(settings, 12000, t) for t in (0.0, 1999.9, 2000.1, 11999.0)]
    assert rates == pytest.approx([1e-2, 1e-2, 5e-3, 3.125e-4])
    assert rate_factor(ScheduleSettings(name="halving", warmup=0.0, every=1, final=0.2), 50, 49.0) == 0.2


def test_plateau_halves_the_member_that_waits() -> None:
    plateau = Plateau(ScheduleSettings(name="plateau", patience=3, final=0.3), 2)
    losses = [[1.0, 1.0], [0.9, 1.0], [0.8, 1.1], [0.7, 1.0], [0.6, 0.5], [0.5, 0.6], [0.4, 0.6], [0.3, 0.6]]
    factors = []
    for loss in losses:
        plateau.update(torch.tensor(loss, dtype=torch.float64), 1)
        factors.append(plateau.factor.tolist())
    assert [f[0] for f in factors] == [1.0] * 8
    assert [f[1] for f in factors] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.3]


def test_other_schedules_have_no_plateau() -> None:
    plateau = Plateau(ScheduleSettings(name="cosine", patience=1), 1)
    for _ in range(5):
        plateau.update(torch.ones(1, dtype=torch.float64), 1)
    assert plateau.factor.tolist() == [1.0]
