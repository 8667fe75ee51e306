"""The potential that a property is computed for: a model file, or any potential that ASE and LAMMPS have."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ase.calculators.calculator import Calculator

from rhopot.export import RhopotCalculator, load_model
from rhopot.export.global_models import knows_member_forces
from rhopot.export.results import n_force_members
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.runs.stability import known_distances

Maker = Callable[[], Calculator]


@dataclass(frozen=True)
class Potential:
    """One potential in both engines.

    calculator: makes a calculator for ASE; None where the potential is known to LAMMPS alone
    pair: pair style of LAMMPS; None where the potential is known to ASE alone
    members: makes the calculators of the ensemble members, none where there are none
    identity: what results depend on, for results that are kept; the hash of the file of a model
    symbols: elements, of a model
    shortest: shortest distance in A that a model knows of each pair of elements, `Li-Si` in alphabetical order
    """

    name: str
    identity: str
    calculator: Maker | None
    pair: PairStyle | None
    members: tuple[Maker, ...] = ()
    symbols: tuple[str, ...] = ()
    shortest: Mapping[str, float] = field(default_factory=dict)

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
            shortest={"-".join(sorted(pair.split("-"))): r for pair, r in known_distances(loaded.card).items()},
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
        pair = None if pair_style is None else PairStyle(pair_style, pair_coeff)
        name = calculator or f"pair_style {pair_style}"
        return cls(
            name=name,
            identity=f"{calculator} {pair}",
            calculator=None if calculator is None else import_function(calculator),
            pair=pair,
        )


def import_function(name: str) -> Maker:
    """The function that `module:function` names; the current folder is searched as well.

    Raises:
        ValueError: no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if function else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--calculator must be module:function, got '{name}' ({error}); check both names") from error
    if not callable(found):
        raise ValueError(f"--calculator must be module:function, got '{name}'; name a function that makes a calculator")
    return found
