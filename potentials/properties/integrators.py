"""Integrators of ASE for the four ensembles, with ramps, conserved quantities and a state that can be saved.

    nve    velocity Verlet
    nvt    Nose-Hoover chain of three; Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635 (1992), doi:10.1063/1.463940
           or Langevin: ASE's, with the same damping time and the center of mass held in place
    npt    Martyna, Tobias, Klein, J. Chem. Phys. 101, 4177 (1994), doi:10.1063/1.467468
    nph    the same with thermostats of infinite mass, which neither take nor give energy

Damping times are those of the LAMMPS input: 100 time steps of the thermostat, 1000 of the barostat.

The center of mass does not move, so that 3 N - 3 degrees of freedom share the kinetic energy. ASE counts 3 N; its
thermostats get (N - 1)/N times the temperature, and temperatures are computed with 3 N - 3 here, as LAMMPS does. Atoms
that are held do not count, as those outside of the group of a thermostat in LAMMPS.
Masses of thermostat and barostat are those of the first temperature of a ramp.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT, MaskedMTKNPT, NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet
from ase.parallel import DummyMPI

from rhopot.potentials.lammps.dynamics_settings import BAROSTAT_STEPS, THERMOSTAT_STEPS, DynamicsSettings
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

_PARTS = ("", "_thermostat", "_barostat")


class Integrator:
    """One integrator of ASE on atoms that carry a calculator and momenta."""

    def __init__(self, atoms: Atoms, settings: DynamicsSettings) -> None:
        self.atoms, self.settings, self.step_number = atoms, settings, 0
        self._free = len(atoms) - settings.held - 1
        self._share = self._free / len(atoms)
        self._pressure = settings.pressure / GPA_PER_EV_PER_CUBIC_ANGSTROM
        self._motion = self._made()

    def step(self) -> None:
        """Make one time step."""
        if self.settings.ramp:
            self._aim(self.settings.target(self.step_number))
        self._motion.step()  # type: ignore[attr-defined]  # of every integrator, not of their common class
        self.step_number += 1

    def temperature(self) -> float:
        """Temperature in K of 3 N - 3 degrees of freedom, N atoms that are not held."""
        return float(2.0 * self.atoms.get_kinetic_energy() / (3.0 * self._free * units.kB))

    def conserved(self) -> float:
        """Quantity in eV that exact dynamics would conserve (not along a ramp)."""
        energy = self.atoms.get_potential_energy() + self.atoms.get_kinetic_energy()
        motion: Any = self._motion
        if self.settings.ensemble != "nve" and not self._random:
            energy += motion._thermostat.get_thermostat_energy()
        if self.settings.cell_changes:
            energy += motion._barostat.get_barostat_energy() + self._pressure * self.atoms.get_volume()
            if self.settings.barostat == "isotropic":
                energy += motion._p_eps**2 / (2.0 * motion._barostat.W)
            else:
                energy += motion._get_cell_kinetic_energy()
        return float(energy)

    def state(self) -> dict[str, Any]:
        """All numbers on which the steps to come depend, by name."""
        found: dict[str, Any] = {
            "step_number": self.step_number,
            "positions": self.atoms.positions.copy(),
            "momenta": self.atoms.get_momenta(),
            "cell": self.atoms.cell.array.copy(),
        }
        for part, owner in self._owners():
            for name, value in vars(owner).items():
                if isinstance(value, float | np.ndarray):
                    found[f"{part}.{name}"] = np.array(value)
        if self._random:
            motion: Any = self._motion
            found["random_state"] = json.dumps(motion.rng.bit_generator.state)
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of an integrator with the same settings."""
        self.step_number = int(state["step_number"])
        self.atoms.set_cell(state["cell"])
        self.atoms.positions = state["positions"]
        self.atoms.set_momenta(state["momenta"])
        for part, owner in self._owners():
            for name, value in vars(owner).items():
                if isinstance(value, float | np.ndarray):
                    saved = np.asarray(state[f"{part}.{name}"])
                    setattr(owner, name, float(saved) if saved.ndim == 0 else saved.copy())
        if self._random:
            motion: Any = self._motion
            motion.rng.bit_generator.state = json.loads(str(state["random_state"]))

    def _made(self) -> MolecularDynamics:
        step = self.settings.timestep * units.fs
        if self.settings.ensemble == "nve":
            return VelocityVerlet(self.atoms, step)
        if self._random:
            return self._langevin(step)
        kelvin = self._share * self.settings.temperature[0]
        common: dict[str, Any] = {"temperature_K": kelvin, "tdamp": THERMOSTAT_STEPS * step}
        if self.settings.ensemble == "nvt":
            return NoseHooverChainNVT(self.atoms, step, **common)
        motion = self._with_barostat(step, common | {"pressure_au": self._pressure, "pdamp": BAROSTAT_STEPS * step})
        if self.settings.ensemble == "nph":
            motion._thermostat._Q[:] = np.inf
            motion._barostat._R[:] = np.inf
        return motion

    @property
    def _random(self) -> bool:
        return self.settings.ensemble == "nvt" and self.settings.thermostat == "langevin"

    def _langevin(self, step: float) -> MolecularDynamics:
        # With one friction for all atoms, the motion of the center of mass is independent of all others; holding it
        # leaves them as they are. ASE's own `fixcm` does not.
        self.atoms.set_constraint(FixCom())
        return Langevin(
            self.atoms,
            step,
            temperature_K=self.settings.temperature[0],
            friction=1.0 / (THERMOSTAT_STEPS * step),
            fixcm=False,
            rng=np.random.default_rng(self.settings.seed + 1),
            comm=DummyMPI(),
        )

    def _with_barostat(self, step: float, common: dict[str, Any]) -> Any:
        if self.settings.barostat == "isotropic":
            return IsotropicMTKNPT(self.atoms, step, **common)
        if self.settings.barostat == "full":
            return MTKNPT(self.atoms, step, **common)
        along = self.settings.barostat == "anisotropic"
        mask: Any = np.array([along, along, True])  # of a tuple, ASE 3.29 takes the values for separate indices
        return MaskedMTKNPT(self.atoms, step, mask=mask, **common)

    def _owners(self) -> list[tuple[str, Any]]:
        owners = [(part, getattr(self._motion, part, None) if part else self._motion) for part in _PARTS]
        return [(part, owner) for part, owner in owners if owner is not None]

    def _aim(self, kelvin: float) -> None:
        """Set the temperature of thermostat and barostat."""
        if self._random:
            motion: Any = self._motion
            motion.set_temperature(temperature_K=kelvin)
            return
        for part, owner in self._owners():
            if part:
                assert hasattr(owner, "_kT"), "this version of ASE keeps the temperature elsewhere"
                owner._kT = units.kB * self._share * kelvin
