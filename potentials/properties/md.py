"""Molecular dynamics in ASE at constant energy or temperature, with the energy balance written down.

NVE: velocity Verlet. NVT: Nose-Hoover chain with a damping of 100 time steps, the thermostat of the LAMMPS deck that
`lammps_input.nvt` writes. Time in fs in arguments, ps in results; temperatures in K; energies in eV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from rhopot.potentials import plots
from rhopot.potentials.structures.velocities import thermal_momenta
from rhopot.potentials.units import MEV_PER_EV

Ensemble = Literal["nve", "nvt"]


@dataclass(frozen=True)
class Dynamics:
    """Energy balance of a run, one entry per recorded step, and the last structure.

    time (ps), potential and kinetic (eV), temperature (K): arrays of equal length.
    """

    time: np.ndarray
    potential: np.ndarray
    kinetic: np.ndarray
    temperature: np.ndarray
    atoms: Atoms

    @property
    def drift(self) -> float:
        """Drift of the total energy in meV/atom/ps (meaningful at constant energy)."""
        return energy_drift(self.time, self.potential + self.kinetic, len(self.atoms))

    def plot(self, path: str | Path, title: str = "") -> Path:
        """Potential and total energy per atom from their start, the total energy alone, and the temperature."""
        scale = MEV_PER_EV / len(self.atoms)
        total = self.potential + self.kinetic
        total = scale * (total - total[0])
        panels = {
            "energy (meV/atom)": {"potential": scale * (self.potential - self.potential[0]), "total": total},
            "total (meV/atom)": {"total": total},
            "temperature (K)": {"temperature": self.temperature},
        }
        return plots.time_series(path, self.time, panels, title)


def energy_drift(time_ps: np.ndarray, total_ev: np.ndarray, n_atoms: int) -> float:
    """Rate of change of the total energy by a straight line through it, in meV/atom/ps."""
    if len(time_ps) < 3:
        raise ValueError(
            f"time must hold 3 or more recorded steps, got {len(time_ps)}; run longer or record more often"
        )
    return float(np.polyfit(time_ps - time_ps[0], total_ev - total_ev[0], 1)[0]) * MEV_PER_EV / n_atoms


def run_dynamics(
    atoms: Atoms,
    calculator: Calculator,
    *,
    ensemble: Ensemble = "nve",
    temperature: float = 300.0,
    timestep_fs: float = 1.0,
    steps: int = 1000,
    every: int = 10,
    seed: int = 0,
    trajectory: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dynamics:
    """Run `steps` steps from velocities drawn at `temperature` K (kept when `atoms` already moves).

    trajectory: ASE .traj file that receives every recorded step. progress is called with (step, steps).
    """
    if ensemble not in ("nve", "nvt"):
        raise ValueError(f"ensemble must be nve or nvt, got '{ensemble}'; for constant pressure write the LAMMPS deck")
    moving = atoms.copy()
    moving.calc = calculator
    if not np.any(moving.get_momenta()):
        moving.set_momenta(thermal_momenta(moving, temperature, seed))
    step = timestep_fs * units.fs
    file = str(trajectory) if trajectory is not None else None
    integrator: MolecularDynamics
    if ensemble == "nve":
        integrator = VelocityVerlet(moving, step, trajectory=file, loginterval=every)
    else:
        integrator = NoseHooverChainNVT(
            moving, step, temperature_K=temperature, tdamp=100 * step, trajectory=file, loginterval=every
        )
    record: list[tuple[float, float, float, float]] = []

    def observe() -> None:
        energies = moving.get_potential_energy(), moving.get_kinetic_energy()
        record.append((integrator.nsteps * timestep_fs / 1000.0, *energies, moving.get_temperature()))
        if progress is not None:
            progress(integrator.nsteps, steps)

    integrator.attach(observe, interval=every)
    integrator.run(steps)
    columns = np.array(record).T
    return Dynamics(columns[0], columns[1], columns[2], columns[3], moving)
