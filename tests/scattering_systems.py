"""Small structures for wavelet scattering, and features of an ASE structure."""

from __future__ import annotations

import ase
import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.descriptors.scattering import ScatteringGrid, WaveletScattering


def triclinic(symbols: str = "LiSiSi", seed: int = 0) -> ase.Atoms:
    """Return atoms at random places of a small skewed cell."""
    cell = np.array([[3.0, 0.0, 0.0], [0.4, 3.2, 0.0], [-0.3, 0.5, 3.4]])
    atoms = ase.Atoms(symbols, cell=cell, pbc=True)
    atoms.positions = np.random.default_rng(seed).random((len(atoms), 3)) @ cell
    return atoms


def inputs(atoms: ase.Atoms, symbols: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return positions, species, cell and pbc of a structure."""
    species = torch.tensor([symbols.index(symbol) for symbol in atoms.symbols])
    return torch.tensor(atoms.positions), species, torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc)


def scattering(module: WaveletScattering, atoms: ase.Atoms, grid: ScatteringGrid) -> Tensor:
    """Return the features (F,) of a structure."""
    return module(*inputs(atoms, module.settings.symbols), grid)
