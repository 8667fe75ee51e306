"""Standard deviations of the members, as `fix pair`, `compute pair` and `fix halt` see them."""

import re
from collections.abc import Callable
from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest
from trained_models import DATA, FAMILIES, LOCAL, ROOT

from rhopot.export import evaluate, load_model
from rhopot.potentials.structures import read_frames

COMMON = """
fix sigma all pair 1 rhopot uncertainty 1
compute total all pair rhopot
compute largest all reduce max f_sigma
thermo_style custom step pe c_total[1] c_largest
dump atoms all custom 1 atoms.dump id fx fy fz f_sigma
dump_modify atoms sort id format float %.17g
run 0 post no
print "value total $(c_total[1]:%.17g)"
print "value largest $(c_largest:%.17g)"
"""


def training_structure(rattle: float = 0.0) -> ase.Atoms:
    """A structure that the trained models were fitted to, perhaps displaced."""
    atoms = read_frames([str(DATA / "Li16Si16_0.xyz")])[0].atoms
    atoms.rattle(rattle, seed=3)
    return lmp.in_lammps_frame(atoms)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("units", ["metal", "real"])
def test_deviations_are_those_of_ase(many_body: Path, tmp_path: Path, ranks: int, units: str) -> None:
    """Members' totals and forces are summed over ranks before their deviation is taken."""
    atoms = toy.cluster()
    scale = {"metal": 1.0, "real": lmp.REAL}[units]
    truth = evaluate(load_model(many_body), [atoms], members=True, deviations=True)[0]
    sigma, total = truth.forces_uncertainty, truth.energy_uncertainty()
    assert sigma is not None
    before = f"processors {ranks} 1 1"
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], units=units, before=before)
    run = lmp.succeed(tmp_path, script + COMMON, ranks)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"] / scale, sigma, rtol=0, atol=1e-9)
    assert run.values["total"] / scale == pytest.approx(total, abs=1e-8)
    assert run.values["largest"] / scale == pytest.approx(sigma.max(), abs=1e-9)


@pytest.mark.parametrize(("family", "ranks"), [(family, 2) for family in FAMILIES] + [("soap_linear", 4)])
def test_trained_models_give_the_deviations_of_ase(
    trained_model: Callable[[str], Path], tmp_path: Path, family: str, ranks: int
) -> None:
    """Calibrated members: the same deviations of forces in both programs, and the same forces beside them."""
    atoms = training_structure(0.1)
    truth = evaluate(load_model(trained_model(family)), [atoms], members=True, deviations=True)[0]
    sigma = truth.forces_uncertainty
    assert sigma is not None
    assert sigma.min() > 1e-3
    script = lmp.setup(tmp_path, atoms, trained_model(family), ["Li", "Si"])
    run = lmp.succeed(tmp_path, script + COMMON, ranks)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], sigma, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(lmp.forces(run.dump()[0]), truth.forces, rtol=0, atol=1e-7)
    assert run.values["total"] == pytest.approx(truth.energy_uncertainty(), rel=1e-7)


BOTH = """
fix both all pair 5 rhopot uncertainty 1 force_error 1
fix radius all pair 5 rhopot force_error 1
velocity all create 600 3
fix move all nve
dump atoms all custom 5 atoms.dump id x y z f_both[1] f_both[2] f_radius
dump_modify atoms sort id format float %.17g
run 5
"""


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("units", ["metal", "real"])
def test_force_errors_are_those_of_ase(models: Path, tmp_path: Path, ranks: int, units: str) -> None:
    """At both steps of a run, alone and beside the deviations they are made of."""
    model = models / "calibrated.pt"
    scale = {"metal": 1.0, "real": lmp.REAL}[units]
    script = lmp.setup(tmp_path, toy.crystal((1, 1, 1)), model, ["Li", "Si"], units=units)
    frames = lmp.succeed(tmp_path, script + BOTH, ranks).dump()
    assert len(frames) == 2
    for frame in frames:
        atoms = toy.crystal((1, 1, 1))
        atoms.positions = lmp.columns(frame, "x", "y", "z")
        truth = evaluate(load_model(model), [atoms], deviations=True)[0]
        assert truth.forces_error.min() > 0.05
        np.testing.assert_allclose(frame["f_both[1]"] / scale, truth.forces_uncertainty, rtol=0, atol=1e-8)
        np.testing.assert_allclose(frame["f_both[2]"] / scale, truth.forces_error, rtol=0, atol=1e-8)
        np.testing.assert_array_equal(frame["f_radius"], frame["f_both[2]"])
    assert np.abs(frames[1]["f_radius"] - frames[0]["f_radius"]).max() > 1e-6


@pytest.mark.parametrize("family", ["soap_gap", "gmp_snn", "scattering"])
def test_trained_models_give_the_force_errors_of_ase(
    trained_model: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    atoms, model = training_structure(0.1), trained_model(family)
    truth = evaluate(load_model(model), [atoms], deviations=True)[0].forces_error
    assert truth is not None
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"])
    run = lmp.succeed(tmp_path, script + COMMON.replace("uncertainty 1", "force_error 1"), 2)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], truth, rtol=1e-7, atol=1e-9)


GRADES = """
timestep 0.0001
fix grade all pair 5 rhopot extrapolation_grade 1 supported 1
fix sigma all pair 10 rhopot uncertainty 1
velocity all create 2000 3
fix move all nve
dump atoms all custom 5 atoms.dump id x y z f_grade[1] f_grade[2]
dump_modify atoms sort id format float %.17g
run 10
"""


@pytest.mark.parametrize(("family", "ranks"), [(family, 2) for family in LOCAL] + [("soap_linear", 1), ("soap_gap", 4)])
def test_extrapolation_grades_are_those_of_ase(
    trained_model: Callable[[str], Path], tmp_path: Path, family: str, ranks: int
) -> None:
    """Along hot dynamics, beside a fix that asks for the members in other steps."""
    atoms, model = training_structure(0.5), trained_model(family)
    frames = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, model, ["Li", "Si"]) + GRADES, ranks).dump()
    assert len(frames) == 3
    for frame in frames:
        atoms.positions = lmp.columns(frame, "x", "y", "z")
        grades = evaluate(load_model(model), [atoms], grades=True)[0].extrapolation_grades
        np.testing.assert_allclose(frame["f_grade[1]"], grades, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(frame["f_grade[2]"], grades <= 1.0)
    assert {0.0, 1.0} == set(frames[0]["f_grade[2]"])


def test_atoms_of_other_styles_are_supported(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """NULL types have grade 0; the others that of a structure without them."""
    atoms, model = training_structure(0.1), trained_model("soap_linear")
    pair = f"pair_style rhopot\npair_coeff * * {model} NULL Si"
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"], pair=pair)
    run = lmp.succeed(tmp_path, script + GRADES.replace("run 10", "run 0"), 2)
    silicon = atoms.symbols == "Si"
    grades = evaluate(load_model(model), [atoms[silicon]], grades=True)[0].extrapolation_grades
    (frame,) = run.dump()
    np.testing.assert_allclose(frame["f_grade[1]"][silicon], grades, rtol=1e-6)
    np.testing.assert_array_equal(frame["f_grade[1]"][~silicon], 0.0)
    np.testing.assert_array_equal(frame["f_grade[2]"][~silicon], 1.0)


@pytest.mark.parametrize("name", ["supported", "extrapolation_grade"])
def test_grades_of_models_without_them_are_refused(
    trained_model: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    data = ROOT / "tests" / "data"
    few = (
        "has no grades: its training data have fewer than 20 atoms of an element, uncertainty.extrapolation was false,"
    )
    for model, kind, why in (
        (data / "format_1_linear.pt", "local", few),
        (trained_model("scattering"), "global", "grades none; take a model of kind 'local'"),
    ):
        script = lmp.setup(tmp_path, lmp.in_lammps_frame(toy.skewed()), model, ["Li", "Si"])
        run = lmp.lammps(tmp_path, script + f"fix grade all pair 1 rhopot {name} 1\n")
        assert run.status != 0
        said = f"{name} needs a model of kind 'local' that grades environments, this one of kind '{kind}' {why}"
        assert said in run.output


def test_force_errors_of_older_files_are_refused(tmp_path: Path) -> None:
    data = ROOT / "tests" / "data"
    script = lmp.setup(tmp_path, lmp.in_lammps_frame(toy.skewed()), data / "format_1_linear.pt", ["Li", "Si"])
    run = lmp.lammps(tmp_path, script + "fix sigma all pair 1 rhopot force_error 1\n")
    assert run.status != 0
    assert "force_error needs a model whose force errors are calibrated, this one, written by rhopot" in run.output
    assert "train it again with this version and forces in the validation set" in run.output


def test_under_hybrid(trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Pair style hybrid reads communication sizes before the model is loaded."""
    atoms, model = training_structure(0.1), trained_model("soap_linear")
    sigma = evaluate(load_model(model), [atoms], deviations=True)[0].forces_uncertainty
    pair = f"pair_style hybrid/overlay rhopot zero 3.0\npair_coeff * * rhopot {model} Li Si\npair_coeff * * zero"
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, model, ["Li", "Si"], pair=pair) + COMMON, 4)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], sigma, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_printed_input_runs(trained_model: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    """The blocks of the plugin's page, around a run at room temperature from a training structure: nothing halts."""
    page = (ROOT / "lammps_plugin" / "README.md").read_text(encoding="utf-8")
    section = page.split("## Uncertainty")[1].split("\n## ")[0]
    blocks = [part.replace("    ", "") for part in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)]
    assert [part.count("\n") for part in blocks] == [6, 4]
    block = "".join(blocks if family in LOCAL else blocks[:1])
    script = lmp.setup(tmp_path, training_structure(), trained_model(family), ["Li", "Si"])
    steps = 20 if family == "scattering" else 50
    script += f"""
velocity all create 300 1
{block}
fix 1 all nvt temp 300 300 0.1
thermo_style custom step v_worst c_total[1]
run {steps}
print "value step $(step)"
print "value worst $(v_worst)"
"""
    run = lmp.succeed(tmp_path, script, 2)
    assert run.values["step"] == steps
    assert run.values["worst"] > 0.01
    assert "Fix halt condition" not in run.output


def test_total_without_fix_pair(many_body: Path, tmp_path: Path) -> None:
    """A compute alone asks for the members in the steps that print it."""
    atoms = toy.crystal((1, 1, 1))
    script = (
        lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"])
        + """
compute total all pair rhopot
thermo_style custom step c_total c_total[1]
run 0 post no
print "value energy $(c_total:%.17g)"
print "value total $(c_total[1]:%.17g)"
"""
    )
    run = lmp.succeed(tmp_path, script, 2)
    truth = evaluate(load_model(many_body), [atoms], members=True)[0]
    assert run.values["energy"] == pytest.approx(truth.energy, abs=1e-8)
    assert run.values["total"] == pytest.approx(truth.energy_uncertainty(), abs=1e-8)


@pytest.mark.parametrize("flag", [0, 1])
def test_fix_pair_at_every_step_it_asks_for(many_body: Path, tmp_path: Path, flag: int) -> None:
    """In a run the numbers belong to the step they are printed for, with and without the trigger."""
    script = (
        lmp.setup(tmp_path, toy.crystal((1, 1, 1)), many_body, ["Li", "Si"])
        + f"""
fix sigma all pair 5 rhopot uncertainty {flag}
velocity all create 600 3
fix move all nve
dump atoms all custom 5 atoms.dump id x y z f_sigma
dump_modify atoms sort id format float %.17g
run 10
"""
    )
    frames = lmp.succeed(tmp_path, script, 2).dump()
    assert len(frames) == 3
    for frame in frames:
        atoms = toy.crystal((1, 1, 1))
        atoms.positions = lmp.columns(frame, "x", "y", "z")
        sigma = evaluate(load_model(many_body), [atoms], deviations=True)[0].forces_uncertainty
        np.testing.assert_allclose(frame["f_sigma"], sigma, rtol=0, atol=1e-9)
    assert np.abs(frames[2]["f_sigma"] - frames[0]["f_sigma"]).max() > 1e-6


def test_run_halts_where_the_model_is_unsure(many_body: Path, tmp_path: Path) -> None:
    """The structure is compressed until the largest deviation passes the limit."""
    script = (
        lmp.setup(tmp_path, toy.crystal((1, 1, 1), rattle=0.02), many_body, ["Li", "Si"])
        + """
fix sigma all pair 1 rhopot uncertainty 1
compute largest all reduce max f_sigma
thermo_style custom step c_largest
thermo 1
run 0 post no
variable limit equal $(c_largest:%.17g)*1.02
variable now equal c_largest
fix squeeze all deform 1 x scale 0.8 remap x
fix stop all halt 1 v_now > ${limit} error continue
run 200
print "value step $(step)"
print "value now $(c_largest:%.17g)"
print "value limit ${limit}"
"""
    )
    values = lmp.succeed(tmp_path, script, 2).values
    assert 0 < values["step"] < 200
    assert values["now"] > values["limit"]


def test_model_without_members_is_named(models: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.crystal((1, 1, 1)), models / "float32.pt", ["Li", "Si"])
    run = lmp.lammps(tmp_path, script + "fix sigma all pair 1 rhopot uncertainty 1\n")
    assert run.status != 0
    assert "uncertainty needs a model with members" in run.output


def test_older_files_keep_their_members_uncalibrated(tmp_path: Path) -> None:
    """A local model of the first format gives its members' deviation; a global one says why it cannot."""
    data = ROOT / "tests" / "data"
    atoms = lmp.in_lammps_frame(toy.skewed())
    truth = evaluate(load_model(data / "format_1_linear.pt"), [atoms], deviations=True)[0].forces_uncertainty
    script = lmp.setup(tmp_path, atoms, data / "format_1_linear.pt", ["Li", "Si"])
    run = lmp.succeed(tmp_path, script + COMMON, 2)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], truth, rtol=0, atol=1e-9)
    script = lmp.setup(tmp_path, atoms, data / "format_1_scattering.pt", ["Li", "Si"])
    refused = lmp.lammps(tmp_path, script + COMMON, 2)
    assert refused.status != 0
    assert "'compute ID all pair rhopot' for the uncertainty of the total energy" in refused.output
