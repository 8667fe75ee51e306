"""Read labelled structures into a `FrameSet`: extended XYZ, plain or compressed, and whatever else ASE reads.

Which entries are the labels is chosen once for the whole data set (`keys`). Units are eV, A, eV/A^3. A virial V is read
as stress = -V / volume; six components are in ASE's Voigt order xx yy zz yz xz xy. A label that is not a number (None,
NaN), or a stress without a volume, is left out and counted; anything else that is wrong stops the reading with the file
and the frame, or becomes a finding (`inspect_frames`).

Structures in memory are read like those of a file: labels stand in `info`, `arrays` and the results of a calculator,
those of a row of an ASE database also in its key-value pairs and data. A label that stands in several of these under
one name must be the same in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import ase
import numpy as np
from ase.calculators.calculator import compare_atoms
from ase.constraints import FixAtoms, FixCartesian
from numpy.typing import NDArray

from rhopot.potentials.structures.files import find_files, read_file
from rhopot.potentials.structures.findings import DataFinding
from rhopot.potentials.structures.frames import TARGETS, DataError, Floats, Frame, FrameSet
from rhopot.potentials.structures.geometry import check_geometry, volume
from rhopot.potentials.structures.keys import (
    ALIASES,
    AUTO,
    Key,
    Keys,
    LabelTable,
    absent,
    choose_keys,
    names_of,
    value_of,
)
from rhopot.potentials.structures.unread import unread_notes
from rhopot.potentials.units import from_voigt, stress_from_virial

# A stress whose antisymmetric part exceeds this share of its largest component is not a stress.
STRESS_ASYMMETRY = 0.05
# Words that stand for a label that is not there.
MISSING = ("none", "null", "n/a", "")
SETTING = "data.keys.{}={}"
# Two values of one label that differ by no more are one value, written with few digits or in single precision.
ROUNDING = {"atol": 1e-5, "rtol": 1e-7}

Source = str | Path | Sequence[str | Path] | Sequence[ase.Atoms]
# Entries of info in which ASE puts those of a row of a database, and what they are called.
ROW = {"key_value_pairs": "key-value pairs", "data": "data"}
# What structures that come from no file are called in messages.
IN_MEMORY = "structures in memory"
# Frames of which a label was left out, by key and reason.
Dropped = dict[tuple[str, str], list[str]]


def read_frames(
    path: Source,
    keys: Keys = AUTO,
    group_key: str | None = None,
    *,
    preferred: Mapping[str, Key] | None = None,
    option: str = SETTING,
    sought: Collection[str] = TARGETS,
) -> FrameSet:
    """Frames of a file, a folder, a pattern (`runs/*.xyz`), a list of these, or a list of ASE Atoms, in order.

    `group_key` names the entry of the comment line whose value groups frames (a relaxation path, a trajectory).
    `preferred` are the keys (`FrameSet.used`) of the data that these belong to, where `keys` does not say otherwise,
    and those of config_type and group, which frames may lack; `option` is how a key is set, for messages; `sought` are
    the targets whose labels under unknown names are worth a note. Raises DataError (a ValueError) for files that are
    missing, empty or unreadable, keys or groups that are absent, labels under several keys or of a wrong shape,
    impossible structures.
    """
    return _read(path, keys, group_key, preferred or {}, option, None, sought=sought)


def inspect_frames(
    path: Source,
    keys: Keys = AUTO,
    group_key: str | None = None,
    *,
    preferred: Mapping[str, Key] | None = None,
    option: str = SETTING,
    shared: bool = False,
) -> tuple[FrameSet, list[DataFinding]]:
    """As `read_frames`, with faults of frames and keys as findings: such frames are left out, NaN labels are kept.

    `shared` says that `keys` are also those of the data that the preferred keys are from.
    """
    findings: list[DataFinding] = []
    frames = _read(path, keys, group_key, preferred or {}, option, findings, shared)
    return frames, findings


def _read(
    path: Source,
    keys: Keys,
    group_key: str | None,
    preferred: Mapping[str, Key],
    option: str,
    findings: list[DataFinding] | None,
    shared: bool = False,
    sought: Collection[str] = TARGETS,
) -> FrameSet:
    """Read; faults are raised, or appended to `findings`."""
    raw, notes = _structures(path)
    names = [f"{file}, frame {index}" for file, index, _ in raw]
    dropped: Dropped = {}
    labels = [_labels(atoms, name, dropped) for (_, _, atoms), name in zip(raw, names, strict=True)]
    choice = choose_keys(LabelTable(labels, names, option, shared), keys, preferred)
    for fault in choice.faults:
        if findings is None:
            raise DataError(fault)
        findings.append(DataFinding("error", "keys", "", fault))
    _check_groups(group_key, labels, names)
    type_key = keys.config_type if "config_type" in keys.model_fields_set else _given(preferred, "config_type", labels)
    group_key = group_key or _given(preferred, "group", labels)
    frames = []
    for (file, index, atoms), name, frame_labels in zip(raw, names, labels, strict=True):
        try:
            check_geometry(atoms)
            values = {t: (key, v) for t, key in choice.used.items() if (v := value_of(frame_labels, key)) is not None}
            for target, (key, _) in values.items():
                _check_places(atoms, target, next(one for one in names_of(key) if one in frame_labels))
            targets = _targets(atoms, values, findings is None, name, dropped)
        except DataError as error:
            if findings is None:
                raise DataError(f"{name}: {error}") from None
            findings.append(DataFinding("error", "frames", name, str(error)))
            continue
        frames.append(
            Frame(
                atoms=ase.Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc),
                config_type=str(frame_labels.get(type_key or keys.config_type, "default")),
                group=None if group_key is None or group_key not in frame_labels else str(frame_labels[group_key]),
                source=file,
                index=index,
                fixed=_fixed(atoms),
                **targets,
            )
        )
    unread = unread_notes([atoms for _, _, atoms in raw], labels, choice.used, keys, sought, option)
    said = (*notes, *choice.notes, *unread, *(_dropped(key, why, where) for (key, why), where in dropped.items()))
    return FrameSet(tuple(frames), choice.found, choice.used, said)


def _structures(path: Source) -> tuple[list[tuple[str, int, ase.Atoms]], list[str]]:
    """File, number in it and structure of every frame, with notes on files that are not read."""
    if isinstance(path, ase.Atoms):
        path = [path]
    if not isinstance(path, str | Path) and any(isinstance(one, ase.Atoms) for one in path):
        return _in_memory(path), []
    files, notes = find_files(cast("Sequence[str | Path]", path))
    places = Counter(file.resolve() for file in files)
    twice = next((file for file in files if places[file.resolve()] > 1), None)
    if twice is not None:
        count = places[twice.resolve()]
        raise DataError(f"data path must name every file once, got '{twice}' {count} times; remove one")
    return [(str(file), index, atoms) for file in files for index, atoms in enumerate(read_file(file))], notes


def _in_memory(structures: Sequence[Any]) -> list[tuple[str, int, ase.Atoms]]:
    """Structures that come from no file; results of a calculator must be those of the structure as it is."""
    for index, atoms in enumerate(structures):
        if not isinstance(atoms, ase.Atoms):
            raise DataError(f"{IN_MEMORY} must all be ase.Atoms, got {type(atoms).__name__} at {index}; remove it")
        former = getattr(atoms.calc, "atoms", None)
        if former is None or not atoms.calc.results:
            continue
        changed = compare_atoms(former, atoms, excluded_properties={"initial_charges", "initial_magmoms"})
        if changed:
            raise DataError(
                f"{IN_MEMORY}, frame {index}: results of its calculator must be those of the structure, got results "
                f"with other {', '.join(changed)}; calculate them again, or take the calculator off"
            )
    return [(IN_MEMORY, index, atoms) for index, atoms in enumerate(structures)]


def _dropped(key: str, why: str, where: Sequence[str]) -> str:
    return f"{key} left out in {len(where)} frames, where it {why} (first: {where[0]})"


def _check_groups(group_key: str | None, labels: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    if group_key is None:
        return
    missing = [name for name, frame in zip(names, labels, strict=True) if group_key not in frame]
    if len(missing) == len(labels):
        raise DataError(absent("group key", group_key, labels))
    if missing:
        raise DataError(
            f"group key {group_key!r} must be in every frame, got {len(missing)} of {len(labels)} frames without it "
            f"(first: {missing[0]}); add it or choose another key"
        )


def _given(preferred: Mapping[str, Key], what: str, labels: Sequence[Mapping[str, Any]]) -> str | None:
    """The preferred key of the config_type or the group, where frames carry it."""
    key = preferred.get(what)
    return key if isinstance(key, str) and any(key in frame for frame in labels) else None


def _places(atoms: ase.Atoms) -> dict[str, Mapping[str, Any]]:
    """Where a frame carries labels, in words; under one name the later place counts."""
    results = atoms.calc.results if atoms.calc is not None else {}
    of_row = {name: atoms.info[name] for name in ROW if isinstance(atoms.info.get(name), Mapping)}
    info = {name: value for name, value in atoms.info.items() if name not in of_row}
    return {
        "its arrays": atoms.arrays,
        "the results of its calculator": results,
        **{f"its {ROW[name]}": entries for name, entries in of_row.items()},
        "its info": info,
    }


def _check_places(atoms: ase.Atoms, target: str, key: str) -> None:
    """Refuse a label that stands in several places with different values: nobody could say which is meant."""
    found = [(place, entries[key]) for place, entries in _places(atoms).items() if key in entries]
    numbers = [(place, _comparable(value, target)) for place, value in found]
    for (here, first), (there, second) in combinations(numbers, 2):
        if first is None or second is None or first.shape != second.shape:
            continue  # a missing value, or one whose shape is refused as such
        if np.allclose(first, second, equal_nan=True, **ROUNDING):
            continue
        if first.size == 1:
            values = f"{first.item():.10g} in {here} and {second.item():.10g} in {there}"
        else:
            values = f"values in {here} and in {there} that differ by up to {np.nanmax(np.abs(first - second)):.3g}"
        raise DataError(
            f"{key} must be the same everywhere in a frame, got {values}; remove the wrong one "
            "(`del atoms.info[...]`, `del atoms.arrays[...]` or `atoms.calc = None`)"
        )


def _comparable(value: Any, target: str) -> Floats | None:
    """A label as numbers, stresses and virials as tensors; None where it is no such thing."""
    try:
        return _tensor(value, target) if target in ("stress", "virial") else np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _labels(atoms: ase.Atoms, name: str, dropped: Dropped) -> dict[str, Any]:
    """Everything a frame carries beside its geometry, by key; missing values left out."""
    labels = {}
    for key, value in {k: v for entries in _places(atoms).values() for k, v in entries.items()}.items():
        word = "" if value is None or np.size(value) == 0 else value
        if len(atoms) == 0 or not (isinstance(word, str) and word.strip().lower() in MISSING):
            labels[key] = value
        elif any(key in aliases for aliases in ALIASES.values()):
            dropped.setdefault((key, f"is {word or 'empty'}"), []).append(name)
    return labels


def _targets(
    atoms: ase.Atoms, values: Mapping[str, tuple[Key, Any]], finite: bool, name: str, dropped: Dropped
) -> dict[str, Any]:
    """Checked energy, forces and stress of one frame."""
    found: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {"energy": (), "forces": (len(atoms), 3)}
    for target in ("energy", "forces", "virial", "stress"):  # the stress, where both are given
        if target not in values:
            continue
        key, value = values[target]
        label = key if isinstance(key, str) else "/".join(key)
        array = _array(value, label, shapes[target]) if target in shapes else _tensor(value, label)
        if finite and not np.isfinite(array).all():
            dropped.setdefault((label, "is NaN or infinite"), []).append(name)
        elif target in shapes:
            found[target] = float(array) if target == "energy" else array
        elif volume(atoms) == 0.0:
            dropped.setdefault((label, "comes without a cell of positive volume"), []).append(name)
        else:
            found["stress"] = array if target == "stress" else stress_from_virial(array, volume(atoms))
    return found


def _array(value: Any, key: str, shape: tuple[int, ...]) -> Floats:
    """A label as float64 of exactly `shape`."""
    try:
        array = np.asarray(value, dtype=np.float64)
        if np.asarray(value).dtype == bool:
            raise TypeError
    except (TypeError, ValueError):
        raise DataError(f"{key} must be numbers, got {str(value)[:40]!r}; repair the entry") from None
    if array.shape != shape:
        wanted = "one number" if shape == () else f"of shape {shape}"
        raise DataError(f"{key} must be {wanted}, got shape {array.shape}; repair the entry or choose another key")
    return array


def _tensor(value: Any, key: str) -> Floats:
    """A stress or virial as a symmetric (3, 3) tensor."""
    size = np.size(value)
    if size == 6:
        return from_voigt(_array(np.ravel(value), key, (6,)))
    if size != 9:
        raise DataError(f"{key} must have 6 or 9 components, got {size}; repair the entry or choose another key")
    tensor = _array(np.reshape(value, (3, 3)), key, (3, 3))
    skew = np.abs(tensor - tensor.T).max()
    if skew > STRESS_ASYMMETRY * np.abs(tensor).max() + 1e-4:
        raise DataError(f"{key} must be symmetric, got components that differ by {skew:.3g}; check their order")
    return 0.5 * (tensor + tensor.T)


def _fixed(atoms: ase.Atoms) -> NDArray[np.bool_] | None:
    """Atoms held in at least one direction, or None without such constraints."""
    fixed = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms | FixCartesian):
            fixed[constraint.get_indices()] = True
    return fixed if fixed.any() else None
