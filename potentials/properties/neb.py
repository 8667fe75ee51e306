"""Minimum-energy paths and barriers by the nudged elastic band (ASE), and the LAMMPS input they stand for.

Images between two relaxed end points are joined by springs along the path and feel the true force across it (improved
tangent); the highest image may climb to the saddle.
Reference: G. Henkelman, B. P. Uberuaga, H. Jonsson, J. Chem. Phys. 113, 9901 (2000), doi:10.1063/1.1329672.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.geometry import find_mic
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from ase.utils.forcecurve import fit_images

from rhopot.potentials import plots
from rhopot.potentials.lammps.input_decks import DataFile, header, number


@dataclass(frozen=True)
class Band:
    """A converged band: images, distances along it (A), energies relative to the first image (eV), barriers (eV)."""

    images: list[Atoms]
    distances: np.ndarray
    energies: np.ndarray
    curve: tuple[np.ndarray, np.ndarray]
    converged: bool

    @property
    def forward_barrier(self) -> float:
        """Highest energy of an image above the first (eV)."""
        return float(self.energies.max() - self.energies[0])

    @property
    def backward_barrier(self) -> float:
        """Highest energy of an image above the last (eV)."""
        return float(self.energies.max() - self.energies[-1])

    def plot(self, path: str | Path, title: str = "") -> Path:
        """Energy along the path, with ASE's force-consistent interpolation."""
        x, y = self.curve
        start = self.energies[0]
        title = title or f"barrier {self.forward_barrier:.3f} eV"
        return plots.energy_path(path, self.distances, self.energies - start, (x, y - start), title)


def relax_end_point(atoms: Atoms, calculator: Calculator, fmax: float = 0.02, steps: int = 300) -> Atoms:
    """Copy of `atoms` relaxed at fixed cell until the largest force is below `fmax` (eV/A)."""
    relaxed = atoms.copy()
    relaxed.calc = calculator
    BFGS(relaxed, logfile=None).run(fmax=fmax, steps=steps)
    return relaxed


def nudged_elastic_band(
    initial: Atoms,
    final: Atoms,
    calculator: Calculator,
    *,
    images: int = 5,
    fmax: float = 0.05,
    steps: int = 300,
    climb: bool = True,
    progress: Callable[[int, float], None] | None = None,
) -> Band:
    """Band of `images` intermediate images between two relaxed structures with the same atoms in the same order.

    All images share `calculator`. progress is called with (step, largest force eV/A).
    """
    if len(initial) != len(final) or (initial.numbers != final.numbers).any():
        raise ValueError("final must hold the same atoms in the same order as initial, got another list; sort it first")
    if images < 1:
        raise ValueError(f"images must be 1 or more, got {images}; a band needs an image between its ends")
    chain = [initial.copy(), *[initial.copy() for _ in range(images)], final.copy()]
    chain[-1].positions = (
        initial.positions + find_mic(final.positions - initial.positions, initial.cell, initial.pbc)[0]
    )
    for image in chain:
        image.calc = calculator
    band = NEB(chain, climb=climb, allow_shared_calculator=True, method="improvedtangent")
    band.interpolate(method="idpp" if len(initial) > 1 else "linear")
    optimizer = FIRE(band, logfile=None)
    if progress is not None:
        optimizer.attach(lambda: progress(optimizer.nsteps, float(np.sqrt((band.get_forces() ** 2).sum(1).max()))))
    converged = bool(optimizer.run(fmax=fmax, steps=steps))
    fit = fit_images(chain)
    return Band(
        chain,
        np.array(fit.path),
        np.array(fit.energies),
        (np.array(fit.fit_path), np.array(fit.fit_energies)),
        converged,
    )


def write_final_image(path: str | Path, final: Atoms, data: DataFile) -> Path:
    """File with the last image's coordinates, as LAMMPS' `neb ... final <file>` reads it."""
    positions = final.positions @ data.rotation.T
    rows = [f"{k} {' '.join(map(number, r))}" for k, r in enumerate(positions, 1)]
    Path(path).write_text("\n".join([str(len(final)), *rows]) + "\n", encoding="utf-8")
    return Path(path)


def lammps_neb(
    data: DataFile,
    model: str | Path,
    final: str | Path,
    *,
    steps: int = 300,
    climb_steps: int = 300,
    fmax: float = 0.02,
    spring: float = 1.0,
    timestep_fs: float = 2.0,
    every: int = 10,
    options: str = "",
) -> str:
    """Deck of the band in LAMMPS, one image per partition (`lmp -partition 5x1`); `final`: `write_final_image`."""
    lines = [
        f"timestep {timestep_fs / 1000:.12g}",
        f"fix band all neb {spring:g} parallel ideal",
        "min_style fire",
        f"thermo {every}",
        f"neb 0.0 {fmax:g} {steps} {climb_steps} {every} final {final}",
    ]
    return header(data, model, options) + "\n".join(lines) + "\n"


def read_lammps_band(log: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reaction coordinate (0 ... 1) and energy relative to the first image (eV) from the universe log of a `neb` run.

    The last line of the table holds, after nine columns of forces, barriers and length, pairs of coordinate and energy.
    """
    rows = [line.split() for line in Path(log).read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row) > 11 and row[0].isdigit()]
    if not rows:
        raise ValueError(
            f"log must be that of a LAMMPS neb run, got '{log}' without its table; see the partitions' logs"
        )
    values = np.array([float(word) for word in rows[-1][9:]])
    coordinates, energies = values[0::2], values[1::2]
    return coordinates, energies - energies[0]
