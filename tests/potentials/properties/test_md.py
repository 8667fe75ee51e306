"""Dynamics and bands, held to what is known in closed form for simple potentials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from rhopot.potentials.lammps.band import read_lammps_band
from rhopot.potentials.properties.md import energy_drift, run_dynamics
from rhopot.potentials.properties.neb import nudged_elastic_band, relax_end_point
from rhopot.potentials.structures.prototypes import vacancy_hop


def test_constant_energy_conserves_energy_and_momentum() -> None:
    run = run_dynamics(bulk("Cu", cubic=True).repeat(2), EMT(), temperature=300, timestep_fs=2, steps=200, every=5)
    total = run.potential + run.kinetic
    assert np.ptp(total) / len(run.atoms) < 1e-3
    np.testing.assert_allclose(run.atoms.get_momenta().sum(axis=0), 0.0, atol=1e-10)
    assert run.time[-1] == pytest.approx(0.4)


@pytest.mark.slow
def test_thermostat_reaches_its_temperature() -> None:
    atoms = bulk("Cu", cubic=True).repeat(2)
    run = run_dynamics(atoms, EMT(), ensemble="nvt", temperature=400, timestep_fs=4, steps=1000, every=5)
    assert run.temperature[50:].mean() == pytest.approx(400, rel=0.1)


def test_drift_is_the_slope() -> None:
    time = np.linspace(0, 5, 50)
    assert energy_drift(time, -3.0 + 0.002 * time, 4) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="3 or more recorded steps"):
        energy_drift(time[:2], time[:2], 1)


def test_unknown_ensemble_is_refused() -> None:
    with pytest.raises(ValueError, match="ensemble must be nve or nvt, got 'npt'"):
        run_dynamics(bulk("Cu"), EMT(), ensemble="npt")  # type: ignore[arg-type]


@pytest.mark.slow
def test_barrier_of_a_symmetric_hop() -> None:
    """Both ways cost the same, and the middle image is the saddle: no force along or across the path."""
    crystal = bulk("Cu", cubic=True).repeat(2)
    initial, final = (relax_end_point(end, EMT(), fmax=0.01) for end in vacancy_hop(crystal))
    band = nudged_elastic_band(initial, final, EMT(), images=3, fmax=0.03)
    assert band.converged
    assert band.forward_barrier == pytest.approx(band.backward_barrier, abs=2e-3)
    assert 0.3 < band.forward_barrier < 1.2
    assert int(np.argmax(band.energies)) == 2
    assert np.abs(band.images[2].get_forces()).max() < 0.05


def test_band_needs_the_same_atoms() -> None:
    with pytest.raises(ValueError, match="same atoms in the same order"):
        nudged_elastic_band(Atoms("CuAg"), Atoms("AgCu"), EMT())


def test_foreign_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("nothing\n")
    with pytest.raises(ValueError, match="log must be that of a LAMMPS neb run"):
        read_lammps_band(tmp_path / "log")
