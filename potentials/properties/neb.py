"""Minimum-energy paths and barriers by the nudged elastic band.

Images between two relaxed end points are joined by springs along the path and feel the true force across it (improved
tangent); the highest image climbs to the saddle.
Reference: G. Henkelman, B. P. Uberuaga, H. Jonsson, J. Chem. Phys. 113, 9901 (2000), doi:10.1063/1.1329672.

The barrier of an ensemble member is taken on the images of the model's path. Its own path differs to first order in the
difference of the potentials, its barrier thereby to second order only, since end points are minima and the saddle is
stationary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixAtoms
from ase.geometry import find_mic
from ase.mep import NEB
from ase.optimize import BFGS, FIRE
from ase.utils.forcecurve import fit_images

from rhopot.potentials import plots
from rhopot.potentials.properties.engine import AseEngine, prepare
from rhopot.potentials.properties.kept import plain
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.units import MEV_PER_EV, Floats

IMAGES, FMAX, STEPS = 5, 0.01, 1000
LEAST_TRANSLATION = 1e-3  # A; of ends against each other, below which it does no harm
DIP, LEAST_RISE = 1e-3, 1e-4  # eV; what counts as a minimum below the ends, and as a saddle above them
# What tells another order of identical atoms from hops: A; of the distance to the nearest identical atom; A.
LEAST_FAR, FAR, NEAR = 3.5, 1.5, 1.0
REFERENCES = 32  # atoms from which a common translation is looked for


@dataclass(frozen=True)
class MigrationPath:
    """Images of a path: positions (n, N, 3) in A, energies (n,) in eV, both end points included."""

    positions: Floats
    energies: Floats

    @property
    def distances(self) -> Floats:
        """Distance (n,) in A along the path, in the space of all atoms."""
        steps = np.linalg.norm(np.diff(self.positions, axis=0), axis=(1, 2))
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def saddle(self) -> int:
        """Number of the highest image."""
        return int(np.argmax(self.energies))

    @property
    def unresolved(self) -> str:
        """What keeps the path from having a barrier, in a sentence; empty where a saddle lies between its ends."""
        lowest, last = int(np.argmin(self.energies)), len(self.energies) - 1
        depth = float(min(self.energies[0], self.energies[last]) - self.energies[lowest])
        if depth > DIP:
            return (
                f"band must have no minimum between its ends, got image {lowest} of 0 to {last} {depth:.3f} eV below "
                "the end points; relax this image and compute the two hops"
            )
        if self.energies.max() - max(self.energies[0], self.energies[last]) < LEAST_RISE:
            return "band must rise to a saddle between its ends, got no image above both end points; give more --images"
        return ""

    @property
    def forward_barrier(self) -> float:
        """Energy of the highest image above the first (eV); ValueError where the path is `unresolved`."""
        return self._barrier(0)

    @property
    def backward_barrier(self) -> float:
        """Energy of the highest image above the last (eV); ValueError where the path is `unresolved`."""
        return self._barrier(-1)

    def _barrier(self, end: int) -> float:
        if self.unresolved:
            raise ValueError(self.unresolved)
        return float(self.energies.max() - self.energies[end])

    def images(self, atoms: Atoms) -> list[Atoms]:
        """Structures of the path, of the atoms and cell of `atoms`."""
        found = []
        for positions in self.positions:
            image = atoms.copy()
            image.calc = None
            image.positions = positions
            found.append(image)
        return found


def minimum_energy_path(
    initial: Atoms,
    final: Atoms,
    engine: AseEngine | LammpsEngine,
    *,
    images: int = IMAGES,
    fmax: float = FMAX,
    steps: int = STEPS,
    climb: bool = True,
    progress: Callable[[int, float], None] | None = None,
) -> MigrationPath:
    """Return the path of least energy between two relaxed structures with the same atoms in the same order.

    Its last image is `matched` to the first.

    Args:
        initial: first end point, relaxed.
        final: last end point, relaxed.
        engine: ASE, or LAMMPS with one partition for each image.
        images: between the end points.
        fmax: largest force in eV/A of an image, along the path for the climbing one.
        steps: most steps of the optimizer, before the climb begins and again after it.
        climb: let the highest image climb to the saddle; LAMMPS always does.
        progress: called with (step, largest force), by ASE.

    Raises:
        ValueError: other atoms, end points that are the same, a band that does not converge.
    """
    check_ends(initial, final, images)
    if isinstance(engine, LammpsEngine):
        positions, energies, left = engine.band(initial, matched(initial, final), images, fmax=fmax, steps=steps)
        _require_converged(left <= fmax, left, fmax, steps)
        return MigrationPath(positions, energies)
    band = nudged_elastic_band(
        initial, final, engine.calculator, images=images, fmax=fmax, steps=steps, climb=climb, progress=progress
    )
    _require_converged(band.converged, band.force, fmax, steps)
    return MigrationPath(np.array([image.positions for image in band.images]), band.energies)


def matched(initial: Atoms, final: Atoms) -> Atoms:
    """Return `final` without `common_translation`, every atom at the periodic image nearest to its place in `initial`.

    Energies do not change by it. A band between ends that are translated against each other drifts as a whole, and the
    springs of LAMMPS then leave no images for the hop.
    """
    nearest = final.copy()
    steps = final.positions - initial.positions - common_translation(initial, final)
    nearest.positions = initial.positions + find_mic(steps, initial.cell, initial.pbc)[0]
    return nearest


def common_translation(initial: Atoms, final: Atoms) -> Floats:
    """Return the translation (3,) in A that at least half of the atoms share from one end point to the other.

    It is the median of their displacements by the shortest periodic images, and zero below 0.001 A, where an atom is
    constrained, and of fewer than three atoms.
    """
    nothing: Floats = np.zeros(3)
    if len(initial) < 3 or initial.constraints or final.constraints:
        return nothing
    steps = find_mic(final.positions - initial.positions, initial.cell, initial.pbc)[0]
    # Near half of a cell, atoms that move alike have different shortest images: they are alike from one of them.
    rows = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), REFERENCES)).astype(int))
    rests = [find_mic(steps - steps[row], initial.cell, initial.pbc)[0] for row in rows]
    best = int(np.argmin([np.median(np.linalg.norm(rest, axis=1)) for rest in rests]))
    rest = np.median(rests[best], axis=0)
    shift = np.asarray(find_mic(steps[rows[best]] + rest, initial.cell, initial.pbc)[0])
    shared = np.linalg.norm(rests[best] - rest, axis=1) < 0.5 * np.linalg.norm(shift)
    return shift if np.linalg.norm(shift) > LEAST_TRANSLATION and 2 * shared.sum() >= len(steps) else nothing


def energies_along(images: Sequence[Atoms], engine: AseEngine | LammpsEngine) -> Floats:
    """Return the energies (n,) in eV of given structures of a path.

    Raises:
        ValueError: structures in different cells.
    """
    first = images[0]
    if any(not np.allclose(image.cell.array, first.cell.array, atol=1e-8) for image in images):
        raise ValueError("images of a path must share one cell, got several; give a path at constant volume")
    return np.array([engine.energy(image) for image in images])


def aligned_error(energies: Floats, reference: Floats) -> float:
    """Return the mean absolute difference in meV of two energy curves, the best constant shift taken out.

    The constant is the median of the differences, at which the mean absolute difference is least.
    """
    differences = np.asarray(energies) - np.asarray(reference)
    return float(MEV_PER_EV * np.abs(differences - np.median(differences)).mean())


def check_ends(initial: Atoms, final: Atoms, images: int) -> None:
    """Refuse end points between which there is no band.

    Raises:
        ValueError: other atoms, cells or constraints, identical atoms in another order, the same structure, or no image
            between them.
    """
    if len(initial) != len(final) or (initial.numbers != final.numbers).any():
        raise ValueError("final must hold the same atoms in the same order as initial, got another list; sort it first")
    if not np.allclose(initial.cell.array, final.cell.array, atol=1e-6):
        raise ValueError("final must stand in the cell of initial, got another; relax both at one cell")
    if _constraints(initial) != _constraints(final):
        raise ValueError(
            f"final must have the constraints of initial, got {_constraints(final)} and {_constraints(initial)}; write "
            "the same into both"
        )
    if images < 1:
        raise ValueError(f"images must be 1 or more, got {images}; a band needs an image between its ends")
    if np.abs(matched(initial, final).positions - initial.positions).max() < 1e-2:
        raise ValueError("final must be another structure than initial, got the same; end points relaxed into one")
    moved = exchanged(initial, final)
    if moved is not None:
        row, other, length = moved
        raise ValueError(
            f"final must list its atoms in the order of initial, got {final.symbols[row]} {row} {length:.1f} A from "
            f"its place, where now {final.symbols[other]} {other} is; give each atom of final the number (from 0) of "
            "the atom of initial in its place"
        )


def exchanged(initial: Atoms, final: Atoms) -> tuple[int, int, float] | None:
    """An atom that a band would move far (A) although an identical one, the second, ends near its place; else None.

    Far: half the shortest periodic edge, or 1.5 times the distance to the nearest identical atom, but more than
    `LEAST_FAR`. So neighbors may take each other's places, as in exchanges, rows of hops and rotations of groups.
    """
    places = matched(initial, final).positions
    lengths = np.linalg.norm(places - initial.positions, axis=1)
    edges = [edge for edge, periodic in zip(initial.cell.lengths(), initial.pbc, strict=True) if periodic]
    for row in map(int, np.argsort(-lengths)):
        if lengths[row] <= LEAST_FAR:
            return None
        same = np.flatnonzero((initial.numbers == initial.numbers[row]) & (np.arange(len(initial)) != row))
        if not len(same):
            continue
        apart, left = (
            np.linalg.norm(find_mic(where[same] - initial.positions[row], initial.cell, initial.pbc)[0], axis=1)
            for where in (initial.positions, places)
        )
        if lengths[row] > min(0.5 * min(edges, default=np.inf), FAR * apart.min()) and left.min() < NEAR:
            return row, int(same[left.argmin()]), float(lengths[row])
    return None


def _constraints(atoms: Atoms) -> str:
    """Constraints in words, those of the same effect in the same."""
    fixed = sorted({int(row) for each in atoms.constraints if isinstance(each, FixAtoms) for row in each.get_indices()})
    others = sorted(repr(plain(each.todict())) for each in atoms.constraints if not isinstance(each, FixAtoms))
    words = [*([f"fixed atoms {', '.join(map(str, fixed))}"] if fixed else []), *others]
    return "; ".join(words) if words else "none"


def _require_converged(converged: bool, left: float, fmax: float, steps: int) -> None:
    if not converged:
        raise ValueError(
            f"band must converge to {fmax:g} eV/A within {steps} steps, got a largest force of {left:.2g} eV/A; give "
            "more --steps, other --images, or a larger --fmax"
        )


@dataclass(frozen=True)
class Band:
    """A band: images, distances (A), energies from the first image and barriers (eV), largest force left (eV/A)."""

    images: list[Atoms]
    distances: np.ndarray
    energies: np.ndarray
    curve: tuple[np.ndarray, np.ndarray]
    converged: bool
    force: float

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
    """Copy of `atoms` relaxed at fixed cell until the largest force is below `fmax` (eV/A).

    Raises:
        ValueError: it is not reached within `steps`; with the force that is left.
    """
    relaxed = atoms.copy()
    relaxed.calc = calculator
    if not BFGS(relaxed, logfile=None).run(fmax=fmax, steps=steps):
        left = float(np.linalg.norm(relaxed.get_forces(), axis=1).max())
        raise ValueError(
            f"end point must relax to {fmax:g} eV/A within {steps} steps, got a largest force of {left:.2g} eV/A; give "
            "more steps or a better structure"
        )
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

    The band relaxes first without a climbing image: one that climbs from the interpolated path on can end far from the
    saddle, or not at all. `steps` counts for each of both. All images share `calculator`. progress is called with
    (step, largest force eV/A).
    """
    check_ends(initial, final, images)
    prepare(calculator, initial)
    chain = [initial.copy(), *[initial.copy() for _ in range(images)], final.copy()]
    chain[-1].positions = matched(initial, final).positions
    for image in chain:
        image.calc = calculator
    band = NEB(chain, climb=False, allow_shared_calculator=True, method="improvedtangent")
    band.interpolate(method="idpp" if len(initial) > 1 else "linear")
    converged, taken = False, 0

    def report(optimizer: FIRE) -> None:
        if progress is not None:
            progress(taken + optimizer.nsteps, float(np.linalg.norm(band.get_forces(), axis=1).max()))

    for climbing in [False, True] if climb else [False]:
        band.climb = climbing
        optimizer = FIRE(band, logfile=None)
        optimizer.attach(report, 1, optimizer)
        converged = bool(optimizer.run(fmax=fmax, steps=steps))
        taken += optimizer.nsteps
    fit = fit_images(chain)
    return Band(
        chain,
        np.array(fit.path),
        np.array(fit.energies),
        (np.array(fit.fit_path), np.array(fit.fit_energies)),
        converged,
        float(np.linalg.norm(band.get_forces(), axis=1).max()),
    )
