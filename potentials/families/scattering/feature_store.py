"""Features of many structures: distributed over processes, computed by threads, kept on disk.

A row is asked for by a sample, a structure on its grid and a displacement u of its atoms, and of its cell where it is
strained:

    value       phi(r + u)
    derivative  (phi(r + h u) - phi(r - h u)) / 2h          along u

The derivative is exact to 1e-8 of its norm for steps of 1e-4 A over all displaced coordinates. It takes two passes;
forward differentiation takes the time of nearly four. Every row is computed by one thread, so that neither threads nor
processes change a bit of it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering import ScatteringGrid, WaveletScattering
from rhopot.potentials.files import reading, remove_partials, write_checkpoint
from rhopot.potentials.fitting.communicator import Communicator
from rhopot.potentials.fitting.map_frames import map_frames, one_thread_each
from rhopot.potentials.fitting.progress import Progress
from rhopot.potentials.graph.atomic_graph import species_of

Floats = NDArray[np.float64]

# Length (A) of the steps of derivatives, over the coordinates of all displaced atoms and cell vectors.
STEP = 1e-4
# Part of the name of kept rows: raised when the numbers change that the same settings give.
VERSION = 1
HOUR = 3600.0


@dataclass(frozen=True)
class Sample:
    """Input of a row of features.

    atoms: the structure; grid: chosen for it as it is, not displaced
    displacement: (N, 3) in A; derivative: the derivative along it instead of the value there
    strain: (3, 3), of which the displacement is the atoms' part, for derivatives with the cell; None: the cell stays
    """

    atoms: ase.Atoms
    grid: ScatteringGrid
    displacement: Floats
    derivative: bool = False
    strain: Floats | None = None

    @property
    def points(self) -> int:
        """Points of the finest grid, which the cost of a pass goes with."""
        first, second, third = self.grid.points[0]
        return first * second * third

    @property
    def cell_displacement(self) -> Floats:
        """Displacement of the cell vectors (3, 3) in A under the strain."""
        cell = np.array(self.atoms.cell.array)
        return np.zeros((3, 3)) if self.strain is None else cell @ self.strain

    @property
    def length(self) -> float:
        """Length of the displacement in A, over atoms and cell vectors."""
        return float(np.sqrt(np.sum(self.displacement**2) + np.sum(self.cell_displacement**2)))


class FeatureStore:
    """Rows on disk, one file each, under a name that tells all they depend on.

    Args:
        folder: where the files go; None keeps nothing.
        scattering: what computes them.
    """

    def __init__(self, folder: Path | None, scattering: WaveletScattering) -> None:
        self._folder = folder
        names = "\n".join(path.name for path in scattering.paths)
        if folder is not None:
            remove_partials(folder, seconds_old=HOUR)  # others may be writing into a shared folder
        self._mark = hashlib.sha256(f"{VERSION}\n{scattering.settings.model_dump_json()}\n{names}".encode())

    def read(self, sample: Sample) -> Floats | None:
        """Return the row of a sample where it is kept."""
        if self._folder is None or not self._file(self._folder, sample).exists():
            return None
        file = self._file(self._folder, sample)
        with reading(file):
            return np.asarray(np.load(file))

    def write(self, sample: Sample, row: Floats) -> None:
        """Keep a row."""
        if self._folder is not None:
            write_checkpoint(self._file(self._folder, sample), lambda partial: np.save(partial, row))

    def _file(self, folder: Path, sample: Sample) -> Path:
        digest = self._mark.copy()
        atoms = sample.atoms
        for array in (atoms.numbers, atoms.pbc, atoms.cell.array, atoms.positions, sample.displacement):
            digest.update(np.ascontiguousarray(array).tobytes())
        if sample.strain is not None:
            digest.update(np.ascontiguousarray(sample.strain).tobytes())
        digest.update(repr((sample.grid.points, sample.grid.lengths, sample.derivative)).encode())
        return folder / f"{digest.hexdigest()}.npy"


def seconds_of(sample: Sample, scattering: WaveletScattering) -> float:
    """Return the time that one pass over a sample takes."""
    _features(sample, 1.0, scattering)  # prepares filters, once
    begin = time.perf_counter()
    _features(sample, 1.0, scattering)
    return time.perf_counter() - begin


def feature_rows(
    samples: Sequence[Sample],
    scattering: WaveletScattering,
    store: FeatureStore,
    communicator: Communicator,
    progress: Progress,
    stage: str,
) -> Floats:
    """Return the rows (n, F) of all samples, on every rank."""
    with one_thread_each(communicator) as workers:
        rows = map_frames(
            samples, lambda sample: _row(sample, scattering, store), communicator, progress, stage, workers
        )
    return np.asarray(communicator.broadcast(np.reshape(rows, (len(rows), scattering.n_features))))


def _row(sample: Sample, scattering: WaveletScattering, store: FeatureStore) -> Floats:
    """Return the row of a sample, from the store where it is."""
    row = store.read(sample)
    if row is None:
        if sample.derivative:
            step = STEP / sample.length
            row = (_features(sample, step, scattering) - _features(sample, -step, scattering)) / (2.0 * step)
        else:
            row = _features(sample, 1.0, scattering)
        store.write(sample, row)
    return row


def _features(sample: Sample, part: float, scattering: WaveletScattering) -> Floats:
    """Return the features (F,) of a sample's structure after some part of its displacement."""
    atoms = sample.atoms
    with torch.no_grad():
        features = scattering(
            torch.from_numpy(atoms.positions + part * sample.displacement),
            species_of(atoms, scattering.settings.symbols),
            torch.from_numpy(np.array(atoms.cell.array) + part * sample.cell_displacement),
            torch.from_numpy(np.array(atoms.pbc)),
            sample.grid,
        )
    return np.asarray(features.numpy())
