"""Hills of a run: added every so many steps, written, taken over at a restart, and shared between walkers.

A hill is added after the forces of every step that is a multiple of the pace, but for the first step of the run, at the
variables of that step. So the forces of that step are without it, also where a run is restarted from there: hills of
the time of the restart act from the next structure on.

Walkers share a folder. Each writes `HILLS.n` there, n from 0, and reads the new lines of the others whenever it adds a
hill of its own [1].

[1] P. Raiteri et al., J. Phys. Chem. B 110, 3533 (2006), doi:10.1021/jp054359r
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rhopot.export.metadynamics_bias import Bias, Hills
from rhopot.export.metadynamics_files import SAME_TIME, Columns, ColvarFile, HillsFile, OthersHills
from rhopot.potentials.units import Floats


@dataclass(frozen=True)
class Walkers:
    """One of several runs that share their hills.

    folder: of the files; index: of this one, from 0; count: of all. together: others are read by `Deposition.exchange`
    alone, called by a program that runs all walkers in step
    """

    folder: Path
    index: int
    count: int
    together: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"walkers must be numbered from 0 to {self.count - 1}, got {self.index}; the first is 0")

    def file(self, index: int) -> Path:
        """File of the hills of a walker."""
        return Path(self.folder) / f"HILLS.{index}"


class Deposition:
    """Hills and values of a run with one bias.

    bias: receives the hills; hills, colvar: files, None: not written; walkers: None: no others

    Raises:
        ValueError: hills that walkers are to share without a file.
    """

    def __init__(
        self, bias: Bias, columns: Columns, hills: Path | None, colvar: Path | None, walkers: Walkers | None = None
    ) -> None:
        self.bias, self.columns = bias, columns
        settings = bias.settings
        if hills is not None and hills == colvar:
            raise ValueError(f"hills and colvar must be two files, got '{hills}' for both; give one another name")
        self._hills = None
        self._others: list[OthersHills] = []
        if walkers is not None:
            Path(walkers.folder).mkdir(parents=True, exist_ok=True)
            hills = walkers.file(walkers.index)
            others = (k for k in range(walkers.count) if k != walkers.index)
            self._others = [OthersHills(walkers.file(k), columns) for k in others]
        self._together = walkers is not None and walkers.together
        if hills is not None and settings.has_hills:
            self._hills = HillsFile(hills, columns, settings.biasfactor)
        self._colvar = None
        if colvar is not None:
            self._colvar = ColvarFile(colvar, columns, walls=bool(settings.walls), moving=bool(settings.moving))
        self._sources: list[list[Hills]] = [[] for _ in range(1 + len(self._others))]
        self._pending = Hills.none(len(columns.names))
        self._first, self._timestep, self._written = 0, 0.0, -np.inf

    def begin(self, step: int, timestep: float, *, restart: bool) -> None:
        """Begin at a step of a run with time steps of `timestep` ps, anew or from the files of the run so far.

        Raises:
            ValueError: files of other variables, or a moving restraint whose work at this step is not in COLVAR.
        """
        self._first, self._timestep, self._written = step, timestep, -np.inf
        self._sources = [[] for _ in self._sources]
        self._pending = Hills.none(len(self.columns.names))
        self.bias.clear()
        self.bias.work = 0.0
        time = step * timestep
        if restart:  # what cannot be continued is refused before a file is changed
            if self._colvar is not None:
                self._written, self.bias.work = self._colvar.last(time)
            self._require_work(time)
        if self._hills is not None and restart:
            self._take(0, *self._hills.restart(time), time)
        elif self._hills is not None:
            self._hills.begin()
        if self._colvar is not None and restart:
            self._colvar.restart(time)
        elif self._colvar is not None:
            self._colvar.begin()
        if not self._together:
            self.exchange()

    def _require_work(self, time: float) -> None:
        """Refuse to go on where the work of moving restraints so far is not known."""
        moving = self.bias.settings.moving
        begun = any(each.first * self._timestep < time - SAME_TIME for each in moving)
        ended = all(each.last * self._timestep <= self._written + SAME_TIME for each in moving)
        if begun and not ended and abs(self._written - time) > SAME_TIME:
            raise ValueError(
                f"restart must be at a step that COLVAR has the work of, got {time:.6g} ps and a last line of "
                f"{self._written:.6g} ps; restart from the step of a line, or write COLVAR more often"
            )

    def _take(self, source: int, times: Floats, hills: Hills, start: float) -> None:
        """Add hills of a source; those of the time of the start wait."""
        self._sources[source].append(hills)
        now = np.abs(times - start) > SAME_TIME
        self.bias.add(hills.only(now))
        self._pending = self._pending.plus(hills.only(~now))

    @property
    def has_file_of_hills(self) -> bool:
        """Whether the file of the run's own hills is there and holds some."""
        if self._hills is None or not self._hills.path.is_file():
            return False
        return any(line.strip() and not line.startswith("#") for line in self._hills.path.read_text().splitlines())

    def release(self) -> None:
        """Let the hills of the time of the start act: called when the first structure has been left."""
        if len(self._pending):
            self.bias.add(self._pending)
            self._pending = Hills.none(len(self.columns.names))

    def exchange(self) -> None:
        """Read what the other walkers have added."""
        start = self._first * self._timestep
        rebuilt = False
        for k, other in enumerate(self._others, 1):
            times, hills, replaced = other.new()
            if replaced:  # it has been restarted: hills that it dropped leave the bias
                self._sources[k] = [hills]
                rebuilt = True
            elif len(hills):
                self._take(k, times, hills, start)
        if rebuilt:
            self._pending = Hills.none(len(self.columns.names))
            self.bias.clear()
            for hills in (each for source in self._sources for each in source):
                self.bias.add(hills)

    def after(self, step: int, s: Floats, energies: tuple[float, float, float], *, line: bool) -> None:
        """What follows the forces of a step: work, a line of COLVAR (`line`), a hill.

        s: variables (n,); energies: of hills, walls and moving restraints in eV
        """
        time = step * self._timestep
        if step != self._first:
            self.bias.advance(s, step)
        if self._colvar is not None and line and time > self._written + SAME_TIME:
            self._colvar.append(time, s, (*energies, self.bias.work))
            self._written = time
        settings = self.bias.settings
        if settings.pace is None or step == self._first or step % settings.pace:
            return
        hill = self.bias.hill(s, energies[0])
        if self._hills is not None:
            hill = self._hills.append(time, hill)
        self._sources[0].append(hill)
        self.bias.add(hill)
        if not self._together:
            self.exchange()

    @property
    def hills_path(self) -> Path | None:
        """File of the run's own hills."""
        return None if self._hills is None else self._hills.path

    @property
    def own_count(self) -> int:
        """Number of hills in the bias that this run added."""
        return sum(len(hills) for hills in self._sources[0])

    @property
    def count(self) -> int:
        """Number of hills in the bias, those of other walkers included."""
        return sum(len(hills) for source in self._sources for hills in source)
