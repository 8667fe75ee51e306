"""What makes two fits the same one: a digest of data, tables and settings, kept in every checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.frames import frame_digest


def fingerprint(frames: Sequence[Frame], arrays: Sequence[NDArray[Any]], settings: Sequence[str]) -> str:
    """Return a digest of everything the assembled triangles depend on."""
    total = hashlib.sha256()
    for frame in frames:
        total.update(frame_digest(frame, labels=True))
        total.update(frame.config_type.encode())
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    for text in settings:
        total.update(text.encode() + b"\0")
    return total.hexdigest()
