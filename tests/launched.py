"""Test programs under the launchers of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TOOLS = Path(sys.executable).parent
# By the communicator that a process finds under each.
LAUNCHERS = {
    "MpiCommunicator": [str(TOOLS / "mpirun"), "-n", "2", sys.executable],
    "TorchCommunicator": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
}
ENVIRONMENT = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}


def run(command: Sequence[str]) -> None:
    """Run a command that must succeed; modules of this folder can be imported."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr


def two_processes(kind: str, program: str, prefix: Path) -> list[dict[str, np.ndarray]]:
    """Numbers that each of two processes of a program of this folder writes to PREFIX-RANK.npz."""
    run([*LAUNCHERS[kind], str(HERE / program), str(prefix)])
    found = [dict(np.load(f"{prefix}-{rank}.npz")) for rank in range(2)]
    assert [(str(one["kind"]), int(one["size"])) for one in found] == [(kind, 2)] * 2
    return found
