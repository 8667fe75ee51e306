"""Bulk modulus from energies of strained cells.

E(V) is sampled at volumes within +-`range` of V0 (cell scaled uniformly, fractional coordinates kept or relaxed) and
fitted by a parabola E = E0 + (K / 2 V0) (V - V0)^2, hence

    K = V0 d2E/dV2.

The sampling is repeated around the fitted V0 until V0 stays inside the inner half of the sampled volumes, so the result
does not depend on the cell the structure came with. Global models are prepared for the largest cell of
each curve before its first energy, so that the curve is smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.optimize import BFGS

from rhopot.export import RhopotCalculator
from rhopot.potentials import plots

MAX_STEPS = 40  # ranges sampled on the way to the minimum


@dataclass(frozen=True)
class EquationOfState:
    """Sampled curve and its parabola, per atom: volumes (A^3), energies (eV), polyfit coefficients, K (GPa)."""

    volumes: np.ndarray
    energies: np.ndarray
    parabola: np.ndarray
    volume0: float
    energy0: float
    bulk_modulus_gpa: float
    residual_mev: float

    def plot(self, path: str | Path, title: str = "") -> Path:
        """Energy against volume with the fitted parabola."""
        return plots.energy_volume(
            path, self.volumes, self.energies, self.parabola.tolist(), title or f"K = {self.bulk_modulus_gpa:.1f} GPa"
        )


def equation_of_state(
    atoms: Atoms,
    calculator: Calculator,
    *,
    extent: float = 0.04,
    points: int = 9,
    relax: bool = False,
    fmax: float = 0.01,
    progress: Callable[[int, int], None] | None = None,
) -> EquationOfState:
    """Strain `atoms` uniformly within `extent` (relative volume) and fit K.

    relax: relax the fractional coordinates at every volume to `fmax` (eV/A), where symmetry does not fix them.
    Raises ValueError when the energy has no minimum near the given cell.
    """
    if not all(atoms.pbc):
        raise ValueError(
            "atoms must be periodic in three directions, got a structure with open sides; a bulk modulus needs a bulk"
        )
    if points < 5:
        raise ValueError(
            f"points must be 5 or more, got {points}; a parabola through fewer says nothing about its quality"
        )
    centre = atoms.get_volume() / len(atoms)
    for _ in range(MAX_STEPS):
        curve = _sample(atoms, calculator, centre, extent, points, relax, fmax, progress)
        if curve is not None and abs(curve.volume0 / centre - 1.0) < 0.25 * extent:
            return curve
        centre = curve.volume0 if curve is not None else _downhill(atoms, calculator, centre, extent)
    raise ValueError(
        f"atoms must be near a minimum of the energy, got none in {MAX_STEPS} ranges; start from a relaxed cell"
    )


def _sample(
    atoms: Atoms,
    calculator: Calculator,
    centre: float,
    extent: float,
    points: int,
    relax: bool,
    fmax: float,
    progress: Callable[[int, int], None] | None,
) -> EquationOfState | None:
    """One curve around `centre` (A^3 per atom); None when its minimum is far outside."""
    volumes = centre * (1.0 + np.linspace(-extent, extent, points))
    energies = np.empty(points)
    if isinstance(calculator, RhopotCalculator):
        calculator.prepare(_scaled(atoms, calculator, volumes[-1]))
    for k, volume in enumerate(volumes):
        strained = _scaled(atoms, calculator, volume)
        if relax:
            BFGS(strained, logfile=None).run(fmax=fmax, steps=200)
        energies[k] = strained.get_potential_energy() / len(atoms)
        if progress is not None:
            progress(k + 1, points)
    coefficients = np.polyfit(volumes - centre, energies, 2)
    curvature, slope, constant = coefficients
    if curvature <= 0.0 or abs(slope / (2 * curvature)) > 2 * extent * centre:
        return None
    shift = -slope / (2 * curvature)
    residual = float(np.sqrt(np.mean((np.polyval(coefficients, volumes - centre) - energies) ** 2)))
    parabola = np.array([curvature, slope - 2 * curvature * centre, constant - slope * centre + curvature * centre**2])
    modulus = (centre + shift) * 2 * curvature / units.GPa
    return EquationOfState(
        volumes, energies, parabola, centre + shift, float(constant + 0.5 * slope * shift), modulus, 1000 * residual
    )


def _downhill(atoms: Atoms, calculator: Calculator, centre: float, extent: float) -> float:
    """Next centre when the parabola has no minimum nearby: the lower end of the sampled range."""
    ends = [centre * (1.0 - extent), centre * (1.0 + extent)]
    return min(ends, key=lambda volume: _scaled(atoms, calculator, volume).get_potential_energy())


def _scaled(atoms: Atoms, calculator: Calculator, volume_per_atom: float) -> Atoms:
    strained = atoms.copy()
    factor = (volume_per_atom * len(atoms) / atoms.get_volume()) ** (1.0 / 3.0)
    strained.set_cell(atoms.cell * factor, scale_atoms=True)
    strained.calc = calculator
    return strained
