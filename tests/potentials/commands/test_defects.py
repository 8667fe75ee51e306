"""`rhopot defects`: which defects are told to be one."""

from __future__ import annotations

from rhopot.potentials.commands.defects import same_energies
from rhopot.potentials.commands.property_task import Quantity


def test_only_defects_of_one_supercell_are_compared() -> None:
    energies = {
        "vacancy, 64 sites": 1.2,
        "vacancy, 216 sites": 1.2,
        "void 1, 64 sites": 3.0,
        "void 2, 64 sites": 3.00005,
        "void 3, 64 sites": 3.1,
    }
    rows = [Quantity(name, "eV", {"ase": energy}, []) for name, energy in energies.items()]
    assert same_energies(rows) == [("void 1, 64 sites", "void 2, 64 sites")]
