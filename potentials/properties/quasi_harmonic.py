"""Thermal expansion of a crystal in the quasi-harmonic approximation: harmonic phonons at several volumes.

    F(V, T) = E(V) + F_vib(V, T)                fitted at each T by Birch and Murnaghan's equation of state,
                                                a polynomial of third degree in V^(-2/3)
    V(T): dF/dV = -p,   B_T = V d2F/dV2,   alpha_V = (dS/dV) / B_T,   C_P = C_V + T V alpha_V^2 B_T

S and C_V are fitted by the same polynomials, so nothing is differentiated by temperature. The cell keeps its shape: it
is scaled alike along all directions, its atoms relaxed. That is exact for cubic crystals; for others it leaves out what
a change of shape would gain, and the linear coefficient, alpha_V / 3, is a mean over directions.

The approximation holds where phonons do not interact: well below the melting point. B. Fultz, Prog. Mater. Sci. 55, 247
(2010), doi:10.1016/j.pmatsci.2009.05.002; F. Birch, Phys. Rev. 71, 809 (1947), doi:10.1103/PhysRev.71.809.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import units
from numpy.polynomial import Polynomial

from rhopot.potentials.properties.phonons import Thermodynamics, value_at
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats

RANGE = 0.03
VOLUMES = 7
DEGREE = 3  # in V^(-2/3)
BOLTZMANN = units.kB  # eV/K


@dataclass(frozen=True)
class QuasiHarmonic:
    """Functions of temperature (n,) in K at zero pressure.

    volume: A^3/atom; expansion: linear coefficient in 1/K; bulk_modulus: isothermal, in GPa; heat_capacity: at constant
    pressure in k_B/atom; gibbs: free energy in eV/atom; gruneisen: thermodynamic parameter alpha_V B_T V / C_V
    residual: root mean square error in eV/atom of the fits of F, the largest of all temperatures
    """

    temperatures: Floats
    volume: Floats
    expansion: Floats
    bulk_modulus: Floats
    heat_capacity: Floats
    gibbs: Floats
    gruneisen: Floats
    residual: float

    def at(self, name: str, temperature: float) -> float:
        """A function at one of the temperatures."""
        return value_at(temperature, self.temperatures, getattr(self, name))


def scales(extent: float = RANGE, count: int = VOLUMES) -> list[float]:
    """Return volumes over the equilibrium volume, from 1 - extent to 1 + extent.

    Raises:
        ValueError: fewer volumes than the fit needs, an extent outside 0.005 to 0.2.
    """
    if count < DEGREE + 2:
        raise ValueError(f"volumes must be {DEGREE + 2} or more, got {count}; the fit has {DEGREE + 1} parameters")
    if not 0.005 <= extent <= 0.2:
        raise ValueError(f"volume range must be between 0.005 and 0.2, got {extent:g}; 0.03 is usual")
    return [float(scale) for scale in 1.0 + np.linspace(-extent, extent, count)]


def quasi_harmonic(volumes: Floats, energies: Floats, thermodynamics: Sequence[Thermodynamics]) -> QuasiHarmonic:
    """Return thermal expansion and what comes with it.

    Args:
        volumes: A^3/atom, ascending.
        energies: eV/atom, static, at each volume.
        thermodynamics: harmonic functions at each volume, at the same temperatures.

    Raises:
        ValueError: at a temperature the free energy has no minimum within the volumes.
    """
    middle = float(np.median(volumes))
    temperatures = thermodynamics[0].temperatures
    free = energies[:, None] + np.array([each.free_energy for each in thermodynamics])
    entropies = np.array([each.entropy for each in thermodynamics])
    capacities = np.array([each.heat_capacity for each in thermodynamics])
    rows, residual = [], 0.0
    for k, temperature in enumerate(temperatures):
        fit = _Fit(volumes, free[:, k], middle)
        volume = fit.minimum(volumes)
        if volume is None:
            raise ValueError(
                f"temperatures must leave the volume between {volumes[0]:.4g} and {volumes[-1]:.4g} A^3/atom, got none "
                f"at {temperature:g} K; lower --max-temperature or raise --volume-range"
            )
        residual = max(residual, fit.residual)
        bulk = volume * fit.derivative(volume, 2)
        alpha = BOLTZMANN * _Fit(volumes, entropies[:, k], middle).derivative(volume, 1) / bulk
        constant_volume = _Fit(volumes, capacities[:, k], middle).derivative(volume, 0)
        extra = temperature * volume * alpha**2 * bulk / BOLTZMANN
        gruneisen = alpha * bulk * volume / (BOLTZMANN * constant_volume) if constant_volume > 1e-6 else np.nan
        rows.append((volume, alpha / 3.0, bulk, constant_volume + extra, fit.derivative(volume, 0), gruneisen))
    volume, expansion, bulk, capacity, gibbs, gruneisen = np.array(rows).T
    return QuasiHarmonic(
        temperatures, volume, expansion, bulk * GPA_PER_EV_PER_CUBIC_ANGSTROM, capacity, gibbs, gruneisen, residual
    )


class _Fit:
    """A polynomial in y = (V / V0)^(-2/3) - 1 through values at volumes, and its derivatives by V."""

    def __init__(self, volumes: Floats, values: Floats, middle: float) -> None:
        self.middle = middle
        self.polynomial = Polynomial.fit(self._y(volumes), values, DEGREE).convert()
        self.residual = float(np.sqrt(np.mean((self.polynomial(self._y(volumes)) - values) ** 2)))

    def derivative(self, volume: float, order: int) -> float:
        y, first = self._y(volume), -2.0 / 3.0 * (volume / self.middle) ** (-5.0 / 3.0) / self.middle
        if order == 0:
            return float(self.polynomial(y))
        by_y = self.polynomial.deriv()(y)
        if order == 1:
            return float(by_y * first)
        second = -5.0 / 3.0 * first / volume
        return float(self.polynomial.deriv(2)(y) * first**2 + by_y * second)

    def minimum(self, volumes: Floats) -> float | None:
        """The volume of least value between the first and the last; None where there is none."""
        for root in np.asarray(self.polynomial.deriv().roots(), dtype=np.complex128):
            if abs(root.imag) < 1e-12 and root.real > -1.0:
                volume = self.middle * float((1.0 + root.real) ** -1.5)
                if volumes[0] <= volume <= volumes[-1] and self.derivative(volume, 2) > 0.0:
                    return volume
        return None

    def _y(self, volume: Floats | float) -> Floats:
        return np.asarray((np.asarray(volume) / self.middle) ** (-2.0 / 3.0) - 1.0)
