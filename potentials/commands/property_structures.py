"""What a property command is given: its potential; structures, of files, and prototypes with their elements."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ase.io
from ase import Atoms

from rhopot.export import ModelFileError
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.properties.potential import Potential
from rhopot.potentials.structures.prototypes import prototype

Value = TypeVar("Value")


@dataclass(frozen=True)
class GivenStructures:
    """Structures by the name of their file or prototype.

    prototypes: crystal, such as bcc, of the names that are prototypes; guessed: those without --lattice
    """

    structures: dict[str, Atoms]
    prototypes: dict[str, str]
    guessed: tuple[str, ...]

    @classmethod
    def of(cls, options: PropertyOptions, files: Sequence[str], known: Sequence[str]) -> GivenStructures:
        """Those of the options; prototypes without --symbol are of the elements `known`.

        Raises:
            ValueError: none, files that are no structures, numbers of symbols or lattices that fit no prototypes.
        """
        found: dict[str, Atoms] = {}
        for file in files:
            stem = re.sub(r"[^\w+-]", "_", Path(file).name.split(".")[0]) or "structure"
            names = (stem if k == 0 else f"{stem}_{k}" for k in itertools.count())
            found[next(name for name in names if name not in found)] = read_structure(Path(file))
        made = _prototypes(options, known)
        same = [name for name in made if name in found]
        if same:
            raise ValueError(
                f"structures must have names of their own, got file and prototype {same[0]}; rename the file"
            )
        if not found and not made:
            raise ValueError("a structure must be given, got none; name a file, or --prototype diamond --symbol Si")
        kinds = dict(zip(made, options.prototype, strict=True))
        return cls(found | made, kinds, () if options.lattice else tuple(made))


def _prototypes(options: PropertyOptions, known: Sequence[str]) -> dict[str, Atoms]:
    """Prototypes by name, in their order; one that is named several times is called by its elements as well."""
    names = options.prototype
    symbols = _each(options.symbol, names, "--symbol") or [",".join(known)] * len(names)
    lattices: Sequence[float | None] = _each(options.lattice, names, "--lattice") or [None] * len(names)
    found: dict[str, Atoms] = {}
    for name, elements, lattice in zip(names, symbols, lattices, strict=True):
        label = name if names.count(name) == 1 else f"{name}_{elements.replace(',', '')}"
        if label in found:
            raise ValueError(f"prototypes must differ, got {label} twice; name each once")
        found[label] = prototype(name, elements.split(",") if elements else [], lattice)
    return found


def _each(values: Sequence[Value], names: Sequence[str], option: str) -> list[Value]:
    """Values for each prototype: one is for all."""
    if (len(values) > 1 and len(values) != len(names)) or (values and not names):
        raise ValueError(
            f"{option} must be given once, or once for each --prototype, got {len(values)} for {len(names)} "
            f"prototypes; write --prototype bcc --symbol Li --prototype diamond --symbol Si"
        )
    return list(values) * (len(names) if len(values) == 1 else 1)


def read_structure(path: Path) -> Atoms:
    """Last structure of a file, or the one that is named behind its name: `frames.xyz@0` is the first.

    Raises:
        ValueError: no file, or none that ASE can read, or no atoms.
    """
    file, number = without_index(path), "-1"
    if not file.is_file():
        raise ValueError(f"structure must be a file, got '{path}'; check the name")
    if file != path:
        number = path.name.rpartition("@")[2]
    if re.fullmatch(r"-?\d+", number) is None:
        raise ValueError(f"structure must be FILE or FILE@NUMBER, got '{path}'; '{file}@0' is the first of a file")
    try:
        frames = ase.io.read(file, index=":" if file != path else slice(-1, None))
    except Exception as error:
        raise ValueError(f"structure must be readable by ASE, got '{path}' ({error}); convert it") from error
    if not -len(frames) <= int(number) < len(frames):
        raise ValueError(
            f"structure must be one of the {len(frames)} of '{file}', got number {number}; the first is {file}@0"
        )
    atoms = frames[int(number)]
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise ValueError(f"structure must hold atoms, got '{path}' without any; give another")
    return atoms


def without_index(path: Path) -> Path:
    """The file of `file@index`; a file whose own name has an @ is that file."""
    return path if path.is_file() or "@" not in path.name else path.with_name(path.name.rpartition("@")[0])


def identity(atoms: Atoms) -> dict[str, Any]:
    """What results depend on of a structure."""
    arrays = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell.array, "pbc": atoms.pbc}
    arrays |= {"masses": atoms.get_masses(), "momenta": atoms.get_momenta(), "tags": atoms.get_tags()}
    arrays |= {"charges": atoms.get_initial_charges(), "magnetic_moments": atoms.get_initial_magnetic_moments()}
    constraints = [str(constraint.todict()) for constraint in atoms.constraints]
    return {name: array.tolist() for name, array in arrays.items()} | {"constraints": constraints}


def given_potential(options: PropertyOptions) -> tuple[Potential, list[str]]:
    """The potential, and the inputs that are left for structures."""
    if options.calculator is not None or options.pair_style is not None:
        potential = Potential.of_names(options.calculator, options.pair_style, tuple(options.pair_coeff))
        return potential, options.inputs
    if not options.inputs:
        raise ValueError("a model file must be given first, got nothing; name one, or use --calculator")
    model = Path(options.inputs[0])
    if not model.is_file():
        raise ModelFileError(f"model must be a file, got '{model}'; check the name")
    return Potential.of_model(model), options.inputs[1:]
