"""`neigh_modify exclude` and `include`: what takes atoms out or divides them into sets gives each set's own energy.

Anything else is refused.
"""

from collections.abc import Callable
from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest
import trained_models

from rhopot.export import evaluate, load_model

MODELS = Callable[[str], Path]
RANKS = {"soap_linear": 4}  # other families on one rank: exclusions know nothing of families


def sum_of(model: Path, atoms: ase.Atoms, *sets: np.ndarray) -> tuple[float, lmp.Floats]:
    """Energy and forces of sets of atoms (masks), each by itself; atoms of no set feel nothing."""
    results = evaluate(load_model(model), [atoms[mask] for mask in sets])
    forces = np.zeros((len(atoms), 3))
    for mask, result in zip(sets, results, strict=True):
        assert result.forces is not None
        forces[mask] = result.forces
    return sum(result.energy for result in results), forces


def run_each(folder: Path, start: str, settings: dict[str, str], ranks: int) -> lmp.Run:
    """One run of no steps per setting, in one process; dump and value are called by the setting's number."""
    script = start + "group all_lithium type 1\ngroup left id 1:7\ngroup right subtract all left\n"
    for k, lines in enumerate(settings.values()):
        script += f"""
{lines}
dump atoms all custom 1 {k}.dump id fx fy fz
dump_modify atoms sort id format float %.17g
run 0 post no
undump atoms
neigh_modify exclude none
print "value {k} $(pe:%.17g)"
"""
    return lmp.succeed(folder, script, ranks)


def check_each(run: lmp.Run, truths: list[tuple[float, lmp.Floats]]) -> None:
    for k, (energy, forces) in enumerate(truths):
        assert run.values[str(k)] == pytest.approx(energy, abs=1e-8), k
        np.testing.assert_allclose(lmp.forces(run.dump(f"{k}.dump")[0]), forces, rtol=0, atol=1e-8, err_msg=str(k))


TAKEN_OUT = {
    "group": "neigh_modify exclude group all_lithium all",
    "types": "neigh_modify exclude type 1 1 exclude type 1 2",
    "three groups": "neigh_modify exclude group all_lithium all_lithium exclude group all_lithium left "
    "exclude group right all_lithium",
}


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_excluded_atoms_count_as_deleted(trained_model: MODELS, tmp_path: Path, family: str) -> None:
    """Neither neighbours nor centres, however the input says it."""
    atoms, model = toy.crystal((2, 1, 1)), trained_model(family)
    truth = sum_of(model, atoms, atoms.symbols == "Si")
    run = run_each(tmp_path, lmp.setup(tmp_path, atoms, model, ["Li", "Si"]), TAKEN_OUT, RANKS.get(family, 1))
    check_each(run, [truth] * len(TAKEN_OUT))


@pytest.mark.parametrize("family", ["soap_linear", "scattering"])
def test_included_group(trained_model: MODELS, tmp_path: Path, family: str) -> None:
    """`include` builds lists for one group only; the others count as deleted."""
    atoms, model = toy.crystal((2, 1, 1)), trained_model(family)
    some = np.arange(len(atoms)) < 7
    start = lmp.setup(tmp_path, atoms, model, ["Li", "Si"])
    lines = "atom_modify first left\nneigh_modify include left"
    check_each(run_each(tmp_path, start, {"include": lines}, 2), [sum_of(model, atoms, some)])


DIVIDED = {
    "types": "neigh_modify exclude type 1 2",
    "groups": "neigh_modify exclude group left right",
    "one set out": "neigh_modify exclude group left all",
}


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_sets_that_do_not_interact(trained_model: MODELS, tmp_path: Path, family: str) -> None:
    """The energy is the sum of what each set has alone."""
    atoms, model = toy.crystal((2, 1, 1)), trained_model(family)
    lithium, left = atoms.symbols == "Li", np.arange(len(atoms)) < 7
    truths = [sum_of(model, atoms, lithium, ~lithium), sum_of(model, atoms, left, ~left), sum_of(model, atoms, ~left)]
    check_each(
        run_each(tmp_path, lmp.setup(tmp_path, atoms, model, ["Li", "Si"]), DIVIDED, RANKS.get(family, 1)), truths
    )


PAIRS = {
    "frozen atoms": (1, "neigh_modify exclude group left left", "got 'group left left', with which"),
    "one type": (2, "neigh_modify exclude type 2 2", "got 'type 2 2', with which"),
    "two of three": (1, "group some id 3:5\nneigh_modify exclude group some left", "got 'group some left', with which"),
}


@pytest.mark.parametrize(("ranks", "lines", "words"), PAIRS.values(), ids=PAIRS.keys())
def test_single_pairs_are_refused(many_body: Path, tmp_path: Path, ranks: int, lines: str, words: str) -> None:
    """An atom that lost some of its neighbours only has no energy that means anything."""
    start = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), many_body, ["Li", "Si"]) + "group left id 1:7\n"
    run = lmp.lammps(tmp_path, start + lines + "\nrun 0\n", ranks)
    assert run.status != 0
    assert (
        "'neigh_modify exclude' must take atoms out altogether ('group X all') or divide them into sets" in run.output
    )
    assert words in run.output


def test_pairs_are_refused_by_whole_structures(scattering: Path, tmp_path: Path) -> None:
    """Alone; beside another style, the exclusion may be meant for that one, and a warning says so."""
    for k, (pair, status) in enumerate((("rhopot", 1), ("hybrid/overlay rhopot zero 4.0", 0))):
        lines = f"pair_style {pair}\npair_coeff * * {'rhopot ' if k else ''}{scattering} Li Si\n"
        lines += "pair_coeff * * zero\n" if k else ""
        start = lmp.setup(tmp_path, toy.crystal((1, 1, 1)), scattering, ["Li", "Si"], pair=lines)
        run = lmp.lammps(tmp_path, start + "neigh_modify exclude type 1 2\nrun 0\n", 2)
        assert (run.status != 0) == bool(status), run.output
        alone = "for a model of kind 'global', which sees all its atoms together, got 'type 1 2'; remove the exclusion"
        expected = "'type 1 2' of 'neigh_modify exclude' is for the other pair styles only" if k else alone
        assert expected in run.output


# ---- molecules -------------------------------------------------------------------------------------------------------

DIMER = """# two atoms, bonded

2 atoms
1 bonds

Coords

1 0 0 0
2 2.6 0 0

Types

1 1
2 2

Bonds

1 1 1 2

Special Bond Counts

1 1 0 0
2 1 0 0

Special Bonds

1 2
2 1
"""

MOLECULES = """
clear
units metal
atom_style {style}
atom_modify map yes
region box block 0 {length} 0 {length} 0 {length}
create_box 2 box bond/types 1 extra/bond/per/atom 2 extra/special/per/atom 4
mass 1 6.94
mass 2 28.085
special_bonds lj/coul 1 1 1
bond_style zero
bond_coeff 1
molecule dimer dimer.txt
create_atoms 0 random {n} 4711 NULL overlap {apart} maxtry 1000 mol dimer 5
pair_style rhopot
pair_coeff * * {model} Li Si
"""


def molecules(folder: Path, model: Path, n: int, *, length: float, apart: float, style: str = "molecular") -> str:
    (folder / "dimer.txt").write_text(DIMER)
    return MOLECULES.format(model=model, n=n, length=length, apart=apart, style=style)


def test_molecules_that_do_not_interact(trained_model: MODELS, tmp_path: Path) -> None:
    """`exclude molecule/inter`: each molecule as if alone, here five equal ones within reach of each other."""
    model = trained_model("soap_linear")
    dimer = ase.Atoms("LiSi", positions=[[0, 0, 0], [2.6, 0, 0]])
    start = molecules(tmp_path, model, 5, length=9, apart=2.2)
    script = start + 'run 0 post no\nprint "value together $(pe:%.17g)"\nneigh_modify exclude molecule/inter all\n'
    run = lmp.succeed(tmp_path, script + 'run 0 post no\nprint "value apart $(pe:%.17g)"\n', 2)
    assert run.values["apart"] == pytest.approx(5 * sum_of(model, dimer, np.array([True, True]))[0], abs=1e-8)
    assert abs(run.values["together"] - run.values["apart"]) > 1e-3
    run = lmp.lammps(tmp_path, start + "neigh_modify exclude molecule/intra all\nrun 0\n", 2)
    assert run.status != 0
    assert "got 'molecule/intra all', with which atoms keep some neighbours and lose others" in run.output


# ---- exchange with a reservoir ---------------------------------------------------------------------------------------

GAS = """
clear
units metal
atom_style {style}
atom_modify map yes
region box block 0 30 0 30 0 30
create_box 2 box
mass 1 6.94
mass 2 28.085
lattice sc 10 origin 0.5 0.5 0.5
region few block 0 30 0 20 0 20 units box
create_atoms 1 region few basis 1 1
set group all type/fraction 2 0.5 1
pair_style rhopot
pair_coeff * * {model} Li Si
"""

# Temperatures so low that energies alone decide. [4]: insertions, [5]: attempted deletions, [6]: deletions.
GCMC = """
fix exchange all gcmc 1 24 0 {what} full_energy overlap_cutoff 6
thermo_style custom step atoms f_exchange[4] f_exchange[5] f_exchange[6]
run 1 post no
print "value {name}_came $(f_exchange[4])"
print "value {name}_tried $(f_exchange[5])"
print "value {name}_went $(f_exchange[6])"
"""
MARGINS = {"low": -0.5, "high": 0.5}  # chemical potential above the energy of what is exchanged


def check_gcmc(run: lmp.Run) -> None:
    """Below its energy nothing comes, above it nothing leaves, though tried."""
    values = run.values
    assert values["low_came"] == 0
    assert values["low_went"] > 3
    assert values["high_came"] > 3
    assert values["high_tried"] > 3
    assert values["high_went"] == 0


def energy(model: Path, symbols: str) -> float:
    atoms = ase.Atoms(symbols, positions=[[2.6 * k, 0, 0] for k in range(len(ase.Atoms(symbols)))])
    return evaluate(load_model(model), [atoms])[0].energy


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_gcmc_of_atoms(trained_model: MODELS, tmp_path: Path, family: str) -> None:
    model = trained_model(family)
    script = ""
    for name, margin in MARGINS.items():
        script += GAS.format(model=model, style="atomic")
        script += GCMC.format(what=f"1 29494 100 {energy(model, 'Li') + margin} 0.5", name=name)
    check_gcmc(lmp.succeed(tmp_path, script, RANKS.get(family, 1)))


def test_gcmc_of_molecules(trained_model: MODELS, tmp_path: Path) -> None:
    """Atoms of a molecule are excluded together."""
    model = trained_model("soap_linear")
    start, script = molecules(tmp_path, model, 8, length=30, apart=8), ""
    for name, margin in MARGINS.items():
        script += start
        script += GCMC.format(what=f"0 29494 100 {energy(model, 'LiSi') + margin} 0.5 mol dimer", name=name)
    check_gcmc(lmp.succeed(tmp_path, script, 2))


def test_charge_regulation(trained_model: MODELS, tmp_path: Path) -> None:
    """Ions come and go in pairs; pI = -log10 z, a unit of which is kT ln 10. [2]: moves, [7]: lithium ions."""
    model = trained_model("soap_linear")
    per_unit = 8.617333e-5 * 100 * np.log(10.0)
    script = ""
    for name, margin in MARGINS.items():
        p = -(0.5 * energy(model, "Li") + 0.5 * energy(model, "Si") + margin) / per_unit
        script += GAS.format(model=model, style="charge")
        script += f"""
set type 1 charge 1
set type 2 charge -1
group lithium type 1
variable before equal $(count(lithium))
fix ions all charge/regulation 1 2 onlysalt yes 1 -1 temp 100 nevery 1 nmc 24 seed 123 pIp {p} pIm {p} lunit_nm 0.1
thermo_style custom step atoms f_ions[2] f_ions[7]
run 1 post no
print "value {name}_moves $(f_ions[2])"
print "value {name}_more $(f_ions[7]-v_before)"
"""
    values = lmp.succeed(tmp_path, script, 2).values
    assert values["low_more"] == -values["low_moves"] < -3
    assert values["high_more"] == values["high_moves"] > 3


def test_widom_insertion(trained_model: MODELS, tmp_path: Path) -> None:
    """In an empty box the excess chemical potential is the energy of what is inserted."""
    model = trained_model("soap_linear")
    ends = "thermo_style custom step f_w[1]\nrun 2 post no\nprint 'value {} $(f_w[1]:%.10g)'\n"
    empty = GAS.format(model=model, style="atomic") + "delete_atoms group all\n"
    script = empty + "fix w all widom 1 4 1 29494 10000 full_energy\n" + ends.format("atom")
    script += molecules(tmp_path, model, 1, length=30, apart=8) + "delete_atoms group all\n"
    script += "fix w all widom 1 4 0 29494 10000 full_energy mol dimer\n" + ends.format("molecule")
    run = lmp.succeed(tmp_path, script)
    assert run.values["atom"] == pytest.approx(energy(model, "Li"), abs=1e-6)
    assert run.values["molecule"] == pytest.approx(energy(model, "LiSi"), abs=1e-6)
