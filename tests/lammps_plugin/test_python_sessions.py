"""Errors in a Python session, where LAMMPS raises an exception and the session goes on with the same instance."""

import sys
from collections.abc import Callable
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import pytest
from trained_models import FAMILIES

SESSION = """
import sys
from lammps import lammps

run = lammps(cmdargs=["-screen", "none", "-log", "none"])
run.file("in.lmp")

def energy():
    run.command("run 0 post no")
    return run.get_thermo("pe")

def refused(command):
    try:
        run.command(command)
    except Exception as reason:
        print("refused", str(reason).splitlines()[0])
    else:
        print("accepted", command)

before = energy()
for elements in ("Li Ge", "NULL NULL", "Li"):
    refused(f"pair_coeff * * {sys.argv[1]} {elements}")
refused("pair_coeff * * nowhere.pt Li Si")
print("difference", energy() - before)
run.command("pair_style rhopot device cpu")
refused("run 0")
run.command(f"pair_coeff * * {sys.argv[1]} Li Si")
print("difference", energy() - before)
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_session_goes_on_after_an_error(family: str, trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    """A `pair_coeff` that is refused changes nothing; a second `pair_style` asks for `pair_coeff` again."""
    model = trained_model(family)
    (tmp_path / "in.lmp").write_text(lmp.setup(tmp_path, toy.tiny_ordered(), model, ["Li", "Si"]))
    (tmp_path / "session.py").write_text(SESSION)
    done = lmp.start([sys.executable, "session.py", str(model)], tmp_path, lmp.environment())
    assert done.returncode == 0, (done.returncode, done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    assert "accepted" not in done.stdout
    refusals = [line for line in lines if line.startswith("refused")]
    assert [next(words for words in SENTENCES if words in line) for line in refusals] == list(SENTENCES)
    differences = [float(line.split()[1]) for line in lines if line.startswith("difference")]
    assert differences == pytest.approx([0.0, 0.0], abs=1e-9)


SENTENCES = (
    "does not know element Ge",
    "must map at least one atom type to an element, got only NULL",
    "must name one element (or NULL) for each of the 2 atom types, got 1",
    "model 'nowhere.pt' cannot be read",
    "All pair coeffs are not set",
)
