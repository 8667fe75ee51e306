"""Files are whole or not there, a failing disk is reported with the file, and killed writers leave nothing for ever."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

from rhopot.potentials.files import PARTIAL, remove_partials, write_atomically, write_bytes, write_text


def test_a_full_disk_is_reported_with_the_file(tmp_path: Path) -> None:
    """/dev/full answers every write as a full disk does, and Python names no file then."""
    target = tmp_path / "state.npz"
    target.write_text("before")
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_atomically(target, lambda partial: Path("/dev/full").write_text("state"))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(target))
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_errors_without_a_number_are_named_too(tmp_path: Path) -> None:
    """As those of the library that writes pictures."""

    def fail(partial: Path) -> None:
        raise OSError("encoder error -2 when writing image file")

    with pytest.raises(OSError, match="encoder error -2") as caught:
        write_atomically(tmp_path / "plot.png", fail)
    assert caught.value.filename == str(tmp_path / "plot.png")


def test_temporary_names_end_as_the_final_one(tmp_path: Path) -> None:
    seen: list[Path] = []
    write_atomically(tmp_path / "a.npz", lambda partial: (seen.append(partial), np.savez(partial, x=1)))
    assert seen[0].suffix == ".npz"
    assert seen[0].name.startswith(PARTIAL)
    write_text(tmp_path / "b.txt", "ä")
    write_bytes(tmp_path / "c.bin", b"\0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.txt", "c.bin"]
    assert (tmp_path / "b.txt").read_bytes() == "ä".encode()


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    old, new, kept = tmp_path / f"{PARTIAL}1-a.npz", tmp_path / f"{PARTIAL}2-a.npz", tmp_path / ".hidden"
    for path in (old, new, kept):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    remove_partials(tmp_path, seconds_old=3600.0)
    assert set(tmp_path.iterdir()) == {new, kept}
    remove_partials(tmp_path)
    assert set(tmp_path.iterdir()) == {kept}
