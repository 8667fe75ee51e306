"""Metadynamics in LAMMPS with `fix rhopot/metad`: one run, or walkers in partitions, stopped and continued.

One run is that of `rhopot.potentials.properties.dynamics_lammps` with the lines of the fix. Walkers run one input, in
which `${w}` is their number; logs, dumps and restart files carry it. Restart files of walkers have the step in their
name: they go on from the last step that all of them have saved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ase import Atoms

from rhopot.export.metadynamics_files import SAME_TIME
from rhopot.potentials.files import write_text
from rhopot.potentials.lammps.dynamics import (
    MAGIC,
    dynamics_input,
    how_it_ended,
    newest_restart,
    remove_run,
)
from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings, Ended, Limits
from rhopot.potentials.lammps.input_decks import DataFile, write_data
from rhopot.potentials.lammps.metadynamics import Metadynamics, partition_words
from rhopot.potentials.lammps.process import LammpsError, run_lammps
from rhopot.potentials.plumed_files import read_table
from rhopot.potentials.properties.dynamics_lammps import run_in_lammps, watched, write_dynamics_input, write_files
from rhopot.potentials.properties.engine import Advance, silent
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.properties.metadynamics_ase import (
    Say,
    begins_anew,
    goes_on,
    quiet,
    refuse_other_state,
    walker_files,
)

WALKER = "${w}"  # in an input: the number of a walker


def write_metadynamics_input(
    engine: LammpsEngine,
    starts: Sequence[Atoms],
    metadynamics: Metadynamics,
    settings: DynamicsSettings,
    limits: Limits,
) -> None:
    """Write `in.STEM` and the data files of a run from its start."""
    if metadynamics.walkers == 1:
        write_dynamics_input(engine, starts[0], settings, limits, metadynamics.lines)
    else:
        data = _data(engine, starts)[0]
        write_text(engine.folder / f"in.{engine.stem}", _input(engine, data, metadynamics, settings, limits, None))


def run_metadynamics_in_lammps(
    engine: LammpsEngine,
    starts: Sequence[Atoms],
    metadynamics: Metadynamics,
    settings: DynamicsSettings,
    *,
    limits: Limits | None = None,
    key: str = "",
    restart: bool = False,
    advance: Advance = silent,
    say: Say = quiet,
) -> list[Ended]:
    """Run, or go on with, biased dynamics of atoms that carry momenta; how each walker ended (see the run in ASE).

    Raises:
        ValueError: see `DynamicsSettings.require`; ranks that cannot be shared by the walkers; with `restart`, a saved
            state of another run.
        LammpsError: LAMMPS stopped for another reason than those that `Ended` knows.
    """
    settings.require(starts[0])
    limits = limits or Limits()
    known = engine.folder / f"{engine.stem}.run"
    if restart and known.is_file():
        refuse_other_state(known, key, known.read_text(encoding="utf-8"))
    if not restart:
        for stem in (engine.stem, *(f"{engine.stem}.{k}" for k in range(metadynamics.walkers))):
            remove_run(engine.folder, stem)
    if metadynamics.walkers == 1:
        start = _Start(engine, metadynamics, settings, say)
        if restart and not start.saved():
            say(begins_anew(engine.folder, metadynamics))
        try:
            ended = run_in_lammps(
                engine,
                starts[0],
                settings,
                limits=limits,
                key=key,
                advance=start.before(advance) if restart else advance,
                added=metadynamics.lines,
            )
        finally:
            if restart:
                start.look()
        return [ended]
    return _run_walkers(engine, starts, metadynamics, settings, limits, key, advance, say if restart else quiet)


class _Start:
    """Says from which step LAMMPS goes on, which its log is named after."""

    def __init__(self, engine: LammpsEngine, metadynamics: Metadynamics, settings: DynamicsSettings, say: Say) -> None:
        self.folder, self.stem = engine.folder, engine.stem
        self.metadynamics, self.settings, self.say = metadynamics, settings, say
        self._known = self._logs()
        self._said = False

    def saved(self) -> bool:
        """Whether there is a state; without one there is nothing to look for."""
        known = (self.folder / f"{self.stem}.run").is_file()
        self._said = not (known and newest_restart(self.folder, self.stem) is not None)
        return not self._said

    def before(self, advance: Advance) -> Advance:
        """`advance`, with a look first."""

        def looked(step: int) -> None:
            self.look()
            advance(step)

        return looked

    def look(self) -> None:
        """Say it once LAMMPS has begun."""
        begun = [step for (step, when) in self._logs() - self._known]
        if begun and not self._said:
            self._said = True
            say_where(self.folder, self.metadynamics, self.settings, max(begun), self.say)

    def _logs(self) -> set[tuple[int, int]]:
        """First step of each log, and when it was changed."""
        pattern = re.compile(rf"{re.escape(self.stem)}\.(\d+)\.log")
        found = [(pattern.fullmatch(file.name), file) for file in self.folder.glob(f"{self.stem}.*.log")]
        return {(int(match.group(1)), file.stat().st_mtime_ns) for match, file in found if match is not None}


def say_where(folder: Path, metadynamics: Metadynamics, settings: DynamicsSettings, step: int, say: Say) -> None:
    """Say from which step a run goes on, with how many hills of all walkers."""
    time = step * settings.timestep / 1000.0
    files = (folder / name for name, _ in metadynamics.files)
    tables = [read_table(file, allow_no_rows=True) for file in files if file.is_file() and file.stat().st_size]
    count = sum(int((table.column("time") <= time + SAME_TIME).sum()) for table in tables)
    say(goes_on(step, settings.timestep, count if metadynamics.bias.has_hills else None))


def _run_walkers(
    engine: LammpsEngine,
    starts: Sequence[Atoms],
    metadynamics: Metadynamics,
    settings: DynamicsSettings,
    limits: Limits,
    key: str,
    advance: Advance,
    say: Say,
) -> list[Ended]:
    if engine.ranks % metadynamics.walkers:
        raise ValueError(
            f"ranks must be a multiple of the {metadynamics.walkers} walkers, got {engine.ranks}; give -n "
            f"{metadynamics.walkers}, or more of them"
        )
    folder = engine.folder
    stems = [f"{engine.stem}.{k}" for k in range(metadynamics.walkers)]
    data = _data(engine, starts)
    write_text(folder / f"in.{engine.stem}", _input(engine, data[0], metadynamics, settings, limits, None))
    known = folder / f"{engine.stem}.run"
    if not known.is_file() or known.read_text(encoding="utf-8") != key:
        for stem in stems:
            remove_run(folder, stem)
        write_text(known, key)
    step = common_step(folder, stems)
    if step is None:
        say(begins_anew(folder, metadynamics))
        for stem in stems:
            remove_run(folder, stem)
    else:
        say_where(folder, metadynamics, settings, step, say)
    name = f"in.{engine.stem}" if step is None else f"in.{engine.stem}.restart"
    text = _input(engine, data[0], metadynamics, settings, limits, step)
    error = ""
    with watched(folder, stems[0], advance):
        try:
            words = partition_words(metadynamics.walkers, engine.ranks)
            run_lammps(text, folder, ranks=engine.ranks, name=name, timeout=None, arguments=words)
        except LammpsError as stopped:
            error, reason = str(stopped), stopped
    ended = [how_it_ended(folder, stem, settings, limits, _line_of_error(folder, stem, error)) for stem in stems]
    if error and not any(each is not None and each.kind for each in ended):
        lines = [line for stem in stems if (line := _line_of_error(folder, stem, ""))]
        raise LammpsError("; ".join([str(reason), *lines[:1]])) from reason
    found = [each if each is not None else Ended(settings.steps) for each in ended]
    for k, files in enumerate(walker_files(folder, "lammps", len(starts))):
        write_files(files, starts[k], data[k], settings, stems[k], found[k])
    if not error:
        _keep_last(folder, stems)
    return found


def _data(engine: LammpsEngine, starts: Sequence[Atoms]) -> list[DataFile]:
    """Write the data file of each walker."""
    names = [f"{engine.stem}.{k}.data" for k in range(len(starts))]
    return [
        replace(write_data(engine.folder / name, atoms), path=Path(name))
        for name, atoms in zip(names, starts, strict=True)
    ]


def _input(
    engine: LammpsEngine,
    data: DataFile,
    metadynamics: Metadynamics,
    settings: DynamicsSettings,
    limits: Limits,
    step: int | None,
) -> str:
    """Input of all walkers, from the start or on from a step."""
    stem = f"{engine.stem}.{WALKER}"
    restart = None if step is None else f"{stem}.restart.{step}"
    text = dynamics_input(
        replace(data, path=Path(f"{stem}.data")),
        engine.pair,
        settings,
        limits,
        stem,
        restart,
        metadynamics.lines(data, restarted=step is not None),
        numbered=True,
    )
    # A walker that stops alone would leave the others waiting for its hills.
    text = text.replace(" error soft\n", " error hard\n")
    return f"variable w world {' '.join(str(k) for k in range(metadynamics.walkers))}\n{text}"


def common_step(folder: Path, stems: Sequence[str]) -> int | None:
    """The last step of which every walker has a complete restart file, None without one."""
    steps = [set(_restart_files(folder, stem)) for stem in stems]
    return max(set.intersection(*steps), default=None)


def _restart_files(folder: Path, stem: str) -> dict[int, Path]:
    """Complete restart files of a walker by their step."""
    pattern = re.compile(rf"{re.escape(stem)}\.restart\.(\d+)")
    found = [(pattern.fullmatch(file.name), file) for file in folder.glob(f"{stem}.restart.*")]
    return {
        int(match.group(1)): file for match, file in found if match is not None and MAGIC in file.read_bytes()[-64:]
    }


def _keep_last(folder: Path, stems: Sequence[str]) -> None:
    """Remove all restart files but the last ones, and what partitions leave."""
    for stem in stems:
        files = _restart_files(folder, stem)
        for step in sorted(files)[:-1]:
            files[step].unlink()
    for file in (*folder.glob("screen.*"), *folder.glob("log.lammps*")):
        file.unlink()


def _line_of_error(folder: Path, stem: str, error: str) -> str:
    """The error line of a walker's log, or what LAMMPS printed."""
    logs = sorted(folder.glob(f"{stem}.*.log"), key=lambda file: file.stat().st_mtime_ns)
    text = logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""
    lines = [line.strip() for line in text.splitlines() if line.startswith("ERROR")]
    return lines[-1] if lines else error.partition("rank(s): ")[2] or error
