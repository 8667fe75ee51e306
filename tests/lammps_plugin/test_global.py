"""Global models in LAMMPS against ASE, on several ranks and threads, with other types, units and styles.

`lmp` is a process without Python: derivatives there come from C++ autograd and TorchScript alone.
"""

import shutil
from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import model_archives
import numpy as np
import pytest

from rhopot.export import Evaluation, evaluate, load_model

SYSTEMS = {
    "cubic": toy.crystal((2, 1, 1)),
    "triclinic": lmp.in_lammps_frame(toy.skewed()),
    "two atoms": lmp.in_lammps_frame(toy.tiny()),
    "slab": toy.slab(),
    "cluster, ranks without atoms": toy.cluster(),
}
ROWS, COLUMNS = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]  # LAMMPS: xx yy zz xy xz yz


def expected(model: Path, atoms: ase.Atoms) -> Evaluation:
    return evaluate(load_model(model), [atoms], members=True, deviations=True)[0]


def check(run: lmp.Run, truth: Evaluation, rows: np.ndarray | None = None, unit: float = 1.0) -> None:
    """Energy, forces on the selected atoms (the others feel nothing) and virial are those of Python."""
    forces = lmp.forces(run.dump()[0]) / unit
    chosen = np.ones(len(forces), dtype=bool) if rows is None else rows
    assert truth.forces is not None
    assert truth.virial is not None
    assert run.values["pe"] / unit == pytest.approx(truth.energy, abs=1e-10 * len(forces))
    np.testing.assert_allclose(forces[chosen], truth.forces, rtol=0, atol=1e-11)
    np.testing.assert_array_equal(forces[~chosen], 0.0)
    symmetric = 0.5 * (truth.virial + truth.virial.T)
    pressure = lmp.pressures(run) if unit == 1.0 else real_pressures(run) / unit
    np.testing.assert_allclose(pressure * run.values["vol"], symmetric[ROWS, COLUMNS], rtol=1e-10, atol=1e-10)


def real_pressures(run: lmp.Run) -> np.ndarray:
    """Pressures in kcal/mol/A^3: LAMMPS prints atmospheres in `units real`."""
    return lmp.pressures(run) * lmp.PRESSURE / 68568.415


def whole(folder: Path, atoms: ase.Atoms, model: Path, ranks: int = 1, threads: int = 1, **options: str) -> lmp.Run:
    script = lmp.setup(folder, atoms, model, ["Li", "Si"], **options) + lmp.WHOLE
    return lmp.succeed(folder, script, ranks, threads=threads)


def test_the_file_states_the_growth_of_the_box_that_grids_allow_for(scattering: Path, tmp_path: Path) -> None:
    """LAMMPS and ASE take the factor from the file, and 1.1 where it states none; a finer grid changes the numbers."""
    atoms, stated = toy.crystal((2, 1, 1)), shutil.copy(scattering, tmp_path / "stated.pt")
    model_archives.with_card(stated, stretch=1.5)
    truth = expected(stated, atoms)
    check(whole(tmp_path, atoms, stated), truth)
    assert load_model(stated).card.default_stretch == 1.5
    assert load_model(scattering).card.default_stretch == 1.1
    assert abs(truth.energy - expected(scattering, atoms).energy) > 1e-8


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("atoms", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_energy_forces_and_virial(scattering: Path, tmp_path: Path, atoms: ase.Atoms, ranks: int) -> None:
    before = "" if atoms.pbc.any() else f"processors {ranks} 1 1"
    truth = expected(scattering, atoms)
    assert truth.forces is not None
    assert np.abs(truth.forces).max() > 5e-3
    check(whole(tmp_path, atoms, scattering, ranks, before=before), truth)


@pytest.mark.parametrize(("ranks", "threads"), [(1, 2), (2, 2), (3, 2), (2, 5)])
def test_more_shares_than_blocks_of_work(scattering: Path, tmp_path: Path, ranks: int, threads: int) -> None:
    """The model's work is four blocks; shares beyond them return zeros."""
    atoms = toy.crystal((2, 1, 1))
    check(whole(tmp_path, atoms, scattering, ranks, threads), expected(scattering, atoms))


def test_shares_without_a_gradient(models: Path, tmp_path: Path) -> None:
    """A model that is not linear leaves all work to one share; the others' numbers depend on nothing."""
    atoms, model = lmp.in_lammps_frame(toy.skewed()), models / "whole_none.pt"
    for ranks in (1, 3):
        check(whole(tmp_path, atoms, model, ranks), evaluate(load_model(model), [atoms])[0])


def test_ranks_share_the_work(scattering: Path, tmp_path: Path) -> None:
    """Every rank gets a share of its own: the last one of 2 ranks x 2 threads fails, and all stop with its words."""
    model = scattering.with_name("whole_last_share_raises.pt")
    atoms = toy.crystal((1, 1, 1))
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"]) + "run 0\n"
    for ranks, threads in ((1, 1), (1, 2), (2, 1), (2, 2)):
        run = lmp.lammps(tmp_path, script, ranks, threads=threads)
        assert run.status != 0
        assert run.output.count("ERROR: pair style rhopot: model '") == 1
        assert "failed: " in run.output
        assert "the model says no" in run.output


def test_types_in_any_order(scattering: Path, tmp_path: Path) -> None:
    """Three types, silicon first and last."""
    atoms = toy.crystal((2, 1, 1))
    kinds = [2 if symbol == "Li" else 1 + 2 * (k % 2) for k, symbol in enumerate(atoms.get_chemical_symbols())]
    script = lmp.setup(tmp_path, atoms, scattering, ["Si", "Li", "Si"], of_atoms=kinds) + lmp.WHOLE
    check(lmp.succeed(tmp_path, script, 2), expected(scattering, atoms))


def test_atom_ids_in_any_order(scattering: Path, tmp_path: Path) -> None:
    """IDs with gaps, and in another order than atoms are stored in."""
    atoms = toy.crystal((2, 1, 1))
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"], before="atom_modify sort 0 0.0")
    data = (tmp_path / "structure.data").read_text().split("Atoms # atomic\n\n")
    rows = [line.split() for line in data[1].splitlines()]
    rows = [[str(100 - 3 * int(row[0])), *row[1:]] for row in rows]
    (tmp_path / "structure.data").write_text(data[0] + "Atoms # atomic\n\n" + "\n".join(map(" ".join, rows)) + "\n")
    truth = expected(scattering, atoms[::-1])
    check(lmp.succeed(tmp_path, script + lmp.WHOLE, 2), truth)


def test_real_units(scattering: Path, tmp_path: Path) -> None:
    atoms = toy.crystal((2, 1, 1))
    check(whole(tmp_path, atoms, scattering, 2, units="real"), expected(scattering, atoms), unit=lmp.REAL)


@pytest.mark.parametrize("ranks", [1, 2])
def test_box_that_does_not_start_at_zero(scattering: Path, tmp_path: Path, ranks: int) -> None:
    """The model's grid moves with the box: shifting both changes nothing, in triclinic boxes too."""
    atoms = lmp.in_lammps_frame(toy.skewed())
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"])
    script += "displace_atoms all move 0.37 -1.21 2.9 units box\n"
    script += "change_box all x delta 0.37 0.37 y delta -1.21 -1.21 z delta 2.9 2.9 units box\n"
    check(lmp.succeed(tmp_path, script + lmp.WHOLE, ranks), expected(scattering, atoms))


def test_atoms_outside_the_box_are_those_inside(scattering: Path, tmp_path: Path) -> None:
    """Wrapped by LAMMPS, or handed over as they are: neither energy nor virial changes."""
    atoms = lmp.in_lammps_frame(toy.skewed())
    truth = expected(scattering, atoms)
    shifts = np.random.default_rng(1).integers(-1, 2, (len(atoms), 3))
    atoms.positions += shifts @ atoms.cell.array
    unwrapped = expected(scattering, atoms)
    assert truth.virial is not None
    np.testing.assert_allclose(unwrapped.virial, truth.virial, rtol=0, atol=1e-10)
    check(whole(tmp_path, atoms, scattering, 2), truth)


STYLES = {
    "alone": "pair_style rhopot\npair_coeff * * {model} NULL Si",
    "hybrid": "pair_style hybrid rhopot zero 4.0\npair_coeff * * rhopot {model} NULL Si\npair_coeff 1 * zero",
    "overlay": "pair_style hybrid/overlay rhopot zero 4.0\npair_coeff * * rhopot {model} NULL Si\npair_coeff * * zero",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
def test_null_types_are_not_seen(scattering: Path, tmp_path: Path, style: str) -> None:
    atoms = toy.crystal((2, 1, 1))
    lithium = atoms.symbols == "Li"
    run = whole(tmp_path, atoms, scattering, 2, pair=style.format(model=scattering))
    check(run, expected(scattering, atoms[~lithium]), ~lithium)


ZBL = "pair_coeff 1 1 {0} 3.0 3.0\npair_coeff 1 2 {0} 3.0 14.0\npair_coeff 2 2 {0} 14.0 14.0\n"


def test_hybrid_overlay_adds(models: Path, scattering: Path, tmp_path: Path) -> None:
    """A whole-structure model, one of atoms and zbl on the same atoms are the sum of the three alone."""
    atoms = toy.crystal((2, 1, 1))
    local = models / "many_body.pt"
    styles = {
        "whole": f"pair_style rhopot\npair_coeff * * {scattering} Li Si",
        "local": f"pair_style rhopot\npair_coeff * * {local} Li Si",
        "zbl": "pair_style zbl 2.5 3.5\n" + ZBL.format(""),
        "all": "pair_style hybrid/overlay rhopot stretch 1.1 rhopot zbl 2.5 3.5\n"
        + f"pair_coeff * * rhopot 1 {scattering} Li Si\npair_coeff * * rhopot 2 {local} Li Si\n"
        + ZBL.format("zbl"),
    }
    runs = {}
    for name, pair in styles.items():
        (tmp_path / name).mkdir()
        runs[name] = whole(tmp_path / name, atoms, scattering, 2, pair=pair)
    alone = [runs[name] for name in ("whole", "local", "zbl")]
    assert min(np.abs(lmp.forces(run.dump()[0])).max() for run in alone) > 1e-3
    for get in (lambda run: lmp.forces(run.dump()[0]), lmp.pressures, lambda run: run.values["pe"]):
        np.testing.assert_allclose(get(runs["all"]), sum(get(run) for run in alone), rtol=1e-10, atol=1e-9)


def test_excluded_atoms_are_not_seen(scattering: Path, tmp_path: Path) -> None:
    """`fix gcmc` asks in this way for the energy without an atom. Pairs: see `test_exclusions`."""
    atoms = toy.crystal((2, 1, 1))
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"])
    rows = np.arange(len(atoms)) != 4
    exclude = "group gone id 5\nneigh_modify exclude group gone all\n"
    check(lmp.succeed(tmp_path, script + exclude + lmp.WHOLE, 2), expected(scattering, atoms[rows]), rows)


def test_newton_off(scattering: Path, tmp_path: Path) -> None:
    """No force is ever on a ghost, so nothing has to be sent home."""
    atoms = toy.crystal((2, 1, 1))
    check(whole(tmp_path, atoms, scattering, 2, before="newton off"), expected(scattering, atoms))


UNCERTAIN = """
compute total all pair rhopot
fix sigma all pair 1 rhopot uncertainty 1
thermo_style custom step pe c_total c_total[1]
dump atoms all custom 1 atoms.dump id f_sigma
dump_modify atoms sort id format float %.17g
run 0 post no
print "value energy $(c_total:%.17g)"
print "value total $(c_total[1]:%.17g)"
"""


@pytest.mark.parametrize("units", ["metal", "real"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_deviations_of_total_and_forces(scattering: Path, tmp_path: Path, ranks: int, units: str) -> None:
    """`compute pair` and `fix pair`: standard deviations of the members' sums over shares."""
    atoms = toy.crystal((1, 1, 1))
    truth = expected(scattering, atoms)
    scale = {"metal": 1.0, "real": lmp.REAL}[units]
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"], units=units) + UNCERTAIN
    run = lmp.succeed(tmp_path, script, ranks)
    values, spread = run.values, run.dump()[0]["f_sigma"]
    assert spread.min() > 1e-4
    np.testing.assert_allclose(spread / scale, truth.forces_uncertainty, rtol=1e-8)
    deviation = truth.energy_uncertainty()
    assert deviation is not None
    assert deviation > 1e-3
    assert values["energy"] / scale == pytest.approx(truth.energy, abs=1e-9)
    assert values["total"] / scale == pytest.approx(deviation, abs=1e-9)


def test_no_neighbour_list_is_built(models: Path, scattering: Path, tmp_path: Path) -> None:
    """LAMMPS reports on lists where there are any."""
    line = "neighbor lists, perpetual/occasional/extra = 1 0 0"
    assert line in whole(tmp_path, toy.crystal((1, 1, 1)), models / "many_body.pt", 2).output
    assert "neighbor lists" not in whole(tmp_path, toy.crystal((1, 1, 1)), scattering, 2).output


def test_no_atom_at_all(scattering: Path, tmp_path: Path) -> None:
    """Every atom belongs to another style, or is gone: no energy, and no error."""
    atoms = toy.crystal((1, 1, 1))
    script = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"])
    script += "delete_atoms group all\n" + UNCERTAIN
    values = lmp.succeed(tmp_path, script, 2).values
    assert values["energy"] == 0.0
    assert values["total"] == 0.0
