"""Two processes, launched by mpirun or torchrun, make the steps of one on the same batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rhopot.potentials.fit import Alone
from rhopot.potentials.training.synchronise import differentiable_sum, summed

SCRIPT = """
import sys
import numpy as np, labelled
from training_task import ENERGIES, FORCES, hypers, task, weights
from rhopot.potentials.fit import find_ranks
from rhopot.potentials.regressors.network_hypers import NetworkHypers
from rhopot.potentials.training import train_networks

ranks = find_ranks()
train, validation = labelled.frames(17), labelled.frames(5, seed=1)
found = {"size": ranks.size, "kind": type(ranks).__name__}
for name, targets in (("energies", ENERGIES), ("forces", FORCES)):
    network = NetworkHypers(hidden=(10, 6), normalization="batch_norm", per_element=name == "energies")
    given = task(train, validation, ranks=ranks, targets=targets, members=2)
    result = train_networks(given, network, hypers(5, learning_rate=0.01))
    found[name] = weights(result.model).numpy()
    found[name + "_losses"] = [row["validation_loss"] for row in result.report["epochs"]]
    found[name + "_errors"] = list(result.report["validation"].values())
    found[name + "_factor"] = result.report["calibration"]["factor"]
np.savez(f"{sys.argv[1]}-{ranks.rank}.npz", **found)
"""


def run(tmp_path: Path, launcher: list[str], name: str, size: int) -> list[dict[str, np.ndarray]]:
    """Train in `size` processes and return what each of them found."""
    here = Path(__file__).parent
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    paths = [str(here), str(here.parent / "fit"), str(here.parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [*launcher, str(script), str(tmp_path / name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [dict(np.load(tmp_path / f"{name}-{rank}.npz")) for rank in range(size)]


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """5 epochs of 4 batches, 20 steps, in float64."""
    tools = Path(sys.executable).parent
    (alone,) = run(tmp_path, [sys.executable], "alone", 1)
    mpi = run(tmp_path, [str(tools / "mpirun"), "-n", "2", sys.executable], "mpi", 2)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    gloo = run(tmp_path, torchrun, "gloo", 2)
    assert [str(found["kind"]) for found in (alone, *mpi, *gloo)] == ["Alone"] + ["MpiRanks"] * 2 + ["TorchRanks"] * 2
    for found in (*mpi, *gloo):
        assert int(found["size"]) == 2
        for name in ("energies", "forces"):
            scale = np.abs(alone[name]).max()
            np.testing.assert_allclose(found[name], alone[name], rtol=0, atol=1e-8 * scale)
            for more in ("_losses", "_errors", "_factor"):
                np.testing.assert_allclose(found[name + more], alone[name + more], rtol=1e-7)
    for name in ("energies", "forces"):
        np.testing.assert_array_equal(mpi[0][name], mpi[1][name])
        np.testing.assert_array_equal(gloo[0][name], gloo[1][name])


class Doubled(Alone):
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


@pytest.mark.parametrize(("ranks", "factor"), [(Alone(), 1.0), (Doubled(), 2.0)])
def test_tensors_are_summed_in_one_message(ranks: Alone, factor: float) -> None:
    parts = [torch.arange(6.0).reshape(2, 3), torch.ones(2)]
    for part, total in zip(parts, summed(parts, ranks), strict=True):
        assert torch.equal(total, factor * part)
