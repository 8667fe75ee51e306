"""Where a training runs."""

from __future__ import annotations

import os

import torch


def find_device(name: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; processes of one machine take its GPUs in turn.

    Raises:
        ValueError: cuda is asked for where torch finds no GPU.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("training.device must be cpu or auto where torch finds no GPU, got cuda; install a CUDA torch")
    if name == "cpu" or not available:
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_RANK", os.environ.get("MPI_LOCALRANKID", "0")))
    return torch.device("cuda", local % torch.cuda.device_count())
