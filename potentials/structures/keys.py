"""Which entries of the data are its labels: one choice for the whole data set, from one family of keys.

A family is a naming convention: `REF_energy, REF_forces, REF_stress`, or `energy, forces, stress` as calculators leave
them. Labels of two families usually come from two methods (a reference calculation and a calculator that happened to be
attached), so they are never combined unless the keys say so:

1. A key given by the user, or taken from a trained model, is used as it is.
2. The others come from the family of that key, else from the first of `FAMILIES` that names an energy or forces.
3. A frame that carries a label under another key alone is a fault, with the setting to write, unless the user has named
   the key of the energy. Only stresses and virials of which the family has none at all are left aside, for calculators
   leave them unasked.

Where frames carry both `energy` and `free_energy` and they differ (smeared occupations), the latter is taken: forces
and stresses are its derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rhopot.potentials.structures.frames import DataError

Key = str | tuple[str, ...]
Labels = Mapping[str, Any]
KeyFamily = Mapping[str, tuple[str, ...]]

AUTO_KEY = "auto"
NO_KEY = "none"
WORDS: KeyFamily = {
    "energy": ("energy",),
    "forces": ("forces", "force"),
    "stress": ("stress",),
    "virial": ("virial", "virials"),
}
# What is no label of a frame, and has a key too.
OF_FRAMES = ("config_type", "group")
# Free and extrapolated energies that agree to this (eV) are one.
SAME_ENERGY = 1e-6


def named(prefix: str = "", suffix: str = "") -> KeyFamily:
    """Family whose keys are the common words with a prefix or a suffix."""
    return {target: tuple(f"{prefix}{word}{suffix}" for word in words) for target, words in WORDS.items()}


PLAIN: KeyFamily = {
    "energy": ("energy", "Energy", "free_energy", "potential_energy", "total_energy", "TotEnergy"),
    "forces": ("forces", "Forces", "force", "Force"),
    "stress": ("stress", "Stress"),
    "virial": ("virial", "Virial", "virials"),
}
FAMILIES: tuple[KeyFamily, ...] = (
    named("REF_"),
    named("ref_"),
    named("DFT_"),
    named("dft_"),
    named(suffix="_dft"),
    named("QM_"),
    PLAIN,
)
ALIASES: KeyFamily = {target: tuple(key for family in FAMILIES for key in family[target]) for target in WORDS}


def _as_key(value: Any) -> Any:
    """One name, or several names of one quantity, best first."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"must be the name of an entry of the data or a list of names, got {value!r}")
    return names[0] if len(names) == 1 else tuple(names)


KeyName = Annotated[Key, BeforeValidator(_as_key)]


class Keys(BaseModel):
    """Names of the labels in the file: "auto" looks for known ones, "none" leaves the target out.

    A list of names says that they all hold the same quantity by the same method; each frame's first is read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    energy: KeyName = AUTO_KEY
    """Name, or list of names, of the energies in the data; auto: a usual one; none: not read."""
    forces: KeyName = AUTO_KEY
    """Name of the forces; auto, none."""
    stress: KeyName = AUTO_KEY
    """Name of the stresses; auto, none."""
    virial: KeyName = AUTO_KEY
    """Name of the virials, stress = -virial / volume; auto, none."""
    config_type: str = Field(default="config_type", min_length=1)
    """Name of the entry that classifies frames."""


AUTO = Keys()
UNLABELLED = Keys(energy=NO_KEY, forces=NO_KEY, stress=NO_KEY, virial=NO_KEY)


@dataclass(frozen=True)
class KeyChoice:
    """Key of each target; frames that carry each known key; and sentences on what is left aside or contradicts."""

    used: dict[str, Key]
    found: dict[str, int]
    notes: tuple[str, ...]
    faults: tuple[str, ...]


def names_of(key: Key) -> tuple[str, ...]:
    """All names of a key."""
    return (key,) if isinstance(key, str) else key


def value_of(labels: Labels, key: Key) -> Any:
    """Value of a frame's label, None where the frame does not carry it."""
    return next((labels[name] for name in names_of(key) if name in labels), None)


def family_of(target: str, key: str) -> KeyFamily | None:
    """Family that names `target` by `key`; None for a name without the target's word."""
    for family in FAMILIES:
        if key in family[target]:
            return family
    for word in WORDS[target]:
        if key.endswith(f"_{word}"):
            return named(prefix=key.removesuffix(word))
        if key.startswith(f"{word}_"):
            return named(suffix=key.removeprefix(word))
    return None


@dataclass(frozen=True)
class LabelTable:
    """Everything that frames carry (missing values taken out), their names, and how messages write a setting.

    option: with places for target and value, as `data.keys.{}={}` or `--key {}={}`
    shared: whether a setting counts for other data, those that the preferred keys are from, as well
    """

    labels: Sequence[Labels]
    names: Sequence[str]
    option: str
    shared: bool = False

    def count(self, key: str) -> int:
        """Number of frames that carry `key`."""
        return sum(key in frame for frame in self.labels)

    def setting(self, target: str, *keys: str) -> str:
        """One or several keys of a target as written in the configuration."""
        joined = ",".join(keys)
        several = len(keys) > 1 and not self.option.startswith("--")
        return self.option.format(target, f"[{joined}]" if several else joined)

    def alone(self, taken: Sequence[str], known: Sequence[str]) -> dict[str, list[int]]:
        """Frames that carry none of the `taken` keys but one of `known`, by that key."""
        found: dict[str, list[int]] = {}
        for k, frame in enumerate(self.labels):
            if not any(name in frame for name in taken):
                other = next((name for name in known if name in frame), None)
                if other is not None:
                    found.setdefault(other, []).append(k)
        return found


def choose_keys(table: LabelTable, keys: Keys, preferred: Mapping[str, Key]) -> KeyChoice:
    """The choice for a data set; `preferred` are keys of a trained model, or of the training data.

    Raises DataError for a key of the user's that no frame carries.
    """
    given = {target: getattr(keys, target) for target in WORDS if getattr(keys, target) != AUTO_KEY}
    for target, key in given.items():
        if key != NO_KEY and not any(table.count(name) for name in names_of(key)):
            what = table.option.format(target, "").rstrip("= ")
            raise DataError(absent(what, ",".join(names_of(key)), table.labels))
    elsewhere = given.get("energy", NO_KEY) != NO_KEY  # the user's energy leads the labels, not the preferred one
    if keys.config_type != "config_type" and not table.count(keys.config_type):
        raise DataError(absent(table.option.format("config_type", "").rstrip("= "), keys.config_type, table.labels))
    fixed = {**({} if elsewhere else preferred), **given}
    families = _families(fixed, table)
    used: dict[str, Key] = {}
    for target in WORDS:
        if target in fixed:
            present = [name for name in names_of(fixed[target]) if name != NO_KEY and table.count(name)]
        else:
            present = [k for k in (_first(family[target], table) for family in families) if k is not None]
        if present:
            used[target] = present[0] if len(present) == 1 else tuple(dict.fromkeys(present))
    notes: list[str] = []
    faults: list[str] = []
    if "energy" not in fixed and used.get("energy") == "energy" and {"forces", "stress", "virial"} & set(used):
        used["energy"], notes, faults = _consistent_energy(table)
    known = {
        target: list(
            dict.fromkeys(
                [*names_of(used.get(target, ())), *(k for f in families for k in f[target]), *ALIASES[target]]
            )
        )
        for target in WORDS
    }
    more, named_in_faults = _faults(table, used, known, given, fixed)
    faults += more
    found = {key: table.count(key) for row in known.values() for key in row if table.count(key)}
    if not found and not given:
        notes.append(f"no label under a known key; the frames carry: {_carried(table.labels)}")
    said = {**found, **dict.fromkeys(named_in_faults, 0)}
    return KeyChoice(used, found, (*(_left_aside(said, used) if keys != UNLABELLED else ()), *notes), tuple(faults))


def absent(what: str, key: str, labels: Sequence[Labels]) -> str:
    """Sentence on an entry that no frame carries."""
    return f"{what} must name an entry of the data, got {key!r}; the frames carry: {_carried(labels)}"


def _carried(labels: Sequence[Labels]) -> str:
    """Names of all entries of the frames."""
    return ", ".join(sorted({name for frame in labels for name in frame} - {"numbers", "positions"})) or "nothing"


def _families(fixed: Mapping[str, Key], table: LabelTable) -> list[KeyFamily]:
    """Families that keys are taken from where they are not fixed: several where the user names several keys."""
    for target in ("energy", "forces"):
        names = [name for name in names_of(fixed.get(target, NO_KEY)) if name != NO_KEY]
        families = [family for name in names if (family := family_of(target, name)) is not None]
        if families:
            return families
    for targets in (("energy", "forces"), ("stress", "virial")):
        free = [target for target in targets if target not in fixed]
        for family in FAMILIES:
            if any(_first(family[target], table) for target in free):
                return [family]
    return [PLAIN]


def _first(keys: Sequence[str], table: LabelTable) -> str | None:
    """The first of the keys that any frame carries."""
    return next((key for key in keys if table.count(key)), None)


def _consistent_energy(table: LabelTable) -> tuple[str, list[str], list[str]]:
    """Key of the energy that forces are derivatives of, with notes and faults."""
    both = [frame for frame in table.labels if "energy" in frame and "free_energy" in frame]
    largest = max((_gap(frame["energy"], frame["free_energy"]) for frame in both), default=0.0)
    if largest <= SAME_ENERGY:
        return "energy", [], []
    differ = f"the two differ by up to {1000 * largest:.3g} meV in a frame"
    if len(both) == table.count("energy"):
        sentence = f"energy is read from free_energy, whose derivatives the forces are, not from energy; {differ}"
        return "free_energy", [sentence], []
    fault = (
        f"energy must be the one whose derivatives the forces are, got free_energy in {len(both)} of "
        f"{table.count('energy')} frames with energy ({differ}); write {table.setting('energy', 'energy')}, or "
        f"{table.setting('energy', 'free_energy', 'energy')} to take free_energy where it is"
    )
    return "energy", [], [fault]


def _gap(energy: Any, free_energy: Any) -> float:
    """Difference in eV; none between values that are not two numbers."""
    try:
        gap = abs(float(energy) - float(free_energy))
    except (TypeError, ValueError):
        return 0.0
    return gap if np.isfinite(gap) else 0.0


def _faults(
    table: LabelTable,
    used: Mapping[str, Key],
    known: Mapping[str, Sequence[str]],
    given: Mapping[str, Key],
    fixed: Mapping[str, Key],
) -> tuple[list[str], set[str]]:
    """Sentences on quantities that frames carry under another key alone, where the user has not chosen; those keys.

    One setting, for the energy, decides for forces and stresses that follow the same naming convention: one sentence.
    """
    found: list[_Fault] = []
    for targets in (("energy",), ("forces",), ("stress", "virial")):
        taken = [name for target in targets if target in used for name in names_of(used[target])]
        chosen = any(target in given for target in targets) or (taken and "energy" in given)
        others = table.alone(taken, [name for target in targets for name in known[target]])
        if not others or chosen or (not taken and targets[0] == "stress"):
            continue
        target = next((target for target in targets if next(iter(others)) in ALIASES[target]), targets[0])
        expected = [name for target in targets for name in names_of(fixed.get(target, ())) if name != NO_KEY]
        found.append(_Fault(target, taken, expected, others))
    likewise = [fault for fault in found[1:] if found[0].settles(fault)]
    sentences = [
        _sentence(table, fault, [one.target for one in likewise] if fault is found[0] else [])
        for fault in found
        if fault not in likewise
    ]
    return sentences, {key for fault in found for key in fault.others}


@dataclass(frozen=True)
class _Fault:
    """Frames (rows by key) that carry a target under `others` alone, not under those `taken`, or those `expected`."""

    target: str
    taken: Sequence[str]
    expected: Sequence[str]
    others: Mapping[str, Sequence[int]]

    def settles(self, other: _Fault) -> bool:
        """Whether the setting that mends this one, an energy's, mends the other: the same frames and families."""
        families = [family_of(self.target, key) for key in self.others]
        return (
            self.target == "energy"
            and bool(self.taken) == bool(other.taken)
            and [*self.others.values()] == [*other.others.values()]
            and None not in families
            and families == [family_of(other.target, key) for key in other.others]
        )


def _sentence(table: LabelTable, fault: _Fault, likewise: Sequence[str]) -> str:
    """Sentence on frames that carry a target, and others `likewise`, under other keys alone."""
    target, taken, others = fault.target, fault.taken, fault.others
    alone = ", ".join(
        f"{key} alone ({len(where)} frames, first: {table.names[where[0]]})" for key, where in others.items()
    )
    alone += f", and {' and '.join(likewise)} likewise" if likewise else ""
    other = next(iter(others))
    if taken:
        counts = ", ".join(f"{key} ({table.count(key)} frames)" for key in taken)
        return (
            f"{target} must be under one key in the whole data set, got {counts} and {alone}; "
            f"write {table.setting(target, taken[0])} or {table.setting(target, other)} to take one of them, "
            f"{table.setting(target, *taken, *others)} if all are of the same method"
        )
    rule = "of the same family of keys as the other labels"
    if fault.expected:
        rule = f"under {', '.join(fault.expected)}"
    if fault.expected and table.shared:
        both = f"{table.setting(target, *fault.expected, *others)} if all are of the same method"
        return f"{target} must be {rule}, got {alone}; write {both}, or {table.setting(target, NO_KEY)}"
    one = table.setting(target, other)
    return f"{target} must be {rule}, got {alone}; write {one} or {table.setting(target, NO_KEY)}"


def _left_aside(found: Mapping[str, int], used: Mapping[str, Key]) -> list[str]:
    """Label keys that the data carry beside the chosen ones."""
    taken = {name for key in used.values() for name in names_of(key)}
    others = [f"{key} ({count} frames)" for key, count in found.items() if count and key not in taken]
    return [f"labels left aside: {', '.join(others)}"] if others else []
