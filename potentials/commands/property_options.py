"""Options that every property command has, written once: potential, structures, engines, output."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

LISTS = ("inputs", "prototype", "symbol", "lattice", "pair_coeff")  # options that may be given several times
RANKS = 1
ENGINES = {"ase": ("ase",), "lammps": ("lammps",), "both": ("ase", "lammps")}


@dataclass(frozen=True)
class PropertyOptions:
    """What the options of all property commands were set to.

    stated: those of `engine` and `ranks` that the command line gives; held: what is held until the command has ended
    """

    inputs: list[str]
    prototype: list[str]
    symbol: list[str]
    lattice: list[float]
    engine: str
    ranks: int
    members: bool
    output: Path | None
    json_file: Path | None
    overwrite: bool
    calculator: str | None
    pair_style: str | None
    pair_coeff: list[str]
    stated: frozenset[str] = frozenset()
    held: ExitStack = field(default_factory=ExitStack)

    def engines(self) -> tuple[str, ...]:
        """Names of the engines, one or both; ValueError for others."""
        if self.engine not in ENGINES:
            raise ValueError(f"--engine must be ase, lammps or both, got '{self.engine}'")
        return ENGINES[self.engine]


_INPUTS = typer.Argument(
    help="Model file written by train (none with --calculator or --pair-style), then the structure in any format ASE "
    "reads (the last of several; file.xyz@0 is the first; none with --prototype).",
    metavar="[MODEL.PT] [STRUCTURE]",
    show_default=False,
)
_OPTIONS: dict[str, Any] = {
    "inputs": (Annotated[list[str] | None, _INPUTS], None),
    "prototype": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--prototype",
                help="Instead of a file: sc, bcc, fcc, hcp, diamond, zincblende, wurtzite, rocksalt, cesiumchloride or "
                "fluorite, with --symbol; its lattice is relaxed first.",
                metavar="NAME",
            ),
        ],
        None,
    ),
    "symbol": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--symbol",
                help="Element of --prototype, or two: Si,C; once for all of them, or once for each. Not needed for a "
                "model of one.",
                metavar="X",
            ),
        ],
        None,
    ),
    "lattice": (
        Annotated[
            list[float] | None,
            typer.Option(
                "--lattice",
                help="Lattice constant of --prototype in A before it is relaxed, once or once for each; by default "
                "where the unrelaxed crystal has its least energy, within the training data.",
                metavar="A",
            ),
        ],
        None,
    ),
    "engine": (Annotated[str | None, typer.Option("--engine")], None),  # see `_engine`
    "ranks": (
        Annotated[
            int | None, typer.Option("-n", "--ranks", help="MPI ranks of LAMMPS.", min=1, show_default=str(RANKS))
        ],
        None,
    ),
    "members": (
        Annotated[
            bool,
            typer.Option(
                "--members/--no-members",
                help="Compute with each ensemble member of the model as well (16 at most), for the error bar.",
            ),
        ],
        True,
    ),
    "output": (
        Annotated[
            Path | None,
            typer.Option(
                "--output", "-o", help="Folder to write; by default the name of the command.", metavar="FOLDER"
            ),
        ],
        None,
    ),
    "json_file": (
        Annotated[Path | None, typer.Option("--json", help="Also write the numbers to this file.", metavar="FILE")],
        None,
    ),
    "overwrite": (
        Annotated[bool, typer.Option("--overwrite", help="Replace the results of another command in the folder.")],
        False,
    ),
    "calculator": (
        Annotated[
            str | None,
            typer.Option(
                "--calculator",
                help="Instead of a model: a function without arguments that makes an ASE calculator.",
                metavar="MODULE:FUNCTION",
            ),
        ],
        None,
    ),
    "pair_style": (
        Annotated[
            str | None, typer.Option("--pair-style", help="The same potential in LAMMPS, e.g. sw.", metavar="WORDS")
        ],
        None,
    ),
    "pair_coeff": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--pair-coeff",
                help='With --pair-style: "* * Si.sw {elements}", where {elements} stands for the elements of the atom '
                "types; repeatable.",
                metavar="WORDS",
            ),
        ],
        None,
    ),
}


def _engine(default: str, both: bool) -> Any:
    """The type of --engine of a command with this default, which takes both engines or one."""
    return Annotated[
        str | None,
        typer.Option(
            "--engine",
            help="ase, lammps, or both, which are compared." if both else "ase or lammps.",
            metavar="ase|lammps|both" if both else "ase|lammps",
            show_default=default,
        ),
    ]


class PropertyCommands:
    """Commands of properties, in the order in which they are shown."""

    def __init__(self) -> None:
        self._commands: dict[tuple[str, ...], Callable[..., None]] = {}

    def command(
        self, *names: str, engine: str = "ase", members: bool = True, both: bool = True
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Register a function as a command of these names (the first is shown, the others are aliases).

        The function takes `PropertyOptions` first and its own options as keywords; the command has both. engine: the
        default of --engine; members: whether ensemble members give an error bar, without which there is no --members;
        both: whether --engine both is possible.
        """

        def register(run: Callable[..., None]) -> Callable[..., None]:
            own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
            shared = [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
                for name, (kind, default) in (_OPTIONS | {"engine": (_engine(engine, both), None)}).items()
                if members or name != "members"
            ]
            keyword = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]

            @functools.wraps(run)
            def command(**given: Any) -> None:
                given.setdefault("members", False)
                common = {name: given.pop(name) for name in _OPTIONS}
                lists = {name: common[name] or [] for name in LISTS}
                stated = frozenset(name for name in ("engine", "ranks") if common[name] is not None)
                defaults = {"engine": common["engine"] or engine, "ranks": common["ranks"] or RANKS, "stated": stated}
                with ExitStack() as held:
                    run(PropertyOptions(**{**common, **lists, **defaults, "held": held}), **given)

            parameters = [shared[0], *keyword, *shared[1:]]
            command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
            command.__annotations__ = {each.name: each.annotation for each in parameters}
            del command.__wrapped__
            self._commands[names] = command
            return run

        return register

    def add_to(self, app: typer.Typer) -> None:
        """Add all commands to the application."""
        for names, command in self._commands.items():
            for k, name in enumerate(names):
                app.command(name, hidden=k > 0)(command)
