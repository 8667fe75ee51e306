"""Energy against volume, bulk modulus, pressure.

E(V) is sampled at volumes within +-`extent` of the volume of least energy V0 (the cell scaled uniformly, fractional
coordinates kept or relaxed). The bulk modulus is

    K = V0 d2E/dV2        of a parabola through the energies within +-`fit_extent` of V0 (Goscinski, thesis, eq. 4.2)

and, beside it, that of the Birch-Murnaghan equation through all energies, which also gives K' = dK/dP
(F. Birch, Phys. Rev. 71, 809 (1947), doi:10.1103/PhysRev.71.809; the fit is ASE's). `K(V) = -V dP/dV` comes from the
pressures at the sampled volumes. Energies and stresses are independent outputs of a potential; `pressure_residual`
compares P with -dE/dV of the Birch-Murnaghan curve.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState as AseEquation

from rhopot.potentials import property_plots
from rhopot.potentials.properties.engine import Advance, Engine, in_cell, silent
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV, Floats

EXTENT, FIT_EXTENT, POINTS = 0.09, 0.04, 19
FEWEST = 5  # points of the parabola
MAX_RANGES = 40  # ranges sampled on the way to the minimum
NARROW = 0.005  # the last of them, relative


@dataclass(frozen=True)
class EquationOfState:
    """Sampled curve, per atom: volumes (n,) in A^3, energies (n,) in eV; pressures (n,) in GPa.

    parabola: coefficients (3,) of numpy.polyfit; volume0, energy0, bulk_modulus_gpa: of the parabola;
    residual_mev: root mean square difference of the parabola and the energies it was fitted to, meV/atom;
    birch_volume0, birch_modulus_gpa, birch_derivative: V0, K and K' of Birch and Murnaghan
    """

    volumes: Floats
    energies: Floats
    pressures: Floats
    parabola: Floats
    volume0: float
    energy0: float
    bulk_modulus_gpa: float
    residual_mev: float
    birch_volume0: float
    birch_modulus_gpa: float
    birch_derivative: float

    @property
    def moduli(self) -> Floats:
        """K = -V dP/dV (n,) in GPa at the sampled volumes."""
        return np.asarray(-self.volumes * np.gradient(self.pressures, self.volumes, edge_order=2))

    @property
    def pressure_residual(self) -> float:
        """Root mean square difference in GPa between the pressures and -dE/dV of the Birch-Murnaghan curve."""
        return float(np.sqrt(np.mean((self.pressures - self.birch_pressure(self.volumes)) ** 2)))

    def birch_pressure(self, volumes: Floats) -> Floats:
        """Pressure in GPa of the Birch-Murnaghan equation."""
        x = (self.birch_volume0 / volumes) ** (1.0 / 3.0)
        shape = 1.0 + 0.75 * (self.birch_derivative - 4.0) * (x**2 - 1.0)
        return np.asarray(1.5 * self.birch_modulus_gpa * (x**7 - x**5) * shape)

    def plot(self, path: str | Path, title: str = "") -> Path:
        """Energy against volume with the fitted parabola."""
        return property_plots.energy_volume(
            path, self.volumes, self.energies, self.parabola.tolist(), title or f"K = {self.bulk_modulus_gpa:.1f} GPa"
        )


def volume_cells(atoms: Atoms, extent: float = EXTENT, points: int = POINTS) -> list[Floats]:
    """Return the cells (3, 3) of the volumes sampled around that of `atoms`."""
    factors = 1.0 + np.linspace(-extent, extent, points)
    return [atoms.cell.array * factor ** (1.0 / 3.0) for factor in factors]


def equation_of_state(
    atoms: Atoms,
    engine: Engine,
    *,
    extent: float = EXTENT,
    points: int = POINTS,
    fit_extent: float = FIT_EXTENT,
    relax: bool = False,
    fmax: float = 1e-3,
    advance: Advance = silent,
) -> EquationOfState:
    """Sample E(V) within `extent` (relative volume) of the volume of `atoms`, which is near the minimum, and fit K.

    Args:
        atoms: at its volume of least energy (`at_least_energy`).
        engine: gives energies and stresses.
        extent: half of the sampled range, relative.
        points: number of volumes.
        fit_extent: half of the range of the parabola, at most `extent`.
        relax: relax fractional coordinates at every volume to `fmax` (eV/A), where symmetry does not fix them.
        fmax: see `relax`.
        advance: called with the number of finished volumes.

    Raises:
        ValueError: an open structure, too few points, no minimum within the sampled range.
    """
    _require_bulk(atoms)
    volume = atoms.get_volume() / len(atoms)
    fitted = np.abs(np.linspace(-extent, extent, points)) <= fit_extent * (1.0 + 1e-9)
    if fitted.sum() < FEWEST:
        raise ValueError(
            f"points must leave {FEWEST} or more within +-{fit_extent:g} of the volume, got {int(fitted.sum())} of "
            f"{points}; take more points"
        )
    found = engine.in_cells(atoms, volume_cells(atoms, extent, points), relax=relax, fmax=fmax, advance=advance)
    volumes, energies = volume * (1.0 + np.linspace(-extent, extent, points)), found.energies / len(atoms)
    pressures = -np.trace(found.stresses, axis1=1, axis2=2) / 3.0 * GPA_PER_EV_PER_CUBIC_ANGSTROM
    parabola, volume0, energy0, modulus = fitted_parabola(volumes[fitted], energies[fitted])
    if parabola[0] <= 0.0 or abs(volume0 - volume) > fit_extent * volume:
        raise ValueError(
            f"energy must have a minimum within {fit_extent:g} of the volume {volume:.4g} A^3/atom, got none; start "
            "from a better lattice constant"
        )
    residual = np.polyval(parabola, volumes[fitted]) - energies[fitted]
    birch = _birch(volumes, energies)
    return EquationOfState(
        volumes=volumes,
        energies=energies,
        pressures=pressures,
        parabola=parabola,
        volume0=volume0,
        energy0=energy0,
        bulk_modulus_gpa=modulus,
        residual_mev=float(MEV_PER_EV * np.sqrt(np.mean(residual**2))),
        birch_volume0=birch[0],
        birch_modulus_gpa=birch[1],
        birch_derivative=birch[2],
    )


def fitted_parabola(volumes: Floats, energies: Floats) -> tuple[Floats, float, float, float]:
    """Return coefficients (3,) of numpy.polyfit, V0, E0 and V0 d2E/dV2 (GPa) of the parabola through E(V).

    volumes (n,) in A^3 and energies (n,) in eV, both per atom.
    """
    middle = float(volumes.mean())
    curvature, linear, constant = np.polyfit(volumes - middle, energies, 2)
    shift = -linear / (2.0 * curvature)
    parabola = [curvature, linear - 2.0 * curvature * middle, constant - linear * middle + curvature * middle**2]
    modulus = (middle + shift) * 2.0 * curvature * GPA_PER_EV_PER_CUBIC_ANGSTROM
    return np.array(parabola), float(middle + shift), float(constant + 0.5 * linear * shift), float(modulus)


def at_least_energy(atoms: Atoms, engine: Engine, *, extent: float = FIT_EXTENT) -> Atoms:
    """Return `atoms` scaled to the volume of least energy, its shape and fractional coordinates kept.

    Parabolas through the energies of ranges of +-`extent` lead there.

    Raises:
        ValueError: no minimum near the volume of `atoms`.
    """
    _require_bulk(atoms)
    scaled = atoms.copy()
    for _ in range(MAX_RANGES):
        volume = scaled.get_volume()
        steps = np.linspace(-extent, extent, FEWEST)
        energies = engine.in_cells(scaled, volume_cells(scaled, extent, FEWEST), relax=False, fmax=0.0).energies
        curvature, linear, _ = np.polyfit(steps, energies, 2)
        shift = -linear / (2.0 * curvature) if curvature > 0.0 else np.inf
        step = shift if abs(shift) < extent else extent * (-1.0 if energies[0] < energies[-1] else 1.0)
        scaled = in_cell(scaled, scaled.cell.array * (1.0 + step) ** (1.0 / 3.0))
        if abs(shift) < 0.25 * extent:
            # The cubic term moves the vertex of a parabola by about extent^2: narrower ranges find the minimum itself.
            if extent <= NARROW:
                return scaled
            extent = max(0.25 * extent, NARROW)
        if not 0.1 < volume / atoms.get_volume() < 10.0:
            break
    raise ValueError(
        f"atoms must be near a minimum of the energy, got none between {volume / len(atoms):.3g} A^3/atom and "
        f"{atoms.get_volume() / len(atoms):.3g} A^3/atom; start from a relaxed cell"
    )


def _birch(volumes: Floats, energies: Floats) -> tuple[float, float, float]:
    """V0 (A^3), K (GPa) and K' of the Birch-Murnaghan equation; NaN where it cannot be fitted."""
    equation = AseEquation(volumes, energies, eos="birchmurnaghan")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            volume, _, modulus = equation.fit(warn=False)
    except (RuntimeError, ValueError, Warning):
        return float("nan"), float("nan"), float("nan")
    return float(volume), float(modulus * GPA_PER_EV_PER_CUBIC_ANGSTROM), float(equation.eos_parameters[2])


def _require_bulk(atoms: Atoms) -> None:
    if not all(atoms.pbc):
        raise ValueError(
            "atoms must be periodic in three directions, got a structure with open sides; a bulk modulus needs a bulk"
        )
