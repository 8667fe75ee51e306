"""Metadynamics whose free energy is known: Monte Carlo walkers in two dimensions, with files as PLUMED writes them.

    U(s, y) = height (s^2 - 1)^2 + tilt s + k / 2 (y - a s)^2

in units of kT: the free energy of s is the double well without the last term, that of y an integral over s. Walkers
share the bias on s, which is kept on a fine grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ase.units
import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, write_table

Floats = NDArray[np.float64]

TEMPERATURE = 300.0
KT = ase.units.kB * TEMPERATURE  # eV
HEIGHT, TILT, SPRING, COUPLING = 5.0, 0.5, 4.0, 1.0
SIGMA = 0.1


def well(s: Floats) -> Floats:
    """Free energy of s in kT, up to a constant."""
    return HEIGHT * (s**2 - 1.0) ** 2 + TILT * s


def of_y(y: Floats) -> Floats:
    """Free energy of y in kT, up to a constant, by quadrature."""

    def density(s: float, at: float) -> float:
        return float(np.exp(-well(np.array(s)) - 0.5 * SPRING * (at - COUPLING * s) ** 2))

    return -np.log([quad(density, -2.5, 2.5, args=(float(at),), limit=200)[0] for at in y])


def difference() -> float:
    """F of the right basin (s > 0) above the left one in kT."""
    left, right = (quad(lambda s: float(np.exp(-well(np.array(s)))), *ends)[0] for ends in ((-2.5, 0), (0, 2.5)))
    return float(np.log(left / right))


@dataclass(frozen=True)
class BiasedRun:
    """What walkers left.

    hills: (n, walkers, 3) time, s, height of the bias (kT); frames: (m, walkers, 4) time, s, y, bias (kT)
    """

    hills: Floats
    frames: Floats
    biasfactor: float

    def write(self, folder: Path, scale: float = 1.0, constants: dict[str, str] | None = None) -> None:
        """HILLS.k and COLVAR.k of each walker, in kJ/mol, s and y times `scale`."""
        unit = KT / EV_PER_KJ_PER_MOL
        tempered = np.isfinite(self.biasfactor)
        factor = self.biasfactor / (self.biasfactor - 1.0) if tempered else 1.0
        head = {"multivariate": "false", "kerneltype": "gaussian", **(constants or {})}
        for k in range(self.hills.shape[1]):
            time, s, height = self.hills[:, k].T
            ones = np.ones(len(time))
            columns = [time, scale * s, scale * SIGMA * ones, unit * factor * height]
            hills = np.stack([*columns, (self.biasfactor if tempered else -1.0) * ones], axis=1)
            write_table(folder / f"HILLS.{k}", ("time", "s", "sigma_s", "height", "biasf"), hills, head)
            frames = self.frames[:, k] * [1.0, scale, scale, unit]
            write_table(folder / f"COLVAR.{k}", ("time", "s", "y", "metad.bias"), frames, constants)


def metadynamics(
    steps: int,
    *,
    walkers: int = 20,
    pace: int = 20,
    height: float = 0.02,
    biasfactor: float = 6.0,
    seed: int = 1,
    every: int = 5,
) -> BiasedRun:
    """Metropolis walkers; hills of all of them after every `pace` steps, frames of all after every `every`."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(-3.0, 3.0, 1201)
    bias = np.zeros_like(grid)
    at = np.stack([np.full(walkers, -1.0), np.full(walkers, -COUPLING)])
    hills: list[Floats] = []
    frames: list[Floats] = []

    def energy(place: Floats) -> Floats:
        s, y = place
        outside = np.where(np.abs(s) > 2.9, 1e9, 0.0)
        return well(s) + 0.5 * SPRING * (y - COUPLING * s) ** 2 + np.interp(s, grid, bias) + outside

    now = energy(at)
    for step in range(1, steps + 1):
        trial = at + rng.uniform(-0.5, 0.5, at.shape)
        there = energy(trial)
        taken = np.log(rng.random(walkers)) < now - there
        at, now = np.where(taken, trial, at), np.where(taken, there, now)
        if step % every == 0:
            here = np.interp(at[0], grid, bias)
            frames.append(np.stack([np.full(walkers, float(step)), *at, here], axis=1))
        if step % pace == 0:
            here = np.interp(at[0], grid, bias)
            heights = height * np.exp(-here / (biasfactor - 1.0)) if np.isfinite(biasfactor) else height + 0.0 * here
            bias = bias + heights @ np.exp(-0.5 * ((grid[None] - at[0][:, None]) / SIGMA) ** 2)
            hills.append(np.stack([np.full(walkers, float(step)), at[0], heights], axis=1))
            now = energy(at)
    return BiasedRun(np.stack(hills), np.stack(frames), biasfactor)


def largest_error(energy: Floats, exact: Floats, region: NDArray[np.bool_]) -> float:
    """Largest deviation within a region after the best constant; all in one unit."""
    error = (energy - exact)[region]
    return float(np.abs(error - error.mean()).max())
