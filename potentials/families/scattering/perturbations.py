"""Perturbations of frames: shifts of all atoms, which change no energy, and directions of fitted derivatives.

Features do not change when all atoms are shifted; sums over grid points do, a little. A shift is a random vector of the
whole cell, so that it falls anywhere between the points of every grid, coarse ones too. Along axes that are not
periodic the padded box takes the place of the cell.

Directions u of a frame are orthonormal in the space of its free atoms' coordinates, random with equal chances. K of
them stand for all 3 N: the mean of (dF . u)^2 is that of the squared components of dF.

Strains are directions in the space of the six components of V stress: with u orthonormal in the order of Voigt, the
strain e has u on its diagonal and u/2 beside it, and dE/de = V stress : e = sum_k u_k (V stress)_k.

Draws depend on seed and structure alone, not on the frame's place among others, so that kept features are found again.
"""

from __future__ import annotations

import hashlib

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering import ScatteringGrid
from rhopot.potentials.descriptors.scattering.grid import boxed_cell
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.frames import frame_digest
from rhopot.potentials.units import from_voigt

Floats = NDArray[np.float64]


def random_shift(frame: Frame, grid: ScatteringGrid, seed: int) -> Floats:
    """Return one vector for all atoms (N, 3) in A."""
    random = _stream(frame, "shift", seed)
    return np.tile(random.random(3) @ _box(frame.atoms, grid), (len(frame), 1))


def random_directions(frame: Frame, count: int, seed: int) -> Floats:
    """Return at most `count` directions (K, N, 3), zero on atoms that were held: no force of theirs was asked for."""
    free = np.flatnonzero(frame.free)
    found = _orthonormal(_stream(frame, "directions", seed), count, 3 * len(free))
    directions = np.zeros((len(found), len(frame), 3))
    directions[:, free] = found.reshape(len(found), len(free), 3)
    return directions


def random_strains(frame: Frame, count: int, seed: int) -> Floats:
    """Return at most `count` symmetric strains (K, 3, 3), six of which are complete."""
    found = _orthonormal(_stream(frame, "strains", seed), count, 6)
    return from_voigt(found * np.array([1.0, 1.0, 1.0, 0.5, 0.5, 0.5]))


def _orthonormal(random: np.random.Generator, count: int, size: int) -> Floats:
    """Return at most `count` random orthonormal rows of some size; more of them are the same ones and others."""
    count = min(count, size)
    found = np.zeros((count, size))
    for k in range(count):
        vector = random.standard_normal(size)
        for _ in range(2):  # twice Gram-Schmidt, one row after the other
            vector = vector - (found[:k] @ vector) @ found[:k]
        found[k] = vector / np.linalg.norm(vector)
    return found


def _stream(frame: Frame, purpose: str, seed: int) -> np.random.Generator:
    """Random numbers of one frame and purpose."""
    digest = hashlib.sha256(frame_digest(frame, labels=False) + purpose.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])


def _box(atoms: ase.Atoms, grid: ScatteringGrid) -> Floats:
    """Return the cell with padded axes (3, 3)."""
    cell, pbc = torch.from_numpy(np.array(atoms.cell.array)), torch.from_numpy(np.array(atoms.pbc))
    return np.asarray(boxed_cell(cell, pbc, grid.lengths).numpy())
