"""The archive of a model file: a zip file of stored records, whose every byte is checked before any is used.

    [local header, name, data] for every record | central directory | end record

PyTorch's reader does not look at checksums. Here each record's CRC-32 is compared, and everything else a header says
twice must agree: the directory with the local headers, the end record with the directory, all entries with each other
where they have no choice. No byte lies outside. A flipped bit is therefore found wherever it is.

A record SEAL states which records belong together (its content: `seal`), so that a card that was changed later, or a
record of another file, is found too. Files written before there was one are read without.

`lammps_plugin/archive.cpp` is the same in C++ and refuses with the same sentences.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

CARD_NAME = "rhopot.json"
SEAL_NAME = "rhopot.seal"

_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL_START, _ENTRY_START, _END_START = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCATOR_START, _END_64_START = b"PK\x06\x07", b"PK\x06\x06"
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
_UTF_8 = 0x800

COPY = "copy or export it again"
_TRUNCATED = "which is truncated or damaged"
_DIRECTORY = "which is damaged in its directory"


class ArchiveError(ValueError):
    """A fault of an archive: `found` describes the file, `remedy` what to do."""

    def __init__(self, found: str, remedy: str = COPY) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found = found
        self.remedy = remedy


@dataclass(frozen=True)
class _Entry:
    """An entry of the central directory: `common` must stand in the local header too, `constant` in all entries."""

    name: bytes
    offset: int
    size: int
    stored: bool
    crc: int
    common: tuple[int, ...]
    constant: tuple[int | bytes, ...]

    @property
    def readable_name(self) -> str:
        """The name with a question mark for what is not printable ASCII."""
        return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in self.name)


def read_records(content: bytes) -> dict[str, bytes]:
    """Names and contents of the records of a model file's bytes, every one of which was checked.

    Raises ArchiveError for a file that is damaged, compressed, or no archive of rhopot.
    """
    if not content:
        raise ArchiveError("which is empty")
    if not content.startswith(b"PK"):
        raise ArchiveError("which is not a TorchScript archive", "check the name")
    start, size, n_entries, tail = _end(content)
    entries = _entries(content, start, size)
    _require_card([entry.name for entry in entries])
    if len(entries) != n_entries or start + size != tail or len({entry.constant for entry in entries}) > 1:
        raise ArchiveError(_DIRECTORY)
    records: dict[str, bytes] = {}
    place = 0
    for entry in entries:
        name = entry.readable_name
        if entry.offset != place or name in records:
            raise ArchiveError(_DIRECTORY)
        data, place = _record(content, entry, start)
        if zlib.crc32(data) != entry.crc:
            raise _damaged(entry)
        records[name] = data
    if place != start:
        raise ArchiveError(_DIRECTORY)
    return records


def card_of(records: Mapping[str, bytes]) -> bytes:
    """The record `extra/rhopot.json`."""
    return next(data for name, data in records.items() if name.endswith(f"/extra/{CARD_NAME}"))


def seal(records: Mapping[str, bytes]) -> str:
    """Content of SEAL: CRC-32 over the names (without the outermost folder) and the CRC-32s of the other records."""
    lines = [
        f"{name.split('/', 1)[-1]} {zlib.crc32(data):08x}\n"
        for name, data in records.items()
        if not name.endswith(f"/extra/{SEAL_NAME}")
    ]
    return f"{zlib.crc32(''.join(sorted(lines)).encode()):08x}"


def require_seal(records: Mapping[str, bytes]) -> None:
    """Raise ArchiveError where records were changed after the export, each of them intact."""
    seals = [data for name, data in records.items() if name.endswith(f"/extra/{SEAL_NAME}")]
    if seals and seals != [seal(records).encode()]:
        raise ArchiveError(f"which was changed after its export (its model and its {CARD_NAME} belong to each other)")


def _end(content: bytes) -> tuple[int, int, int, int]:
    """Offset and size of the directory, its number of entries, and where the end records begin."""
    tail = len(content) - _END.size
    if tail < 0 or not content.startswith(_END_START, tail):
        raise ArchiveError(_TRUNCATED)
    _, disk, first_disk, n_here, n_entries, size, start, comment = _END.unpack_from(content, tail)
    if (disk, first_disk, comment) != (0, 0, 0) or n_here != n_entries:
        raise ArchiveError(_DIRECTORY)
    is_large = start + size != tail and content.startswith(_LOCATOR_START, max(tail - _LOCATOR.size, 0))
    if is_large or n_entries == _FULL_16 or _FULL_32 in (size, start):
        return _end_64(content, tail - _LOCATOR.size)
    if start > tail or size > tail - start:
        raise ArchiveError(_TRUNCATED)
    return start, size, n_entries, tail


def _end_64(content: bytes, locator: int) -> tuple[int, int, int, int]:
    """The same from the end record of large archives, which stands before the other, with a pointer to it."""
    tail = locator - _END_64.size
    if tail < 0 or not content.startswith(_LOCATOR_START, locator) or not content.startswith(_END_64_START, tail):
        raise ArchiveError(_TRUNCATED)
    _, disk, place, n_disks = _LOCATOR.unpack_from(content, locator)
    _, length, _, _, this_disk, first_disk, n_here, n_entries, size, start = _END_64.unpack_from(content, tail)
    if (disk, n_disks, place, length) != (0, 1, tail, _END_64.size - 12):
        raise ArchiveError(_DIRECTORY)
    if (this_disk, first_disk) != (0, 0) or n_here != n_entries:
        raise ArchiveError(_DIRECTORY)
    if start > tail or size > tail - start:
        raise ArchiveError(_TRUNCATED)
    return start, size, n_entries, tail


def _entries(content: bytes, place: int, size: int) -> list[_Entry]:
    """The entries of the central directory."""
    stop, entries = place + size, []
    while place < stop:
        if stop - place < _ENTRY.size or not content.startswith(_ENTRY_START, place):
            raise ArchiveError(_DIRECTORY)
        fields = _ENTRY.unpack_from(content, place)
        made_by, needed, flags, method, time, date, crc, packed, unpacked = fields[1:10]
        name_length, extra_length, comment_length, disk, internal, external, offset = fields[10:]
        place += _ENTRY.size
        if stop - place < name_length + extra_length + comment_length:
            raise ArchiveError(_DIRECTORY)
        name = content[place : place + name_length]
        extra = content[place + name_length : place + name_length + extra_length]
        place += name_length + extra_length + comment_length
        sizes = _sizes(extra, [unpacked, packed, offset])
        common = (needed, flags, method, time, date, crc, sizes[1], sizes[0])
        unused = b"" if _FULL_32 in (packed, unpacked, offset) else extra
        constant = (made_by, disk, internal, external, comment_length, unused)
        stored = method == 0 and sizes[0] == sizes[1]
        entries.append(_Entry(name, sizes[2], sizes[0], stored, crc, common, constant))
    return entries


def _sizes(extra: bytes, numbers: list[int]) -> list[int]:
    """The numbers of a header, each that does not fit into it taken from its extra field; other fields are skipped."""
    wide: list[int] = []
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            content = extra[4 : 4 + length]
            wide = [value for (value,) in struct.iter_unpack("<Q", content[: len(content) // 8 * 8])]
        extra = extra[4 + length :]
    return [wide.pop(0) if number == _FULL_32 and wide else number for number in numbers]


def _require_card(names: list[bytes]) -> None:
    """Raise ArchiveError for the archive of another program, told by its names."""
    if any(name.endswith(f"/extra/{CARD_NAME}".encode()) for name in names):
        return
    if any(name.endswith(b"/constants.pkl") for name in names):
        found = "a TorchScript model of another program"
    elif any(name.endswith(b"/data.pkl") for name in names):
        found = "which holds objects of torch.save"
    else:
        found = "a zip archive of another program"
    raise ArchiveError(found, "export the model with rhopot.export.save_model")


def _record(content: bytes, entry: _Entry, stop: int) -> tuple[bytes, int]:
    """Content of a record whose local header agrees with the directory, and where it ends."""
    place = entry.offset
    if stop - place < _LOCAL.size or not content.startswith(_LOCAL_START, place):
        raise _damaged(entry)
    _, needed, flags, method, time, date, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack_from(
        content, place
    )
    place += _LOCAL.size
    if stop - place < name_length + extra_length:
        raise _damaged(entry)
    name, extra = content[place : place + name_length], content[place + name_length :][:extra_length]
    place += name_length + extra_length
    size, packed_size = _sizes(extra, [unpacked, packed])
    if name != entry.name or (needed, flags, method, time, date, crc, packed_size, size) != entry.common:
        raise _damaged(entry)
    if extra and not (extra_length == 20 and extra.startswith(b"\x01\x00\x10\x00") and unpacked == packed == _FULL_32):
        raise _damaged(entry)
    if flags & ~_UTF_8 or entry.constant[1] or entry.constant[4]:
        raise _damaged(entry)
    if not entry.stored:
        raise ArchiveError("whose parts are compressed", "take the file as it was exported, or export it again")
    if stop - place < entry.size:
        raise _damaged(entry)
    return content[place : place + entry.size], place + entry.size


def _damaged(entry: _Entry) -> ArchiveError:
    return ArchiveError(f"which is damaged in its part '{entry.readable_name}'")
