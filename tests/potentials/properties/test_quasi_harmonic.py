"""Thermal expansion: a solid whose free energy is known at all volumes, and an identity with mode frequencies."""

from __future__ import annotations

import closed_forms
import numpy as np
import pytest
from ase import units

from rhopot.potentials.properties.engine import AseEngine, in_cell
from rhopot.potentials.properties.phonons import Phonons, Thermodynamics, displaced_forces
from rhopot.potentials.properties.quasi_harmonic import quasi_harmonic, scales

VOLUME, BULK, GRUNEISEN = 20.0, 0.6, 1.7  # A^3, eV/A^3
TEMPERATURES = np.array([0.0, 100.0, 300.0, 600.0])


def classical(volume: float) -> Thermodynamics:
    """Three classical oscillators for an atom, of frequencies that go with V^-gruneisen: F = -3 k T ln(T / theta)."""
    theta = 400.0 * (volume / VOLUME) ** -GRUNEISEN
    warm = np.maximum(TEMPERATURES, 1e-300)
    log = np.log(warm / theta)
    free = -3.0 * units.kB * TEMPERATURES * log
    entropy = np.where(TEMPERATURES > 0.0, 3.0 * (log + 1.0), 0.0)
    return Thermodynamics(TEMPERATURES, free, entropy, np.where(TEMPERATURES > 0.0, 3.0, 0.0))


def test_a_solid_that_is_known_at_all_volumes() -> None:
    """E = K (V - V0)^2 / (2 V0): K (V - V0) V = 3 gruneisen k T V0, and everything else follows from that."""
    volumes = VOLUME * np.array(scales(0.03, 9))
    energies = 0.5 * BULK / VOLUME * (volumes - VOLUME) ** 2

    found = quasi_harmonic(volumes, energies, [classical(volume) for volume in volumes])

    heat = 3.0 * units.kB * TEMPERATURES
    volume = 0.5 * VOLUME * (1.0 + np.sqrt(1.0 + 4.0 * GRUNEISEN * heat / (BULK * VOLUME)))
    bulk = volume * (BULK / VOLUME + GRUNEISEN * heat / volume**2)
    alpha = 3.0 * units.kB * GRUNEISEN / (volume * bulk)
    assert found.volume == pytest.approx(volume, rel=3e-5)  # a parabola is no polynomial in V^(-2/3)
    assert found.bulk_modulus == pytest.approx(bulk / units.GPa, rel=5e-3)
    assert 3.0 * found.expansion[1:] == pytest.approx(alpha[1:], rel=5e-3)
    capacity = 3.0 + TEMPERATURES * volume * alpha**2 * bulk / units.kB
    assert found.heat_capacity[1:] == pytest.approx(capacity[1:], rel=5e-4)
    assert found.gruneisen[1:] == pytest.approx([GRUNEISEN] * 3, rel=1e-3)
    assert np.isnan(found.gruneisen[0])
    assert found.gibbs == pytest.approx(0.5 * BULK / VOLUME * (volume - VOLUME) ** 2 + classical_free(volume), abs=3e-6)


def classical_free(volume: np.ndarray) -> np.ndarray:
    return np.array([classical(each).free_energy[k] for k, each in enumerate(volume)])


def test_crystal_expands_by_the_gruneisen_parameters_of_its_modes() -> None:
    """alpha_V B_T V = sum_i gamma_i c_i with gamma_i = -d ln f_i / d ln V, from frequencies beside V(T)."""
    engine, temperature = AseEngine(closed_forms.lennard_jones()), 150.0
    temperatures = np.array([0.0, temperature, temperature + 1.0])
    rest = closed_forms.fcc()

    def at(scale: float) -> Phonons:
        crystal = in_cell(rest, rest.cell.array * scale ** (1 / 3))
        return Phonons(displaced_forces(crystal, engine, 2.0 * np.eye(3), displacement=2e-3))

    phonons = [at(scale) for scale in scales(0.04, 5)]
    for each in phonons:
        each.crystal.calc = engine.calculator
    volumes = np.array([each.crystal.get_volume() for each in phonons])
    energies = np.array([each.crystal.get_potential_energy() for each in phonons])
    found = quasi_harmonic(volumes, energies, [each.thermodynamics(temperatures, 25.0) for each in phonons])

    here = found.volume[1] / rest.get_volume()
    (points, low), (_, high) = (at(here * (1.0 + sign * 1e-3)).run_mesh(25.0) for sign in (-1.0, 1.0))
    middle = at(here)
    weights = np.array(middle.phonopy.run_mesh(25.0, is_gamma_center=True).weights)
    kept = np.linalg.norm(points, axis=1) > 1e-9
    low, high, weights = low[kept], high[kept], weights[kept]
    gamma = -np.log(high / low) / np.log(1.001 / 0.999)
    x = units._hplanck * 0.5 * (low + high) * 1e12 * units.J / (units.kB * temperature)
    heat = x**2 * np.exp(x) / np.expm1(x) ** 2 * weights[:, None] / (weights.sum() + 1)
    expected = units.kB * np.sum(gamma * heat) / (found.bulk_modulus[1] * units.GPa * found.volume[1])
    assert 3.0 * found.expansion[1] == pytest.approx(expected, rel=0.01)
    assert np.log(found.volume[2] / found.volume[1]) == pytest.approx(3.0 * found.expansion[1], rel=0.02)
    assert found.residual < 1e-4


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"volumes must be 5 or more, got 4"):
        scales(0.03, 4)
    with pytest.raises(ValueError, match=r"volume range must be between 0\.005 and 0\.2, got 0\.5"):
        scales(0.5, 7)
    volumes = VOLUME * np.array(scales(0.005, 5))
    energies = 0.5 * BULK / VOLUME * (volumes - VOLUME) ** 2
    with pytest.raises(ValueError, match=r"temperatures must leave the volume between 19\.9 and 20\.1 .* at 300 K"):
        quasi_harmonic(volumes, energies, [classical(volume) for volume in volumes])
