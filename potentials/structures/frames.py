"""Labelled structures: one `Frame`, and the `FrameSet` that a fit or an evaluation works on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, overload

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TARGETS = ("energy", "forces", "stress")


class DataError(ValueError):
    """Training or test data that cannot be used, with the file, the frame and the remedy in one sentence."""


@dataclass(frozen=True)
class Frame:
    """One structure with the labels it carries.

    atoms  numbers, positions (A), cell, pbc; no calculator, no constraints
    energy (eV), forces (N, 3) in eV/A, stress (3, 3) in eV/A^3 (tensile positive); None where absent
    fixed  (N,) atoms that a constraint held during the reference calculation, None without constraints
    """

    atoms: ase.Atoms
    energy: float | None = None
    forces: Floats | None = None
    stress: Floats | None = None
    config_type: str = "default"
    group: str | None = None
    source: str = ""
    index: int = 0
    fixed: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.atoms)

    @property
    def name(self) -> str:
        """Origin of the frame (file and index), for messages."""
        return f"{self.source or 'structure'}, frame {self.index}"

    @property
    def free(self) -> NDArray[np.bool_]:
        """Mask (N,) of the atoms that no constraint held, whose forces are labels."""
        return np.ones(len(self), dtype=np.bool_) if self.fixed is None else ~self.fixed

    def labelled_atoms(self) -> ase.Atoms:
        """The structure with its energy, where it has one, as the result of a calculator."""
        if self.energy is None:
            return self.atoms
        atoms = self.atoms.copy()
        atoms.calc = SinglePointCalculator(atoms, energy=self.energy)
        return atoms

    def has(self, target: str) -> bool:
        """Whether the frame carries `target` (energy, forces or stress)."""
        return getattr(self, target) is not None


@contextmanager
def naming(frame: Frame) -> Iterator[None]:
    """Let a ValueError of what is done with a frame begin with the frame's name."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"{frame.name}: {error}") from error


@dataclass(frozen=True)
class FrameSet(Sequence[Frame]):
    """Frames in order, the label keys found with their counts, and the key that was used for each target.

    used: one name, or several that hold the same quantity; notes: sentences on what reading left aside
    """

    frames: tuple[Frame, ...]
    found: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> FrameSet: ...

    def __getitem__(self, index: int | slice) -> Frame | FrameSet:
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self.frames))))
        return self.frames[index]

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> FrameSet:
        """The frames at `indices`, in that order."""
        return FrameSet(tuple(self.frames[int(i)] for i in indices), self.found, self.used, self.notes)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbols present, by atomic number."""
        return sorted({s for frame in self for s in frame.atoms.symbols}, key=lambda s: atomic_numbers[s])

    @property
    def n_atoms(self) -> int:
        """Atoms in all frames together."""
        return sum(len(frame) for frame in self)

    def count(self, target: str) -> int:
        """Number of frames that carry `target`."""
        return sum(frame.has(target) for frame in self)

    def require(self, targets: Sequence[str], option: str = "data.keys.{}={}", instead: str = "") -> None:
        """Stop with one sentence if a requested target stands in no frame.

        option: how its key is set; instead: what else may be done, with the target's name.
        """
        for target in targets:
            if target not in TARGETS:
                raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {target!r}; correct its name")
            if self.count(target) == 0:
                raise DataError(
                    f"target {target} must be present in the data, got {self._keys()} in {len(self)} frames; "
                    f"name its key with {option.format(target, 'KEY')}{instead.format(target)}"
                )

    def require_any(self, targets: Sequence[str], option: str = "data.keys.{}={}") -> None:
        """Stop with one sentence if no frame carries any of the targets; `option` as in `require`."""
        if not any(self.count(target) for target in targets):
            raise DataError(
                f"{' or '.join(targets)} must be present in the data, got {self._keys()} in {len(self)} frames; "
                f"name a key with {option.format(targets[0], 'KEY')}"
            )

    def _keys(self) -> str:
        """Label keys found, for a sentence."""
        keys = ", ".join(f"{key} ({count} frames)" for key, count in self.found.items())
        return keys or "; ".join(self.notes) or "no label keys"

    def digest(self) -> str:
        """SHA-256 of structures and labels in order: the same data give the same digest, wherever they are read."""
        total = hashlib.sha256()
        for frame in self:
            total.update(frame_digest(frame, labels=True))
        return total.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Summary of the training data for the model file: plain JSON values."""
        sizes = [len(frame) for frame in self]
        types = Counter(frame.config_type for frame in self)
        return {
            "n_frames": len(self),
            "n_atoms": self.n_atoms,
            "atoms_per_frame": [min(sizes, default=0), max(sizes, default=0)],
            "symbols": self.symbols,
            "targets": {target: self.count(target) for target in TARGETS},
            "keys": {target: key if isinstance(key, str) else list(key) for target, key in self.used.items()},
            "config_types": dict(sorted(types.items())),
            "n_groups": len({frame.group for frame in self} - {None}),
        }


def frame_digest(frame: Frame, labels: bool) -> bytes:
    """SHA-256 of a structure (and of its labels), after rounding to 1e-8 so that text formats do not matter."""
    parts = [frame.atoms.numbers, frame.atoms.pbc, frame.atoms.positions, frame.atoms.cell.array]
    if labels:
        parts += [np.asarray(getattr(frame, target)) for target in TARGETS if frame.has(target)]
        present = "".join("01"[frame.has(target)] for target in TARGETS)
    total = hashlib.sha256(present.encode() if labels else b"")
    for part in parts:
        array = np.asarray(part)
        if array.dtype.kind == "f":
            array = np.round(array.astype(np.float64), 8) + 0.0  # + 0.0 turns -0.0 into 0.0
        else:
            array = array.astype(np.int64)
        total.update(np.ascontiguousarray(array).tobytes())
    return total.digest()
