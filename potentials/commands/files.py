"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path) beside `path`, then move the result to the final name; nothing is left on failure."""
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in an existing folder, got '{path}'; make '{path.parent}' first")
    partial = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
