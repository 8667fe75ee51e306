"""`rhopot check`: ASE, LAMMPS on several ranks and finite differences against each other, invariances, hot dynamics.

The dynamics (`runs.stability`) starts from the structure that is given, or from training structures that the model
file carries. Any potential can be compared (`check_potential`); without a model file there are no limits for dynamics.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from ase import Atoms
from ase.calculators.calculator import Calculator
from rich.console import Console
from rich.text import Text

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands.property_structures import read_structure
from rhopot.potentials.console import make_console, table
from rhopot.potentials.properties.potential import Potential
from rhopot.potentials.runs.stability import CRITERION, run_hot_dynamics, training_structures
from rhopot.potentials.structures.prototypes import enlarged
from rhopot.potentials.verification.check import (
    FEWEST,
    FEWEST_PERIODIC,
    HOT_SECONDS,
    STEPS,
    CheckResult,
    Limits,
    check_model,
    structure_for,
)
from rhopot.potentials.verification.diatomics import diatomic_curves
from rhopot.potentials.verification.invariances import check_invariances
from rhopot.potentials.verification.members import check_members


def check(
    inputs: Sequence[Path],
    other: tuple[str | None, str | None, Sequence[str]],
    *,
    device: str = "auto",
    hot_ps: float = 2.0,
    **how: Any,
) -> None:
    """Compare a model file, or the potential that `other` (calculator, pair style, its coefficients) names."""
    calculator, pair_style, pair_coeff = other
    if calculator is not None or pair_style is not None:
        if len(inputs) != 1:
            raise ValueError(f"check of --calculator must be given one structure, got {len(inputs)} files")
        check_potential(Potential.of_names(calculator, pair_style, tuple(pair_coeff)), inputs[0], **how)
        return
    if len(inputs) > 2:
        raise ValueError(f"check must be given a model and at most one structure, got {len(inputs)} files")
    check_file(inputs[0], inputs[1] if len(inputs) == 2 else None, device=device, hot_ps=hot_ps, **how)


def check_file(
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
    if card.kind == "local":
        console.print("  invariances")
        reach = card.cutoff * card.n_layers
        findings += check_invariances(_with(atoms, calculator), Limits.of(card.dtype), reach=reach)
    if "forces_error" in calculator.implemented_properties:
        findings += check_members(training_structures(card), calculator)
    _report(findings, console)
    if card.kind == "local":
        _print_diatomics(card.symbols, calculator, console, card.cutoff)
    structures = training_structures(card) if structure is None else [atoms]
    _hot(calculator, structures, temperature, hot_ps, console)


def check_potential(
    potential: Potential,
    structure: Path,
    *,
    ranks: str,
    steps: int | None,
    temperature: float,
    lmp: str | None,
) -> None:
    """Compare a potential that is no model file in both engines; exit with 1 where they or its derivatives differ."""
    counts = _ranks(ranks)
    for name, there in (("--calculator", potential.calculator), ("--pair-style and --pair-coeff", potential.pair)):
        if there is None:
            raise ValueError(f"check must have the potential in ASE and in LAMMPS, got one of them; add {name}")
    assert potential.calculator is not None
    assert potential.pair is not None
    atoms, calculator, console = read_structure(structure), potential.calculator(), make_console()
    atoms = enlarged(atoms, FEWEST_PERIODIC) if len(atoms) < FEWEST else atoms
    console.print(f"{potential.name}: {atoms.get_chemical_formula()}, {len(atoms)} atoms")
    symbols = sorted(set(atoms.get_chemical_symbols()))
    findings = check_model(
        potential.pair,
        atoms,
        calculator,
        symbols=symbols,
        ranks=counts,
        steps=STEPS["local"] if steps is None else steps,
        temperature=temperature,
        lmp=shlex.split(lmp) if lmp else None,
        device="cpu",
        progress=lambda text: console.print(f"  {text}"),
    )
    console.print("  invariances")
    findings += check_invariances(_with(atoms, calculator), Limits.of("float64"))
    _report(findings, console)
    _print_diatomics(symbols, calculator, console)
    console.print("hot dynamics left out: no model file says what its training data allow")


def _with(atoms: Atoms, calculator: Calculator) -> Atoms:
    """A copy with the calculator, displaced from its symmetric sites as in the other comparisons."""
    copy = atoms.copy()
    copy.rattle(0.03, seed=1)
    copy.calc = calculator
    return copy


def _report(findings: Sequence[CheckResult], console: Console) -> None:
    """Print the comparisons; RuntimeError where one is outside its limit."""
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


def _print_diatomics(
    symbols: Sequence[str], calculator: Calculator, console: Console, reach: float | None = None
) -> None:
    """What the curves of two atoms look like; nothing fails, since most models are fitted to no such pairs."""
    try:
        curves = diatomic_curves(symbols, calculator, reach)
    except (ArithmeticError, ValueError, RuntimeError) as error:
        console.print(f"two atoms alone: left out, the calculator has no energy of them ({error})")
        return
    console.print("two atoms alone:")
    for curve in curves:
        console.print(f"  {curve.sentence()}")


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
