"""Adam, clipping and averages: closed forms, torch's own optimisers, members as if each were alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from rhopot.potentials.fitting.gradient.optimise import Adam, Average, Clipping, member_norms

MEMBERS = 3
SHAPES = ((MEMBERS, 4, 2), (MEMBERS, 5))


def start() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in SHAPES]


def gradients_of(values: list[Tensor]) -> list[Tensor]:
    """Gradient of sum(w^4) / 4, different for each member."""
    scale = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    return [w**3 * scale.reshape([-1] + [1] * (w.dim() - 1)) for w in values]


@pytest.mark.parametrize("decoupled", [False, True], ids=["adam", "adamw"])
def test_adam_is_torch_s_for_every_member(decoupled: bool) -> None:
    values = start()
    adam = Adam(values, decay=0.03, decoupled=decoupled)
    rates = torch.tensor([0.1, 0.02, 0.0], dtype=torch.float64)
    alone = [[w[k].clone().requires_grad_(True) for w in start()] for k in range(MEMBERS)]
    made = torch.optim.AdamW if decoupled else torch.optim.Adam
    theirs = [made(alone[k], lr=float(rates[k]), weight_decay=0.03) for k in range(MEMBERS)]
    for _ in range(20):
        adam.step(gradients_of(values), rates)
        for k, optimiser in enumerate(theirs):
            found = gradients_of([torch.stack([w.detach()] * MEMBERS) for w in alone[k]])
            for w, g in zip(alone[k], found, strict=True):
                w.grad = g[k]
            optimiser.step()
    for k in range(MEMBERS):
        for mine, other in zip(values, alone[k], strict=True):
            assert_close(mine[k], other.detach(), rtol=1e-12, atol=1e-14)
    assert torch.equal(values[0][2], start()[0][2])


def test_adam_continues_from_its_state() -> None:
    rates = torch.full([MEMBERS], 0.1, dtype=torch.float64)
    values, copies = start(), start()
    through, until = Adam(values), Adam(copies)
    for _ in range(3):
        through.step(gradients_of(values), rates)
        until.step(gradients_of(copies), rates)
    after = Adam(copies)
    after.load(until.state())
    for _ in range(3):
        through.step(gradients_of(values), rates)
        after.step(gradients_of(copies), rates)
    assert all(torch.equal(a, b) for a, b in zip(values, copies, strict=True))


def test_a_member_s_gradient_is_clipped_by_its_own_running_mean() -> None:
    clipping = Clipping(2.0, MEMBERS)
    first = start()
    norms = member_norms(first)
    assert all(torch.equal(a, b) for a, b in zip(clipping.apply(first), first, strict=True))
    larger = torch.tensor([1.5, 50.0, 0.0], dtype=torch.float64)
    second = [g * larger.reshape([-1] + [1] * (g.dim() - 1)) for g in first]
    found = clipping.apply(second)
    allowed = norms * torch.tensor([1.5, 2.0, 0.0])
    assert_close(member_norms(found), allowed, rtol=1e-12, atol=0.0)
    assert_close(clipping.mean, 0.99 * norms + 0.01 * allowed)
    assert_close(found[0][1], first[0][1] * 2.0, rtol=1e-12, atol=0.0)


def test_without_a_limit_nothing_is_clipped() -> None:
    clipping = Clipping(None, MEMBERS)
    clipping.apply(start())
    huge = [1e6 * g for g in start()]
    assert all(torch.equal(a, b) for a, b in zip(clipping.apply(huge), huge, strict=True))


def test_average_of_a_constant_is_reached_from_any_start() -> None:
    """With d_t = t / (t + 9) the weight of the start is prod_t t / (t + 9) = 9! T! / (T + 9)!."""
    value = [torch.tensor([[5.0]], dtype=torch.float64)]
    average = Average(value, memory=0.999)
    for _ in range(10):
        average.update([torch.tensor([[1.0]], dtype=torch.float64)])
    left = 362880.0 * 3628800.0 / 121645100408832000.0
    assert float(value[0]) == pytest.approx(1.0 + 4.0 * left, rel=1e-12)


def test_average_forgets_with_its_memory() -> None:
    value = [torch.zeros((1, 1), dtype=torch.float64)]
    average = Average(value, memory=0.5)
    average.steps = 100
    for weight in (8.0, 4.0, 2.0):
        average.update([torch.full((1, 1), weight, dtype=torch.float64)])
    assert float(value[0]) == pytest.approx(8 / 8 + 4 / 4 + 2 / 2)


def test_no_memory_follows_the_weights() -> None:
    values = start()
    average = Average(values, memory=0.0)
    latest = [v + 1.0 for v in start()]
    average.update(latest)
    for value, parameter in zip(values, latest, strict=True):
        assert_close(value, parameter, rtol=0, atol=1e-15)
