"""Threads: their number and how they wait, seen in the libraries that read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rhopot.potentials.threads import CHOSEN, SPINS, available_cores, of_children, settle


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "waits", "spins"),
    [
        ({}, "PASSIVE", str(SPINS)),
        ({"OMP_WAIT_POLICY": "active"}, "ACTIVE", "30000000000"),
        ({"GOMP_SPINCOUNT": "77"}, "PASSIVE", "77"),
    ],
)
def test_openmp_is_told_to_sleep_before_it_is_loaded(given: dict[str, str], waits: str, spins: str) -> None:
    """What the OpenMP runtime of torch says of itself as a command loads it; the user's word counts."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    code = "from rhopot.potentials.commands import main; main(['doctor', '--nothing']); import torch"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={**environment, **given, "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True, check=True
    )
    assert f"OMP_WAIT_POLICY = '{waits}'" in done.stderr
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


def test_blas_is_told_to_sleep() -> None:
    chosen: dict[str, str] = {}
    settle(chosen)
    assert chosen["OPENBLAS_THREAD_TIMEOUT"] == "4"
    asked = {"OPENBLAS_THREAD_TIMEOUT": "20"}
    settle(asked)
    assert asked["OPENBLAS_THREAD_TIMEOUT"] == "20"


def test_processes_of_one_job_share_the_cores() -> None:
    cores = available_cores()
    for name, ranks in (("MPI_LOCALNRANKS", 2 * cores), ("OMPI_COMM_WORLD_LOCAL_SIZE", 4 * cores)):
        environment = {name: str(ranks)}
        settle(environment)
        assert environment["OMP_NUM_THREADS"] == "1" or cores == os.cpu_count() == 1
    chosen = {"OMP_NUM_THREADS": "3", "MPI_LOCALNRANKS": "64", "GOMP_SPINCOUNT": "100"}
    settle(chosen)
    assert chosen == {"OMP_NUM_THREADS": "3", "MPI_LOCALNRANKS": "64", "GOMP_SPINCOUNT": "100"}


def test_other_programs_do_not_inherit_the_number() -> None:
    """LAMMPS takes OMP_NUM_THREADS for a wish of the user's."""
    assert of_children({"OMP_NUM_THREADS": "1", CHOSEN: "1", "HOME": "x"}) == {"HOME": "x"}
    assert of_children({"OMP_NUM_THREADS": "1"}) == {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("text", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None), ("?", None)]
)
def test_limit_of_a_container(text: str, cores: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text)
    unlimited = len(os.sched_getaffinity(0))
    assert available_cores(tmp_path / "cpu.max") == min(unlimited, cores or unlimited)
    assert available_cores(tmp_path / "absent") == unlimited
