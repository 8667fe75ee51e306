"""The state of a training on disk: one file, replaced atomically, refused when it belongs to another training."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from rhopot.potentials.files import reading, write_checkpoint
from rhopot.potentials.fitting.checkpoint import require_mark

NAME = "training.pt"


class TrainingCheckpoint:
    """Saves and restores the state of a training; rank 0's business.

    Args:
        folder: where the file goes; None saves nothing.
        mark: digest of everything the training depends on (see `fitting.checkpoint`).
        seconds: least time between two saves.
    """

    def __init__(self, folder: Path | None, mark: str, seconds: float) -> None:
        self._path = None if folder is None else folder / NAME
        self._mark = mark
        self._seconds = seconds
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for another save."""
        return self._path is not None and time.monotonic() - self._saved >= self._seconds

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state (tensors and plain values), atomically."""
        if self._path is None:
            return
        content = io.BytesIO()  # PyTorch's own writer does not survive a full disk
        torch.save({"mark": self._mark, "state": dict(state)}, content)
        write_checkpoint(self._path, lambda partial: partial.write_bytes(content.getvalue()))
        self._saved = time.monotonic()

    def restore(self) -> dict[str, Any] | None:
        """Return the saved state, None when there is none.

        Raises:
            ValueError: the state is another training's.
        """
        if self._path is None or not self._path.exists():
            return None
        with reading(self._path):
            found = torch.load(self._path, map_location="cpu", weights_only=True)
        require_mark(self._path, found["mark"], self._mark, "training", "data, settings or element energies")
        return dict(found["state"])
