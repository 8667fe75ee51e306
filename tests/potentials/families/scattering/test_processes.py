"""Two processes, launched by mpirun or torchrun, fit the model of one."""

from __future__ import annotations

from pathlib import Path

import launched
import numpy as np
import pytest
from two_scattering_fits import results

from rhopot.potentials.fitting.communicator import SingleProcess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone() -> dict[str, np.ndarray]:
    """What one process finds."""
    return results(SingleProcess())


@pytest.mark.parametrize("kind", launched.LAUNCHERS)
def test_two_processes_equal_one(kind: str, alone: dict[str, np.ndarray], tmp_path: Path) -> None:
    for found in launched.two_processes(kind, "two_scattering_fits.py", tmp_path / "found"):
        for name in set(alone) - {"kind", "size"}:
            np.testing.assert_array_equal(found[name], alone[name], err_msg=name)
