"""Two processes, launched by mpirun or torchrun, fit the model of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from two_fits import results

from rhopot.potentials.fitting.communicator import SingleProcess

HERE = Path(__file__).parent
TOOLS = Path(sys.executable).parent
LAUNCHERS = {
    "MpiCommunicator": [str(TOOLS / "mpirun"), "-n", "2", sys.executable],
    "TorchCommunicator": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
}


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    """What one process finds."""
    return results(SingleProcess())


@pytest.mark.parametrize("kind", LAUNCHERS)
def test_two_processes_equal_one(kind: str, alone: dict[str, np.ndarray], tmp_path: Path) -> None:
    paths = [str(HERE), str(HERE.parent / "fit"), str(HERE.parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [*LAUNCHERS[kind], str(HERE / "two_fits.py"), str(tmp_path / "found")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    for rank in range(2):
        found = dict(np.load(tmp_path / f"found-{rank}.npz"))
        assert (str(found["kind"]), int(found["size"])) == (kind, 2)
        for name in set(alone) - {"kind", "size"}:
            np.testing.assert_array_equal(found[name], alone[name], err_msg=name)
