"""Workflows with a global model: the same numbers in LAMMPS, smooth curves, dynamics and bands."""

from __future__ import annotations

from pathlib import Path

import many_body_toy as toy
import numpy as np
import pytest
import small_models
from ase import Atoms, units
from ase.build import bulk

from rhopot.export import RhopotCalculator
from rhopot.potentials.lammps.input_decks import lammps_frame, static, write_data
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.equation_of_state import at_least_energy, equation_of_state
from rhopot.potentials.properties.md import run_dynamics
from rhopot.potentials.properties.neb import nudged_elastic_band
from rhopot.potentials.runs.evaluation import predict_frames
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.prototypes import sample_structure
from rhopot.potentials.verification.check import check_model

pytestmark = pytest.mark.slow

MODEL = small_models.scattering()


@pytest.fixture(scope="module")
def scattering_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.write(MODEL, tmp_path_factory.mktemp("model") / "scattering.pt")


def skewed_slab() -> Atoms:
    """A slab that LAMMPS wants turned."""
    atoms = toy.slab()
    atoms.rotate(35.0, (1.0, 2.0, 3.0), rotate_cell=True)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "ranks", "count"),
    [(sample_structure(("Li", "Si"), min_atoms=32), (1, 2, 4), 3 + 3 * 7), (skewed_slab(), (2,), 1 + 6)],
    ids=["crystal", "slab"],
)
def test_check_is_green_without_energies_of_atoms(
    scattering_file: Path, atoms: Atoms, ranks: tuple[int, ...], count: int
) -> None:
    """The slab of random weights flies apart soon: few steps."""
    calculator = RhopotCalculator(scattering_file)
    findings = check_model(scattering_file, atoms, calculator, symbols=("Li", "Si"), ranks=ranks, steps=30)
    assert [finding for finding in findings if not finding.passed] == []
    assert len(findings) == count
    assert not any("per-atom" in finding.name for finding in findings)


def test_deck_asks_for_energies_of_atoms_only_where_there_are_some(tmp_path: Path) -> None:
    data = write_data(tmp_path / "a.data", toy.skewed())
    with_atoms, without = (static(data, "m.pt", "d", energies_of_atoms=of_atoms) for of_atoms in (True, False))
    assert "compute atom_energy all pe/atom" in with_atoms
    assert "fx fy fz c_atom_energy\n" in with_atoms
    assert "pe/atom" not in without
    assert "atom_energy" not in without


def test_frame_of_lammps_is_its_own_frame() -> None:
    atoms = skewed_slab()
    atoms.set_velocities(np.random.default_rng(0).normal(size=(len(atoms), 3)))
    once, rotation = lammps_frame(atoms)
    twice, identity = lammps_frame(once)
    np.testing.assert_allclose(identity, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(twice.positions, once.positions, atol=1e-10)
    np.testing.assert_allclose(once.get_velocities() @ rotation, atoms.get_velocities(), atol=1e-12)
    np.testing.assert_allclose(once.get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-9)


def test_curve_of_energies_is_smooth_and_leads_to_the_pressure() -> None:
    """K = -V dp/dV of the stress, on the grid of the curve, and no warning on the long way to its minimum."""
    calculator = RhopotCalculator(MODEL)
    engine = AseEngine(calculator)
    curve = equation_of_state(at_least_energy(bulk("Li", "bcc", a=4.4), engine), engine, extent=0.02, points=9)
    pressures = []
    for factor in (0.999, 1.001):
        atoms = bulk("Li", "bcc", a=(2 * curve.volume0 * factor) ** (1 / 3))
        atoms.calc = calculator
        pressures.append(-atoms.get_stress()[:3].mean())
    modulus = -(pressures[1] - pressures[0]) / 0.002 / units.GPa
    assert curve.bulk_modulus_gpa == pytest.approx(modulus, rel=0.02)
    centred = curve.volumes - curve.volume0
    quartic = np.polynomial.Polynomial.fit(centred, curve.energies, 4)
    assert np.abs(quartic(centred) - curve.energies).max() < 1e-7
    assert np.ptp(curve.energies) > 1e-4


def test_dynamics_conserve_energy() -> None:
    run = run_dynamics(toy.crystal((1, 1, 1), rattle=0.0), RhopotCalculator(MODEL), timestep_fs=0.5, steps=60, every=5)
    total = run.potential + run.kinetic
    assert np.ptp(run.kinetic) > 1e-3
    assert np.ptp(total) < 0.02 * np.ptp(run.kinetic)


def test_images_of_a_band_share_what_is_prepared() -> None:
    calculator = RhopotCalculator(MODEL)
    initial = toy.slab()
    final = initial.copy()
    final.positions[0] += (0.3, 0.2, 0.1)
    band = nudged_elastic_band(initial, final, calculator, images=2, steps=3, climb=False)
    assert np.isfinite(band.energies).all()
    assert calculator.prepared.n_preparations == 1


def test_frames_with_an_energy_alone_are_not_differentiated() -> None:
    atoms = toy.skewed()
    labelled = Frame(atoms, energy=-1.0, forces=np.zeros((len(atoms), 3)), stress=np.zeros((3, 3)))
    full, bare = predict_frames(MODEL, [labelled, Frame(atoms, energy=-1.0)], uncertainty=True)
    assert full.forces is not None
    assert full.stress is not None
    assert bare.forces is bare.stress is None
    assert bare.energy == pytest.approx(full.energy, rel=1e-10)
    assert bare.energy_deviation == pytest.approx(full.energy_deviation, rel=1e-10)
