"""Files are whole or not there, a failing disk is reported with the file, and killed writers leave nothing for ever."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from rhopot.potentials.files import (
    PARTIAL,
    read_arrays,
    remove_partials,
    write_arrays,
    write_atomically,
    write_json,
    write_text,
)


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
    write_json(tmp_path / "c.json", {"one": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.txt", "c.json"]
    assert json.loads((tmp_path / "c.json").read_text()) == {"one": 1}
    assert (tmp_path / "b.txt").read_bytes() == "ä".encode()


def test_a_refused_file_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    target.write_text("before")

    def refuse(partial: Path) -> None:
        assert partial.read_text() == "after"
        raise RuntimeError("not the model")

    with pytest.raises(RuntimeError, match="not the model"):
        write_atomically(target, lambda partial: partial.write_text("after"), refuse)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_checkpoints_make_their_folder(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a" / "b" / "state.npz", x=np.arange(3), mark="one")
    found = read_arrays(tmp_path / "a" / "b" / "state.npz")
    assert (found["x"].tolist(), str(found["mark"])) == ([0, 1, 2], "one")


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    old, new, kept = tmp_path / f"{PARTIAL}1-a.npz", tmp_path / f"{PARTIAL}2-a.npz", tmp_path / ".hidden"
    for path in (old, new, kept):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    remove_partials(tmp_path, seconds_old=3600.0)
    assert set(tmp_path.iterdir()) == {new, kept}
    remove_partials(tmp_path)
    assert set(tmp_path.iterdir()) == {kept}
