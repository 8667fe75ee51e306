"""Phonons: closed form, sound velocities, ASE's own force constants, sums over the mesh, imaginary modes."""

from __future__ import annotations

from pathlib import Path

import closed_forms
import numpy as np
import phonopy
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.phonons import Phonons as AsePhonons

from rhopot.potentials.properties.elastic import elastic_constants
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.phonons import Phonons, degenerate, displaced_forces
from rhopot.potentials.properties.supercells import heights, kinds, primitive_cell, smallest_supercell
from rhopot.potentials.units import Floats

THZ = 1000.0 * units.fs / (2.0 * np.pi)  # of angular frequencies in the units of ASE
PLANCK = 2.0 * np.pi * units._hbar * units.J * 1e12  # eV for 1 THz


def phonons(crystal: Atoms, supercell: Floats, displacement: float = 1e-3) -> Phonons:
    engine = AseEngine(closed_forms.lennard_jones())
    return Phonons(displaced_forces(crystal, engine, supercell, displacement=displacement))


@pytest.mark.parametrize("scale", [1.0, 1.03])
def test_springs_between_nearest_neighbors_by_hand(scale: float) -> None:
    """D(q) = sum_R (1 - cos q.R) [k n n + t (1 - n n)] / m with k = phi'', t = phi' / r, at X, L and anywhere."""
    crystal = closed_forms.fcc(scale)
    r = scale * closed_forms.BOND
    power = (closed_forms.SIGMA / r) ** 6
    k = 24.0 * closed_forms.EPSILON * (26.0 * power**2 - 7.0 * power) / r**2
    t = 24.0 * closed_forms.EPSILON * (power - 2.0 * power**2) / r**2
    lattice = np.array(list(np.ndindex(3, 3, 3))) - 1.0
    neighbors = lattice[np.isclose(np.linalg.norm(lattice @ crystal.cell.array, axis=1), r)]
    points = np.vstack([[[0.5, 0.0, 0.5], [0.5, 0.5, 0.5]], np.random.default_rng(1).uniform(-1, 1, (4, 3))])

    expected = []
    for q in points:
        matrix = np.zeros((3, 3))
        for n in neighbors:
            direction = n @ crystal.cell.array / r
            along = np.outer(direction, direction)
            matrix += (1.0 - np.cos(2.0 * np.pi * (q @ n))) * (k * along + t * (np.eye(3) - along))
        expected.append(np.sqrt(np.linalg.eigvalsh(matrix / crystal.get_masses()[0])) * THZ)

    assert len(neighbors) == 12
    found = phonons(crystal, 4.0 * np.eye(3)).frequencies(points)
    assert found == pytest.approx(np.array(expected), abs=1e-4)
    if_at_rest = np.sqrt(np.array([2, 2, 8]) * closed_forms.SPRING / crystal.get_masses()[0]) * THZ
    assert scale != 1.0 or found[1] == pytest.approx(if_at_rest, abs=1e-4)


def test_sound_velocities_are_those_of_the_elastic_constants() -> None:
    """Silicon along [100] and [110]: rho v^2 = C11, C44 and (C11 + C12 + 2 C44)/2, C44, (C11 - C12)/2."""
    engine = AseEngine(closed_forms.tersoff())
    crystal = engine.relaxed(bulk("Si", a=5.43), cell="full", fmax=1e-6, keep_symmetry=True)
    constants = elastic_constants(crystal, engine, fmax=1e-6)
    density = crystal.get_masses().sum() / crystal.get_volume()
    c11, c12, c44 = (constants[name] * units.GPa for name in ("C11", "C12", "C44"))
    found = Phonons(displaced_forces(crystal, engine, smallest_supercell(crystal)))

    for direction, moduli in (
        ([1.0, 0.0, 0.0], [c44, c44, c11]),
        ([1.0, 1.0, 0.0], [(c11 - c12) / 2, c44, (c11 + c12 + 2 * c44) / 2]),
    ):
        q = 0.03 * np.array(direction) / np.linalg.norm(direction)  # 1/A
        speeds = found.frequencies([q @ crystal.cell.array.T / (2.0 * np.pi)])[0][:3] / THZ / 0.03
        assert speeds == pytest.approx(np.sqrt(np.array(moduli) / density), rel=0.01)


@pytest.mark.parametrize("crystal", ["hcp", "diamond"])
def test_force_constants_of_ase(crystal: str, tmp_path: Path) -> None:
    """ASE's `Phonons`: every atom of the cell displaced along all axes, its own Fourier transform."""
    if crystal == "hcp":
        calculator, repeats = closed_forms.lennard_jones(), (4, 4, 3)
        atoms = bulk("Mg", "hcp", a=closed_forms.BOND, c=np.sqrt(8 / 3) * closed_forms.BOND)
    else:
        calculator, repeats = closed_forms.tersoff(), (3, 3, 3)
        atoms = bulk("Si", a=5.432)
    points = np.random.default_rng(2).uniform(-0.5, 0.5, (5, 3))
    independent = AsePhonons(atoms, calculator, supercell=repeats, delta=1e-3, name=str(tmp_path / "phonon"))
    independent.run()
    independent.read(acoustic=True)
    expected = independent.band_structure(points) / PLANCK

    forces = displaced_forces(atoms, AseEngine(calculator), np.diag(repeats).astype(float), displacement=1e-3)
    found = Phonons(forces)

    assert np.sort(found.frequencies(points), axis=1) == pytest.approx(np.sort(expected, axis=1), abs=1e-4)


def test_sums_over_the_mesh() -> None:
    """Zero-point energy and entropy from the same frequencies by hand; three states and 3 k_B for each atom."""
    found = phonons(closed_forms.fcc(), 3.0 * np.eye(3))
    temperatures = np.array([0.0, 299.0, 300.0, 301.0, 20000.0])

    functions = found.thermodynamics(temperatures)

    states = found.density_of_states()
    assert np.trapezoid(states[1], states[0]) == pytest.approx(3.0, rel=0.01)
    zero_point = 0.5 * PLANCK * np.trapezoid(states[0] * states[1], states[0])
    assert functions.free_energy[0] == pytest.approx(zero_point, rel=0.01)
    assert functions.entropy[2] * units.kB == pytest.approx(-np.diff(functions.free_energy[[1, 3]])[0] / 2.0, rel=1e-5)
    assert functions.heat_capacity[2] == pytest.approx(300.0 * np.diff(functions.entropy[[1, 3]])[0] / 2.0, rel=1e-5)
    assert functions.heat_capacity[-1] == pytest.approx(3.0, rel=1e-3)
    assert found.imaginary() == []


def test_imaginary_modes_are_found() -> None:
    """Stretched beyond the inflection of the potential, springs between neighbors are negative."""
    found = phonons(closed_forms.fcc(1.15), 3.0 * np.eye(3))
    modes = found.imaginary()
    assert len(modes) > 3
    assert modes[0][1] == min(frequency for _, frequency in modes) < -0.05
    assert found.frequencies([modes[0][0]])[0, 0] == pytest.approx(modes[0][1], abs=1e-6)
    assert found.imaginary(tolerance=-modes[0][1] + 1e-6) == []


def test_path_and_files(tmp_path: Path) -> None:
    """The path of seekpath for fcc; phonopy reads what is written and finds the same frequencies."""
    found = phonons(closed_forms.fcc(), 2.0 * np.eye(3))
    assert [label for _, label in found.bands.ticks] == ["GAMMA", "X", "U|K", "GAMMA", "L", "W", "X"]
    assert list(found.special_points) == ["GAMMA", "X", "U", "K", "L", "W"]
    begin, end = found.bands.pieces[0]
    ends = found.frequencies([found.special_points["GAMMA"], found.special_points["X"]])
    assert found.bands.frequencies[[begin, end - 1]] == pytest.approx(ends, abs=1e-9)
    assert np.all(np.diff(found.bands.x) >= 0.0)
    assert np.abs(found.frequencies([[0.0, 0.0, 0.0]])).max() < 1e-5

    params, sets = found.write(tmp_path, "fcc")

    again = phonopy.load(params, log_level=0, produce_fc=False)
    again.produce_force_constants(show_drift=False)
    again.symmetrize_force_constants(show_drift=False)
    assert again.run_qpoints([[0.5, 0.5, 0.5]]).frequencies == pytest.approx(
        found.frequencies([[0.5, 0.5, 0.5]]), abs=1e-4
    )
    assert sets.read_text().split()[:2] == ["8", "1"]


def test_supercells() -> None:
    """Of a primitive and of a conventional cell: the same 64 atoms; fewer where there is a limit."""
    primitive, cubic = bulk("Si", a=5.43), bulk("Si", a=5.43, cubic=True)
    for crystal in (primitive, cubic):
        chosen = smallest_supercell(crystal, 10.0)
        assert round(abs(np.linalg.det(chosen))) * len(crystal) == 64
        assert heights(chosen @ crystal.cell.array) == pytest.approx([10.86] * 3)
    limited = smallest_supercell(primitive, 30.0, max_atoms=300)
    assert abs(np.linalg.det(limited)) * 2 <= 300
    assert heights(limited @ primitive.cell.array).min() > 10.0
    assert np.array_equal(smallest_supercell(cubic.repeat(5), 10.0), np.eye(3))
    assert abs(np.linalg.det(primitive_cell(cubic))) == pytest.approx(0.25)
    assert np.array_equal(primitive_cell(primitive), np.eye(3))
    isotopes = cubic.copy()
    isotopes.set_masses([30.0] + [28.0] * 7)
    assert np.array_equal(primitive_cell(isotopes), np.eye(3))
    assert kinds(isotopes.numbers, isotopes.get_masses()) == [2] + [1] * 7
    assert [(each.start, each.stop) for each in degenerate(np.array([0.0, 1e-7, 3.0]))] == [(0, 2), (2, 3)]


def test_refusals() -> None:
    engine = AseEngine(closed_forms.lennard_jones())
    with pytest.raises(ValueError, match=r"displacement must be a positive number, got 0\.0"):
        displaced_forces(closed_forms.fcc(), engine, np.eye(3), displacement=0.0)
    with pytest.raises(ValueError, match=r"crystal must be periodic in three directions, got open sides"):
        displaced_forces(Atoms("Cu", cell=[5, 5, 5]), engine, np.eye(3))
    with pytest.raises(ValueError, match=r"height must be a positive number, got 0\.0"):
        smallest_supercell(closed_forms.fcc(), 0.0)
