"""`rhopot check`: hold ASE, LAMMPS on several ranks and finite differences against each other, then run hot dynamics.

The dynamics (`runs.stability`) starts from the structure that is given, or from training structures that the model
file carries.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer
from ase import Atoms
from rich.console import Console
from rich.text import Text

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands.property_task import read_structure
from rhopot.potentials.console import make_console, table
from rhopot.potentials.runs.stability import CRITERION, run_hot_dynamics, training_structures
from rhopot.potentials.verification.check import HOT_SECONDS, STEPS, check_model, structure_for


def check(
    model: Path,
    structure: Path | None,
    *,
    ranks: str,
    steps: int | None,
    temperature: float,
    lmp: str | None,
    device: str,
    hot_ps: float = 2.0,
) -> None:
    """Print all comparisons and the hot dynamics; exit with 1 when one is outside its limit or the model runs away.

    hot_ps: length of the hot dynamics of each structure, 0 for none.
    """
    counts = _ranks(ranks)
    calculator = RhopotCalculator(model)
    card = calculator.model.card
    atoms = structure_for(card, None if structure is None else read_structure(structure), f"'{structure}'")
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
        (f.name, f"{f.value:.2e}", f"{f.limit:.0e}", f.unit, "ok" if f.passed else Text("FAILED", style="red"))
        for f in findings
    )
    console.print(table("", ("comparison", "difference", "limit", "unit", ""), rows))
    failed = [finding.name for finding in findings if not finding.passed]
    if failed:
        raise RuntimeError(
            f"check failed in {len(failed)} of {len(findings)} comparisons, whose limits the table gives: "
            f"{'; '.join(failed)}"
        )
    console.print(f"all {len(findings)} comparisons within their limits")
    structures = training_structures(card) if structure is None else [atoms]
    _hot(calculator, structures, temperature, hot_ps, console)


def _hot(
    calculator: RhopotCalculator, structures: Sequence[Atoms], temperature: float, picoseconds: float, console: Console
) -> None:
    """Hot dynamics of each structure; RuntimeError for a model that runs away."""
    if picoseconds <= 0:
        console.print("hot dynamics left out (--hot-ps 0)")
        return
    if not structures:
        console.print("hot dynamics left out: this file carries no training structure; name one to run it")
        return
    console.print(f"hot dynamics: {temperature:g} K; {picoseconds:g} ps, {HOT_SECONDS:g} s at most, a structure")
    console.print(f"  {CRITERION}")
    limits = {"temperature": temperature, "picoseconds": picoseconds, "seconds": HOT_SECONDS}
    for run in run_hot_dynamics(structures, calculator, calculator.model.card, **limits):
        console.print(f"  {run.sentence()}")
        if not run.passed:
            raise RuntimeError(
                f"check failed in hot dynamics ({run.sentence()}); train with more or hotter structures, a smaller "
                "descriptor or a smaller prior, and do not run this model beyond its data"
            )


def _ranks(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise typer.BadParameter(f"--ranks must be numbers such as 1,2,4, got '{text}'")
    return counts
