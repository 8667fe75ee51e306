"""Numbers from energies alone: central differences, and what dynamics do to the total energy."""

from collections.abc import Callable

import ase
import numpy as np
from ase import units
from ase.md.verlet import VelocityVerlet

from rhopot.export import LoadedModel, RhopotCalculator
from rhopot.testing import structures


def stress_from_energies(energy: Callable[[ase.Atoms], float], atoms: ase.Atoms, step: float = 1e-5) -> np.ndarray:
    """Stress (3, 3) in eV/A^3 from central differences of `energy` (eV) by all nine strains of size `step`."""
    numeric = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain.T, scale_atoms=True)
            numeric[a, b] += sign * energy(strained) / (2 * step * atoms.get_volume())
    return numeric


def assert_dynamics_conserve_energy(model: LoadedModel) -> None:
    """20 fs of a rattled crystal in steps of 0.25 fs: the total energy varies by less than 1 % of the kinetic one."""
    atoms = structures.crystal((1, 1, 1), rattle=0.02)
    atoms.calc = RhopotCalculator(model)
    atoms.set_velocities(0.01 * np.random.default_rng(0).standard_normal((len(atoms), 3)))
    dynamics = VelocityVerlet(atoms, timestep=0.25 * units.fs)
    kinetic, total = [], []
    for _ in range(80):
        dynamics.run(1)
        kinetic.append(atoms.get_kinetic_energy())
        total.append(atoms.get_total_energy())
    assert np.ptp(kinetic) > 1e-3
    assert np.ptp(total) < 0.01 * np.ptp(kinetic)
