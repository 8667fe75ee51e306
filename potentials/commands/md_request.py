"""What `rhopot md` is asked for: its options, or the same keys in one YAML file, and their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from ase import Atoms

from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.config.document import Document, read_document
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Limits, default_timestep, pairs_of
from rhopot.potentials.properties.potential import Potential
from rhopot.potentials.runs.stability import allowed_distances
from rhopot.potentials.structures.prototypes import repeats_for


@dataclass(frozen=True)
class MdRequest:
    """Options of `rhopot md`; a key of the YAML file has the name of a field.

    temperature: K, or two numbers, start and end; timestep: fs, None: by the lightest atom; repeat: cells along each
    edge, or atoms: fewest atoms; closest: A, 0: not watched, None: 0.7 times the shortest training distances of the
    model; until_uncertain: eV/A; skip: fraction of the frames at the start that averages leave out; adf_cutoff: A
    """

    ensemble: str = "nvt"
    barostat: str = "isotropic"
    pressure: float = 0.0
    temperature: tuple[float, ...] = (300.0,)
    steps: int = 10000
    timestep: float | None = None
    every: int = 10
    seed: int = 0
    repeat: tuple[int, ...] | None = None
    atoms: int | None = None
    closest: float | None = None
    until_uncertain: float | None = None
    skip: float = 0.2
    adf_cutoff: float | None = None

    left_out: ClassVar[tuple[str, ...]] = ()  # fields that are no keys

    def __post_init__(self) -> None:
        if len(self.temperature) not in (1, 2):
            raise ValueError(
                f"temperature must be one or two numbers in K, got {list(self.temperature)}; write 300 or 300,1200"
            )
        if not 0.0 <= self.skip < 1.0:
            raise ValueError(f"skip must be a fraction from 0 to below 1, got {self.skip:g}; 0.2 leaves out a fifth")
        if self.closest is not None and not self.closest >= 0.0:
            raise ValueError(f"closest must be 0 or more, got {self.closest:g}; 0 watches no distances")
        if self.adf_cutoff is not None and not 0.0 < self.adf_cutoff < np.inf:
            raise ValueError(f"adf_cutoff must be above 0 A, got {self.adf_cutoff:g}; leave it out for a default")
        if self.until_uncertain is not None and not self.until_uncertain > 0.0:
            raise ValueError(
                f"until_uncertain must be above 0, got {self.until_uncertain:g}; leave it out to run to the end"
            )
        settings = self._dynamics(1.0 if self.timestep is None else self.timestep)
        if not settings.cell_changes:
            for name, value, default in (("pressure", self.pressure, 0.0), ("barostat", self.barostat, "isotropic")):
                if value != default:
                    raise ValueError(
                        f"{name} must be given with npt or nph, got {value} with {self.ensemble}, whose cell is fixed; "
                        f"give --ensemble npt, or leave {name} out"
                    )

    def settings(self, atoms: Atoms) -> DynamicsSettings:
        """The run of a structure."""
        return self._dynamics(default_timestep(atoms) if self.timestep is None else self.timestep)

    def require(self, cell: Atoms, potential: Potential) -> None:
        """Refuse a structure that cannot be run like that, or with a potential that cannot."""
        atoms = self.supercell(cell)
        self.settings(atoms).require(atoms)
        self.limits(atoms, potential)

    def _dynamics(self, timestep: float) -> DynamicsSettings:
        return DynamicsSettings(
            ensemble=self.ensemble,
            barostat=self.barostat,
            pressure=self.pressure,
            temperature=(self.temperature[0], self.temperature[-1]),
            steps=self.steps,
            timestep=timestep,
            every=self.every,
            seed=self.seed,
        )

    def supercell(self, atoms: Atoms) -> Atoms:
        """The structure, repeated as asked for."""
        if self.repeat is not None and self.atoms is not None:
            raise ValueError("repeat must be given without atoms, got both; leave one out")
        if self.repeat is None:
            return atoms.repeat(repeats_for(atoms, self.atoms or 1))
        if len(self.repeat) not in (1, 3) or min(self.repeat) < 1:
            raise ValueError(f"repeat must be one or three positive numbers, got {list(self.repeat)}; write 3 or 3,3,3")
        repeats = self.repeat if len(self.repeat) == 3 else self.repeat * 3
        if any(count > 1 and not periodic for count, periodic in zip(repeats, atoms.pbc, strict=True)):
            raise ValueError(
                f"repeat must be 1 along open directions, got {list(repeats)}; a molecule has no supercell"
            )
        return atoms.repeat(repeats)

    def limits(self, atoms: Atoms, potential: Potential) -> Limits:
        """What ends the run early.

        Raises:
            ValueError: an uncertainty that the potential does not have.
        """
        if self.until_uncertain is not None and not potential.members:
            raise ValueError(
                f"until_uncertain must be used with a model whose ensemble members have forces, got {potential.name}; "
                "train with uncertainty.members, or leave it out"
            )
        names = [name for name, *_ in pairs_of(atoms.get_chemical_symbols())]
        return Limits(allowed_distances(names, potential.shortest, self.closest), self.until_uncertain)

    def key(self) -> dict[str, Any]:
        """What results depend on: a run at constant targets may be extended by more steps."""
        skipped = {"skip", "adf_cutoff"} | (set() if len(set(self.temperature)) > 1 else {"steps"})
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in skipped}


# Keys that the YAML file has besides: those of all property commands.
_SHARED = {
    "model": str,
    "structure": str,
    "prototype": str,
    "symbol": str,
    "lattice": float,
    "engine": str,
    "ranks": int,
    "output": str,
    "json": str,
    "calculator": str,
    "pair_style": str,
    "pair_coeff": list,
}
_WORDS = ("ensemble", "barostat", "thermostat", "cv", "group")
_WHOLE = ("steps", "every", "seed", "atoms", "pace", "walkers")
_LISTS = {"temperature": float, "repeat": int, "sigma": float}
_TERMS = ("grid", "wall_lower", "wall_upper", "moving")  # any number of them, words separated by commas in each

Request = TypeVar("Request", bound=MdRequest)


def read_request(
    options: PropertyOptions, config: Path | None, given: Mapping[str, Any], kind: type[Request]
) -> tuple[PropertyOptions, Request]:
    """Options of the command line (`given`, None: not given), completed by those of a YAML file, then by defaults.

    kind: of the request, whose fields are the keys

    Raises:
        ConfigError: an unknown key or a value of another kind in the file, with its line.
        ValueError: an option of another kind.
    """
    values: dict[str, Any] = {}
    if config is not None:
        document = read_document(config)
        known = {field.name for field in fields(kind)} - set(kind.left_out) | set(_SHARED)
        for key in document.values:
            if key not in known:
                raise document.error(
                    (key,), f"must be one of {', '.join(sorted(known))}, got an unknown key; correct it"
                )
        shared = {key: _shared(document, key) for key in _SHARED if key in document.values}
        options = _completed(options, shared)
        for key in set(document.values) - set(_SHARED):
            try:
                values[key] = _value(key, document.values[key])
            except ValueError as error:
                raise document.error((key,), str(error).removeprefix(f"{key} ")) from error
    return options, _request(kind, given, values)


def request_of(given: Mapping[str, Any]) -> MdRequest:
    """The request of options that are given (None: not given) and of defaults."""
    return _request(MdRequest, given, {})


def _request(kind: type[Request], given: Mapping[str, Any], values: Mapping[str, Any]) -> Request:
    own = {key: _value(key, value) for key, value in given.items() if value is not None}
    return kind(**{**values, **own})


def _value(key: str, written: Any) -> Any:
    """The value of a key of `MdRequest`."""
    if written is None:
        return None
    if key in _LISTS:
        parts = str(written).split(",") if isinstance(written, str) else written
        parts = parts if isinstance(parts, list) else [parts]
        return tuple(_number(key, part, whole=_LISTS[key] is int) for part in parts)
    if key in _TERMS:
        terms = written if isinstance(written, list) else [written]
        if not all(isinstance(term, str | list) for term in terms):
            terms = [terms]
        return tuple(_words(term) for term in terms)
    if key in _WORDS:
        return ",".join(_words(written))
    return _number(key, written, whole=key in _WHOLE)


def _words(written: Any) -> tuple[str, ...]:
    """Words of a text with commas, or of a list."""
    parts = written if isinstance(written, list) else str(written).split(",")
    return tuple(str(part).strip() for part in parts)


def _number(key: str, written: Any, *, whole: bool) -> float | int:
    try:
        if isinstance(written, bool):
            raise TypeError
        return int(str(written)) if whole else float(written)
    except (TypeError, ValueError) as error:
        rule = "a whole number" if whole else "a number"
        raise ValueError(f"{key} must be {rule}, got '{written}'; correct it") from error


def _shared(document: Document, key: str) -> Any:
    written, kind = document.values[key], _SHARED[key]
    right = isinstance(written, (int, float) if kind is float else kind) and not isinstance(written, bool)
    if key == "pair_coeff" and isinstance(written, str):
        return [written]
    if not right:
        words = {str: "text", float: "a number", int: "a whole number", list: "a list"}[kind]
        raise document.error((key,), f"must be {words}, got {written!r}; correct it")
    return written


def _completed(options: PropertyOptions, shared: Mapping[str, Any]) -> PropertyOptions:
    """Options with those of the file where the command line left its defaults."""
    changed: dict[str, Any] = {}
    inputs = [shared[key] for key in ("model", "structure") if key in shared]
    if inputs and not options.inputs:
        changed["inputs"] = inputs
    for key in ("prototype", "symbol", "lattice"):
        if key in shared and not getattr(options, key):
            changed[key] = [shared[key]]
    for key in ("engine", "ranks"):
        if key in shared and key not in options.stated:
            changed[key] = shared[key]
    if "pair_coeff" in shared and not options.pair_coeff:
        changed["pair_coeff"] = shared["pair_coeff"]
    for key in ("calculator", "pair_style"):
        if key in shared and getattr(options, key) is None:
            changed[key] = shared[key]
    for key, field in (("output", "output"), ("json", "json_file")):
        if key in shared and getattr(options, field) is None:
            changed[field] = Path(shared[key])
    return replace(options, **changed)
