"""Identity of a fit: a digest of data, tables and settings, kept in every checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.frames import frame_digest


def fingerprint(arrays: Iterable[NDArray[Any]] = (), texts: Iterable[str] = (), frames: Iterable[Frame] = ()) -> str:
    """Return a digest of labelled frames, arrays (shape, type and content) and texts."""
    total = hashlib.sha256()
    for frame in frames:
        total.update(frame_digest(frame, labels=True))
        total.update(frame.config_type.encode())
    for array in arrays:
        total.update(f"{array.shape}{array.dtype}".encode())
        total.update(np.ascontiguousarray(array).data)
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()


def problem_fingerprint(
    problem: FitProblem, frames: Iterable[Frame], texts: Sequence[str], arrays: Sequence[NDArray[Any]] = ()
) -> str:
    """Return a digest of these frames and of the problem's descriptor, baseline and targets.

    texts, arrays: settings, and tables of the fit's own.
    """
    modules: list[Any] = [problem.descriptor, *([] if problem.pair is None else [problem.pair])]
    tables = [value.numpy() for module in modules for value in module.state_dict().values()]
    baseline = repr([float(energy) for energy in problem.baseline])
    common = [problem.targets.model_dump_json(), baseline, *problem.symbols]
    return fingerprint([*arrays, *tables], [*texts, *common], frames)


def require_mark(path: Path, found: str, mark: str, work: str, differing: str) -> None:
    """Refuse a checkpoint of other work.

    Raises:
        ValueError: the digest in the file is not `mark`; work: what is resumed; differing: what may differ, in words.
    """
    if found != mark:
        raise ValueError(
            f"checkpoint {path} must belong to the {work} that is resumed, got another one's ({differing} differ); "
            "start without resume or remove the file"
        )
