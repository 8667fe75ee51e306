"""Molecules by pooling models in LAMMPS against ASE; the plugin takes them as it takes any global model."""

from __future__ import annotations

from pathlib import Path

import ase
import lammps_process as lmp
import molecules
import numpy as np
import pytest
import small_models

from rhopot.export import Evaluation, evaluate, load_model

TYPES = list(molecules.SYMBOLS)
UNCERTAIN = """
compute total all pair rhopot
fix sigma all pair 1 rhopot uncertainty 1
thermo_style custom step pe c_total c_total[1]
dump atoms all custom 1 atoms.dump id f_sigma
dump_modify atoms sort id format float %.17g
run 0 post no
print "value total $(c_total[1]:%.17g)"
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.write(molecules.loaded(), tmp_path_factory.mktemp("model") / "pooling.pt")


def expected(model: Path, atoms: ase.Atoms) -> Evaluation:
    return evaluate(load_model(model), [atoms], members=True, deviations=True)[0]


@pytest.mark.parametrize(("ranks", "threads"), [(1, 1), (2, 1), (3, 2)])
def test_energy_and_forces(model: Path, tmp_path: Path, ranks: int, threads: int) -> None:
    """One share does the work on any number of ranks and threads."""
    atoms = molecules.in_a_box("CH3CH2OH")
    truth = expected(model, atoms)
    script = lmp.setup(tmp_path, atoms, model, TYPES, before=f"processors {ranks} 1 1") + lmp.WHOLE
    run = lmp.succeed(tmp_path, script, ranks, threads=threads)
    assert truth.forces is not None
    assert np.abs(truth.forces).max() > 1e-2
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-9)
    np.testing.assert_allclose(lmp.forces(run.dump()[0]), truth.forces, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ranks", [1, 2])
def test_deviations_of_total_and_forces(model: Path, tmp_path: Path, ranks: int) -> None:
    atoms = molecules.in_a_box("CH3OH")
    truth = expected(model, atoms)
    script = lmp.setup(tmp_path, atoms, model, TYPES, before=f"processors {ranks} 1 1") + UNCERTAIN
    run = lmp.succeed(tmp_path, script, ranks)
    assert run.values["total"] == pytest.approx(truth.energy_uncertainty(), abs=1e-9)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], truth.forces_uncertainty, rtol=1e-8)


def test_a_molecule_that_flies_and_turns_is_not_warned_of(model: Path, tmp_path: Path) -> None:
    """Nothing is prepared that it could outgrow; energy is conserved."""
    atoms = molecules.in_a_box("CH3CH2OH", edge=60.0)
    script = lmp.setup(tmp_path, atoms, model, TYPES)
    script += """
velocity all create 300 7 loop geom
fix nve all nve
timestep 1e-4
thermo_style custom step pe etotal
run 0
print "value before $(etotal:%.17g)"
displace_atoms all rotate 30 30 30 1 2 3 77 units box
run 60 post no
print "value after $(etotal:%.17g)"
"""
    run = lmp.succeed(tmp_path, script)
    assert "has grown" not in run.output
    assert run.values["after"] == pytest.approx(run.values["before"], abs=1e-3)


def test_a_single_atom(model: Path, tmp_path: Path) -> None:
    atoms = ase.Atoms("O", [(2.0, 3.0, 4.0)], cell=6.0 * np.eye(3))
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, model, TYPES) + lmp.WHOLE)
    assert run.values["pe"] == pytest.approx(expected(model, atoms).energy, abs=1e-9)
    np.testing.assert_array_equal(lmp.forces(run.dump()[0]), np.zeros((1, 3)))


def test_what_is_refused(model: Path, tmp_path: Path) -> None:
    """Periodic boundaries, and energies of atoms, by name."""
    atoms = molecules.in_a_box("CH3CH2OH")
    atoms.pbc = (True, True, True)
    run = lmp.lammps(tmp_path, lmp.setup(tmp_path, atoms, model, TYPES) + "run 0\n")
    assert run.status != 0
    assert ": boundaries of a model of family pooling must be open along all axes, got periodic ones" in run.output
    assert "builtins" not in run.output
    atoms.pbc = False
    asks = "compute atoms all pe/atom\nthermo_style custom step pe\ndump d all custom 1 d.dump id c_atoms\nrun 0\n"
    run = lmp.lammps(tmp_path, lmp.setup(tmp_path, atoms, model, TYPES) + asks)
    assert run.status != 0
    assert "energies and virials of atoms must be asked of a model of kind 'local'" in run.output
    assert "atoms (pe/atom)" in run.output
