"""Velocities at a temperature."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units


def thermal_momenta(atoms: Atoms, temperature: float, seed: int) -> np.ndarray:
    """Maxwell-Boltzmann momenta (N, 3) in ASE units without motion of the centre of mass."""
    masses = atoms.get_masses()[:, None]
    momenta = np.random.default_rng(seed).normal(size=(len(atoms), 3)) * np.sqrt(masses * units.kB * temperature)
    return np.asarray(momenta - masses * momenta.sum(axis=0) / masses.sum())
