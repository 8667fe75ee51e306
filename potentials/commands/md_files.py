"""Tables and pictures of `rhopot md`: thermodynamics, g(r), angles, mean squared displacements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rhopot.potentials import plots
from rhopot.potentials.files import write_text
from rhopot.potentials.properties.dynamics_results import DynamicsResults
from rhopot.potentials.units import MEV_PER_EV, Floats


def write_tables_and_plots(folder: Path, title: str, results: Mapping[str, DynamicsResults], n_atoms: int) -> list[str]:
    """Write what each engine's run gives; the names of the files."""
    written = []
    for engine, each in results.items():
        picture = plots.time_series(
            folder / f"thermodynamics_{engine}.png",
            each.table["time_ps"],
            _panels(each, n_atoms),
            f"{title} ({engine})",
        )
        written.append(picture.name)
    written += _curves(folder, "msd", "time_ps", {e: (r.lags, r.displacements) for e, r in results.items()}, _MSD)
    bulk = {engine: each.distributions for engine, each in results.items() if each.distributions is not None}
    written += _curves(folder, "rdf", "r_A", {e: (d.r, d.pairs) for e, d in bulk.items()}, _RDF)
    written += _curves(folder, "adf", "angle_deg", {e: (d.angles, d.triples) for e, d in bulk.items()}, _ADF)
    return written


_MSD = ("time (ps)", "mean squared displacement (Å²)")
_RDF = ("r (Å)", "g(r)")
_ADF = ("angle (degrees)", "density (1/degree)")


def _panels(each: DynamicsResults, n_atoms: int) -> dict[str, dict[str, Floats]]:
    table, scale = each.table, MEV_PER_EV / n_atoms

    def change(column: str) -> Floats:
        return np.asarray(scale * (table[column] - table[column][0]))

    panels = {
        "temperature (K)": {"temperature": table["temperature_K"]},
        "energy (meV/atom)": {"potential": change("potential_eV"), "total": change("total_eV")},
        "conserved (meV/atom)": {"conserved": change("conserved_eV")},
        "pressure (GPa)": {"pressure": table["pressure_GPa"]},
        "volume (Å³/atom)": {"volume": table["volume_A3"] / n_atoms},
        "force uncertainty (eV/Å)": {"largest": table["force_uncertainty_eV_A"]},
    }
    if not np.isfinite(each.drift):  # along a ramp, in which the work of the thermostat changes it
        del panels["conserved (meV/atom)"]
    return {label: curves for label, curves in panels.items() if np.isfinite(next(iter(curves.values()))).any()}


def _curves(
    folder: Path, stem: str, x_name: str, found: Mapping[str, tuple[Floats, dict[str, Floats]]], labels: tuple[str, str]
) -> list[str]:
    """A table for each engine, and one picture of all; engines share the abscissa as far as the shorter one goes."""
    names = []
    for engine, (x, columns) in found.items():
        lines = [",".join([x_name, *columns])]
        lines += [",".join(f"{value:.8g}" for value in row) for row in zip(x, *columns.values(), strict=True)]
        write_text(folder / f"{stem}_{engine}.csv", "\n".join(lines) + "\n")
        names.append(f"{stem}_{engine}.csv")
    if not any(columns for _, columns in found.values()):
        return names
    shared = min((x for x, _ in found.values()), key=len)
    curves = {
        name if len(found) == 1 else f"{name}, {engine}": values[: len(shared)]
        for engine, (_, columns) in found.items()
        for name, values in columns.items()
    }
    return [*names, plots.lines(folder / f"{stem}.png", shared, curves, *labels).name]
