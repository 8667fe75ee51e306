"""Failures and warnings of the commands: the sentences that are printed, the exit status, the end of all MPI ranks."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What the system answers where a file has no room: disk, quota, limit of the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SECONDS_TO_SPEAK = 2.0
SECONDS_TO_FORWARD = 0.5  # in which a busy `mpirun` takes over what was printed; what it has not taken is lost
SECONDS_UNDER_TORCHRUN = 20.0  # whose processes have not waited for each other at the start, as those of MPI have


@contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Print warnings meant for users without the line of code that Python would print."""
    usual = warnings.formatwarning

    def worded(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if category is UserWarning:
            return f"warning: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = worded
    try:
        yield
    finally:
        warnings.formatwarning = usual


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: the work ends as it does on Ctrl-C, with everything closed and no process left behind."""


@contextmanager
def orderly_termination() -> Iterator[None]:
    """Turn SIGTERM into `Terminated`; only the main thread may ask for that."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def with_notes(sentence: str, error: BaseException) -> str:
    """The sentence and what those that the error passed through had to add."""
    return "; ".join([sentence, *getattr(error, "__notes__", [])])


def is_usage(error: Exception) -> bool:
    """True for errors in the command line itself (click's or the copy of it that typer carries)."""
    return type(error).__name__ in (
        "UsageError",
        "BadParameter",
        "NoSuchOption",
        "MissingParameter",
        "BadArgumentUsage",
    )


def sentence(error: Exception) -> str:
    """Message of errors that are meant to be read; others say what they are and how to see more."""
    formatted = getattr(error, "format_message", None)
    if formatted is not None:
        return str(formatted())
    if isinstance(error, OSError) and error.filename and error.errno in FULL:
        return f"'{error.filename}' could not be written: {error.strerror}; make room"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: '{error.filename}'" if error.filename else error.strerror
    if isinstance(error, ValueError | RuntimeError | ImportError) and str(error):
        return str(error).strip()
    return f"unexpected {type(error).__name__}: {error}; run again with --debug to see where"


def _communicator() -> Any:
    """MPI's communicator where this process is one of several that use it, else None."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized() or mpi.COMM_WORLD.Get_size() < 2:
        return None
    return mpi.COMM_WORLD


def let_first_rank_speak() -> None:
    """Ranks but the first wait: where all fail alike, the first one's sentence is printed once and ends them all."""
    communicator = _communicator()
    under_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    rank = int(os.environ["RANK"]) if under_torchrun else communicator.Get_rank() if communicator is not None else 0
    if rank > 0:
        time.sleep(SECONDS_TO_SPEAK if communicator is not None else SECONDS_UNDER_TORCHRUN)


def leave(status: int) -> int:
    """Exit status; under MPI the other ranks are ended as well, for they would wait for this one for ever."""
    communicator = _communicator()
    if communicator is not None:
        sys.stderr.flush()
        time.sleep(SECONDS_TO_FORWARD)
        communicator.Abort(status)
    return status
