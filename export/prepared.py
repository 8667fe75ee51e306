"""The grid that a global model has prepared for a structure, kept while atoms move and the cell changes.

Such a model chooses something once (for scattering, grids), and its energy is smooth only while that stays. It stays
as long as the number of atoms, their species and the periodic directions do, and

    periodic edges         0.7 |a_then| <= |a| <= stretch |a_then|
    along open directions  extent of the atoms <= extent then + (stretch - 1) x the model's reach

Longer edges lie outside what was prepared, shorter ones would pay for points they do not need, and atoms that spread
through the vacuum come close to their images. Otherwise the model prepares again. Where this happens to the same atoms,
energies before and after are not those of one smooth curve, and a warning says so once.
"""

from __future__ import annotations

import warnings

import ase
import numpy as np
import torch

from rhopot.export.global_models import prepare, require_stretch
from rhopot.export.load import LoadedModel
from rhopot.export.results import Floats

SHRINK = 0.7


class Prepared:
    """The grid that `model` prepared for a moving structure, whose cell edges grow by at most `stretch`
    (default: the model's).

    `n_preparations` counts how often it had to.
    """

    def __init__(self, model: LoadedModel, stretch: float | None = None) -> None:
        stretch = model.card.default_stretch if stretch is None else stretch
        require_stretch(stretch)
        self.model = model
        self.stretch = stretch
        self.n_preparations = 0
        self._allowed = stretch
        self._atoms: ase.Atoms | None = None
        self._numbers = torch.zeros(0, dtype=torch.float64)
        self._has_warned = False

    def __call__(self, atoms: ase.Atoms) -> torch.Tensor:
        """The numbers for `atoms` as they are now: those kept, or new ones."""
        if self._atoms is None or not _same_atoms(self._atoms, atoms):
            self.prepare(atoms)
        elif not self._fits(self._atoms, atoms):
            self._warn()
            self.prepare(atoms)
        return self._numbers

    def prepare(self, atoms: ase.Atoms, stretch: float | None = None) -> None:
        """Prepare for `atoms` and edges up to `stretch` (default: as given at first) times theirs."""
        allowed = self.stretch if stretch is None else stretch
        self._numbers = prepare(self.model, atoms, allowed)
        self._atoms, self._allowed = atoms.copy(), allowed
        self.n_preparations += 1

    def _fits(self, old: ase.Atoms, atoms: ase.Atoms) -> bool:
        """Whether cell and extent are within the limits of the prepared grid."""
        before, now = (_edges(each) for each in (old, atoms))
        tolerance = 1.0 + 1e-12
        if (now > self._allowed * before * tolerance).any() or (now * tolerance < SHRINK * before).any():
            return False
        growth = _open_extents(atoms) - _open_extents(old)
        return bool((growth <= (self._allowed - 1.0) * self.model.card.cutoff + 1e-9).all())

    def _warn(self) -> None:
        """Say once that a curve of energies has a step."""
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"model '{self.model.name}' was prepared again, because cell or atoms have left what it was prepared "
                f"for (edges {SHRINK:g} to {self._allowed:g} times those at the start): energies before and after do "
                "not lie on one smooth curve; calc.prepare(atoms, stretch=...) before the run allows for more",
                stacklevel=2,
            )


def _same_atoms(old: ase.Atoms, atoms: ase.Atoms) -> bool:
    """Whether number, species and periodicity of atoms are equal."""
    return np.array_equal(old.numbers, atoms.numbers) and np.array_equal(old.pbc, atoms.pbc)


def _edges(atoms: ase.Atoms) -> Floats:
    """Lengths of periodic cell vectors in A."""
    return np.linalg.norm(atoms.cell.array[atoms.pbc], axis=1)


def _open_extents(atoms: ase.Atoms) -> Floats:
    """Extents (3,) in A, along Cartesian axes, of what is left of positions without their periodic directions."""
    if len(atoms) == 0 or atoms.pbc.all():
        return np.zeros(3)
    basis = np.linalg.qr(atoms.cell.array[atoms.pbc].T)[0]
    return np.ptp(atoms.positions - atoms.positions @ basis @ basis.T, axis=0)
