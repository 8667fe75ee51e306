"""What `rhopot metad` is asked for: its options, or the same keys in one YAML file, and their defaults.

What it shares with `rhopot md` is read by `rhopot.potentials.commands.md_request`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import ase.units
from ase import Atoms

from rhopot.export.cv_file import LoadedCv, load_cv
from rhopot.export.metadynamics_bias import Bias
from rhopot.export.metadynamics_settings import Axis, BiasSettings, Moving, Wall
from rhopot.potentials import plumed_files
from rhopot.potentials.commands.md_request import MdRequest
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings
from rhopot.potentials.lammps.metadynamics import Metadynamics
from rhopot.potentials.properties.potential import Potential

Terms = tuple[tuple[str, ...], ...]
EXAMPLES = {
    "grid": "0,10,200 or -pi,pi,100",
    "wall_lower": "d,1.5,2.0",
    "wall_upper": "d,4.0,2.0",
    "moving": "d,2.0,4.0,5.0,0,10000",
}


@dataclass(frozen=True)
class MetadRequest(MdRequest):
    """Options of `rhopot metad`; a key of the YAML file has the name of a field.

    cv: file of collective variables; height: eV, None: k_B T; sigma: of each variable, none: walls and moving
    restraints alone; biasfactor: 0 for hills of one height; pace: steps; grid, wall_lower, wall_upper, moving: words
    of each; group: elements or numbers of atoms; walkers: runs that share their hills; thermostat: of nvt
    """

    cv: str = ""
    height: float | None = None
    sigma: tuple[float, ...] = ()
    biasfactor: float = 10.0
    pace: int = 100
    grid: Terms = ()
    wall_lower: Terms = ()
    wall_upper: Terms = ()
    moving: Terms = ()
    group: str | None = None
    walkers: int = 1
    thermostat: str = "nose-hoover"

    left_out: ClassVar[tuple[str, ...]] = ("skip", "adf_cutoff")  # of `MdRequest`

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.cv:
            raise ValueError("cv must be a file of collective variables, got none; make one with rhopot cv")
        if len(self.temperature) > 1:
            raise ValueError("temperature must be one number for metadynamics, got two; heat with rhopot md first")
        if self.ensemble not in ("nvt", "npt"):
            raise ValueError(
                f"ensemble must be nvt or npt for metadynamics, got {self.ensemble}; hills would heat it without end"
            )
        if not self.sigma:
            self._require_no_hills()
        if self.walkers < 1:
            raise ValueError(f"walkers must be 1 or more, got {self.walkers}; 1 is the default")
        self.bias(None)

    def _require_no_hills(self) -> None:
        """Refuse a run without hills that has no other bias, or options of hills."""
        given = {"height": self.height is not None, "grid": bool(self.grid), "walkers": self.walkers > 1}
        if not (self.wall_lower or self.wall_upper or self.moving) or any(given.values()):
            for_what = next((f" with {name}" for name, there in given.items() if there), " for hills")
            raise ValueError(
                f"sigma must be given{for_what}, got none; a third of the standard deviation of the variable in a run "
                "without bias is usual. Walls and moving restraints alone need none"
            )

    def _dynamics(self, timestep: float) -> DynamicsSettings:
        return replace(super()._dynamics(timestep), thermostat=self.thermostat)

    def bias(self, cv: LoadedCv | None) -> BiasSettings:
        """The bias; with the collective variables, it is checked that it goes with them.

        Raises:
            ValueError: numbers without meaning, or that do not go with the variables.
        """
        kelvin = self.temperature[0]
        walls = [_wall("wall_lower", each) for each in self.wall_lower]
        walls += [_wall("wall_upper", each) for each in self.wall_upper]
        hills = bool(self.sigma)
        settings = BiasSettings(
            height=(ase.units.kB * kelvin if self.height is None else self.height) if hills else None,
            sigma=self.sigma,
            pace=self.pace if hills else None,
            biasfactor=self.biasfactor if hills and self.biasfactor != 0.0 else None,
            temperature=kelvin,
            grid=tuple(Axis(*_parsed("grid", "lo,hi,n", "ppi", each)) for each in self.grid),
            walls=tuple(walls),
            moving=tuple(
                Moving(*_parsed("moving", "name,from,to,kappa,first,last", "sfffii", each)) for each in self.moving
            ),
        )
        return settings if cv is None else Bias(settings, cv.card.names, cv.card.periods).settings

    def metadynamics(self, cv: LoadedCv) -> Metadynamics:
        """The bias and its files, of collective variables that were loaded."""
        return Metadynamics(
            Path(self.cv).resolve(), tuple(cv.card.symbols), self.bias(cv), self.every, self.group, self.walkers
        )

    def require(self, cell: Atoms, potential: Potential) -> None:
        """Refuse a structure, a potential or variables that cannot be run like that."""
        super().require(cell, potential)
        atoms, cv = self.supercell(cell), load_cv(self.cv)
        self.metadynamics(cv).indices(atoms)
        if cv.card.atoms and max(cv.card.atoms) > len(atoms):
            raise ValueError(
                f"structure must hold atom {max(cv.card.atoms)}, which '{self.cv}' names, got {len(atoms)} atoms; "
                "atoms are numbered from 1"
            )

    def key(self) -> dict[str, Any]:
        """What results depend on; the collective variables by their content."""
        return super().key() | {"cv": load_cv(self.cv).identity}


def _wall(key: str, words: Sequence[str]) -> Wall:
    """The wall of an option."""
    name, at, kappa = _parsed(key, "name,at,kappa", "sff", words)
    return Wall(name, at, kappa, upper=key == "wall_upper")


def _parsed(key: str, form: str, kinds: str, words: Sequence[str]) -> list[Any]:
    """Words of one term: names (s), numbers (f), whole numbers (i), and numbers or multiples of pi (p).

    Raises:
        ValueError: another number of words, or words of another kind.
    """
    readers: dict[str, Any] = {"s": str, "f": float, "i": int, "p": plumed_files.number}
    try:
        return [readers[kind](word) for kind, word in zip(kinds, words, strict=True)]
    except ValueError as error:
        raise ValueError(f"{key} must be {form}, got '{','.join(words)}'; write {EXAMPLES[key]}") from error
