"""Two atoms in one place stop the run with ASE's sentence."""

from collections.abc import Callable
from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import pytest
import trained_models

from rhopot.export import RhopotCalculator

MODELS = Callable[[str], Path]


def doubled(partner: str) -> ase.Atoms:
    """A crystal with one atom twice: in the same place, or 1e-10 A from the image at the other end of the box."""
    atoms = toy.crystal((2, 1, 1))
    atoms.positions[0, 0] = 0.0
    twin = atoms[[5]] if partner == "owned" else atoms[[0]]
    if partner == "ghost":
        twin.positions += atoms.cell[0] - [1e-10, 0, 0]
    return atoms + twin


RUNS = [*((family, 2) for family in trained_models.FAMILIES), ("soap_linear", 1), ("soap_linear", 4)]


@pytest.mark.parametrize("partner", ["owned", "ghost"])
@pytest.mark.parametrize(("family", "ranks"), RUNS)
def test_two_atoms_in_one_place(trained_model: MODELS, tmp_path: Path, family: str, ranks: int, partner: str) -> None:
    """On one rank, or on the ranks at two ends of the box."""
    atoms = doubled(partner)
    twin = 6 if partner == "owned" else 1
    script = lmp.setup(tmp_path, atoms, trained_model(family), ["Li", "Si"], before="processors * 1 1") + "run 0\n"
    run = lmp.lammps(tmp_path, script, ranks)
    assert run.status != 0
    ids = {f"{twin} and {len(atoms)}", f"{len(atoms)} and {twin}"}
    sentences = [f"positions must be distinct, got atoms {pair} in one place; remove one" for pair in ids]
    assert any(sentence in run.output for sentence in sentences), run.output


@pytest.mark.parametrize("family", ["soap_linear", "scattering"])
def test_atoms_that_meet_in_a_run(trained_model: MODELS, tmp_path: Path, family: str) -> None:
    """An atom is moved onto its neighbour, where it would arrive in step 5."""
    atoms = toy.crystal((1, 1, 1))
    step = (atoms.positions[1] - atoms.positions[0]) / 5
    script = (
        lmp.setup(tmp_path, atoms, trained_model(family), ["Li", "Si"])
        + f"""
group one id 1
timestep 0.001
fix meet one move linear {" ".join(str(1000 * x) for x in step)}
thermo 1
run 8
"""
    )
    run = lmp.lammps(tmp_path, script, 2)
    assert run.status != 0
    assert "in one place; remove one" in run.output
    steps = [line.split()[0] for line in run.output.splitlines() if line.split() and line.split()[0].isdigit()]
    assert {"3", "4"} <= set(steps)
    assert "5" not in steps


def test_other_styles_may_have_atoms_in_one_place(trained_model: MODELS, tmp_path: Path) -> None:
    """Those of NULL types, such as shells on their cores."""
    atoms, model = doubled("owned"), trained_model("soap_linear")
    kinds = [1 if symbol == "Li" else 2 for symbol in atoms.get_chemical_symbols()]
    kinds[-1] = 3
    pair = f"pair_style rhopot\npair_coeff * * {model} Li Si NULL"
    start = lmp.setup(tmp_path, atoms, model, ["Li", "Si", "X"], of_atoms=kinds, pair=pair)
    run = lmp.succeed(tmp_path, start + 'run 0 post no\nprint "value pe $(pe:%.17g)"\n', 2)
    alone = atoms[:-1]
    alone.calc = RhopotCalculator(model)
    assert run.values["pe"] == pytest.approx(alone.get_potential_energy(), abs=1e-8)
