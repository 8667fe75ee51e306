"""Elements in the wrong order in pair_coeff: labels of types that contradict stop the run, masses are warned about."""

import re
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import pytest
from ase.data import atomic_masses, chemical_symbols

ROOT = Path(__file__).resolve().parents[2]


def test_atomic_weights_are_those_of_ase() -> None:
    text = (ROOT / "lammps_plugin" / "type_check.cpp").read_text()
    weights = {symbol: float(weight) for symbol, weight in re.findall(r'\{"(\w+)", ([0-9.]+)\}', text)}
    assert list(weights) == chemical_symbols[1:]
    assert [weights[symbol] for symbol in chemical_symbols[1:]] == pytest.approx(atomic_masses[1:], rel=1e-6)


def restarted(folder: Path, many_body: Path, before: str, elements: str, after: str = "", ranks: int = 1) -> lmp.Run:
    """Write a restart file of types 1, 2 = Li, Si; read it, and name the elements anew."""
    start = lmp.setup(folder, toy.tiny_ordered(), many_body, ["Li", "Si"])
    script = start + f"{before}\nwrite_restart two.restart\nclear\nread_restart two.restart\n"
    script += f"pair_style rhopot\npair_coeff * * {many_body} {elements}\n{after}\nrun 0\nrun 0\n"
    return lmp.lammps(folder, script, ranks)


def test_labels_of_other_elements(many_body: Path, tmp_path: Path) -> None:
    run = restarted(tmp_path, many_body, "labelmap atom 1 Li 2 Si", "Si Li", ranks=2)
    assert run.status != 0
    sentence = "pair_coeff for rhopot must name the element of each atom type in the order of the types"
    assert f"{sentence}, got Li for type 2 with the label Si" in run.output or (
        f"{sentence}, got Si for type 1 with the label Li" in run.output
    )


@pytest.mark.parametrize(
    ("labels", "elements"), [("1 Li 2 Si", "Li Si"), ("1 bulk 2 Si_4", "Si Li"), ("1 Li 2 Ge", "Li NULL")]
)
def test_labels_that_do_not_contradict(many_body: Path, tmp_path: Path, labels: str, elements: str) -> None:
    assert restarted(tmp_path, many_body, "", elements, f"labelmap atom {labels}").status == 0


def test_masses_of_other_elements(many_body: Path, tmp_path: Path) -> None:
    """Named once for each pair_coeff, however many runs follow."""
    run = restarted(tmp_path, many_body, "", "Si Li")
    assert run.status == 0, run.output
    sentence = (
        "WARNING: pair_coeff for rhopot: type 1 is Si but has the mass of Li (6.94), type 2 is Li but has the mass of "
        "Si (28.085); are the elements in the order of the types?"
    )
    assert run.output.count(sentence) == 1


MASSES = {
    "isotopes": "mass 1 7.016\nmass 2 29.974",
    "light lithium": "mass 1 6.015",
    "equal": "mass * 1.0",
    "heavy": "mass * 50",
    "rounded": "mass 1 7\nmass 2 28",
}


def test_masses_of_no_other_element(many_body: Path, tmp_path: Path) -> None:
    """Isotopes, and masses chosen for the time step, are the user's own affair."""
    runs = "".join(f"{lines}\npair_coeff * * {many_body} Li Si\nrun 0\n" for lines in MASSES.values())
    run = restarted(tmp_path, many_body, "", "Li Si", runs)
    assert run.status == 0, run.output
    assert "has the mass of" not in run.output


def test_one_type_of_another_mass(many_body: Path, tmp_path: Path) -> None:
    run = restarted(tmp_path, many_body, "", "Li Si", "mass 2 72.63")
    assert run.status == 0, run.output
    assert "type 2 is Si but has the mass of Ge (72.63); are" in run.output
