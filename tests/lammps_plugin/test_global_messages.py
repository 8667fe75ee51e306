"""What global models refuse in LAMMPS, and what it says instead."""

from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import pytest

from rhopot.export import load_model


def refused(folder: Path, script: str, ranks: int = 2) -> str:
    """The error line: one for all ranks."""
    run = lmp.lammps(folder, script, ranks)
    assert run.status != 0, run.output
    lines = [line for line in run.output.splitlines() if line.startswith("ERROR")]
    assert len(lines) == 1, run.output
    return lines[0]


OF_ATOMS = {
    "pe/atom": ("compute mine all pe/atom", "mine (pe/atom)"),
    "stress/atom": ("compute mine all stress/atom NULL virial", "mine (stress/atom)"),
    "centroid/stress/atom": ("compute mine all centroid/stress/atom NULL virial", "mine (centroid/stress/atom)"),
    "heat flux": (
        "compute k all ke/atom\ncompute e all pe/atom\ncompute s all centroid/stress/atom NULL virial\n"
        "compute flux all heat/flux k e s\nthermo_style custom step c_flux[1]",
        "e (pe/atom), s (centroid/stress/atom)",
    ),
}


@pytest.mark.parametrize(("commands", "named"), OF_ATOMS.values(), ids=OF_ATOMS.keys())
def test_energies_and_virials_of_atoms(scattering: Path, tmp_path: Path, commands: str, named: str) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), scattering, ["Li", "Si"])
    line = refused(tmp_path, script + commands + "\nrun 1\n")
    assert (
        "energies and virials of atoms must be asked of a model of kind 'local', this one is of kind 'global'" in line
    )
    assert f"remove the compute(s) {named}" in line


STRAINS = {
    "fix numdiff/virial": "fix gradient all numdiff/virial 1 1e-5",
    "compute born/matrix": "compute virial all pressure NULL virial\ncompute born all born/matrix numdiff 1e-4 virial",
}


@pytest.mark.parametrize(("name", "command"), STRAINS.items(), ids=STRAINS.keys())
def test_strains_without_the_box(scattering: Path, tmp_path: Path, name: str, command: str) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), scattering, ["Li", "Si"])
    line = refused(tmp_path, script + command + "\nrun 0\n")
    assert f"{name} strains atoms without the box, which a model of kind 'global' cannot follow" in line


def test_atoms_without_ids(scattering: Path, tmp_path: Path) -> None:
    script = f"""
units metal
atom_modify id no
region box block 0 8 0 8 0 8
create_box 2 box
create_atoms 1 random 3 1 NULL
mass * 1.0
pair_style rhopot
pair_coeff * * {scattering} Li Si
run 0
"""
    assert "needs atom IDs for a model of kind 'global'; remove 'atom_modify id no'" in refused(tmp_path, script)


WORDS = {
    "below 1": ("stretch 0.9", "stretch must be a factor of at least 1, got 0.9; 1.1 lets the box grow by 10 %"),
    "no number": ("stretch wide", "stretch must be a factor of at least 1, got wide"),
    "infinite": ("stretch inf", "stretch must be a factor of at least 1, got inf"),
    "missing": ("device cpu stretch", "stretch must be a factor of at least 1, got nothing"),
    "unknown": ("grid 1.1", "keyword must be device or stretch, got grid"),
}


@pytest.mark.parametrize(("words", "sentence"), WORDS.values(), ids=WORDS.keys())
def test_words_of_the_style(scattering: Path, tmp_path: Path, words: str, sentence: str) -> None:
    pair = f"pair_style rhopot {words}\npair_coeff * * {scattering} Li Si"
    line = refused(tmp_path, lmp.setup(tmp_path, toy.tiny_ordered(), "", ["Li", "Si"], pair=pair))
    assert f"pair_style rhopot: {sentence}" in line


def test_stretch_for_a_model_of_atoms(many_body: Path, tmp_path: Path) -> None:
    pair = f"pair_style rhopot stretch 1.2\npair_coeff * * {many_body} Li Si"
    line = refused(tmp_path, lmp.setup(tmp_path, toy.tiny_ordered(), "", ["Li", "Si"], pair=pair))
    assert "stretch must go with a model of kind 'global', got model" in line
    assert "of kind 'local'; leave the keyword out" in line


FAULTS = {
    "last_share_raises": "failed: the model says no",
    "prepare_raises": "cannot be prepared: the model cannot be prepared",
    "constant": "must return an energy that depends on positions and cell; export it again",
    "wrong_shape": "must return float64 [1]; export it again",
    "not_a_number": "energies and forces must be finite, got NaN or infinity; look for atoms in one place",
}


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize(("fault", "sentence"), FAULTS.items())
def test_faults_of_a_model(models: Path, tmp_path: Path, fault: str, sentence: str, ranks: int) -> None:
    """Whichever rank meets them, all stop together with one sentence."""
    script = lmp.setup(tmp_path, toy.crystal((1, 1, 1)), models / f"whole_{fault}.pt", ["Li", "Si"]) + "run 0\n"
    assert sentence.split(": ")[-1] in refused(tmp_path, script, ranks)


SPREADING = """
group one id 1
fix far one move linear 0 0 {speed}
thermo_style custom step pe
timestep 1.0
run {steps}
run {steps}
"""


def test_atoms_that_leave_a_cluster_are_warned_about_once_per_run(scattering: Path, tmp_path: Path) -> None:
    """Along open axes atoms may spread by a tenth of the model's reach, which three steps exceed."""
    atoms = toy.cluster()
    atoms.cell[2, 2] = 60.0
    atoms = atoms[atoms.positions[:, 2].argsort()[::-1]]
    speed = 0.04 * load_model(scattering).card.cutoff
    setup = lmp.setup(tmp_path, atoms, scattering, ["Li", "Si"])
    run = lmp.succeed(tmp_path, setup + SPREADING.format(speed=speed, steps=5), 2)
    assert run.output.count("WARNING: pair style rhopot: the region of the atoms along z has grown from") == 2
    short = lmp.succeed(tmp_path, setup + SPREADING.format(speed=speed, steps=2), 2)
    assert "WARNING: pair style rhopot" not in short.output
