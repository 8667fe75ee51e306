"""Number of threads of torch and BLAS, and how they wait; set before either is loaded.

Threads of GNU's OpenMP spin for milliseconds when they wait for work. On cores that are shared with other programs a
spinning thread takes the core that the thread it waits for needs. Sleeping at once (OMP_WAIT_POLICY=passive) costs a
fit of networks, whose operations are short, a fifth to a third of its time on an idle machine. Here threads spin for
some ten microseconds and then sleep; OpenMP runtimes other than GNU's know the policy alone. Threads of OpenBLAS, which
numpy and scipy bring, spin for 2^OPENBLAS_THREAD_TIMEOUT cycles after each product: 2^26 where nothing is set.

The libraries read the environment once, as they are loaded, so that `settle` has to come before the first import of
torch or numpy. What the user has set is left alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import MutableMapping
from pathlib import Path

# Rounds of a waiting thread before it sleeps.
SPINS = 5000
# Processes of one job on this machine, as the launchers of MPICH and Open MPI say it.
LOCAL_RANKS = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE")
# Limit on the processor time of a container: "quota period" in microseconds, or "max period".
QUOTA = Path("/sys/fs/cgroup/cpu.max")
# Set beside OMP_NUM_THREADS where the number is ours: programs that are started from here choose their own.
CHOSEN = "RHOPOT_CHOSEN_THREADS"


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let waiting threads sleep after a moment, and start no more of them than this process has cores to itself."""
    if "GOMP_SPINCOUNT" not in environment:
        if "OMP_WAIT_POLICY" not in environment:
            environment["OMP_WAIT_POLICY"] = "passive"
            environment["GOMP_SPINCOUNT"] = str(SPINS)  # GNU's runtime takes this before the policy
        environment.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # the least that it takes
    cores = available_cores()
    threads = max(1, cores // _local_ranks(environment))
    if "OMP_NUM_THREADS" not in environment and threads < (os.cpu_count() or 1):
        environment["OMP_NUM_THREADS"] = environment[CHOSEN] = str(threads)


def of_children(environment: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a program that this one starts, without a number of threads that `settle` chose."""
    inherited = dict(os.environ if environment is None else environment)
    if inherited.pop(CHOSEN, None) is not None:
        inherited.pop("OMP_NUM_THREADS", None)
    return inherited


def available_cores(quota: Path = QUOTA) -> int:
    """Cores that this process may use: of the machine, its affinity, and a container's limit, the least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words = quota.read_text(encoding="ascii").split() if quota.is_file() else []
    if len(words) == 2 and all(word.isdigit() and int(word) > 0 for word in words):  # else there is no limit
        cores = min(cores, math.ceil(int(words[0]) / int(words[1])))
    return max(1, cores)


def _local_ranks(environment: MutableMapping[str, str]) -> int:
    """Number of processes of this job that share the machine."""
    given = [environment[name] for name in LOCAL_RANKS if environment.get(name, "").isdigit()]
    return max([1, *map(int, given)])
