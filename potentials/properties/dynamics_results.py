"""What a run of molecular dynamics says: averages with errors, drift, distributions and displacements."""

from __future__ import annotations

from dataclasses import dataclass

import ase.io
import numpy as np

from rhopot.potentials.lammps.dynamics_settings import DynamicsSettings
from rhopot.potentials.properties.block_averages import FEWEST, BlockAverage, block_average
from rhopot.potentials.properties.distributions import Distributions, distributions
from rhopot.potentials.properties.dynamics_ase import RunFiles, read_table
from rhopot.potentials.properties.md import energy_drift
from rhopot.potentials.properties.mean_squared_displacement import by_element
from rhopot.potentials.units import Floats

MOST_FRAMES = 200  # of which distributions are made
# column of the table, name, unit, whether per atom
AVERAGED = (
    ("temperature_K", "temperature", "K", False),
    ("potential_eV", "potential energy", "eV/atom", True),
    ("kinetic_eV", "kinetic energy", "eV/atom", True),
    ("total_eV", "total energy", "eV/atom", True),
    ("pressure_GPa", "pressure", "GPa", False),
    ("volume_A3", "volume", "A^3/atom", True),
    ("a_A", "cell edge a", "A", False),
    ("b_A", "cell edge b", "A", False),
    ("c_A", "cell edge c", "A", False),
)
_OF_CELL = ("volume_A3", "a_A", "b_A", "c_A")


@dataclass(frozen=True)
class DynamicsResults:
    """Results of one run.

    table: columns by name; averages: by name, those of `AVERAGED` that the run has, from the frames that are not
    skipped; drift: of the conserved quantity in meV/atom/ps, NaN along a ramp; distributions: None without periodicity
    in three directions; lags (n,) in ps and displacements (n,) in A^2 by element
    """

    table: dict[str, Floats]
    averages: dict[str, BlockAverage]
    drift: float
    distributions: Distributions | None
    lags: Floats
    displacements: dict[str, Floats]


def read_results(
    files: RunFiles, settings: DynamicsSettings, n_atoms: int, *, skip: float, adf_cutoff: float | None
) -> DynamicsResults | None:
    """Results of the files of a run; None where it has fewer than 4 frames after those that are skipped.

    skip: fraction of the frames, at the start, that everything but the table leaves out.
    """
    table = read_table(files.thermo)
    first = int(skip * len(table["step"]))
    kept = {name: values[first:] for name, values in table.items()}
    if len(kept["step"]) < FEWEST:
        return None
    averages = {}
    for column, name, _, per_atom in AVERAGED:
        values = kept[column] / (n_atoms if per_atom else 1)
        if np.isfinite(values).all() and (column not in _OF_CELL or settings.cell_changes):
            averages[name] = block_average(values)
    drift = np.nan if settings.ramp else energy_drift(kept["time_ps"], kept["conserved_eV"], n_atoms)
    frames = list(ase.io.iread(files.trajectory, index=f"{first}:"))
    found = None
    if all(frames[0].pbc):
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).astype(int))
        found = distributions([frames[k] for k in chosen], adf_cutoff)
    lags = np.arange(len(frames), dtype=np.float64) * (settings.every * settings.timestep / 1000.0)
    return DynamicsResults(table, averages, drift, found, np.asarray(lags), by_element(frames))
