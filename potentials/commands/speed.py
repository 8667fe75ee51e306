"""`rhopot speed`: time of a step in LAMMPS on this machine (the measurement: `properties.speed`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ase import Atoms

from rhopot.export import load_model
from rhopot.potentials import property_plots
from rhopot.potentials.commands.property_structures import read_structure
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.files import write_json
from rhopot.potentials.properties.potential import Potential
from rhopot.potentials.properties.speed import StepTime, cores, divisions, step_times
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.runs.stability import training_molecule, training_structures
from rhopot.potentials.structures.prototypes import enlarged, sample_structure
from rhopot.potentials.tuning.cost import processor


def speed(
    model: Path,
    structure: Path | None,
    *,
    atoms: int,
    processes: str | None,
    timestep: float,
    rounds: int,
    run_atoms: int | None,
    nanoseconds: float,
    output: Path,
) -> None:
    """Print, plot and write the times, what a run takes, and whether ranks or threads are faster."""
    counts = _counts(processes)
    potential = Potential.of_model(model)
    assert potential.pair is not None
    start = _structure(model, structure, atoms)
    console = make_console()
    with lock_folder(output, "--output") as note:
        if note:
            console.print(note)
        tried = divisions(counts)
        console.print(
            f"{model}: {len(start)} atoms ({start.get_chemical_formula()}), NVE at 300 K, {timestep:g} fs, median of "
            f"{rounds} rounds by the clock; {processor()}, {cores()} cores"
        )
        with bar(console, "timing", rounds * len(tried)) as advance:
            times = step_times(
                start, potential.pair, output, tried, timestep_fs=timestep, rounds=rounds, advance=advance
            )
        n_run = run_atoms or len(start)
        console.print(table("", _COLUMNS, _rows(times, n_run, nanoseconds, timestep)))
        best = min(times, key=lambda each: each.microseconds)
        console.print(
            f"fastest: {best.ranks} rank(s) of {best.threads} thread(s); {n_run} atoms for {nanoseconds:g} ns take "
            f"{best.hours(n_run, nanoseconds, timestep):.3g} h"
        )
        for count in counts:
            sentence = _ranks_or_threads(times, count)
            if sentence:
                console.print(sentence)
        labels = [f"{each.ranks} x {each.threads}" for each in times]
        values = {"median": [each.microseconds for each in times]}
        errors = {"median": [0.5 * (each.greatest - each.least) for each in times]}
        title = f"{model}: ranks x threads, {len(start)} atoms"
        picture = property_plots.bars(output / "speed.png", labels, values, errors, "time of a step (µs/atom)", title)
        numbers = {
            "model": str(model),
            "n_atoms": len(start),
            "timestep_fs": timestep,
            "processor": processor(),
            "cores": cores(),
            "times": [asdict(each) for each in times],
        }
        write_json(output / "speed.json", numbers, indent=2)
        console.print(f"numbers: {output / 'speed.json'}; plot: {picture}; input: {output / 'in.speed'}")


_COLUMNS = ("ranks x threads", "us/atom/step", "least", "greatest", "speedup", "efficiency", "ns/day", "hours")


def _rows(times: Sequence[StepTime], n_atoms: int, nanoseconds: float, timestep: float) -> list[list[str]]:
    one = times[0].microseconds
    rows = []
    for each in times:
        speedup = one / each.microseconds
        rows.append(
            [
                f"{each.ranks} x {each.threads}",
                f"{each.microseconds:.2f}",
                f"{each.least:.2f}",
                f"{each.greatest:.2f}",
                f"{speedup:.2f}",
                f"{speedup / (each.ranks * each.threads):.0%}",
                f"{each.nanoseconds_per_day(n_atoms, timestep):.3g}",
                f"{each.hours(n_atoms, nanoseconds, timestep):.3g}",
            ]
        )
    return rows


def _ranks_or_threads(times: Sequence[StepTime], count: int) -> str:
    """Which is faster on so many cores; empty for one."""
    of_count = {(each.ranks, each.threads): each for each in times if each.ranks * each.threads == count}
    if count < 2:
        return ""
    ranks, threads = of_count[count, 1], of_count[1, count]
    ratio = threads.microseconds / ranks.microseconds
    apart = ranks.greatest < threads.least or threads.greatest < ranks.least
    if not apart:
        return f"{count} cores: ranks and threads are equally fast within the range of the rounds"
    better, worse = ("ranks", "threads") if ratio > 1.0 else ("threads", "ranks")
    return f"{count} cores: {better} are {max(ratio, 1.0 / ratio):.2f} times as fast as {worse}"


def _counts(text: str | None) -> list[int]:
    """Numbers of cores: 1, 2, 4, ... up to those of the machine, or those that were asked for."""
    if text is None:
        return [1, *(2**k for k in range(1, 12) if 2**k <= cores())]
    words = text.split(",")
    if not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise ValueError(f"--processes must be numbers of cores such as 1,2,4, got '{text}'")
    return sorted({1, *(int(word) for word in words)})


def _structure(model: Path, structure: Path | None, n_atoms: int) -> Atoms:
    """The structure given, or one of the training data, repeated to the number of atoms; molecules are left alone."""
    if structure is not None:
        return enlarged(read_structure(structure), n_atoms)
    card = load_model(model).card
    molecule = training_molecule(card)
    if molecule is not None:
        return molecule
    periodic = [atoms for atoms in training_structures(card) if all(atoms.pbc)]
    return enlarged(periodic[0] if periodic else sample_structure(card.symbols), n_atoms)
