"""Metadynamics as a run states it, and the lines of `fix rhopot/metad` that it stands for.

    group biased type 1
    fix metad biased rhopot/metad cv.pt Li Si pace 100 height 0.05 sigma 0.1 biasfactor 10 temp 300 ...
    fix_modify metad energy yes

Energies in eV, variables in their units, steps; HILLS and COLVAR are those of `rhopot.export.metadynamics_files`.
Walkers are partitions of LAMMPS, whose files have numbers: `HILLS.0`, `COLVAR.0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from rhopot.export.metadynamics_settings import BiasSettings
from rhopot.potentials.lammps.input_decks import DataFile, number

HILLS, COLVAR = "HILLS", "COLVAR"
FIX, GROUP = "metad", "biased"


@dataclass(frozen=True)
class Metadynamics:
    """The bias of a run and its files.

    cv: file of collective variables; symbols: elements that they read edges of, none where they read none
    bias: hills, walls and moving restraints; every: steps between lines of COLVAR
    group: elements or numbers of atoms (from 1) that are centers of the variables, separated by commas; None: all
    walkers: runs that share their hills
    """

    cv: Path
    symbols: tuple[str, ...]
    bias: BiasSettings
    every: int
    group: str | None = None
    walkers: int = 1

    @property
    def files(self) -> list[tuple[str, str]]:
        """Names of HILLS and COLVAR of each walker."""
        if self.walkers == 1:
            return [(HILLS, COLVAR)]
        return [(f"{HILLS}.{k}", f"{COLVAR}.{k}") for k in range(self.walkers)]

    def indices(self, atoms: Atoms) -> np.ndarray | None:
        """Indices of the group's atoms in a structure; None: all.

        Raises:
            ValueError: a word that is no element and no number of an atom, or no atom of the group.
        """
        if self.group is None:
            return None
        found: set[int] = set()
        for word in (each.strip() for each in self.group.split(",")):
            if word.isdigit() and 1 <= int(word) <= len(atoms):
                found.add(int(word) - 1)
            elif word in atomic_numbers and word in atoms.get_chemical_symbols():
                found |= set(np.flatnonzero(atoms.numbers == atomic_numbers[word]).tolist())
            else:
                raise ValueError(
                    f"group must be elements of the structure or numbers of atoms from 1 to {len(atoms)}, got "
                    f"'{word}'; write Li or 1,2,3"
                )
        return np.array(sorted(found), dtype=np.int64)

    def lines(self, data: DataFile, *, restarted: bool) -> list[str]:
        """Lines of an input, for a structure as LAMMPS has it."""
        group = self._group(data)
        elements = [symbol if symbol in self.symbols else "NULL" for symbol in data.symbols] if self.symbols else []
        name = f'"{self.cv}"' if " " in str(self.cv) else str(self.cv)
        words = ["fix", FIX, GROUP if group else "all", "rhopot/metad", name, *elements, *bias_words(self.bias)]
        words += ["hills", HILLS] if self.bias.has_hills else []
        words += ["colvar", COLVAR, str(self.every), "restart", "yes" if restarted else "no"]
        words += ["walkers", "partitions"] if self.walkers > 1 else []
        return [*group, " ".join(words), f"fix_modify {FIX} energy yes"]

    def _group(self, data: DataFile) -> list[str]:
        """Lines that define the group."""
        if self.group is None:
            return []
        words = [word.strip() for word in self.group.split(",")]
        numbers = [word for word in words if word.isdigit()]
        types = [str(k) for k, symbol in enumerate(data.symbols, 1) if symbol in words]
        lines = [f"group {GROUP} type {' '.join(types)}"] if types else []
        return lines + ([f"group {GROUP} id {' '.join(numbers)}"] if numbers else [])


def bias_words(bias: BiasSettings) -> list[str]:
    """Keywords of the fix for hills, walls and moving restraints."""
    words: list[str] = []
    if bias.pace is not None and bias.height is not None:
        words += ["pace", str(bias.pace), "height", number(bias.height), "sigma", *map(number, bias.sigma)]
    if bias.biasfactor is not None and bias.temperature is not None:
        words += ["biasfactor", number(bias.biasfactor), "temp", number(bias.temperature)]
    if bias.grid:
        words += ["grid", *(word for axis in bias.grid for word in (number(axis.low), number(axis.high), str(axis.n)))]
    for wall in bias.walls:
        words += ["wall_upper" if wall.upper else "wall_lower", wall.name, number(wall.at), number(wall.kappa)]
    for each in bias.moving:
        words += ["moving", each.name, number(each.start), number(each.end), number(each.kappa)]
        words += [str(each.first), str(each.last)]
    return words


def partition_words(walkers: int, ranks: int) -> Sequence[str]:
    """Words of the command line of LAMMPS for walkers on so many ranks together."""
    return [] if walkers == 1 else ["-partition", f"{walkers}x{ranks // walkers}"]
