"""Numbers and picture of a finished `rhopot metad`, read from its HILLS and COLVAR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rhopot.export.metadynamics_bias import ExplicitHills
from rhopot.export.metadynamics_files import Columns, decoded
from rhopot.potentials import plots
from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, PlumedTable, read_table
from rhopot.potentials.units import Floats

SHOWN = 2000  # lines of COLVAR at which the final bias is evaluated for its range, at most
NOTHING = 1e-12  # eV: energies below are the tails of distant hills


@dataclass(frozen=True)
class Summary:
    """What a run has visited and added.

    n_hills: of all walkers; bias: range in eV of the final bias of all hills at the lines of COLVAR, (low, high); low,
    high: range of each variable in its unit; tables: COLVAR of each walker; columns: of the variables
    """

    n_hills: int
    bias: tuple[float, float]
    low: Floats
    high: Floats
    tables: list[PlumedTable]
    columns: Columns

    def rows(self) -> list[tuple[str, str, float]]:
        """Name, unit and value of each number."""
        found: list[tuple[str, str, float]] = []
        if self.n_hills:
            low, high = (0.0 if value < NOTHING else value for value in self.bias)
            found += [("hills", "", float(self.n_hills))]
            what = "final bias at the lines of COLVAR"
            found += [(f"{what}, least", "eV", low), (f"{what}, largest", "eV", high)]
        for name, unit, low, high in zip(
            self.columns.names, self.columns.units, self.low.tolist(), self.high.tolist(), strict=True
        ):
            found += [(f"{name}, least", unit, low), (f"{name}, largest", unit, high)]
        if "moving.work" in self.tables[0].fields:
            works = [float(table.column("moving.work")[-1]) * EV_PER_KJ_PER_MOL for table in self.tables if len(table)]
            found += [("work of moving restraints", "eV", float(np.mean(works)))]
        return found

    def draw(self, path: Path, title: str) -> None:
        """Variables and bias of each walker against time, up to the last one that all have."""
        length = min(len(table) for table in self.tables)
        panels: dict[str, Mapping[str, Floats]] = {}
        for name, unit, scale in zip(self.columns.names, self.columns.units, self.columns.scale.tolist(), strict=True):
            label = f"{name} ({'Å' if unit == 'A' else unit})" if unit else name
            panels[label] = self._curves(name, length, 1.0 / scale)
        if self.n_hills:
            panels["bias of hills (eV)"] = self._curves("metad.bias", length, EV_PER_KJ_PER_MOL)
        if "moving.work" in self.tables[0].fields:
            panels["work (eV)"] = self._curves("moving.work", length, EV_PER_KJ_PER_MOL)
        plots.time_series(path, self.tables[0].column("time")[:length], panels, title)

    def _curves(self, column: str, length: int, scale: float) -> dict[str, Floats]:
        """A column of each walker, by its name."""
        return {f"walker {k}": table.column(column)[:length] * scale for k, table in enumerate(self.tables)}


def summarize(folder: Path, names: Sequence[tuple[str, str]], variables: Sequence[str], columns: Columns) -> Summary:
    """Read HILLS and COLVAR of all walkers."""
    total, count = ExplicitHills(columns.periods), 0
    for hills, _ in names:
        if (folder / hills).is_file():
            found = decoded(folder / hills, read_table(folder / hills, allow_no_rows=True), columns)[1]
            total.add(found)
            count += len(found)
    tables = [read_table(folder / colvar) for _, colvar in names]
    s = np.concatenate([table.columns(variables) for table in tables]) / columns.scale
    visited = s[:: max(1, len(s) // SHOWN)]
    bias = [total.evaluate(each)[0] for each in visited]
    return Summary(count, (min(bias), max(bias)), s.min(axis=0), s.max(axis=0), tables, columns)
