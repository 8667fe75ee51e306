"""Property commands: with trained models in both engines, with any potential, resumed, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import ase.io
import closed_forms
import numpy as np
import pytest
import trained_models
from ase import Atom, Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from refusals import refusal

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands import main
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.properties.potential import with_paths
from rhopot.potentials.structures.prototypes import conventional

pytestmark = pytest.mark.slow

SI_SW = "Si.sw"  # found in the potentials folder of LAMMPS
SILICON = ["--prototype", "diamond", "--symbol", "Si"]
TERSOFF = ["--calculator", "closed_forms:tersoff", "--prototype", "diamond", "--symbol", "Si", "--lattice", "5.43"]


def numbers(folder: Path, verb: str, structure: str = "diamond") -> dict[str, dict[str, float]]:
    """The quantities of a structure in the JSON file of a command."""
    return json.loads((folder / f"{verb}.json").read_text())["structures"][structure]


# ---- trained models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_trained_models_agree_in_both_engines(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    model = str(trained_model(family))
    for verb, *more in (("eos", "--points", "9", "--extent", "0.04"), ("elastic", "--no-members")):
        folder = tmp_path / verb
        assert main([verb, model, *SILICON, "--engine", "both", "-n", "2", "-o", str(folder), *more]) == 0
        assert {f"{verb}.json", f"{verb}.png", f"in.{verb}_diamond"} <= {file.name for file in folder.iterdir()}
    found = numbers(tmp_path / "eos", "eos")
    assert found["lowest energy"]["difference"] < 1e-9
    assert found["K (parabola)"]["difference"] < 1e-3
    assert found["K (parabola)"]["standard_deviation"] > 0.0
    voigt = numbers(tmp_path / "elastic", "elastic")
    assert voigt["bulk modulus (Hill)"]["ase"] == pytest.approx(found["K (parabola)"]["ase"], rel=0.1)


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_barriers_of_trained_models_agree_in_both_engines(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """A vacancy hop: both ends are the same by symmetry, and the members' barriers are those of their calculators."""
    model = str(trained_model(family))
    words = ["neb", model, *SILICON, "--repeat", "1", "--images", "1", "--engine", "both", "-o", str(tmp_path / "neb")]
    assert main(words) == 0
    found = numbers(tmp_path / "neb", "neb", "path")
    assert found["forward barrier"]["difference"] < 1e-3
    assert found["last - first energy"]["ase"] == pytest.approx(0.0, abs=1e-4)
    images = ase.io.read(tmp_path / "neb" / "band.xyz", ":")
    energies = []
    for image in images:
        image.calc = RhopotCalculator(model)
        energies.append(image.calc.get_property("energy_members", image))
    members = np.array(energies)[1] - np.array(energies)[0]
    np.testing.assert_allclose(found["forward barrier"]["members"], members, atol=1e-6)


# ---- any potential -------------------------------------------------------------------------------------------------


ELASTIC = """\
units metal
boundary p p p
lattice diamond 5.43
region box block 0 2 0 2 0 2
create_box 1 box
create_atoms 1 box
mass 1 28.06
pair_style sw
pair_coeff * * Si.sw Si
fix box all box/relax aniso 0.0
minimize 0 1e-10 1000 10000
unfix box
change_box all triclinic
variable length equal lx
variable size equal $(lx)
variable xx equal pxx
variable yy equal pyy
variable yz equal pyz
variable energy equal pe/atoms
variable volume equal vol/atoms
print "start $(v_energy:%.12g) $(v_volume:%.12g)"
variable step equal 1e-6*v_size
change_box all x delta 0 ${step} remap units box
minimize 0 1e-10 1000 10000
print "x_up $(v_xx:%.12g) $(v_yy:%.12g)"
change_box all x delta 0 $(-2*v_step) remap units box
minimize 0 1e-10 1000 10000
print "x_down $(v_xx:%.12g) $(v_yy:%.12g)"
change_box all x delta 0 ${step} remap units box
change_box all yz delta ${step} remap units box
minimize 0 1e-10 1000 10000
print "yz_up $(v_yz:%.12g)"
change_box all yz delta $(-2*v_step) remap units box
minimize 0 1e-10 1000 10000
print "yz_down $(v_yz:%.12g)"
"""


def test_stillinger_weber_as_by_the_usual_procedure_of_lammps(tmp_path: Path) -> None:
    """Independent deck: small strains of a conventional cell by `change_box ... delta`, stresses minimized in each."""
    run = run_lammps(ELASTIC.replace("Si.sw", with_paths("Si.sw")), tmp_path)
    per_bar = 1e-4 / 2e-6
    up, down = run.printed("x_up"), run.printed("x_down")
    c11, c12 = (-(a - b) * per_bar for a, b in zip(up, down, strict=True))
    c44 = -(run.printed("yz_up")[0] - run.printed("yz_down")[0]) * per_bar
    energy, volume = run.printed("start")

    words = ["--pair-style", "sw", "--pair-coeff", f"* * {SI_SW} {{elements}}", "--engine", "lammps", *SILICON]
    assert main(["elastic", *words, "-o", str(tmp_path / "elastic")]) == 0
    assert main(["eos", *words, "-o", str(tmp_path / "eos")]) == 0

    elastic, eos = numbers(tmp_path / "elastic", "elastic"), numbers(tmp_path / "eos", "eos")
    assert [elastic[name]["lammps"] for name in ("C11", "C12", "C44")] == pytest.approx([c11, c12, c44], rel=1e-3)
    assert elastic["bulk modulus (Hill)"]["lammps"] == pytest.approx((c11 + 2 * c12) / 3, rel=1e-3)
    assert eos["lowest energy"]["lammps"] == pytest.approx(energy, abs=1e-4)
    assert eos["V0 (Birch-Murnaghan)"]["lammps"] == pytest.approx(volume, rel=1e-3)
    assert eos["K (Birch-Murnaghan)"]["lammps"] == pytest.approx((c11 + 2 * c12) / 3, rel=1e-2)
    assert c11 == pytest.approx(151.4, abs=0.2), "Stillinger and Weber's silicon, as published"


def test_a_potential_of_both_engines(tmp_path: Path) -> None:
    """The same Tersoff potential by ASE and by LAMMPS: they agree, also for a structure that is not at its minimum."""
    atoms = bulk("Si", a=5.6, cubic=True)
    ase.io.write(tmp_path / "cube.xyz", atoms)
    pair = closed_forms.tersoff_style(tmp_path)
    words = ["eos", str(tmp_path / "cube.xyz"), "--calculator", "closed_forms:tersoff", "--pair-style", pair.style]
    words += ["--pair-coeff", pair.coefficients[0], "--engine", "both", "--points", "9", "-o", str(tmp_path / "eos")]
    assert main([*words, "--extent", "0.04"]) == 0
    found = numbers(tmp_path / "eos", "eos", "cube")
    assert found["V0 (Birch-Murnaghan)"]["ase"] == pytest.approx(5.432**3 / 8, rel=1e-3)


def test_engines_that_disagree_fail_after_everything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stillinger-Weber in LAMMPS against Tersoff in ASE."""
    words = ["--pair-style", "sw", "--pair-coeff", f"* * {SI_SW} {{elements}}", "--engine", "both"]
    said = refusal(capsys, ["elastic", *TERSOFF, *words, "-o", str(tmp_path / "elastic")])
    assert said.startswith("rhopot: ase and lammps disagree: C11 of diamond by 0.")
    assert (tmp_path / "elastic" / "elastic.json").exists()


def test_names_with_spaces_and_dots(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Inputs of LAMMPS split words at spaces, names of structures make names of files."""
    folder = tmp_path / "my models"
    folder.mkdir()
    shutil.copy(trained_model("soap_linear"), folder / "model 1.pt")
    ase.io.write(folder / "silicon (5.5).v2.vasp", bulk("Si", a=5.5), format="vasp")
    words = ["eos", str(folder / "model 1.pt"), str(folder / "silicon (5.5).v2.vasp"), "--engine", "both", "--points"]
    assert main([*words, "9", "--extent", "0.04", "--no-members", "-o", str(folder / "my eos")]) == 0
    assert numbers(folder / "my eos", "eos", "silicon__5")["lowest energy"]["difference"] < 1e-9


def test_constraints_are_obeyed_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = bulk("Cu", cubic=True)
    held.set_constraint(FixAtoms([0]))
    ase.io.write(tmp_path / "held.traj", held)
    words = [str(tmp_path / "held.traj"), "--calculator", "ase.calculators.emt:EMT", "-o", str(tmp_path / "out")]
    for verb in ("eos", "elastic", "phonons", "defects"):
        assert f"held must have no constraints for {verb}, got FixAtoms" in refusal(capsys, [verb, *words])
    assert not (tmp_path / "out").exists()


def test_a_molecule_has_barriers_with_error_bars(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """An open structure, whose cell has no volume: a lithium atom from one side of a held silicon pair to the other."""
    for name, side in (("left", 1.0), ("right", -1.0)):
        atoms = Atoms("Si2Li", positions=[(0, 0, 0), (2.5, 0, 0), (1.25, 2.4 * side, 0)])
        atoms.set_constraint(FixAtoms([0, 1]))
        ase.io.write(tmp_path / f"{name}.traj", atoms)
    model = str(trained_model("soap_linear"))
    words = ["neb", model, str(tmp_path / "left.traj"), str(tmp_path / "right.traj"), "--images", "1", "--fmax", "0.2"]
    assert main([*words, "--end-fmax", "0.05", "-o", str(tmp_path / "neb")]) == 0
    found = numbers(tmp_path / "neb", "neb", "path")
    assert found["last - first energy"]["ase"] == pytest.approx(0.0, abs=0.01)
    assert len(found["forward barrier"]["members"]) == 4


def test_molecules_have_no_elastic_constants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    words = ["elastic", str(tmp_path / "water.xyz"), "--calculator", "ase.calculators.emt:EMT", "-o"]
    said = refusal(capsys, [*words, str(tmp_path / "out")])
    assert "water must be periodic in three directions for elastic, got open sides" in said


# ---- output and resuming -------------------------------------------------------------------------------------------


def test_the_same_command_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after the relaxation; the second start does not relax, a finished command does not compute."""
    words = ["eos", *TERSOFF, "-o", str(tmp_path / "eos")]

    def interrupt(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rhopot.potentials.commands.eos.equation_of_state", interrupt)
        assert main(words) == 130
    stages = json.loads((tmp_path / "eos" / "stages.json").read_text())["stages"]
    assert list(stages) == ["diamond: relaxed by ase"]
    monkeypatch.setattr("rhopot.potentials.properties.engine.AseEngine.relaxed", interrupt)
    assert main(words) == 0
    first = (tmp_path / "eos" / "eos.json").read_bytes()
    monkeypatch.setattr("rhopot.potentials.commands.eos.equation_of_state", interrupt)
    assert main(words) == 0
    assert (tmp_path / "eos" / "eos.json").read_bytes() == first


def test_results_of_something_else_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["elastic", *TERSOFF, "-o", str(tmp_path / "out")]
    assert main(words) == 0
    before = (tmp_path / "out" / "elastic.json").read_bytes()
    said = refusal(capsys, [*words, "--strain", "2e-3"])
    assert "output must be a new folder, or that of the same command" in said
    assert (tmp_path / "out" / "elastic.json").read_bytes() == before
    assert main([*words, "--strain", "2e-3", "--overwrite", "--json", str(tmp_path / "copy.json")]) == 0
    assert (tmp_path / "out" / "elastic.json").read_bytes() != before
    shutil.rmtree(tmp_path / "out")
    assert json.loads((tmp_path / "copy.json").read_text())["settings"]["strain"] == 2e-3


def test_several_phases(tmp_path: Path) -> None:
    words = ["eos", "--calculator", "ase.calculators.emt:EMT", "--symbol", "Cu", "--prototype", "fcc"]
    assert main([*words, "--prototype", "bcc", "--points", "11", "-o", str(tmp_path / "eos")]) == 0
    fcc, bcc = (numbers(tmp_path / "eos", "eos", name)["lowest energy"]["ase"] for name in ("fcc", "bcc"))
    assert fcc < bcc


# ---- bad input -----------------------------------------------------------------------------------------------------


def test_every_prototype_has_its_elements(tmp_path: Path) -> None:
    """Two crystals in one command are those of two commands; two of one lattice are named apart."""
    emt = ["--calculator", "ase.calculators.emt:EMT", "--points", "9", "--extent", "0.04", "--no-members"]
    both = ["--prototype", "fcc", "--symbol", "Cu", "--prototype", "fcc", "--symbol", "Au"]
    assert main(["eos", *emt, *both, "-o", str(tmp_path / "both")]) == 0
    for symbol in ("Cu", "Au"):
        assert main(["eos", *emt, "--prototype", "fcc", "--symbol", symbol, "-o", str(tmp_path / symbol)]) == 0
        alone, found = (
            numbers(tmp_path / folder, "eos", structure)["V0 (Birch-Murnaghan)"]["ase"]
            for folder, structure in ((symbol, "fcc"), ("both", f"fcc_{symbol}"))
        )
        assert found == pytest.approx(alone, rel=1e-9)


def test_a_lattice_that_is_not_given_is_chosen_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the guess of 4.29 A, 0.7 A off, or from a given lattice: the crystal is the same."""
    words = ["eos", "--calculator", "ase.calculators.emt:EMT", "--prototype", "fcc", "--symbol", "Cu"]
    words += ["--points", "9", "--extent", "0.04"]
    volumes = []
    for folder, more in (("chosen", []), ("given", ["--lattice", "3.6"])):
        assert main([*words, *more, "-o", str(tmp_path / folder)]) == 0
        said = capsys.readouterr().out
        assert ("fcc: relaxes from a lattice constant of 3.5" in said) == (folder == "chosen")
        volumes.append(numbers(tmp_path / folder, "eos", "fcc")["V0 (Birch-Murnaghan)"]["ase"])
    assert volumes[0] == pytest.approx(volumes[1], rel=1e-6)


def test_files_of_one_name_are_all_there(tmp_path: Path) -> None:
    words = ["eos", "--calculator", "ase.calculators.emt:EMT", "-o", str(tmp_path / "eos")]
    for folder, name, symbol in (("A", "a", "Cu"), ("A", "a_1", "Ag"), ("B", "a", "Au")):
        (tmp_path / folder).mkdir(exist_ok=True)
        ase.io.write(tmp_path / folder / f"{name}.xyz", bulk(symbol))
        words.append(str(tmp_path / folder / f"{name}.xyz"))
    assert main(words) == 0
    volumes = {
        name: rows["V0 (Birch-Murnaghan)"]["ase"]
        for name, rows in json.loads((tmp_path / "eos" / "eos.json").read_text())["structures"].items()
    }
    assert list(volumes) == ["a", "a_1", "a_2"]
    assert len({round(volume, 3) for volume in volumes.values()}) == 3


def test_relaxed_structures_are_graded(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Not those they began with: of an expanded cell, the grade of the result alone is written."""
    model = trained_model("soap_linear")
    atoms = ase.io.read(trained_models.DATA / "Li16Si16_0.xyz", index=-1)
    expanded = Atoms(atoms.symbols, scaled_positions=atoms.get_scaled_positions(), cell=1.15 * atoms.cell, pbc=True)
    ase.io.write(tmp_path / "wide.xyz", expanded)
    folder = tmp_path / "relax"
    assert main(["relax", str(model), str(tmp_path / "wide.xyz"), "--no-members", "-o", str(folder)]) == 0
    calculator = RhopotCalculator(model)
    before, after = (
        calculator.get_property("extrapolation_grade", each).max()
        for each in (expanded, ase.io.read(folder / "relaxed_wide.extxyz"))
    )
    assert before < 1.0 < after
    written = json.loads((folder / "relax.json").read_text())["outside_of_training_data"]
    assert written["wide"]["largest_grade"] == pytest.approx(after, rel=1e-4)


def test_structures_outside_of_the_training_data_are_named(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A simple cubic crystal of silicon among models of amorphous lithium-silicon: its numbers mean nothing."""
    words = ["eos", str(trained_model("soap_linear")), "--prototype", "sc", "--symbol", "Si", "--extent", "0.04"]
    assert main([*words, "--no-members", "-o", str(tmp_path / "eos")]) == 0
    said = capsys.readouterr().out
    assert "warning: the crystal is outside of the training data: 1 of 1 atoms of sc (largest grade" in said
    assert "its numbers mean nothing: give another --lattice" in said
    written = json.loads((tmp_path / "eos" / "eos.json").read_text())["outside_of_training_data"]
    assert written["sc"]["largest_grade"] > 1.0


def test_defects_of_a_trained_model_in_both_engines(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Lithium on a silicon site, in two sizes; members' energies are those of their calculators."""
    model = str(trained_model("soap_linear"))
    words = ["defects", model, *SILICON, "--no-vacancy", "--substitution", "Li", "--chemical-potential", "Li=-1.9"]
    assert main([*words, "--sizes", "1", "--engine", "both", "-n", "2", "-o", str(tmp_path / "defects")]) == 0
    found = numbers(tmp_path / "defects", "defects")
    assert list(found) == ["Li on Si, 8 sites"]
    assert found["Li on Si, 8 sites"]["difference"] < 1e-3
    defect = ase.io.read(tmp_path / "defects" / "Li_on_Si_8.xyz")
    assert defect.get_chemical_formula() == "LiSi7"
    crystal = conventional("diamond", bulk("Si", a=1.0))
    crystal.set_cell(defect.cell, scale_atoms=True)
    deviations = []
    for k, formed in enumerate(found["Li on Si, 8 sites"]["members"]):
        calculator = RhopotCalculator(model, member=k)
        whole, changed = (calculator.get_potential_energy(atoms) for atoms in (crystal, defect))
        deviations.append(formed - (changed - whole + whole / 8 + 1.9))
    assert len(deviations) == 4
    np.testing.assert_allclose(deviations, 0.0, atol=1e-4)


def test_vacancies_converge_with_the_supercell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["defects", "--calculator", "ase.calculators.emt:EMT", "--prototype", "fcc", "--symbol", "Cu"]
    assert main([*words, "--sizes", "1,2,3", "-o", str(tmp_path / "defects")]) == 0
    found = numbers(tmp_path / "defects", "defects", "fcc")
    small, middle, large = (found[f"vacancy Cu, {n} sites"]["ase"] for n in (4, 32, 108))
    assert 0.9 < large < 1.5
    assert abs(large - middle) < abs(middle - small)
    printed = capsys.readouterr().out
    assert "have the same energy" not in printed
    more = [
        "--no-vacancy",
        "--interstitial",
        "Cu",
        "--voids",
        "3",
        "--sizes",
        "2",
        "-o",
        str(tmp_path / "interstitials"),
    ]
    assert main([*words, *more]) == 0
    energies = [row["ase"] for row in numbers(tmp_path / "interstitials", "defects", "fcc").values()]
    alike = sum(abs(a - b) < 1e-4 for k, a in enumerate(energies) for b in energies[:k])
    assert capsys.readouterr().out.count("have the same energy") == alike
    said = refusal(capsys, [*words, "--interstitial", "H", "-o", str(tmp_path / "none")])
    assert "chemical potential must be known of every element that a defect adds or removes, got none of H" in said


def test_end_points_are_found_in_one_structure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hydrogen in aluminium (EMT) hops to an equal site; each hop is listed, another one can be taken."""
    metal = bulk("Al", a=4.0, cubic=True).repeat(2)
    metal.append(Atom("H", (2.0, 0.0, 0.0)))
    ase.io.write(tmp_path / "al.xyz", metal)
    words = ["neb", str(tmp_path / "al.xyz"), "--calculator", "ase.calculators.emt:EMT", "--into-void", "H"]
    words += ["--voids", "2", "--images", "1", "--fmax", "0.05", "--end-fmax", "0.02", "-o", str(tmp_path / "neb")]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "H in voids" in printed
    assert "neighbors moved into the best void" in printed
    assert {"start.xyz", "hop_1.xyz", "band.xyz"} <= {file.name for file in (tmp_path / "neb").iterdir()}
    found = numbers(tmp_path / "neb", "neb", "path")
    assert found["last - first energy"]["ase"] == pytest.approx(0.0, abs=0.03)
    assert found["forward barrier"]["ase"] > 0.05
    assert "--hop must be one of the hops listed, 1 to 1, got 7" in refusal(capsys, [*words, "--hop", "7"])
    assert "a Cu atom must be within 5 A of void" in refusal(
        capsys, [*words[:-1], str(tmp_path / "none"), "--into-void", "Cu"]
    )


def test_end_points_that_do_not_relax_name_their_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rhopot.potentials.properties.engine.MAX_STEPS", 1)
    metal = bulk("Al", a=4.1, cubic=True).repeat(2)
    metal.rattle(0.1, seed=1)
    metal.append(Atom("H", (2.0, 0.0, 0.0)))
    ase.io.write(tmp_path / "al.xyz", metal)
    words = ["neb", str(tmp_path / "al.xyz"), "--calculator", "ase.calculators.emt:EMT", "--into-void", "H"]
    assert "or give a larger --end-fmax" in refusal(capsys, [*words, "-o", str(tmp_path / "neb")])


def test_a_given_path_is_compared_with_its_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Energies of the same potential, shifted: no error but the shift, which is taken out, and a spoiled image."""
    words = ["neb", "--calculator", "ase.calculators.emt:EMT", "--prototype", "fcc", "--symbol", "Cu"]
    words += ["--images", "3", "-o", str(tmp_path / "neb")]
    assert main(words) == 0
    images = ase.io.read(tmp_path / "neb" / "band.xyz", ":")
    for k, image in enumerate(images):
        image.calc = EMT()
        energy = image.get_potential_energy() + 7.0 + (0.05 if k == 1 else 0.0)
        image.calc = None
        image.info["REF_energy"] = energy
    ase.io.write(tmp_path / "path.xyz", images)
    assert main([*words[:-1], str(tmp_path / "along"), "--along", str(tmp_path / "path.xyz")]) == 0
    found = numbers(tmp_path / "along", "neb", "path")
    assert found["error along it, shift-aligned"]["ase"] == pytest.approx(50.0 / 5, abs=1e-4)
    assert found["barrier along the given path"]["ase"] == pytest.approx(found["forward barrier"]["ase"], abs=1e-6)
    barrier = found["forward barrier"]["ase"]
    assert barrier == pytest.approx(found["backward barrier"]["ase"], abs=2e-3)
    assert 0.3 < barrier < 1.2
    said = refusal(capsys, [*words[:-1], str(tmp_path / "few"), "--steps", "2"])
    assert "band must converge to 0.01 eV/A within 2 steps, got a largest force of" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["elastic"], "a model file must be given first, got nothing"),
        (["elastic", "nothing.pt"], "model must be a file, got 'nothing.pt'"),
        (["elastic", "--calculator", "closed_forms:tersoff"], "a structure must be given, got none"),
        (["elastic", "--calculator", "closed_forms:nothing", *SILICON], "--calculator must be module:function"),
        (["elastic", "--calculator", "no_such_module:make", *SILICON], "--calculator must be module:function"),
        (["elastic", "--pair-style", "sw", *SILICON], "--pair-style and --pair-coeff must be given together"),
        (["elastic", *TERSOFF, "--engine", "both"], "--engine both must have the potential in lammps, got none"),
        (["elastic", *TERSOFF, "--engine", "qe"], "--engine must be ase, lammps or both, got 'qe'"),
        (["elastic", *TERSOFF, "--prototype", "fcc"], "elastic must be given one structure, got diamond, fcc"),
        (["elastic", *TERSOFF[:3], "cubic", "--symbol", "Si"], "prototype must be one of sc, bcc"),
        (["eos", *TERSOFF[:2], "--prototype", "diamond", "--symbol", "Xx"], "symbols of prototype diamond must be 1"),
        (["eos", *TERSOFF, "--points", "7"], "points must leave 5 or more within"),
        (["neb", *TERSOFF, "--prototype", "fcc", "--repeat", "2,2"], "--repeat must be one or three numbers"),
        (["neb", *TERSOFF, "--along", "nothing.xyz"], "--along must be a file, got 'nothing.xyz'"),
        (["eos", *TERSOFF, "nothing.cif"], "structure must be a file, got 'nothing.cif'"),
        (["eos", *TERSOFF, "--symbol", "C"], "--symbol must be given once, or once for each --prototype, got 2 for 1"),
        (["eos", *TERSOFF[:2], "--symbol", "C"], "--symbol must be given once, or once for each --prototype, got 1"),
        (["eos", *TERSOFF, "-n", "2"], "-n must go with --engine lammps or both, got 2 ranks for ase"),
        (["eos", *TERSOFF, "--extent", "0.02", "--fit-extent", "0.04"], "--fit-extent must be at most --extent"),
        (["neb", *TERSOFF, "--hop", "2"], "--hop must go with --into-void, got 2 without"),
    ],
)
def test_bad_input_gets_one_sentence(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status = 2 if sentence.startswith("--repeat") else 1
    assert sentence in refusal(capsys, words, status)


# ---- check -----------------------------------------------------------------------------------------------------------


def test_check_of_any_potential(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tersoff in ASE and LAMMPS passes; against Stillinger and Weber it fails in energy and forces."""
    ase.io.write(tmp_path / "si.xyz", bulk("Si", a=5.43, cubic=True))
    pair = closed_forms.tersoff_style(tmp_path)
    words = ["check", str(tmp_path / "si.xyz"), "--calculator", "closed_forms:tersoff", "--ranks", "2", "--steps", "20"]
    assert main([*words, "--pair-style", pair.style, "--pair-coeff", pair.coefficients[0]]) == 0
    printed = capsys.readouterr().out
    assert "extensivity: forces" in printed
    assert "pressure = -dE/dV from 0.9 to 1.1 V" in printed
    assert "comparisons within their limits" in printed
    assert "two atoms alone: left out" in printed, "ASE's Tersoff divides by zero without an angle"
    said = refusal(capsys, [*words, "--pair-style", "sw", "--pair-coeff", f"* * {SI_SW} {{elements}}"])
    assert "LAMMPS, 2 rank(s): energy" in said
    assert "check must have the potential in ASE and in LAMMPS, got one of them" in refusal(capsys, words)
    assert "check of --calculator must be given one structure, got 2 files" in refusal(capsys, [*words, "other.xyz"])
