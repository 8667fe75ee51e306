"""Command line: sub-commands, their options, and the boundary at which errors become one sentence."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rhopot.potentials import threads
from rhopot.potentials.commands import cv_application, dynamics_application, learning_application, property_application
from rhopot.potentials.commands.failures import (
    Terminated,
    is_usage,
    leave,
    let_first_rank_speak,
    orderly_termination,
    sentence,
    warnings_as_sentences,
    with_notes,
)
from rhopot.potentials.commands.general_options import Debug, Device, LabelKeys, Model, Structures, Version

app = typer.Typer(
    name="rhopot",
    help="Machine-learning interatomic potentials from atomic densities: train once, run in ASE and in LAMMPS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data = typer.Typer(name="data", help="Look at training data.", no_args_is_help=True)
app.add_typer(data)

COMPLETION = "_RHOPOT_COMPLETE"


@app.callback()
def options(version: Version = False, debug: Debug = False) -> None:
    """Options that stand before the sub-command (`--debug` may stand anywhere; `main` reads it)."""


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML configuration.", metavar="CONFIG.YAML")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes, e.g. data.train=my.xyz output=run1.", metavar="KEY=VALUE...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a training that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands in the output folder.")] = False,
) -> None:
    """Fit a potential; writes model.pt, report.json, report.md and plots into the output folder."""
    from rhopot.potentials.commands.train import train as run

    run(config, overrides or [], resume=resume, overwrite=overwrite)


def _families(written: str) -> list[str]:
    """Names of families that begin with what is written."""
    from rhopot.potentials.families import family_names

    return [name for name in family_names() if name.startswith(written)]


@app.command()
def config(
    family: Annotated[
        str | None, typer.Argument(help="Family of models.", metavar="FAMILY", autocompletion=_families)
    ] = None,
) -> None:
    """Every key of a family's configuration with default, unit and meaning, as YAML; without a name: the families."""
    from rhopot.potentials.commands.config import config as run

    run(family)


@app.command()
def evaluate(
    model: Model,
    structures: Structures,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to this file.", metavar="FILE")
    ] = None,
    shift_from: Annotated[
        list[str] | None,
        typer.Option(
            "--shift-from", metavar="DATA", help="Compare energies up to one constant per element, fitted on this data."
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Also draw a parity plot.", metavar="PNG")] = None,
    worst: Annotated[
        int, typer.Option("--worst", help="Also print the N frames with the largest errors.", metavar="N", min=0)
    ] = 0,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", help="Also write structures, labels (REF_) and predictions (rhopot_).", metavar="XYZ"
        ),
    ] = None,
    device: Device = "cpu",
    key: LabelKeys = None,
) -> None:
    """Errors of a model on labelled structures, per config_type; labels are those it was trained on, or `--key`."""
    from rhopot.potentials.commands.evaluate import evaluate as run
    from rhopot.potentials.commands.keys import parse_keys

    keys = parse_keys(key or [])
    run(
        model,
        structures,
        json_file=json_file,
        shift_from=shift_from or [],
        plot=plot,
        predictions_file=predictions,
        worst=worst,
        device=device,
        keys=keys,
    )


@app.command()
def features(
    source: Annotated[Path, typer.Argument(help="Model file or YAML configuration.", metavar="MODEL.PT|CONFIG.YAML")],
    structures: Structures,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.", metavar="FILE.NPZ")] = Path(
        "features.npz"
    ),
) -> None:
    """Descriptor of every atom (for global models: of every structure), as a NumPy archive."""
    from rhopot.potentials.commands.features import features as run

    run(source, structures, output)


@app.command()
def analyse(
    words: Annotated[
        list[str],
        typer.Argument(
            help="Feature sets: YAML configurations, model files, names of families (rhopot config), radial_spectrum, "
            "sorted_distances; KEY=VALUE behind one changes its configuration, e.g. soap_linear descriptor.n_max=4, "
            "before the first those of all. Then the structures.",
            metavar="CONFIG [KEY=VALUE...] ... DATA...",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", metavar="FOLDER")] = Path(
        "analysis"
    ),
    environments: Annotated[
        int, typer.Option("--environments", help="Environments that are drawn from the structures.", metavar="N")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of the sample and of its division.", min=0)] = 0,
    lfre: Annotated[bool, typer.Option(help="Local reconstruction errors, which take most of the time.")] = True,
    select: Annotated[
        str | None,
        typer.Option(
            "--select", help="Also compare selected features: fps, cur, pcov-fps, pcov-cur.", metavar="METHOD"
        ),
    ] = None,
    keep: Annotated[
        list[int] | None, typer.Option("--keep", help="Number of features that are selected; repeatable.", metavar="N")
    ] = None,
    key: LabelKeys = None,
) -> None:
    """How much of each feature set can be had from every other one: GFRE, GFRD and LFRE, as tables, JSON and plots.

    Two sizes against the full basis: rhopot analyse soap_linear descriptor.n_max=4 soap_linear descriptor.n_max=12 DATA
    """
    from rhopot.potentials.commands.analyse import analyse as run
    from rhopot.potentials.commands.keys import parse_keys

    run(
        words,
        output=output,
        environments=environments,
        seed=seed,
        local=lfre,
        select=select,
        keep=keep or [],
        keys=parse_keys(key or []),
    )


@app.command()
def tune(
    config: Annotated[
        str,
        typer.Argument(help="YAML configuration, or the name of a family (rhopot config).", metavar="CONFIG"),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Labelled structures, as for train; KEY=VALUE changes the configuration that the search starts from, "
            "e.g. data.split.by=group data.split.key=path for folds of whole groups.",
            metavar="DATA... [KEY=VALUE...]",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", metavar="FOLDER")] = Path("tune"),
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            help="Highest cost in microseconds of processor time per atom and step, e.g. 10us; the most accurate "
            "configuration within it is chosen. Without it: the knee of the front.",
            metavar="TIME",
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            help="Values of a key in order of size, e.g. descriptor.cutoff=4,5,6; repeatable. Without it: those of the "
            "family. The starting configuration is tried first, whether its values are in the grid or not.",
            metavar="KEY=V1,V2,...",
        ),
    ] = None,
    folds: Annotated[int, typer.Option("--folds", help="Folds of the cross-validation.", metavar="K")] = 3,
    points: Annotated[int, typer.Option("--points", help="Configurations that are tried at most.", metavar="N")] = 20,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Forget the trials in the folder.")] = False,
) -> None:
    """Search settings (basis, cutoff, body order, sparse set, sigmas) for the Pareto front of accuracy and cost.

    Errors are those of cross-validation, costs are measured. Writes all trials, a plot of the front and config.yaml,
    the configuration of the chosen point, which train takes. The same command again goes on with a stopped search.
    """
    from rhopot.potentials.commands.tune import tune as run

    run(
        config,
        words or [],
        output=output,
        budget=budget,
        grid=grid or [],
        folds=folds,
        points=points,
        overwrite=overwrite,
    )


@app.command()
def info(model: Model) -> None:
    """What a model file is: elements, range, units, settings, training data, errors, references."""
    from rhopot.potentials.commands.info import info as run

    run(model)


@app.command()
def check(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Model file, then the structure to compare on (any format ASE reads, the last of several, "
            "file.xyz@0 is the first; optional); with --calculator the structure alone.",
            metavar="[MODEL.PT] [STRUCTURE]",
        ),
    ],
    ranks: Annotated[str, typer.Option("--ranks", help="Numbers of MPI ranks.")] = "1,2,4",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            help="Time steps of dynamics on each number of ranks (default: 200; 60 for global models).",
            min=20,
        ),
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", help="Temperature of all dynamics in K.", min=1.0)
    ] = 600.0,
    hot_ps: Annotated[
        float,
        typer.Option("--hot-ps", help="Length in ps of the dynamics that shows a runaway; 0 leaves it out.", min=0.0),
    ] = 2.0,
    lmp: Annotated[str | None, typer.Option("--lmp", help="Command that starts LAMMPS.")] = None,
    device: Device = "auto",
    calculator: Annotated[
        str | None,
        typer.Option("--calculator", help="Instead of a model: makes an ASE calculator.", metavar="MODULE:FUNCTION"),
    ] = None,
    pair_style: Annotated[str | None, typer.Option("--pair-style", help="The same potential in LAMMPS.")] = None,
    pair_coeff: Annotated[
        list[str] | None, typer.Option("--pair-coeff", help='"* * Si.sw {elements}"; repeatable.')
    ] = None,
) -> None:
    """Does the file give the same numbers in ASE and in LAMMPS on 1, 2 and 4 ranks, and survive hot dynamics?

    Where LAMMPS computes on a GPU, ASE does so too, and is compared with itself on the processor.
    """
    from rhopot.potentials.commands.check import check as run

    other = (calculator, pair_style, pair_coeff or [])
    how = {"ranks": ranks, "steps": steps, "temperature": temperature, "lmp": lmp}
    run(inputs, other, device=device, hot_ps=hot_ps, **how)


@app.command()
def speed(
    model: Model,
    structure: Annotated[
        Path | None, typer.Argument(help="Structure to time (any format ASE reads); by default of the training data.")
    ] = None,
    atoms: Annotated[
        int, typer.Option("--atoms", help="Repeat the structure to so many atoms at least.", min=1)
    ] = 1000,
    processes: Annotated[
        str | None,
        typer.Option("--processes", help="Numbers of cores; by default 1, 2, 4, ... of this machine.", metavar="1,2,4"),
    ] = None,
    timestep: Annotated[float, typer.Option("--timestep", help="Time step in fs.", min=1e-3)] = 1.0,
    rounds: Annotated[int, typer.Option("--rounds", help="Rounds, whose median counts.", min=1)] = 3,
    run_atoms: Annotated[
        int | None, typer.Option("--run-atoms", help="Atoms of the run to forecast; by default those timed.", min=1)
    ] = None,
    nanoseconds: Annotated[float, typer.Option("--nanoseconds", help="Length of that run in ns.", min=0.0)] = 1.0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", metavar="FOLDER")] = Path("speed"),
) -> None:
    """Time of a step in LAMMPS on this machine for ranks and threads, and what a run of N atoms and t ns takes."""
    from rhopot.potentials.commands.speed import speed as run

    run(
        model,
        structure,
        atoms=atoms,
        processes=processes,
        timestep=timestep,
        rounds=rounds,
        run_atoms=run_atoms,
        nanoseconds=nanoseconds,
        output=output,
    )


@app.command()
def doctor() -> None:
    """Do torch, LAMMPS, MPI, the plugin and the operators fit together?"""
    from rhopot.potentials.commands.doctor import doctor as run

    run()


@data.command("lint")
def data_lint(
    structures: Structures,
    test: Annotated[
        list[str] | None, typer.Option("--test", help="Test data, searched for leakage.", metavar="DATA")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Key whose values may not lie on both sides.", metavar="KEY")
    ] = None,
    key: LabelKeys = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="Read the labels that this model was trained on.", metavar="MODEL.PT")
    ] = None,
) -> None:
    """Report what may be wrong with labelled structures: NaN, duplicates, atoms too close, mixed signs, leakage.

    Several files are one data set; `--test` names the data that must not be in it.
    """
    from rhopot.potentials.commands.data_lint import data_lint as run
    from rhopot.potentials.commands.keys import parse_keys

    run(structures, test, group, parse_keys(key or []), model)


for _properties in (property_application, dynamics_application):
    _properties.COMMANDS.add_to(app)
for _commands in (learning_application, cv_application):
    _commands.add_to(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    0 done, 1 failed or refused, 2 wrong use, 3 incomplete (a training whose model is saved but not all that describes
    it, a search whose budget no trial meets, dynamics that --until-uncertain ended), 130 interrupted (Ctrl-C), 143
    terminated (SIGTERM, as batch systems send it before the time is up).

    A failure is one sentence on stderr; `--debug`, anywhere on the line, shows the traceback as well.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    threads.settle()
    words = [word for word in words if word != "--debug"]
    try:
        with orderly_termination(), warnings_as_sentences():
            return _run(words)
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort) as stop:
        terminated = isinstance(stop, Terminated)
        print(f"rhopot: {with_notes('terminated' if terminated else 'interrupted', stop)}", file=sys.stderr)
        return leave(128 + (signal.SIGTERM if terminated else signal.SIGINT))
    except BrokenPipeError:  # the reader of the output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (Python flushes it at the end)
        return leave(1)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # which has shown the help
            return 2
        let_first_rank_speak()
        if debug:
            traceback.print_exc()
        print(f"rhopot: {with_notes(sentence(error), error)}", file=sys.stderr)
        return leave(2 if is_usage(error) else getattr(error, "exit_status", 1))


def _run(words: list[str]) -> int:
    """Run a sub-command: not through typer's own `main`, which keeps interrupts to itself.

    A shell that asks for completions, by the variable that the script of `--install-completion` sets, is answered.
    """
    command = typer.main.get_command(app)
    if COMPLETION in os.environ:
        command(prog_name="rhopot")
    with command.make_context("rhopot", words) as context:
        status = command.invoke(context)
    return status if isinstance(status, int) else 0
