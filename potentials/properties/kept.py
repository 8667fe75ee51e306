"""Results of the stages of a property, kept in its folder, so that the same command goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials.files import write_json

FILE = "stages.json"
LONGEST = 60  # characters of a part of a task that is kept, and told, as it is
HASHED = "sha256:"

Result = TypeVar("Result")


class Kept:
    """Named results of one task in a folder.

    task: everything the results depend on, as plain values. A folder holds one task, from the moment at which its first
    result is begun.

    Raises:
        ValueError: the folder holds another task and `overwrite` is false; what differs is named.
    """

    def __init__(self, folder: Path, task: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self._file = folder / FILE
        self._key = hashlib.sha256(json.dumps(task, sort_keys=True, default=str).encode()).hexdigest()
        self._parts = _parts("", json.loads(json.dumps(task, default=str)))
        self._stages: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        found = self._read()
        if found is not None and found.get("task") == self._key:
            self._stages = found["stages"]
        elif found is not None and not overwrite:
            raise ValueError(
                f"output must be a new folder, or that of the same command, got '{folder}' with results of another "
                f"{_differing(found.get('parts'), self._parts)}; name another with --output, or give --overwrite"
            )

    @property
    def key(self) -> str:
        """Hash of the task, for files of other kinds that hold parts of its results."""
        return self._key

    def forget(self) -> None:
        """Drop all results."""
        self._stages = {}

    def refuse_fewer_steps(self, before: str, steps: int, folder: Path) -> None:
        """Refuse a run that is shorter than the one in its folder, whose averages would be those of the longer one.

        before: what the names of the run's stages begin with; the number of steps and `steps` follow

        Raises:
            ValueError: a stage of more steps is there.
        """
        after = " steps"
        numbers = [
            name[len(before) : -len(after)] for name in self._stages if name.startswith(before) and name.endswith(after)
        ]
        done = max((int(number) for number in numbers if number.isdigit()), default=0)
        if done > steps:
            raise ValueError(
                f"steps must be at least the {done} that this run in '{folder}' already has, got {steps}; name another "
                "folder with --output"
            )

    def get(self, stage: str, kind: type[Result], compute: Callable[[], Result]) -> Result:
        """Return the result of a stage, a dataclass `kind` of numbers and arrays or Atoms; computed if it is new."""
        if stage not in self._stages:
            with self._named():
                found = plain(compute())
            self._store(stage, found)
        return restored(self._stages[stage], kind)

    def attempt(self, stage: str, kind: type[Result], compute: Callable[[], Result]) -> Result | str:
        """`get` of a stage that may fail: the result, or the sentence of its ValueError, which is kept as well."""
        if stage not in self._stages:
            try:
                with self._named():
                    computed = plain(compute())
            except ValueError as error:
                computed = {"failed": str(error)}
            self._store(stage, computed)
        found = self._stages[stage]
        return str(found["failed"]) if set(found) == {"failed"} else restored(found, kind)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the task in its folder before its first result is there: an interrupted one is refused to others, too.

        One that is refused itself leaves nothing.
        """
        new = not self._file.exists()
        if not self._stages:
            self._write()
        try:
            yield
        except ValueError:
            if new and not self._stages:
                self._file.unlink(missing_ok=True)
            raise

    def _store(self, stage: str, value: Any) -> None:
        self._stages[stage] = value
        self._write()

    def _write(self) -> None:
        write_json(self._file, {"task": self._key, "parts": self._parts, "stages": self._stages})

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:  # damaged: what it held is computed again
            return {}
        return found if isinstance(found, dict) else {}


def _parts(name: str, value: Any) -> dict[str, Any]:
    """What a task consists of, by name: short values as they are, others as their hash."""
    if name in ("", "settings", "structures"):
        inner = [_parts(key if name != "structures" else f"structure {key}", item) for key, item in value.items()]
        return {key: part for parts in inner for key, part in parts.items()}
    text = json.dumps(value, sort_keys=True)
    return {name: value if len(text) <= LONGEST else HASHED + hashlib.sha256(text.encode()).hexdigest()}


def _differing(before: Any, now: Mapping[str, Any]) -> str:
    """Names of the parts in which two tasks differ, with both values where they are short."""
    if not isinstance(before, dict):
        return "model, structure, setting or version"
    if before.get("verb") != now.get("verb"):
        return f"command ({before.get('verb')}, now {now.get('verb')})"
    words = []
    for name in sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
        values = [before.get(name), now.get(name)]
        long = any(isinstance(value, str) and value.startswith(HASHED) for value in values)
        words.append(name if long else f"{name} ({', now '.join('none' if v is None else str(v) for v in values)})")
    return ", ".join(words) or "model, structure, setting or version"


def plain(value: Any) -> Any:
    """Plain values of a result: dataclasses as objects, arrays as lists, structures as a row of ASE's JSON database."""
    if isinstance(value, Atoms):
        text = io.StringIO()
        ase.io.write(text, value, format="json")
        row = json.loads(text.getvalue())
        row["1"] |= {
            "ctime": 0.0,
            "mtime": 0.0,
            "unique_id": "0" * 32,
            "user": None,
        }  # of this moment: no part of a task
        return {"atoms": json.dumps(row)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def restored(value: Any, kind: type[Result]) -> Result:
    """The result of that kind; lists of numbers become arrays."""
    if kind is Atoms:
        return ase.io.read(io.StringIO(value["atoms"]), format="json")  # type: ignore[return-value]
    return kind(**{name: _array(item) for name, item in value.items()})


def _array(item: Any) -> Any:
    if isinstance(item, dict) and set(item) == {"atoms"}:
        return restored(item, Atoms)
    return np.array(item) if isinstance(item, list) else item
