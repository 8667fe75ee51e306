"""Files that a reader never sees half of, what killed writers left behind, and checkpoints that are damaged."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# How the names of unfinished files begin: hidden, and told from everything a user may have put there.
PARTIAL = ".partial-"


def write_atomically(
    path: Path, write: Callable[[Path], object], check: Callable[[Path], object] | None = None
) -> None:
    """Call write(temporary path) beside `path`, then move the result to the final name; nothing is left on failure.

    The content is on disk before the name is: a crash of the machine leaves the old file or the new one. The temporary
    name ends as the final one does, for writers that choose a format by it. check(temporary path) may refuse what was
    written; a file to be checked ends in .tmp, so that nobody takes it for the other.

    Raises:
        ValueError: the folder does not exist.
        OSError: with the name of `path`, whatever the writer said.
    """
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in an existing folder, got '{path}'; make '{path.parent}' first")
    ending = "" if check is None else ".tmp"
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:12]}-{path.name}{ending}")
    try:
        with naming(path):
            write(partial)
            _to_disk(partial)
        if check is not None:
            check(partial)
        with naming(path):
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object, indent: int | None = None) -> None:
    """Write plain values as JSON, atomically."""
    write_text(path, json.dumps(value, indent=indent) + "\n")


def finite(value: Any) -> Any:
    """Plain values with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def write_checkpoint(path: Path, write: Callable[[Path], object]) -> None:
    """`write_atomically` into a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, write)


def write_arrays(path: Path, **arrays: ArrayLike) -> None:
    """Write a checkpoint of named arrays (.npz, see `read_arrays`)."""
    write_checkpoint(path, lambda partial: np.savez(partial, **arrays))  # type: ignore[arg-type]  # NumPy's own flag


def remove_partials(folder: Path, seconds_old: float = 0.0) -> None:
    """Remove the unfinished files of killed writers from a folder; of a shared one only those of some age."""
    latest = time.time() - seconds_old
    for partial in folder.glob(f"{PARTIAL}*"):
        with suppress(FileNotFoundError):
            if partial.stat().st_mtime <= latest:
                partial.unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the file system name `path`: those of a write (disk full, say) name no file by themselves."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error


def _to_disk(path: Path) -> None:
    """Wait until the content of a file is stored, errors of delayed writes included."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a reader of a checkpoint says of a damaged file into one sentence.

    Raises:
        ValueError: names the file; without it the work that it held is done again.
    """
    try:
        yield
    except (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        if isinstance(error, OSError) and error.filename:  # not damaged but out of reach
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"checkpoint '{path}' must be whole, got a damaged file ({reason}); remove it to do that work again"
        ) from error


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz checkpoint; ValueError where it is damaged."""
    with reading(path), path.open("rb") as file, np.load(file) as arrays:
        return dict(arrays)
