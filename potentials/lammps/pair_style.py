"""The pair style of an input deck: rhopot with a model file, or any other that LAMMPS has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ELEMENTS = "{elements}"  # in a line of pair_coeff: the element of each atom type


@dataclass(frozen=True)
class PairStyle:
    """Words after `pair_style`, and those after each `pair_coeff`.

    `{elements}` in a coefficient line stands for the elements of the atom types, in their order.
    """

    style: str
    coefficients: tuple[str, ...]

    @classmethod
    def of_model(cls, model: str | Path, options: str = "") -> PairStyle:
        """Pair style rhopot with a model file; `options` follow the name of the style."""
        name = f'"{model}"' if " " in str(model) else str(model)
        return cls(f"rhopot {options}".rstrip(), (f"* * {name} {ELEMENTS}",))

    def lines(self, symbols: Sequence[str]) -> list[str]:
        """Input lines for atom types of these elements."""
        elements = " ".join(symbols)
        return [
            f"pair_style {self.style}",
            *(f"pair_coeff {line.replace(ELEMENTS, elements)}" for line in self.coefficients),
        ]
