"""Phonons of a crystal in the harmonic approximation, from forces on displaced atoms of a supercell.

    Phi_ij = - dF_j / du_i                                     force constants, eV/A^2
    D_ij(q) = sum_R Phi_i,jR exp(i q (r_jR - r_i)) / sqrt(m_i m_j)
    D(q) e = (2 pi f)^2 e                                      frequencies f in THz, imaginary ones written as negative

Atoms that symmetry does not give are displaced by 0.01 A, one after the other, in both directions where these differ;
the forces of the undisplaced supercell are subtracted. phonopy finds the displacements and solves for the force
constants, which are then made to obey the acoustic sum rule, sum_j Phi_ij = 0, and Phi_ij = Phi_ji^T; seekpath gives
the path through the Brillouin zone, in the reciprocal basis of the primitive cell.

Forces must not reach beyond half of the supercell. Those of a many-body potential reach two cutoffs far, through a
common neighbor, but little beyond one: the default supercell has every height (distance between opposite faces) at
least two cutoffs, and a larger one shows what is left.

Thermodynamic functions are sums over a mesh that holds Gamma, without its three acoustic modes:

    F = sum_qs [h f / 2 + k T ln(1 - exp(-h f / k T))] / N_q,   S = -dF/dT,   C_V = T dS/dT

A. Togo, L. Chaput, T. Tadano, I. Tanaka, J. Phys. Condens. Matter 35, 353001 (2023), doi:10.1088/1361-648X/acd831;
path: Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), doi:10.1016/j.commatsci.2016.10.015.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import seekpath
from ase import Atoms, units
from numpy.typing import ArrayLike
from phonopy import Phonopy
from phonopy.file_IO import write_FORCE_SETS
from phonopy.structure.atoms import PhonopyAtoms

from rhopot.potentials.files import write_atomically
from rhopot.potentials.properties.engine import Advance, Engine, silent
from rhopot.potentials.properties.supercells import SYMMETRY, kinds, primitive_cell
from rhopot.potentials.units import Floats

DISPLACEMENT = 0.01  # A
TOLERANCE = 0.05  # THz; imaginary frequencies up to here are what a finite supercell leaves near Gamma
MESH = 50.0  # A: points along b_i are MESH |b_i| / (2 pi)
SPACING = 0.02  # 1/A between points of the path
DOS_POINTS = 1000  # of which the sharp edges of a density of states need many
DEGENERATE = 1e-3  # THz


@dataclass(frozen=True)
class DisplacedForces:
    """What phonons are computed from.

    crystal: relaxed, with its energy; supercell (3, 3): its lattice vectors in those of the crystal, as rows
    atoms (n,), displacements (n, 3) in A; forces (n, N, 3) in eV/A, those of the undisplaced supercell subtracted
    residual: largest force component of the undisplaced supercell, eV/A
    """

    crystal: Atoms
    supercell: Floats
    atoms: Floats
    displacements: Floats
    forces: Floats
    residual: float


@dataclass(frozen=True)
class Thermodynamics:
    """Functions of temperature (n,) in K: F in eV/atom with the zero-point energy, S and C_V in k_B/atom."""

    temperatures: Floats
    free_energy: Floats
    entropy: Floats
    heat_capacity: Floats

    def at(self, name: str, temperature: float) -> float:
        """A function at one of the temperatures."""
        return value_at(temperature, self.temperatures, getattr(self, name))


@dataclass(frozen=True)
class Bands:
    """Frequencies (n, branches) in THz at points (n, 3) of the path, `x` (n,) in 1/A along it.

    pieces: ends of the parts without a jump, as slices; ticks: positions and labels of special points.
    """

    points: Floats
    x: Floats
    frequencies: Floats
    pieces: list[tuple[int, int]]
    ticks: list[tuple[float, str]]


def set_up(crystal: Atoms, supercell: Floats, displacement: float = DISPLACEMENT) -> Phonopy:
    """Return phonopy with the displacements that symmetry asks for.

    Raises:
        ValueError: the crystal has open sides; the displacement is not positive.
    """
    if not all(crystal.pbc):
        raise ValueError("crystal must be periodic in three directions, got open sides; phonons need a bulk")
    if not displacement > 0.0:
        raise ValueError(f"displacement must be a positive number, got {displacement}; 0.01 A is usual")
    matrix = tuple(map(tuple, np.rint(supercell).astype(int).tolist()))
    arrays = tuple(np.ascontiguousarray(each) for each in (crystal.cell.array, crystal.positions, crystal.get_masses()))
    key = tuple(each.tobytes() for each in arrays)
    # The search for symmetry takes longer than the forces of a small crystal: it is done once for each.
    return copy.deepcopy(_searched(key, tuple(crystal.numbers.tolist()), matrix, displacement))


@lru_cache(maxsize=32)
def _searched(
    arrays: tuple[bytes, ...], numbers: tuple[int, ...], supercell: tuple[tuple[int, ...], ...], displacement: float
) -> Phonopy:
    cell, positions, masses = (np.frombuffer(each) for each in arrays)
    crystal = Atoms(numbers, positions.reshape(-1, 3), cell=cell.reshape(3, 3), masses=masses, pbc=True)
    unit = PhonopyAtoms(
        numbers=crystal.numbers, cell=crystal.cell.array, scaled_positions=crystal.get_scaled_positions(), masses=masses
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of spglib, about how it reports errors
        phonopy = Phonopy(
            unit,
            supercell_matrix=np.array(supercell).T,
            primitive_matrix=primitive_cell(crystal),
            symprec=SYMMETRY,
        )
        phonopy.generate_displacements(distance=displacement)
    return phonopy


def displaced(phonopy: Phonopy) -> tuple[Atoms, list[Floats]]:
    """Return the supercell and its positions (N, 3), first the undisplaced ones, then those of each displacement."""
    cell = phonopy.supercell
    atoms = Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, masses=cell.masses, pbc=True)
    positions = [atoms.positions.copy()]
    for each in _moves(phonopy):
        moved = atoms.positions.copy()
        moved[each["number"]] += each["displacement"]
        positions.append(moved)
    return atoms, positions


def displaced_forces(
    crystal: Atoms, engine: Engine, supercell: Floats, *, displacement: float = DISPLACEMENT, advance: Advance = silent
) -> DisplacedForces:
    """Compute the forces that phonons need, of a relaxed crystal; `advance` is called with the number of evaluations.

    Raises:
        ValueError: see `set_up`.
    """
    phonopy = set_up(crystal, supercell, displacement)
    atoms, positions = displaced(phonopy)
    undisplaced, *forces = engine.forces(atoms, positions, advance=advance)
    moved = _moves(phonopy)
    return DisplacedForces(
        crystal,
        np.asarray(supercell, dtype=np.float64),
        np.array([each["number"] for each in moved], dtype=np.float64),
        np.array([each["displacement"] for each in moved]),
        np.array(forces) - undisplaced,
        float(np.abs(undisplaced).max()),
    )


def _moves(phonopy: Phonopy) -> list[dict[str, Any]]:
    """Atoms that are displaced, and by how much."""
    return cast(Any, phonopy.dataset)["first_atoms"]


class Phonons:
    """Frequencies and what follows from them.

    Before the acoustic sum rule was imposed, `drift` is the largest component of sum_j Phi_ij (eV/A^2), and `acoustic`
    the largest frequency (THz) of the three acoustic modes at Gamma.
    """

    def __init__(self, found: DisplacedForces) -> None:
        self.crystal = found.crystal
        self.phonopy = cast(Any, set_up(found.crystal, found.supercell))
        self.phonopy.dataset = {
            "natom": len(self.phonopy.supercell),
            "first_atoms": [
                {"number": int(atom), "displacement": by, "forces": forces}
                for atom, by, forces in zip(found.atoms, found.displacements, found.forces, strict=True)
            ],
        }
        self.phonopy.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
        self.drift = float(np.abs(self.phonopy.force_constants.sum(axis=1)).max())
        self.acoustic = float(np.sort(np.abs(self.frequencies([[0.0, 0.0, 0.0]])[0]))[:3].max())
        self.phonopy.symmetrize_force_constants(show_drift=False)

    @property
    def n_atoms(self) -> int:
        """Atoms of the primitive cell."""
        return len(self.phonopy.primitive)

    def frequencies(self, points: ArrayLike) -> Floats:
        """Frequencies (n, 3 n_atoms) in THz, ascending, at points (n, 3) in the primitive cell's reciprocal basis."""
        return np.array(self.phonopy.run_qpoints(np.asarray(points, dtype=np.float64)).frequencies)

    @cached_property
    def _seekpath(self) -> tuple[dict[str, Floats], list[tuple[str, str]]]:
        cell = self.phonopy.primitive
        structure = (cell.cell, cell.scaled_positions, kinds(cell.numbers, cell.masses))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            found = seekpath.get_path_orig_cell(structure, symprec=SYMMETRY)
        return {name: np.array(q) for name, q in found["point_coords"].items()}, found["path"]

    @cached_property
    def special_points(self) -> dict[str, Floats]:
        """Points (3,) at the ends of the path's segments, by label."""
        points, path = self._seekpath
        return {label: points[label] for label in dict.fromkeys(label for ends in path for label in ends)}

    @cached_property
    def bands(self) -> Bands:
        """Frequencies along the path of seekpath."""
        points, path = self._seekpath
        reciprocal = 2.0 * np.pi * np.linalg.inv(self.phonopy.primitive.cell).T
        along: list[Floats] = []
        x: list[float] = []
        pieces: list[tuple[int, int]] = []
        ticks: list[tuple[float, str]] = []
        at, last = 0.0, ""
        for first, second in path:
            length = float(np.linalg.norm((points[second] - points[first]) @ reciprocal))
            count = max(int(np.ceil(length / SPACING)), 2) + 1
            begin = len(x)
            along += list(np.linspace(points[first], points[second], count))
            x += list(at + np.linspace(0.0, length, count))
            pieces.append((begin, len(x)))
            if not ticks:
                ticks.append((at, first))
            elif last != first:
                ticks[-1] = (at, f"{last}|{first}")
            at, last = at + length, second
            ticks.append((at, second))
        return Bands(np.array(along), np.array(x), self.frequencies(np.array(along)), pieces, ticks)

    def run_mesh(self, mesh: float = MESH) -> tuple[Floats, Floats]:
        """Compute frequencies on a mesh; return its irreducible points (n, 3) and the frequencies (n, branches) there.

        mesh: A; the number of points along each reciprocal vector is its length times `mesh` / (2 pi).
        """
        # phonopy knows the symmetry of elements, not that of masses.
        numbers, masses = self.phonopy.primitive.numbers, self.phonopy.primitive.masses
        isotopes = len(np.unique(kinds(numbers, masses))) > len(np.unique(numbers))
        found = self.phonopy.run_mesh(mesh, is_gamma_center=True, is_mesh_symmetry=not isotopes)
        return np.array(found.qpoints), np.array(found.frequencies)

    def density_of_states(self, mesh: float = MESH) -> tuple[Floats, Floats]:
        """Frequencies (n,) in THz and density of states (n,) in states per THz and atom (tetrahedron method)."""
        self.run_mesh(mesh)
        width = np.ptp(self.phonopy.mesh.frequencies)
        found = self.phonopy.run_total_dos(freq_pitch=width / DOS_POINTS)
        return np.array(found.frequency_points), np.array(found.dos) / self.n_atoms

    def thermodynamics(self, temperatures: Floats, mesh: float = MESH) -> Thermodynamics:
        """Harmonic free energy, entropy and heat capacity at constant volume; imaginary modes count as nothing.

        Callers look for imaginary modes first (`imaginary`): without them the functions are those of another crystal.
        """
        self.run_mesh(mesh)
        found = self.phonopy.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
        energy, heat = units.kJ / units.mol, units.J / units.mol / units.kB
        free, entropy, capacity = (
            np.array(each) / self.n_atoms for each in (found.free_energy, found.entropy, found.heat_capacity)
        )
        return Thermodynamics(np.asarray(temperatures), free * energy, entropy * heat, capacity * heat)

    def imaginary(self, mesh: float = MESH, tolerance: float = TOLERANCE) -> list[tuple[Floats, float]]:
        """Points (3,) of path and mesh with a frequency below minus the tolerance (THz), and that one, lowest first."""
        points, frequencies = self.run_mesh(mesh)
        together = np.concatenate([self.bands.points, points])
        lowest = np.concatenate([self.bands.frequencies[:, 0], frequencies.min(axis=1)])
        order = np.argsort(lowest, kind="stable")
        return [(together[k], float(lowest[k])) for k in order if lowest[k] < -tolerance]

    def write(self, folder: Path, name: str) -> list[Path]:
        """Write what phonopy goes on from: phonopy_params_NAME.yaml (crystal and forces) and FORCE_SETS_NAME."""
        settings = {"force_sets": True, "displacements": True, "force_constants": False}
        params, sets = folder / f"phonopy_params_{name}.yaml", folder / f"FORCE_SETS_{name}"
        write_atomically(params, lambda partial: self.phonopy.save(partial, settings=settings))
        write_atomically(sets, lambda partial: write_FORCE_SETS(self.phonopy.dataset, partial))
        return [params, sets]


def value_at(temperature: float, temperatures: Floats, values: Floats) -> float:
    """Return the value at one of the temperatures (K): functions of few temperatures are not to be interpolated.

    Raises:
        ValueError: the temperature is none of them.
    """
    found = np.flatnonzero(np.isclose(temperatures, temperature, rtol=0.0, atol=1e-9))
    if len(found) == 0:
        raise ValueError(f"temperature must be one of those that were computed, got {temperature:g} K; compute it too")
    return float(values[found[0]])


def degenerate(frequencies: Floats) -> list[slice]:
    """Return groups of frequencies (n,), ascending, that are equal within 0.001 THz."""
    borders = [0, *(np.flatnonzero(np.diff(frequencies) > DEGENERATE) + 1), len(frequencies)]
    return [slice(int(a), int(b)) for a, b in pairwise(borders)]
