"""What a run of molecular dynamics is, whichever program carries it out: ensemble, targets, steps and when it stops.

Time steps in fs, temperatures in K, pressures in GPa, distances in A, force uncertainties in eV/A.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ase import Atoms

ENSEMBLES = ("nve", "nvt", "npt", "nph")
THERMOSTATS = ("nose-hoover", "langevin")
BAROSTATS = ("isotropic", "anisotropic", "full", "z")
THERMOSTAT_STEPS, BAROSTAT_STEPS = 100, 1000  # damping times of the Nose-Hoover chains in time steps
TIMESTEPS = ((6.0, 0.5), (20.0, 1.0))  # lightest atom below this mass (u): time step in fs
LONGEST_TIMESTEP = 2.0
CHECKPOINTS = 50  # states that a run in LAMMPS saves at most
RIGHT_ANGLE = 1e-3  # degrees
THERMO = (
    "step",
    "time_ps",
    "temperature_K",
    "potential_eV",
    "kinetic_eV",
    "total_eV",
    "conserved_eV",
    "pressure_GPa",
    "volume_A3",
    "a_A",
    "b_A",
    "c_A",
    "alpha_deg",
    "beta_deg",
    "gamma_deg",
    "force_uncertainty_eV_A",
)


@dataclass(frozen=True)
class Limits:
    """What ends a run early, besides numbers that are not finite and atoms that are lost.

    closest: shortest allowed distance (A) by pair of elements, `Li-Si`, in alphabetical order; pairs that are missing
    are not watched. uncertainty: largest allowed standard deviation of the force on an atom (eV/A), None: not evaluated
    """

    closest: Mapping[str, float] = field(default_factory=dict)
    uncertainty: float | None = None


@dataclass(frozen=True)
class DynamicsSettings:
    """One run of molecular dynamics.

    ensemble: nve (velocity Verlet), nvt (Nose-Hoover chain), npt (Martyna-Tobias-Klein) or nph (npt without
    thermostats: the enthalpy is conserved); barostat: `isotropic`, `anisotropic` (three edges of an orthogonal cell),
    `full` (all components) or `z` (the third edge, at right angles to the others). temperature: at the start and at
    the end of the run, in between linear in time; velocities are drawn at the first. every: steps between frames, rows
    of the table and looks at the limits. held: so many atoms, the first ones, do not move (nvt alone). thermostat: of
    nvt, `nose-hoover` or `langevin`, with one damping time.

    Raises:
        ValueError: a setting without meaning, with what to give instead.
    """

    ensemble: str = "nvt"
    barostat: str = "isotropic"
    pressure: float = 0.0
    temperature: tuple[float, float] = (300.0, 300.0)
    steps: int = 10000
    timestep: float = 1.0
    every: int = 10
    seed: int = 0
    held: int = 0
    thermostat: str = "nose-hoover"

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            raise ValueError(f"ensemble must be nve, nvt, npt or nph, got '{self.ensemble}'; choose one of them")
        if self.barostat not in BAROSTATS:
            raise ValueError(
                f"barostat must be isotropic, anisotropic, full or z, got '{self.barostat}'; choose one of them"
            )
        if self.thermostat not in THERMOSTATS:
            raise ValueError(f"thermostat must be nose-hoover or langevin, got '{self.thermostat}'; choose one of them")
        if self.thermostat == "langevin" and (self.ensemble != "nvt" or self.held):
            raise ValueError(
                f"thermostat langevin must go with nvt and no atoms held, got {self.ensemble}; leave it out"
            )
        if not all(0.0 < value < 1e6 for value in self.temperature):
            raise ValueError(
                f"temperature must be one or two positive numbers in K, got "
                f"{', '.join(f'{kelvin:g}' for kelvin in dict.fromkeys(self.temperature))}; write 300 or 300,1200"
            )
        if not abs(self.pressure) < 1e6:
            raise ValueError(f"pressure must be a number in GPa, got {self.pressure:g}; 0 is usual")
        if not 0.0 < self.timestep <= 20.0:
            raise ValueError(f"timestep must lie between 0 and 20 fs, got {self.timestep:g}; 0.5 to 2 are usual")
        if self.every < 1 or self.steps < self.every:
            raise ValueError(
                f"steps must be at least every, and every at least 1, got steps {self.steps} and every {self.every}; "
                "give more steps or record more often"
            )
        if self.ensemble in ("nve", "nph") and self.ramp:
            raise ValueError(
                "temperature must be one number at constant energy or enthalpy, got two; use --ensemble nvt for a ramp"
            )
        if self.held and self.ensemble != "nvt":
            raise ValueError(f"held must be 0 except with nvt, got {self.held} with {self.ensemble}; use nvt")

    @property
    def ramp(self) -> bool:
        """True where the target temperature changes."""
        return self.temperature[0] != self.temperature[1]

    @property
    def cell_changes(self) -> bool:
        """True at constant pressure."""
        return self.ensemble in ("npt", "nph")

    @property
    def checkpoint(self) -> int:
        """Steps between saved states in LAMMPS, a multiple of `every`."""
        return self.every * max(1, self.steps // (CHECKPOINTS * self.every))

    def target(self, step: int) -> float:
        """Temperature of the thermostat (K) after so many steps."""
        first, last = self.temperature
        return first + (last - first) * min(1.0, step / self.steps)

    def require(self, atoms: Atoms) -> None:
        """Refuse structures that cannot be run with these settings.

        Raises:
            ValueError: fewer than two atoms, constraints, or a cell that the barostat cannot act on.
        """
        if len(atoms) < 2 + self.held:
            raise ValueError(
                f"structure must hold two atoms or more for dynamics, got {len(atoms) - self.held}; repeat it with "
                "--repeat or --atoms"
            )
        if atoms.constraints:
            raise ValueError(
                "structure must have no constraints for dynamics, got some; remove them (del atoms.constraints)"
            )
        if self.cell_changes and not all(atoms.pbc):
            raise ValueError(
                "structure must be periodic in three directions at constant pressure, got open sides; use --ensemble "
                "nvt"
            )
        if self.cell_changes and self.barostat in ("anisotropic", "z"):
            angles = [float(angle) for angle in atoms.cell.angles()]
            if any(abs(a - 90.0) > RIGHT_ANGLE for a in angles[: 2 if self.barostat == "z" else 3]):
                raise ValueError(
                    f"barostat {self.barostat} must have a cell of right angles, got "
                    f"{', '.join(f'{a:g}' for a in angles)} degrees; take an orthogonal cell, or --barostat full"
                )


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    step: last step; kind: empty (all steps done), `nan`, `lost`, `closest`, `tilted` or `uncertain`; reason: in words
    """

    step: int
    kind: str = ""
    reason: str = ""


def default_timestep(atoms: Atoms) -> float:
    """Time step in fs by the lightest atom: 0.5 below 6 u (hydrogen, helium), 1 below 20 u, else 2."""
    lightest = float(atoms.get_masses().min())
    return next((step for mass, step in TIMESTEPS if lightest < mass), LONGEST_TIMESTEP)


def pairs_of(symbols: Iterable[str]) -> list[tuple[str, str, str]]:
    """Name and elements of each pair of elements, in alphabetical order: ("Li-Si", "Li", "Si")."""
    order = sorted(set(symbols))
    return [(f"{a}-{b}", a, b) for k, a in enumerate(order) for b in order[k:]]
