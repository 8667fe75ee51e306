"""Forces, virials and heat flux against finite differences that LAMMPS, or the test, takes itself."""

from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.export import RhopotCalculator

EVERY_MODEL = pytest.mark.parametrize("model", ["many_body.pt", "linear.pt", "gap.pt", "network.pt"])


@EVERY_MODEL
def test_forces_are_finite_differences_of_the_energy(models: Path, tmp_path: Path, model: str) -> None:
    """`fix numdiff` moves every atom and calls compute() again within one time step."""
    atoms = lmp.in_lammps_frame(toy.skewed())
    lmp.assert_forces_are_differences(tmp_path, atoms, models / model, 1e-4, 1e-5)


@EVERY_MODEL
def test_virial_is_the_finite_difference_of_the_energy(models: Path, tmp_path: Path, model: str) -> None:
    atoms = lmp.in_lammps_frame(toy.skewed())
    script = (
        lmp.setup(tmp_path, atoms, models / model, ["Li", "Si"])
        + """
compute virial all pressure NULL virial
fix gradient all numdiff/virial 1 1e-5
thermo_style custom step pe c_virial[*] f_gradient[*]
run 0 post no
"""
        + "".join(
            f'print "value v{k} $(c_virial[{k}]:%.17g)"\nprint "value s{k} $(f_gradient[{k}]:%.17g)"\n'
            for k in range(1, 7)
        )
    )
    values = lmp.succeed(tmp_path, script, 2).values
    virial = np.array([values[f"v{k}"] for k in (1, 2, 3, 4, 5, 6)])
    gradient = np.array([values[f"s{k}"] for k in (1, 2, 3, 6, 5, 4)])  # this fix has ASE's order xx yy zz yz xz xy
    assert np.abs(virial[3:]).min() > 100.0
    np.testing.assert_allclose(virial, gradient, rtol=0, atol=1e-5 * np.abs(virial).max())


@pytest.mark.parametrize("ranks", [1, 2])
def test_heat_flux_is_the_rate_of_the_energy_moment(many_body: Path, tmp_path: Path, ranks: int) -> None:
    """In an isolated cluster d/dt sum_i r_i e_i is the heat flux of the centroid virials."""
    atoms = toy.cluster()
    script = (
        lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], before="processors * 1 1")
        + """
velocity all create 3000 7 loop geom
compute kinetic all ke/atom
compute energy all pe/atom
compute centroid all centroid/stress/atom NULL virial
compute flux all heat/flux kinetic energy centroid
fix move all nve
timestep 1e-5
dump atoms all custom 1 atoms.dump id x y z c_kinetic c_energy
dump_modify atoms sort id format float %.17g
run 1
"""
        + "".join(f'print "value {axis} $(c_flux[{k}]:%.17g)"\n' for k, axis in enumerate("xyz", 1))
        + "run 1\n"
    )
    script = script.replace("run 1\n", "thermo_style custom step pe c_flux[*]\nrun 1\n", 1)
    run = lmp.succeed(tmp_path, script, ranks)
    moments = []
    for frame in run.dump():
        energies = frame["c_kinetic"] + frame["c_energy"]
        moments.append(energies @ lmp.columns(frame, "x", "y", "z"))
    rate = (moments[2] - moments[0]) / 2e-5
    flux = np.array([run.values[axis] for axis in "xyz"])
    assert np.abs(rate).max() > 10.0
    np.testing.assert_allclose(flux, rate, rtol=0, atol=1e-5 * np.abs(rate).max())


def test_phonons_are_those_of_ase(many_body: Path, tmp_path: Path) -> None:
    """`dynamical_matrix` displaces atoms one by one; ASE does the same with its own neighbour search."""
    atoms = toy.crystal((1, 1, 1), rattle=0.02)
    step = 1e-3
    script = (
        lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"])
        + f"""
dynamical_matrix all regular {step} file dynmat.dat binary no
"""
    )
    lmp.succeed(tmp_path, script, 2)
    n = 3 * len(atoms)
    from_lammps = np.loadtxt(tmp_path / "dynmat.dat").reshape(n, n)
    atoms.calc = RhopotCalculator(many_body)
    hessian = np.zeros((n, n))
    for k in range(n):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.flat[k] += sign * step
            moved.calc = atoms.calc
            hessian[k] -= sign * moved.get_forces().ravel() / (2 * step)
    mass = np.repeat(atoms.get_masses(), 3)
    dynamical = hessian / np.sqrt(np.outer(mass, mass))  # eV/A^2/amu, as LAMMPS writes it
    np.testing.assert_allclose(from_lammps, dynamical, rtol=0, atol=1e-5 * np.abs(dynamical).max())
    np.testing.assert_allclose(
        np.linalg.eigvalsh(0.5 * (from_lammps + from_lammps.T)),
        np.linalg.eigvalsh(0.5 * (dynamical + dynamical.T)),
        rtol=0,
        atol=1e-5 * np.abs(dynamical).max(),
    )


@pytest.mark.parametrize("model", ["many_body.pt", "float32.pt", "network.pt"])
def test_energy_is_conserved(models: Path, tmp_path: Path, model: str) -> None:
    """NVE at 300 K: the energy's trend over 0.5 ps stays below its thermal scale by orders of magnitude."""
    script = (
        lmp.setup(tmp_path, toy.crystal((1, 1, 1), rattle=0.05), models / model, ["Li", "Si"])
        + """
velocity all create 300 11 loop geom
fix move all nve
timestep 0.0005
variable energy equal etotal
thermo_style custom step etotal temp
thermo 100
fix print all print 10 "${energy}" file energy.dat screen no
run 1000
"""
    )
    lmp.succeed(tmp_path, script)
    energy = np.loadtxt(tmp_path / "energy.dat")
    trend = np.polyfit(np.linspace(0.0, 0.5, len(energy)), energy, 1)[0]
    assert np.ptp(energy) > 0.0
    assert abs(trend) / 8 <= 1e-4  # eV/atom/ps
