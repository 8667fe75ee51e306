"""What to type after a training, with its own file and elements: the last part of `report.md`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LAMMPS_NOTES = {
    "local": "",
    "global": "  # add 'stretch 1.2' for cells whose edges grow by more than the default",
}


def next_steps(report: Mapping[str, Any]) -> Iterator[str]:
    """Paragraphs and code blocks: evaluate and check, ASE, LAMMPS."""
    model = str(Path(report["settings"]["output"]) / "model.pt")
    elements = " ".join(report["symbols"])
    yield "Errors on structures that were never trained on, and a check that ASE and LAMMPS give the same numbers:"
    yield _block("sh", f"rhopot evaluate {shlex.quote(model)} my_test.xyz", f"rhopot check {shlex.quote(model)}")
    yield "In ASE:"
    lines = [
        "from ase.io import read",
        "from rhopot.export import RhopotCalculator",
        "",
        'atoms = read("my_structure.xyz")',
        f"atoms.calc = RhopotCalculator({model!r})".replace("'", '"'),
        "print(atoms.get_potential_energy(), atoms.get_forces())  # eV, eV/Å",
    ]
    if report["settings"]["uncertainty"]["members"]:
        lines.append('print(atoms.calc.get_property("energy_uncertainty", atoms))  # eV, one standard deviation')
    yield _block("python", *lines)
    yield (
        f"In LAMMPS, with atom types in the order {elements}. In Python, "
        "`from rhopot.potentials.lammps.input_decks import write_data` and "
        f'`write_data("my_structure.data", atoms, {_quoted(report["symbols"])})` write the data file:'
    )
    yield _block(
        "text",
        "units         metal",
        "atom_style    atomic",
        "newton        on",
        "read_data     my_structure.data",
        f"pair_style    rhopot{LAMMPS_NOTES[report['kind']]}",
        f"pair_coeff    * * {_lammps_word(model)} {elements}",
    )


def _block(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _quoted(symbols: list[str]) -> str:
    return "[" + ", ".join(f'"{symbol}"' for symbol in symbols) + "]"


def _lammps_word(path: str) -> str:
    """The path as one word of a LAMMPS input."""
    return f'"{path}"' if any(character.isspace() or character in "$&#" for character in path) else path
