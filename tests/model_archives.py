"""Model files that were changed: records replaced or left out, bits flipped."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from rhopot.export import archive


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None], sealed: bool = False) -> Path:
    """Write each record of a file through `change`, None to drop it; without `sealed` as files were before the seal."""
    with zipfile.ZipFile(path) as old:
        records = {
            name: change(name, old.read(name)) for name in old.namelist() if sealed or archive.SEAL_NAME not in name
        }
    with zipfile.ZipFile(path, "w") as new:
        for name, content in records.items():
            if content is not None:
                new.writestr(zipfile.ZipInfo(name), content)
    return path


def without(path: Path, part: str) -> Path:
    """The file, intact, but with no such record."""
    return rewrite(path, lambda name, content: None if name.endswith(part) else content)


def with_card(path: Path, sealed: bool = False, **changes: object) -> Path:
    """The file with changes to its card; None drops the field."""

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith(archive.CARD_NAME):
            return content
        fields = json.loads(content) | changes
        return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()

    return rewrite(path, change, sealed)


def flipped(path: Path, place: int, bit: int) -> Path:
    """The file with one bit changed."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return path
