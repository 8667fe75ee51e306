"""One collective variable of every kind, on lithium and silicon, and their numeric derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable

import ase
import numpy as np
import torch

from rhopot.export import CvCard, LoadedCv, evaluate_cv
from rhopot.potentials.collective_variables import (
    Angle,
    CollectiveVariable,
    Coordination,
    Dihedral,
    Distance,
    Polarization,
    Projection,
    SoapProjection,
    Steinhardt,
    combine,
)
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings

STEP = 1e-5
# Variables that rotations change.
ORIENTED = ("projection", "component", "vector")


def soap(cutoff: float = 3.6, count: int = 2) -> SoapProjection:
    """Random directions in the space of small SOAP vectors of Li and Si."""
    settings = SoapSettings.model_validate({"cutoff": cutoff, "n_max": 2, "l_max": 2, "symbols": ("Li", "Si")})
    n_features = SoapPowerSpectrum(settings).n_features
    weights = torch.randn(2, n_features, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    offsets = torch.arange(count, dtype=torch.float64) + 0.1
    return SoapProjection(settings, weights, offsets, [f"s{k}" for k in range(count)], {"seed": 0})


BOTH = ["Li", "Si"]
MAKE: dict[str, Callable[[], CollectiveVariable]] = {
    "distance": lambda: Distance([1, 3]),
    "projection": lambda: Projection([1, 3], [1.0, -2.0, 0.5]),
    "angle": lambda: Angle([1, 2, 3]),
    "dihedral": lambda: Dihedral([1, 2, 3, 4]),
    "coordination": lambda: Coordination(["Li"], ["Si"], 3.5, 1.5),
    "Q6": lambda: Steinhardt(6, BOTH, 3.3),
    "q4": lambda: Steinhardt(4, ["Si"], 3.3, by=BOTH, local=True),
    "norm": lambda: Polarization(["Li"], BOTH, 3.4),
    "component": lambda: Polarization(["Li"], ["Si"], 3.4, direction=[1.0, 1.0, 0.0]),
    "vector": lambda: Polarization(["Si"], BOTH, 3.4, direction="vector"),
    "soap": soap,
    "combined": lambda: combine(Steinhardt(4, ["Si"], 3.0), Dihedral([4, 3, 2, 1]), Coordination(["Li"], ["Si"], 3.4)),
}


@functools.cache
def variable(name: str) -> CollectiveVariable:
    """A variable of every kind, made once; atoms 1 to 4 are given."""
    return MAKE[name]()


NAMES = tuple(MAKE)
READ_EDGES = tuple(name for name in NAMES if name not in ("distance", "projection", "angle", "dihedral"))
GIVEN_ATOMS = tuple(name for name in NAMES if name not in READ_EDGES)


def loaded(module: CollectiveVariable) -> LoadedCv:
    """The module as if it came from a file, without writing one."""
    return LoadedCv(CvCard.of(module), module, "cv.pt", b"")


def values(module: CollectiveVariable, atoms: ase.Atoms) -> np.ndarray:
    """Values (n_cv,) alone."""
    return evaluate_cv(loaded(module), atoms, gradients=False).values


def strained(atoms: ase.Atoms, strain: np.ndarray) -> ase.Atoms:
    """The structure with its positions and cell vectors r' = r (1 + strain)."""
    found = atoms.copy()
    found.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=False)
    found.positions = atoms.positions @ (np.eye(3) + strain)
    return found


def numeric_gradients(module: CollectiveVariable, atoms: ase.Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Central differences by positions (n_cv, N, 3) and by strain (n_cv, 3, 3)."""
    n_cv = len(module.description.names)
    by_positions, by_strain = np.zeros((n_cv, len(atoms), 3)), np.zeros((n_cv, 3, 3))
    for i, c in np.ndindex(len(atoms), 3):
        for sign in (1, -1):
            displaced = atoms.copy()
            displaced.positions[i, c] += sign * STEP
            by_positions[:, i, c] += sign * values(module, displaced) / (2 * STEP)
    for a, b in np.ndindex(3, 3):
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[a, b] = sign * STEP
            by_strain[:, a, b] += sign * values(module, strained(atoms, strain)) / (2 * STEP)
    return by_positions, by_strain
