"""Forces and virials of global models against finite differences; energies along dynamics."""

from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest


def slab() -> ase.Atoms:
    """Eight atoms, periodic in the plane only."""
    atoms = toy.crystal((1, 1, 1))
    atoms.cell[2, 2] = 16.0
    atoms.positions[:, 2] += 4.0
    atoms.pbc = (True, True, False)
    return atoms


SYSTEMS = {"triclinic": lmp.in_lammps_frame(toy.skewed()), "slab": slab(), "cluster": toy.cluster()}


@pytest.mark.parametrize("atoms", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_forces_are_finite_differences_of_the_energy(scattering: Path, tmp_path: Path, atoms: ase.Atoms) -> None:
    """`fix numdiff` moves every atom and calls compute() again within one time step; the grid stays."""
    lmp.assert_forces_are_differences(tmp_path, atoms, scattering, 2e-4, 1e-6)


STEP = 1e-4
# The six numbers of a box, and what `change_box` calls them.
DEFORMATIONS = {"lx": "x", "ly": "y", "lz": "z", "xy": "xy", "xz": "xz", "yz": "yz"}
BOX = "\n".join(f'print "value {name} $({name}:%.17g)"' for name in DEFORMATIONS)


def strained(name: str, sign: int) -> str:
    """Change one number of the box by STEP A, atoms with it, evaluate, and go back."""

    def change(by: float) -> str:
        words = f"{DEFORMATIONS[name]} delta " + (f"{-0.5 * by!r} {0.5 * by!r}" if name[0] == "l" else repr(by))
        return f"change_box all {words} remap units box\n"

    report = f'run 0 post no\nprint "value E{name}{sign} $(pe:%.17g)"\n'
    return change(sign * STEP) + report + change(-sign * STEP)


def box_matrix(numbers: dict[str, float]) -> np.ndarray:
    """Cell vectors as columns."""
    v = numbers
    return np.array([[v["lx"], v["xy"], v["xz"]], [0.0, v["ly"], v["yz"]], [0.0, 0.0, v["lz"]]])


@pytest.mark.parametrize("atoms", [toy.crystal((2, 1, 1)), lmp.in_lammps_frame(toy.skewed())], ids=["cubic", "tilted"])
def test_virial_is_the_finite_difference_of_the_energy(scattering: Path, tmp_path: Path, atoms: ase.Atoms) -> None:
    """All six deformations, by `change_box ... remap`: each run prepares anew, and finds the same grid."""
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"]) + "change_box all triclinic\n"
    script += f"thermo_style custom step pe pxx pyy pzz pxy pxz pyz\nrun 0 post no\n{lmp.VALUES}\n{BOX}\n"
    script += "".join(strained(name, sign) for name in DEFORMATIONS for sign in (1, -1))
    run = lmp.succeed(tmp_path, script, 2)
    xx, yy, zz, xy, xz, yz = lmp.pressures(run) * run.values["vol"]
    virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    box = box_matrix(run.values)
    gradients, exact = [], []
    for name in DEFORMATIONS:
        change = box_matrix({key: float(key == name) for key in DEFORMATIONS})
        exact.append(-np.sum(virial * (change @ np.linalg.inv(box))))  # strain per A
        gradients.append((run.values[f"E{name}1"] - run.values[f"E{name}-1"]) / (2 * STEP))
    assert np.abs(exact).min() > 0.01
    np.testing.assert_allclose(gradients, exact, rtol=0, atol=1e-6 * np.abs(exact).max())


MELT = toy.crystal((1, 1, 1), rattle=0.05)


def energies(folder: Path, name: str = "energy.dat") -> np.ndarray:
    """Columns that `fix print` wrote."""
    return np.loadtxt(folder / name)


def test_energy_is_conserved(scattering: Path, tmp_path: Path) -> None:
    """NVE at 300 K: no trend over 0.25 ps."""
    script = (
        lmp.setup(tmp_path, MELT, scattering, ["Li", "Si"])
        + """
velocity all create 300 11 loop geom
fix move all nve
timestep 0.0005
variable energy equal etotal
thermo_style custom step etotal pe temp
thermo 100
fix print all print 10 "$(step) ${energy} $(pe)" file energy.dat screen no
run 500
"""
    )
    lmp.succeed(tmp_path, script)
    _, total, potential = energies(tmp_path).T
    trend = np.polyfit(np.linspace(0.0, 0.25, len(total)), total, 1)[0]
    assert np.ptp(potential) > 0.05
    assert np.ptp(total) < 1e-2 * np.ptp(potential)
    assert abs(trend) / len(MELT) <= 1e-4  # eV/atom/ps


def test_energy_of_a_growing_box_is_smooth(scattering: Path, tmp_path: Path) -> None:
    """The box grows by 20 %, past what was prepared: energies are the integral of the pressure all the way.

    A new grid in mid-run would be a step: the control prepares anew after every 20, as new runs do.
    """
    growth = """
thermo_style custom step pe press vol
thermo_modify norm no
fix print all print 1 "$(step) $(pe:%.17g) $(press:%.17g) $(vol:%.17g)" file energy.dat screen no
fix grow all deform 1 x scale 1.2 y scale 1.2 z scale 1.2 remap x
"""
    setup = lmp.setup(tmp_path, MELT, scattering, ["Li", "Si"])
    run = lmp.succeed(tmp_path, setup + growth + "run 200\n", 2)
    assert run.output.count("WARNING: pair style rhopot") == 1
    sentence = "the box along x has grown from 5.43 to 5.97"
    assert sentence in run.output
    assert "more than 'stretch 1.1' allows for" in run.output
    assert largest_step(energies(tmp_path)) < 1e-7

    steps = "run 20 start 0 stop 200 post no\n" * 10
    lmp.succeed(tmp_path, setup + growth + steps)
    assert largest_step(energies(tmp_path)) > 1e-5


def largest_step(table: np.ndarray) -> float:
    """Largest departure (eV) of the energy's changes from those by the pressure (Simpson over two steps).

    Of several rows of one step the last counts; `fix deform` begins after step 1.
    """
    last = {int(row[0]): row for row in table}
    _, energy, pressure, volume = np.array([last[step] for step in sorted(last)][1:]).T
    work = pressure / lmp.PRESSURE * np.gradient(volume)
    simpson = (work[:-2] + 4 * work[1:-1] + work[2:]) / 3
    return float(np.abs(energy[2:] - energy[:-2] + simpson)[1:-1].max())


def test_constant_pressure_has_a_smooth_energy(scattering: Path, tmp_path: Path) -> None:
    """NPT with all six edges and angles: the conserved quantity has no jump, though the box moves by some percent."""
    script = (
        lmp.setup(tmp_path, MELT, scattering, ["Li", "Si"])
        + """
change_box all triclinic
velocity all create 300 11 loop geom
fix move all npt temp 300 300 0.05 tri 0 0 0.5
timestep 0.0005
thermo_style custom step etotal econserve vol
thermo 100
fix print all print 1 "$(step) $(econserve:%.17g) $(vol:%.17g) $(etotal:%.17g)" file energy.dat screen no
run 400
"""
    )
    run = lmp.succeed(tmp_path, script, 2)
    assert "WARNING: pair style rhopot" not in run.output
    _, conserved, volume, total = energies(tmp_path).T
    assert np.ptp(volume) / volume[0] > 0.02
    assert np.ptp(total) > 0.05
    assert np.ptp(conserved) < 0.02 * np.ptp(total)
    assert np.abs(np.diff(conserved)).max() < 1e-4
