"""What people run with global models: everything that changes atoms or box, in a run and between runs."""

from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.export import RhopotCalculator, evaluate, load_model

NUMBERS = "\n".join(f'print "value {name} $({name}:%.17g)"' for name in ("lx", "ly", "lz", "xy", "xz", "yz", "pe"))
# The last configuration as it is: without a new run, which would prepare anew.
SEEN = f"""
write_dump all custom last.dump id type x y z fx fy fz modify sort id format float %.17g
{NUMBERS}
"""
LAST = f"thermo_style custom step pe lx ly lz xy xz yz\nrun 0 post no\n{SEEN}"


def last(run: lmp.Run) -> ase.Atoms:
    """The configuration that `SEEN` wrote."""
    frame, v = run.dump("last.dump")[-1], run.values
    cell = [[v["lx"], 0, 0], [v["xy"], v["ly"], 0], [v["xz"], v["yz"], v["lz"]]]
    symbols = [toy.SYMBOLS[int(kind) - 1] for kind in frame["type"]]
    return ase.Atoms(symbols, positions=lmp.columns(frame, "x", "y", "z"), cell=cell, pbc=True)


def check_last(run: lmp.Run, energy: float, forces: np.ndarray) -> None:
    assert run.values["pe"] == pytest.approx(energy, abs=1e-9 * len(forces))
    np.testing.assert_allclose(lmp.forces(run.dump("last.dump")[-1]), forces, rtol=0, atol=1e-10)


def check_fresh(model: Path, run: lmp.Run) -> None:
    """Energies and forces are those of Python, which prepares for this very configuration."""
    truth = evaluate(load_model(model), [last(run)])[0]
    assert truth.forces is not None
    check_last(run, truth.energy, truth.forces)


# They keep the box' corner where Python has it, in the origin.
CHANGES = {
    "minimize": "minimize 0 1e-4 20 40",
    "nvt": "velocity all create 500 1\nfix move all nvt temp 500 500 0.1\nrun 20\nunfix move",
    "npt": "change_box all triclinic\nvelocity all create 500 1\n"
    "fix move all npt temp 500 500 0.1 tri 0 0 0.1 fixedpoint 0 0 0\nrun 20\nunfix move",
    "box/relax": "change_box all triclinic\nfix cell all box/relax tri 0.0 vmax 0.01 fixedpoint 0 0 0\n"
    "minimize 0 1e-4 10 20\nunfix cell",
    "replicate": "replicate 2 1 1",
    "change_box": "change_box all triclinic\nchange_box all x final 0 13.7 xy delta 0.4 remap units box",
    "delete and create atoms": "delete_atoms group gone compress yes\ncreate_atoms 2 single 1.3 1.5 1.1 units box",
    "balance": "balance 1.0 shift xyz 10 1.05\nrun 0 post no",
    "tiled": "neighbor 0.3 bin\ncomm_style tiled\nbalance 1.0 rcb\n"
    "velocity all create 500 1\nfix move all nve\nrun 20\nunfix move",
    "swapped types": "set group gone type 2",
    "style again": "pair_style zero 4.0\npair_coeff * *\nrun 0 post no\n"
    "pair_style rhopot\npair_coeff * * {model} Li Si",
}


@pytest.mark.parametrize("commands", CHANGES.values(), ids=CHANGES.keys())
def test_every_run_prepares_anew(scattering: Path, tmp_path: Path, commands: str) -> None:
    """Whatever happened before, the last run starts with what Python prepares for its configuration."""
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), scattering, ["Li", "Si"])
        + f"group gone id 1 4\nrun 0 post no\n{commands.format(model=scattering)}\n{LAST}"
    )
    check_fresh(scattering, lmp.succeed(tmp_path, script, 2))


def test_a_run_keeps_what_it_prepared(scattering: Path, tmp_path: Path) -> None:
    """Stretched by 9 % in one run, the box still has the grid of its start, as a calculator that was told to keep it.

    `run ... pre no` goes on with it. The box grows in steps 4 and 8, after which come forces.
    """
    atoms = toy.crystal((1, 1, 1))
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"])
    script += "thermo_style custom step pe lx ly lz xy xz yz\n"
    script += (
        "fix grow all deform 4 x final 0 6.05 remap x\nrun 5 start 0 stop 11\nrun 5 start 0 stop 11 pre no post no\n"
    )
    run = lmp.succeed(tmp_path, script + SEEN, 2)
    calculator = RhopotCalculator(scattering)
    calculator.prepare(atoms)
    moved = last(run)
    assert moved.cell.lengths()[0] > 1.08 * atoms.cell.lengths()[0]
    moved.calc = calculator
    check_last(run, moved.get_potential_energy(), moved.get_forces())
    fresh = evaluate(load_model(scattering), [moved])[0]
    assert abs(fresh.energy - moved.get_potential_energy()) > 1e-7


def test_stretch_is_the_calculator_s(scattering: Path, tmp_path: Path) -> None:
    """A finer grid for boxes that will grow by 40 %, the same in ASE."""
    atoms = toy.crystal((1, 1, 1))
    pair = f"pair_style rhopot device cpu stretch 1.4\npair_coeff * * {scattering} Li Si"
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"], pair=pair) + LAST, 2)
    atoms.calc = RhopotCalculator(scattering, stretch=1.4)
    check_last(run, atoms.get_potential_energy(), atoms.get_forces())
    assert abs(atoms.get_potential_energy() - evaluate(load_model(scattering), [atoms])[0].energy) > 1e-7


def test_atoms_that_come_in_a_run(scattering: Path, tmp_path: Path) -> None:
    """`fix deposit` inserts atoms one after the other: the model follows within the run."""
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), scattering, ["Li", "Si"])
        + """
region all block 0.5 10.5 0.5 5.0 0.5 5.0
fix come all deposit 2 1 4 4711 region all near 1.2 attempt 100
thermo_style custom step atoms pe lx ly lz xy xz yz
run 10 post no
"""
    )
    run = lmp.succeed(tmp_path, script + SEEN, 2)
    assert len(last(run)) == 18
    check_fresh(scattering, run)


def test_atoms_that_go_in_a_run(scattering: Path, tmp_path: Path) -> None:
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), scattering, ["Li", "Si"])
        + """
region all block INF INF INF INF INF INF
fix go all evaporate 2 2 all 4711
thermo_style custom step atoms pe lx ly lz xy xz yz
run 5 post no
"""
    )
    run = lmp.succeed(tmp_path, script + SEEN, 2)
    assert len(last(run)) < 16
    check_fresh(scattering, run)


def test_atoms_exchanged_with_a_reservoir(scattering: Path, tmp_path: Path) -> None:
    """Grand-canonical Monte Carlo compares energies before and after an atom came or went."""
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), scattering, ["Li", "Si"])
        + """
fix reservoir all gcmc 1 8 0 1 29 8000 -2.0 0.1 full_energy
thermo_style custom step atoms pe f_reservoir[4] f_reservoir[6] lx ly lz xy xz yz
run 3 post no
print "value moves $(f_reservoir[4]+f_reservoir[6])"
"""
    )
    run = lmp.succeed(tmp_path, script + SEEN, 2)
    assert run.values["moves"] > 0
    check_fresh(scattering, run)


def test_types_swapped_in_a_run(scattering: Path, tmp_path: Path) -> None:
    """Monte Carlo reads the energies of both sides of a swap."""
    script = (
        lmp.setup(tmp_path, toy.crystal((2, 1, 1)), scattering, ["Li", "Si"])
        + """
fix swap all atom/swap 1 4 29 3000 ke no types 1 2
thermo_style custom step pe f_swap[2] lx ly lz xy xz yz
run 5 post no
print "value accepted $(f_swap[2])"
"""
    )
    run = lmp.succeed(tmp_path, script + SEEN, 2)
    assert run.values["accepted"] > 0
    check_fresh(scattering, run)


STYLES = {
    "alone": "pair_style rhopot\npair_coeff * * {model} Li Si",
    "hybrid": """pair_style hybrid/overlay rhopot zero 3.0
pair_coeff * * rhopot {model} Li Si
pair_coeff * * zero""",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_restart_then_the_style_again(scattering: Path, tmp_path: Path, style: str) -> None:
    pair = style.format(model=scattering)
    start = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), "", ["Li", "Si"], pair=pair)
    start += "velocity all create 300 5\nfix move all nve\nrun 10\nwrite_restart half\n"
    lmp.succeed(tmp_path, start, 2)
    resume = f"read_restart half\n{pair}\nfix move all nve\nrun 10\nunfix move\n{LAST}"
    check_fresh(scattering, lmp.succeed(tmp_path, resume, 1))


def test_neb_on_partitions(scattering: Path, tmp_path: Path) -> None:
    """Three replicas of two ranks, each a LAMMPS of its own that shares the model's work within."""
    first = toy.crystal((1, 1, 1), rattle=0.0)
    first.symbols[:] = "Si"
    first.symbols[0] = "Li"
    target = first.positions[1].copy()
    del first[1]
    (tmp_path / "final.txt").write_text("1\n1 " + " ".join(repr(x) for x in target.tolist()) + "\n")
    script = (
        lmp.setup(tmp_path, first, scattering, ["Li", "Si"])
        + """
variable replica uloop 3
fix path all neb 1.0
min_style quickmin
timestep 0.001
thermo 5
neb 0 0.05 10 5 5 final final.txt
write_dump all custom ${replica}.dump id type x y z modify sort id format float %.17g
"""
    )
    lmp.succeed(tmp_path, script, 6, "-partition", "3x2")
    reported = np.array((tmp_path / "log.lammps").read_text().splitlines()[-1].split()[10::2], dtype=float)
    assert len(reported) == 3
    assert np.ptp(reported) > 1e-3
    for replica, energy in enumerate(reported, 1):
        frame = lmp.read_dump(tmp_path / f"{replica}.dump")[0]
        image = first.copy()
        image.positions = lmp.columns(frame, "x", "y", "z")
        assert energy == pytest.approx(evaluate(load_model(scattering), [image])[0].energy, abs=1e-5)
