"""Standard deviations of the members, as `fix pair`, `compute pair` and `fix halt` see them."""

from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest

from rhopot.export import evaluate, load_model

COMMON = """
fix sigma all pair 1 rhopot uncertainty 1
compute total all pair rhopot
compute largest all reduce max f_sigma
thermo_style custom step pe c_total[1] c_largest
dump atoms all custom 1 atoms.dump id f_sigma
dump_modify atoms sort id format float %.17g
run 0 post no
print "value total $(c_total[1]:%.17g)"
print "value largest $(c_largest:%.17g)"
"""


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("units", ["metal", "real"])
def test_deviations_are_those_of_ase(many_body: Path, tmp_path: Path, ranks: int, units: str) -> None:
    """Members are summed over ranks before the deviation of the total is taken."""
    atoms = toy.cluster()
    scale = {"metal": 1.0, "real": lmp.REAL}[units]
    truth = evaluate(load_model(many_body), [atoms], members=True)[0]
    sigma, total = truth.energies_uncertainty(), truth.energy_uncertainty()
    assert sigma is not None
    before = f"processors {ranks} 1 1"
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"], units=units, before=before)
    run = lmp.succeed(tmp_path, script + COMMON, ranks)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"] / scale, sigma, rtol=0, atol=1e-9)
    assert run.values["total"] / scale == pytest.approx(total, abs=1e-8)
    assert run.values["largest"] / scale == pytest.approx(sigma.max(), abs=1e-9)


def test_deviations_of_a_committee_of_networks(models: Path, tmp_path: Path) -> None:
    """Calibrated members, evaluated together with the energy, are those of ASE on two ranks."""
    atoms = toy.crystal((1, 1, 1))
    truth = evaluate(load_model(models / "network.pt"), [atoms], members=True)[0]
    sigma, total = truth.energies_uncertainty(), truth.energy_uncertainty()
    assert sigma is not None
    assert sigma.min() > 1e-4
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, models / "network.pt", ["Li", "Si"]) + COMMON, 2)
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], sigma, rtol=0, atol=1e-9)
    assert run.values["total"] == pytest.approx(total, abs=1e-8)


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
        sigma = evaluate(load_model(many_body), [atoms], members=True)[0].energies_uncertainty()
        np.testing.assert_allclose(frame["f_sigma"], sigma, rtol=0, atol=1e-9)
    assert np.abs(frames[2]["f_sigma"] - frames[0]["f_sigma"]).max() > 1e-6


def test_run_halts_where_the_model_is_unsure(many_body: Path, tmp_path: Path) -> None:
    """The structure is stretched until the largest deviation passes the limit."""
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
