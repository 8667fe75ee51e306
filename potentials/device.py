"""The device that torch computes on: CPU or GPU."""

from __future__ import annotations

import os

import torch

DEVICES = ("auto", "cpu", "cuda")


def find_device(name: str, setting: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`; processes of one machine take its GPUs in turn.

    auto: a GPU where torch finds one. `setting` is what messages call the name.

    Raises:
        ValueError: another name, or cuda where torch finds no GPU.
    """
    if name not in DEVICES:
        raise ValueError(f"{setting} must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, got {name!r}; take auto")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError(f"{setting} must be cpu or auto where torch finds no GPU, got cuda; install a CUDA torch")
    if name == "cpu" or not available:
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_RANK", os.environ.get("MPI_LOCALRANKID", "0")))
    return torch.device("cuda", local % torch.cuda.device_count())
