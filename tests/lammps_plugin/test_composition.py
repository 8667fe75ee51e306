"""Types, units, and other pair styles beside this one."""

from collections.abc import Callable
from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.export import Evaluation, evaluate, load_model


def expected(model: Path, atoms: ase.Atoms) -> Evaluation:
    return evaluate(load_model(model), [atoms], virials=True)[0]


def check(run: lmp.Run, truth: Evaluation, rows: slice | np.ndarray = slice(None), unit: float = 1.0) -> None:
    """Energies and forces of the selected atoms are those of Python, the others feel nothing."""
    frame = run.dump()[0]
    assert truth.forces is not None
    energies, forces = frame["c_energy"] / unit, lmp.forces(frame) / unit
    np.testing.assert_allclose(energies[rows], truth.energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(forces[rows], truth.forces, rtol=0, atol=1e-8)
    assert run.values["pe"] / unit == pytest.approx(truth.energy, abs=1e-9 * len(energies))


def test_types_in_any_order(many_body: Path, tmp_path: Path) -> None:
    atoms = toy.crystal((2, 1, 1))
    script = lmp.setup(tmp_path, atoms, many_body, ["Si", "Li"]) + lmp.STATIC
    check(lmp.succeed(tmp_path, script, 2), expected(many_body, atoms))


def test_several_types_of_one_element(many_body: Path, tmp_path: Path) -> None:
    """Three types, two of them silicon."""
    atoms = toy.crystal((2, 1, 1))
    kinds = [2 if symbol == "Li" else 1 + 2 * (k % 2) for k, symbol in enumerate(atoms.get_chemical_symbols())]
    assert set(kinds) == {1, 2, 3}
    script = lmp.setup(tmp_path, atoms, many_body, ["Si", "Li", "Si"], of_atoms=kinds) + lmp.STATIC
    check(lmp.succeed(tmp_path, script, 2), expected(many_body, atoms))


def test_real_units(many_body: Path, tmp_path: Path) -> None:
    atoms = toy.crystal((2, 1, 1))
    truth = expected(many_body, atoms)
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], units="real") + lmp.STATIC
    run = lmp.succeed(tmp_path, script, 2)
    check(run, truth, unit=lmp.REAL)
    assert truth.virial is not None
    atmospheres = 68568.415  # LAMMPS' nktv2p of `units real`
    virial = np.array([run.values[name] for name in ("pxx", "pyy", "pzz")]) * run.values["vol"] / atmospheres / lmp.REAL
    np.testing.assert_allclose(virial, np.diag(truth.virial), rtol=1e-9, atol=1e-8)


def test_float32_model_agrees_with_ase(models: Path, tmp_path: Path) -> None:
    """Edge vectors are formed in float64 and cast by the model: far from the origin nothing is lost."""
    atoms = toy.crystal((2, 1, 1))
    truth = expected(models / "float32.pt", atoms)
    assert truth.forces is not None
    script = lmp.setup(tmp_path, atoms, models / "float32.pt", ["Li", "Si"]) + lmp.STATIC
    frame = lmp.succeed(tmp_path, script, 2).dump()[0]
    np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=2e-5)
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=1e-4)


def test_null_types_are_nobodys_neighbours(many_body: Path, tmp_path: Path) -> None:
    """Alone, atoms of a NULL type feel nothing and are not seen."""
    atoms = toy.crystal((2, 1, 1))
    lithium = atoms.symbols == "Li"
    pair = f"pair_style rhopot\npair_coeff * * {many_body} NULL Si"
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], pair=pair) + lmp.STATIC, 2)
    check(run, expected(many_body, atoms[~lithium]), ~lithium)
    assert np.abs(lmp.forces(run.dump()[0])[lithium]).max() == 0.0
    assert "feel no forces" in run.output


@pytest.mark.parametrize("style", ["rhopot", "hybrid/overlay rhopot zero 4.0"])
def test_a_second_pair_coeff_replaces_the_first(
    style: str, trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """Elements given in two lines: the first is lost, unlike in LAMMPS' pairwise styles; a warning names its type."""
    name = "rhopot " if "hybrid" in style else ""
    lines = [f"pair_coeff * * {name}{trained_model('bpnn')} {elements}" for elements in ("Li NULL", "NULL Si")]
    others = ["pair_coeff * * zero"] if "hybrid" in style else []
    pair = "\n".join([f"pair_style {style}", *lines, *others])
    script = lmp.setup(tmp_path, toy.tiny_ordered(), "", ["Li", "Si"], pair=pair)
    run = lmp.succeed(tmp_path, script + "run 0 post no\n", 2)
    assert run.output.count("replaces the one before: type 1 (Li) is NULL from now on") == 1


ZBL = "pair_coeff 1 1 {0} 3.0 3.0\npair_coeff 1 2 {0} 3.0 14.0\npair_coeff 2 2 {0} 14.0 14.0\n"


def test_hybrid_overlay_adds(many_body: Path, tmp_path: Path) -> None:
    """rhopot + zbl on the same atoms is the sum of the two alone."""
    atoms = toy.crystal((2, 1, 1))
    styles = {
        "rhopot": f"pair_style rhopot\npair_coeff * * {many_body} Li Si",
        "zbl": "pair_style zbl 2.5 3.5\n" + ZBL.format(""),
        "both": f"pair_style hybrid/overlay rhopot zbl 2.5 3.5\npair_coeff * * rhopot {many_body} Li Si\n"
        + ZBL.format("zbl"),
    }
    frames, runs = {}, {}
    for name, pair in styles.items():
        folder = tmp_path / name
        folder.mkdir()
        script = lmp.setup(folder, atoms, many_body, ["Li", "Si"], pair=pair) + lmp.STATIC
        runs[name] = lmp.succeed(folder, script, 2)
        frames[name] = runs[name].dump()[0]
    assert np.abs(lmp.forces(frames["zbl"])).max() > 1e-3
    for get in (lmp.forces, lmp.virial):
        total = get(frames["rhopot"]) + get(frames["zbl"])
        np.testing.assert_allclose(get(frames["both"]), total, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(
        lmp.pressures(runs["both"]), lmp.pressures(runs["rhopot"]) + lmp.pressures(runs["zbl"]), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("style", ["hybrid", "hybrid/overlay"])
def test_hybrid_shares_the_types(many_body: Path, tmp_path: Path, style: str) -> None:
    """Silicon is the model's, lithium that of another style; the model never sees lithium."""
    atoms = toy.crystal((2, 1, 1))
    lithium = atoms.symbols == "Li"
    pair = f"""pair_style {style} rhopot zero 4.0
pair_coeff * * rhopot {many_body} NULL Si
pair_coeff 1 * zero"""
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], pair=pair) + lmp.STATIC
    run = lmp.succeed(tmp_path, script, 2)
    check(run, expected(many_body, atoms[~lithium]), ~lithium)


def test_two_models_in_one_overlay(models: Path, tmp_path: Path) -> None:
    """Two instances of the style add up."""
    atoms = toy.crystal((2, 1, 1))
    pair = f"""pair_style hybrid/overlay rhopot rhopot device cpu
pair_coeff * * rhopot 1 {models / "many_body.pt"} Li Si
pair_coeff * * rhopot 2 {models / "many_body.pt"} Li Si"""
    script = lmp.setup(tmp_path, atoms, "", ["Li", "Si"], pair=pair) + lmp.STATIC
    run = lmp.succeed(tmp_path, script, 2)
    check(run, expected(models / "many_body.pt", atoms), unit=2.0)


MOLECULAR = """
units metal
atom_style molecular
boundary p p p
{newton}
region box block 0 12 0 12 0 12
create_box 2 box bond/types 1 extra/bond/per/atom 2 extra/special/per/atom 4
create_atoms 1 single 1 1 1
create_atoms 2 single 3.2 1 1
create_atoms 2 single 4.5 2.7 1.3
mass 1 6.94
mass 2 28.085
{special}
bond_style zero
bond_coeff 1
create_bonds single/bond 1 1 2
create_bonds single/bond 1 2 3
pair_style rhopot
pair_coeff * * {model} Li Si
"""


def test_bonded_neighbours_count(many_body: Path, tmp_path: Path) -> None:
    atoms = ase.Atoms("LiSi2", positions=[[1, 1, 1], [3.2, 1, 1], [4.5, 2.7, 1.3]], cell=[12.0] * 3, pbc=True)
    script = MOLECULAR.format(newton="", special="special_bonds lj/coul 1 1 1", model=many_body)
    check(lmp.succeed(tmp_path, script + lmp.STATIC), expected(many_body, atoms))


def test_dropped_bonded_neighbours_are_refused(many_body: Path, tmp_path: Path) -> None:
    """Molecular styles drop them by default."""
    run = lmp.lammps(tmp_path, MOLECULAR.format(newton="", special="", model=many_body) + lmp.STATIC)
    assert run.status != 0
    assert "write 'special_bonds lj/coul 1 1 1'" in run.output
