"""LAMMPS against ASE: first the edges, then energies, forces and virials, on 1, 2 and 4 ranks."""

from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.export import Evaluation, evaluate, load_model

SYSTEMS = {
    "cubic": toy.crystal(),
    "triclinic": lmp.in_lammps_frame(toy.skewed()),
    "smaller than the cutoff": lmp.in_lammps_frame(toy.tiny()),
    "slab": toy.slab(),
    "cluster, ranks without atoms": toy.cluster(),
}
EVERY_SYSTEM = pytest.mark.parametrize("atoms", SYSTEMS.values(), ids=SYSTEMS.keys())
VOIGT = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])  # LAMMPS: xx yy zz xy xz yz


def expected(model: Path, atoms: ase.Atoms) -> Evaluation:
    return evaluate(load_model(model), [atoms], virials=True)[0]


def along_x(atoms: ase.Atoms, ranks: int) -> str:
    """Slice the long box of the cluster along x, so that some ranks own nothing."""
    return "" if atoms.pbc.any() else f"processors {ranks} 1 1"


@pytest.mark.parametrize("ranks", [1, 2, 4])
@EVERY_SYSTEM
def test_edges_are_those_of_python(models: Path, tmp_path: Path, atoms: ase.Atoms, ranks: int) -> None:
    model = models / "fingerprint.pt"
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"], before=along_x(atoms, ranks)) + lmp.STATIC
    run = lmp.succeed(tmp_path, script, ranks)
    np.testing.assert_allclose(run.dump()[0]["c_energy"], expected(model, atoms).energies, rtol=0, atol=1e-11)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@EVERY_SYSTEM
def test_energy_forces_and_virials(many_body: Path, tmp_path: Path, atoms: ase.Atoms, ranks: int) -> None:
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], before=along_x(atoms, ranks)) + lmp.STATIC
    run = lmp.succeed(tmp_path, script, ranks)
    frame, truth = run.dump()[0], expected(many_body, atoms)
    assert truth.forces is not None
    assert truth.virial is not None
    assert truth.virials is not None
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-9 * len(atoms))
    np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=1e-8)
    np.testing.assert_allclose(lmp.pressures(run) * run.values["vol"], truth.virial[VOIGT], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(lmp.virial(frame).sum(0), truth.virial[VOIGT], rtol=1e-9, atol=1e-8)
    nine = truth.virials.reshape(-1, 9)[:, [0, 4, 8, 1, 2, 5, 3, 6, 7]]
    np.testing.assert_allclose(lmp.centroid(frame), nine, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("model", ["linear.pt", "gap.pt", "network.pt", "network_per_element.pt"])
def test_soap_models(models: Path, tmp_path: Path, model: str, ranks: int) -> None:
    """The compiled operators inside LAMMPS, whose gradients need no Python."""
    atoms = lmp.in_lammps_frame(toy.skewed())
    script = lmp.setup(tmp_path, atoms, models / model, ["Li", "Si"]) + lmp.STATIC
    run = lmp.succeed(tmp_path, script, ranks)
    frame, truth = run.dump()[0], expected(models / model, atoms)
    assert truth.forces is not None
    assert truth.virial is not None
    assert np.abs(truth.forces).max() > 0.1
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-9 * len(atoms))
    np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=1e-8)
    np.testing.assert_allclose(lmp.virial(frame).sum(0), truth.virial[VOIGT], rtol=1e-9, atol=1e-8)
