"""The processes that share one fit: frames are distributed round robin, every rank holds the same selection and model.

Two launchers are recognised by the environment variables they set: mpirun (through mpi4py) and torchrun (through
torch.distributed: gloo on the CPU, nccl on GPUs). Neither package is imported in a process that runs alone.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

Item = TypeVar("Item")

# Set by the process managers of MPICH, Open MPI, PMIx and Slurm.
LAUNCHER_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")
# Set by torchrun, all of them.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# How long processes wait for one that works alone (reports, say); torchrun ends all of them when one has died.
PATIENCE = timedelta(days=7)


class Communicator(Protocol):
    """Collective operations that fits use."""

    rank: int
    size: int

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks in order on rank 0, an empty list elsewhere."""

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value everywhere."""

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors of one shape, the same bits everywhere."""


class SingleProcess:
    """One process."""

    rank = 0
    size = 1

    def gather(self, value: Any) -> list[Any]:
        """Return [value]."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value."""
        return value

    def sum(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values


class MpiCommunicator:
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

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors, reduced on rank 0 so that every rank gets the same bits."""
        mine = np.ascontiguousarray(values.detach().cpu().numpy())
        total = np.empty_like(mine)
        self._communicator.Reduce(mine, total if self.rank == 0 else None, root=0)
        self._communicator.Bcast(total, root=0)
        return torch.from_numpy(total).to(values.device).reshape(values.shape)


class TorchCommunicator:
    """The processes that torchrun started, as torch.distributed knows them."""

    def __init__(self) -> None:
        from torch import distributed

        if not distributed.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backend, timeout=PATIENCE)
            atexit.register(_leave_process_group)
        self._distributed = distributed
        self.rank = int(distributed.get_rank())
        self.size = int(distributed.get_world_size())

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks in order on rank 0, an empty list elsewhere."""
        found: list[Any] = [None] * self.size
        self._distributed.gather_object(value, found if self.rank == 0 else None, dst=0)
        return found if self.rank == 0 else []

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value everywhere."""
        box = [value]
        self._distributed.broadcast_object_list(box, src=0)
        return box[0]

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of the ranks' tensors, the same bits everywhere."""
        total = values.detach().clone().contiguous()
        self._distributed.all_reduce(total)
        return total


def _leave_process_group() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def find_communicator() -> Communicator:
    """Return the ranks this process was launched with: mpirun's or torchrun's where there are several, else alone."""
    sizes = [int(os.environ[name]) for name in LAUNCHER_SIZES if os.environ.get(name, "").isdigit()]
    if max(sizes, default=1) > 1:
        return MpiCommunicator()
    if all(name in os.environ for name in TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1:
        return TorchCommunicator()
    return SingleProcess()


def round_robin(items: Sequence[Item], communicator: Communicator) -> list[tuple[int, Item]]:
    """Return this rank's share of `items` with their positions: every size-th, starting at its own rank."""
    return [(k, items[k]) for k in range(communicator.rank, len(items), communicator.size)]
