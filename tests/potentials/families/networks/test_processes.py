"""Two processes, launched by mpirun or torchrun, make the steps of one on the same batches."""

from __future__ import annotations

from pathlib import Path

import launched
import numpy as np
import pytest
import torch
from two_trainings import results

from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.synchronise import differentiable_sum, summed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    """What one process finds."""
    return results(SingleProcess())


@pytest.mark.parametrize("kind", launched.LAUNCHERS)
def test_two_processes_equal_one(kind: str, alone: dict[str, np.ndarray], tmp_path: Path) -> None:
    both = launched.two_processes(kind, "two_trainings.py", tmp_path / "found")
    for found in both:
        for name in ("energies", "forces"):
            scale = np.abs(alone[name]).max()
            np.testing.assert_allclose(found[name], alone[name], rtol=0, atol=1e-8 * scale)
            for more in ("_losses", "_errors", "_factor"):
                np.testing.assert_allclose(found[name + more], alone[name + more], rtol=1e-7)
    for name in ("energies", "forces"):
        np.testing.assert_array_equal(both[0][name], both[1][name])


class Doubled(SingleProcess):
    """Two processes that hold the same."""

    size = 2

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        return 2.0 * values


def test_gradients_flow_through_the_sum() -> None:
    """Of two equal processes: y = 2 x, and a gradient that both send is doubled."""
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    y = differentiable_sum(Doubled())(x)
    assert y.tolist() == [2.0, 6.0]
    (gradient,) = torch.autograd.grad((y**2).sum(), x)
    assert gradient.tolist() == [8.0, 24.0]


@pytest.mark.parametrize(("ranks", "factor"), [(SingleProcess(), 1.0), (Doubled(), 2.0)])
def test_tensors_are_summed_in_one_message(ranks: SingleProcess, factor: float) -> None:
    parts = [torch.arange(6.0).reshape(2, 3), torch.ones(2)]
    for part, total in zip(parts, summed(parts, ranks), strict=True):
        assert torch.equal(total, factor * part)
