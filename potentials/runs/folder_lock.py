"""One process at a time that writes a folder: a training, a search, a property.

The lock is the kernel's (`flock`) on the file `.lock` of the folder: it ends with the process that holds it, however
that ends, so a killed process never blocks the next one. On NFS the kernel passes it on to the server and other
machines respect it, provided the mount supports locks; where the file system has none the process goes on and says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = ".lock"
# What flock answers where a file system has no locks.
UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@contextmanager
def lock_folder(folder: Path, option: str = "output=...") -> Iterator[str]:
    """Hold the folder, which is made if it does not exist; yields a note for the reader, empty where all is well.

    A folder that was made here and is empty in the end is removed again, as are its parents.

    option: how another folder is named, for messages

    Raises:
        ValueError: another process holds it, or it cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, note = _acquire(folder, option)
    except FileExistsError as error:
        raise ValueError(
            f"output must be a folder, got the file '{error.filename}'; choose another {option}"
        ) from error
    except OSError as error:
        raise ValueError(
            f"output must be a folder that can be written, got '{folder}' ({error.strerror}); choose another {option}"
        ) from error
    try:
        yield note
    finally:
        (folder / NAME).unlink(missing_ok=True)  # before the lock ends: see `_acquire`
        os.close(descriptor)
        _remove_empty(made)


def _acquire(folder: Path, option: str) -> tuple[int, str]:
    """Open file that holds the lock, and a note; ValueError where another process holds it."""
    path = folder / NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise ValueError(
                f"output must be a folder that no other process is writing, got '{folder}', in use by "
                f"{holder or 'another process'}; wait for it or choose another {option}"
            ) from error
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                os.close(descriptor)
                raise
            note = f"note: the file system of '{folder}' has no locks ({error.strerror}); start only one process"
            return descriptor, note
        if _stands(descriptor, path):
            break
        os.close(descriptor)  # its former holder removed it after we had opened it: another may hold the new one
    os.ftruncate(descriptor, 0)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode(), 0)
    return descriptor, ""


def _stands(descriptor: int, path: Path) -> bool:
    """Whether the open file still is the one under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, up to the first that holds something."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone
            return
