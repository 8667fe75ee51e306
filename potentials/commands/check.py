"""`rhopot check`: hold ASE, LAMMPS on several ranks and finite differences against each other."""

from __future__ import annotations

import shlex
from pathlib import Path

import ase.io
import typer
from ase import Atoms

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands.console import make_console, table
from rhopot.potentials.workflows.check import check_model
from rhopot.potentials.workflows.structures import sample_structure

# Time steps and least number of atoms, by the kind of model: one of whole structures takes a second where a local one
# takes a millisecond.
STEPS = {"local": 200, "global": 60}
ATOMS = {"local": 64, "global": 32}


def check(
    model: Path,
    structure: Path | None,
    *,
    ranks: str,
    steps: int | None,
    temperature: float,
    lmp: str | None,
    device: str,
) -> None:
    """Print all comparisons; exit with 1 when one is outside its limit."""
    counts = _ranks(ranks)
    calculator = RhopotCalculator(model)
    card = calculator.model.card
    atoms = _read(structure) if structure is not None else sample_structure(card.symbols, min_atoms=ATOMS[card.kind])
    console = make_console()
    what = f"{card.family}, {card.kind}, {card.dtype}"
    console.print(f"{model}: {what}; {atoms.get_chemical_formula()}, {len(atoms)} atoms")
    findings = check_model(
        model,
        atoms,
        calculator,
        symbols=card.symbols,
        dtype=card.dtype,
        ranks=counts,
        steps=STEPS[card.kind] if steps is None else steps,
        temperature=temperature,
        lmp=shlex.split(lmp) if lmp else None,
        device=device,
        progress=lambda text: console.print(f"  {text}"),
    )
    rows = (
        (f.name, f"{f.value:.2e}", f"{f.limit:.0e}", f.unit, "ok" if f.passed else "[red]FAILED[/red]")
        for f in findings
    )
    console.print(table("", ("comparison", "difference", "limit", "unit", ""), rows))
    failed = [finding.name for finding in findings if not finding.passed]
    if failed:
        raise RuntimeError(
            f"check failed in {len(failed)} of {len(findings)} comparisons: the file does not give the same numbers "
            f"everywhere ({'; '.join(failed)})"
        )
    console.print(f"all {len(findings)} comparisons within their limits")


def _ranks(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise typer.BadParameter(f"--ranks must be numbers such as 1,2,4, got '{text}'")
    return counts


def _read(path: Path) -> Atoms:
    """Last structure of a file; a file ASE cannot read is named."""
    if not path.is_file():
        raise ValueError(f"structure must be a file, got '{path}'; check the name")
    try:
        atoms = ase.io.read(path)
    except Exception as error:
        raise ValueError(f"structure must be readable by ASE, got '{path}' ({error}); convert it") from error
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise ValueError(f"structure must hold atoms, got '{path}' without any; give another")
    return atoms
