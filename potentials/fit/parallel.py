"""The processes that share one fit: frames are dealt round robin, every rank holds the same selection and model.

mpi4py is imported only under an MPI launcher (mpirun sets one of a few environment variables) or when asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")

# Set by the process managers of MPICH, Open MPI, PMIx and Slurm.
LAUNCHER_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")


class Ranks(Protocol):
    """What a fit asks of a communicator."""

    rank: int
    size: int

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks in order on rank 0, an empty list elsewhere."""

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value everywhere."""


class Alone:
    """One process."""

    rank = 0
    size = 1

    def gather(self, value: Any) -> list[Any]:
        """Return [value]."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value."""
        return value


class MpiRanks:
    """The ranks of an mpi4py communicator (COMM_WORLD by default)."""

    def __init__(self, communicator: Any = None) -> None:
        if communicator is None:
            from mpi4py import MPI

            communicator = MPI.COMM_WORLD
        self._communicator = communicator
        self.rank = int(communicator.Get_rank())
        self.size = int(communicator.Get_size())

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks in order on rank 0, an empty list elsewhere."""
        return list(self._communicator.gather(value, root=0) or [])

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value everywhere."""
        return self._communicator.bcast(value, root=0)


def find_ranks() -> Ranks:
    """Return the ranks this process was launched with: MPI under mpirun with more than one, else alone."""
    sizes = [int(os.environ[name]) for name in LAUNCHER_SIZES if os.environ.get(name, "").isdigit()]
    return MpiRanks() if max(sizes, default=1) > 1 else Alone()


def deal(items: Sequence[Item], ranks: Ranks) -> list[tuple[int, Item]]:
    """Return this rank's share of `items` with their positions: every size-th, starting at its own rank."""
    return [(k, items[k]) for k in range(ranks.rank, len(items), ranks.size)]
