"""What people run: relaxation, ensembles, barriers, and everything that changes atoms or box between runs."""

from collections.abc import Callable
from pathlib import Path

import ase
import ase.io
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest
import trained_models

from rhopot.export import Evaluation, evaluate, load_model
from rhopot.potentials.graph.neighbours import find_edges

BOX = "\n".join(f'print "value {name} $({name}:%.17g)"' for name in ("lx", "ly", "lz", "xy", "xz", "yz", "pe"))
LAST = f"""
dump last all custom 1 last.dump id type x y z fx fy fz c_energy
dump_modify last sort id format float %.17g
thermo_style custom step pe lx ly lz xy xz yz
run 0 post no
{BOX}
"""


def check_last(model: Path, run: lmp.Run) -> Evaluation:
    """The last configuration of a run, as LAMMPS left it, has the energies and forces of Python."""
    frame = run.dump("last.dump")[-1]
    v = run.values
    cell = [[v["lx"], 0, 0], [v["xy"], v["ly"], 0], [v["xz"], v["yz"], v["lz"]]]
    symbols = [toy.SYMBOLS[int(kind) - 1] for kind in frame["type"]]
    atoms = ase.Atoms(symbols, positions=lmp.columns(frame, "x", "y", "z"), cell=cell, pbc=True)
    truth = evaluate(load_model(model), [atoms])[0]
    np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=1e-8)
    assert v["pe"] == pytest.approx(truth.energy, abs=1e-9 * len(atoms))
    return truth


TRICLINIC = "change_box all triclinic\n"
CHANGES = {
    "minimize": "minimize 0 1e-4 30 60",
    "minimize with box/relax": TRICLINIC
    + "fix cell all box/relax tri 0.0 vmax 0.01\nminimize 0 1e-4 20 40\nunfix cell",
    "nvt": "velocity all create 500 1\nfix move all nvt temp 500 500 0.1\nrun 30\nunfix move",
    "npt": TRICLINIC + "velocity all create 500 1\nfix move all npt temp 500 500 0.1 tri 0 0 1.0\nrun 30\nunfix move",
    "run 0 twice": "run 0 post no",
    "replicate": "replicate 2 1 1",
    "change_box": "change_box all triclinic\nchange_box all x scale 1.03 xy delta 0.4 remap units box",
    "delete and create atoms": "delete_atoms group gone compress yes\ncreate_atoms 2 single 1.3 1.5 1.1 units box",
    "balance": "balance 1.0 shift xyz 10 1.05\nrun 0 post no",
    "tiled": "comm_style tiled\nbalance 1.0 rcb\nvelocity all create 500 1\nfix move all nve\nrun 20\nunfix move",
    "swapped types": "set group gone type 2",
    "atoms swapped in a run": "fix swap all atom/swap 1 4 29 1000 ke no types 1 2\nrun 5\nunfix swap",
}


@pytest.mark.parametrize("commands", CHANGES.values(), ids=CHANGES.keys())
def test_nothing_is_stale_after(model_of_each_kind: Path, tmp_path: Path, commands: str) -> None:
    """Whatever happened in between, the last configuration is evaluated as Python does."""
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), model_of_each_kind, ["Li", "Si"])
        + f"""
compute energy all pe/atom
group gone id 1 4
run 0 post no
{commands}
{LAST}"""
    )
    check_last(model_of_each_kind, lmp.succeed(tmp_path, script, 2))


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_minimum_has_no_forces(trained_model: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    """The minimizer of a rattled crystal ends for want of forces, not of a lower energy: energies and forces agree.

    What it finds is a solid, and the energy and forces there are those of Python.
    """
    model, atoms = trained_model(family), toy.crystal((1, 1, 1))
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"]) + "thermo_style custom step pe\nrun 0 post no\n"
    script += "print 'value start $(pe:%.17g)'\nmin_modify dmax 0.05\nminimize 0 1e-4 300 600\n"
    script += "dump last all custom 1 last.dump id x y z fx fy fz\ndump_modify last sort id format float %.17g\n"
    run = lmp.succeed(tmp_path, script + "run 0 post no\nprint 'value pe $(pe:%.17g)'\n", 2)
    assert "Stopping criterion = force tolerance" in run.output
    frame = run.dump("last.dump")[-1]
    forces = lmp.forces(frame)
    assert np.abs(forces).max() < 1e-4
    assert run.values["pe"] < run.values["start"] - 1.0
    atoms.positions = lmp.columns(frame, "x", "y", "z")
    assert find_edges(atoms, 2.2).n_edges == 0
    truth = evaluate(load_model(model), [atoms])[0]
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-8)
    np.testing.assert_allclose(forces, truth.forces, rtol=0, atol=1e-8)


def test_relaxed_box_has_no_pressure(many_body: Path, tmp_path: Path) -> None:
    """`fix box/relax` follows energies and virials that belong together."""
    script = (
        lmp.setup(tmp_path, toy.crystal((1, 1, 1), rattle=0.02), many_body, ["Li", "Si"])
        + """
change_box all triclinic
fix cell all box/relax tri 0.0 vmax 0.01
min_modify line quadratic
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
minimize 0 1e-6 400 800
"""
    )
    run = lmp.succeed(tmp_path, script + lmp.VALUES)
    assert np.abs(lmp.pressures(run)).max() < 1e-3  # eV/A^3: the start has 0.1


STYLES = {
    "alone": "pair_style rhopot\npair_coeff * * {model} Li Si",
    "hybrid": """pair_style hybrid/overlay rhopot zero 3.0
pair_coeff * * rhopot {model} Li Si
pair_coeff * * zero""",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_restart_then_the_style_again(model_of_each_kind: Path, tmp_path: Path, style: str) -> None:
    """A restart file carries no model: style and coefficients are given again, and the run goes on."""
    pair = style.format(model=model_of_each_kind)
    start = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), "", ["Li", "Si"], pair=pair)
    start += "velocity all create 300 5\nfix move all nve\nrun 10\nwrite_restart half\n"
    lmp.succeed(tmp_path, start, 2)
    resume = f"""
read_restart half
{pair}
neighbor 1.0 bin
compute energy all pe/atom
fix move all nve
run 10
{LAST}"""
    check_last(model_of_each_kind, lmp.succeed(tmp_path, resume, 2))


def test_write_data_reads_back(many_body: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), many_body, ["Li", "Si"])
    lmp.succeed(tmp_path, script + "run 0 post no\nwrite_data out.data\n", 2)
    back = ase.io.read(tmp_path / "out.data", format="lammps-data", atom_style="atomic")
    assert len(back) == 16


def test_rerun_gives_the_energies_of_the_run(model_of_each_kind: Path, tmp_path: Path) -> None:
    """A trajectory evaluated again, frame by frame."""
    start = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), model_of_each_kind, ["Li", "Si"])
    run = (
        start
        + "thermo_style custom step pe\nvelocity all create 500 5\nfix move all nve\n"
        + """
dump atoms all custom 5 atoms.dump id type x y z
dump_modify atoms format float %.17g
thermo 5
thermo_modify format float %.15g
run 20
"""
    )
    first = thermo(lmp.succeed(tmp_path, run, 2).output)
    again = start + "thermo_style custom step pe\nthermo 5\nthermo_modify format float %.15g\n"
    again += "rerun atoms.dump dump x y z\n"
    second = thermo(lmp.succeed(tmp_path, again, 1).output)
    assert set(first) == {0, 5, 10, 15, 20}
    assert second == pytest.approx(first, abs=1e-9)


def thermo(output: str) -> dict[int, float]:
    """Step -> energy of a two-column thermo table."""
    rows = [line.split() for line in output.splitlines()]
    return {int(a): float(b) for a, b in (r for r in rows if len(r) == 2 and r[0].isdigit() and "." in r[1])}


def test_neb_on_partitions(model_of_each_kind: Path, tmp_path: Path) -> None:
    """A lithium atom moves into a vacancy; three replicas, each a LAMMPS of its own in one MPI job."""
    first = toy.crystal((1, 1, 1), rattle=0.0)
    first.symbols[:] = "Si"
    first.symbols[0] = "Li"
    target = first.positions[1].copy()
    del first[1]
    moved = " ".join(repr(x) for x in target.tolist())
    (tmp_path / "final.txt").write_text(f"1\n1 {moved}\n")
    script = (
        lmp.setup(tmp_path, first, model_of_each_kind, ["Li", "Si"])
        + """
variable replica uloop 3
compute energy all pe/atom
fix path all neb 1.0
min_style quickmin
timestep 0.001
thermo 10
neb 0 0.05 20 10 10 final final.txt
write_dump all custom ${replica}.dump id type x y z c_energy modify sort id format float %.17g
"""
    )
    lmp.succeed(tmp_path, script, 3, "-partition", "3x1")
    row = (tmp_path / "log.lammps").read_text().splitlines()[-1].split()
    reported = np.array(row[10::2], dtype=float)
    model = load_model(model_of_each_kind)
    for replica, energy in enumerate(reported, 1):
        frame = lmp.read_dump(tmp_path / f"{replica}.dump")[0]
        image = first.copy()
        image.positions = lmp.columns(frame, "x", "y", "z")
        truth = evaluate(model, [image], gradients=False)[0]
        np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=1e-9)
        assert energy == pytest.approx(truth.energy, abs=1e-5)
    assert len(reported) == 3
    assert np.ptp(reported) > 1e-3


def test_metadynamics_through_colvars(many_body: Path, tmp_path: Path) -> None:
    """`fix colvars`, bundled with LAMMPS, biases a distance."""
    (tmp_path / "bias.colvars").write_text("""
colvarsTrajFrequency 5
colvar {
  name d
  width 0.1
  distance {
    group1 {
      atomNumbers 1
    }
    group2 {
      atomNumbers 2
    }
  }
}
metadynamics {
  colvars d
  hillWeight 0.05
  newHillFrequency 5
  hillWidth 2.0
}
""")
    script = (
        lmp.setup(tmp_path, toy.crystal((1, 1, 1)), many_body, ["Li", "Si"])
        + """
velocity all create 300 5
fix move all nve
fix bias all colvars bias.colvars
thermo_style custom step pe f_bias
run 20
print "value bias $(f_bias:%.17g)"
"""
    )
    run = lmp.succeed(tmp_path, script, 1)
    assert 0.05 < run.values["bias"] <= 0.2  # eV: four hills of 0.05, wider than the way between them


def test_results_do_not_depend_on_the_shape_seen_first(model_of_each_kind: Path, tmp_path: Path) -> None:
    """Atoms come and go between runs: edge counts change, results stay those of Python (no specialised graph)."""
    grow = "\n".join(f"create_atoms 2 single {0.4 + 0.9 * k} 0.7 1.3 units box\nrun 1 post no" for k in range(8))
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), model_of_each_kind, ["Li", "Si"])
        + f"""
compute energy all pe/atom
{grow}
{LAST}"""
    )
    check_last(model_of_each_kind, lmp.succeed(tmp_path, script, 2))
