"""Distribution functions of structures whose neighbors are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from rhopot.potentials.properties.distributions import distributions


def test_an_ideal_gas_has_no_structure() -> None:
    rng = np.random.default_rng(0)
    gas = [Atoms("Ar200He100", rng.uniform(0.0, 20.0, (300, 3)), cell=[20] * 3, pbc=True) for _ in range(10)]

    found = distributions(gas, cutoff=5.0, farthest=9.0)

    far = found.r > 4.0
    assert {pair: g[far].mean() for pair, g in found.pairs.items()} == pytest.approx(
        {"Ar-Ar": 1.0, "Ar-He": 1.0, "He-He": 1.0}, abs=0.03
    )
    # Directions are independent: the density of angles is sin(angle)/2 per radian.
    expected = 0.5 * np.sin(np.radians(found.angles)) * np.pi / 180.0
    assert found.triples["Ar-Ar-Ar"] == pytest.approx(expected, abs=1e-3)


def test_neighbors_of_a_crystal_of_two_elements() -> None:
    """Zinc blende, rattled: 4 neighbors of the other element, tetrahedral angles at both."""
    crystal = bulk("SiC", "zincblende", a=4.36, cubic=True).repeat(2)
    frames = []
    for seed in range(4):
        frames.append(crystal.copy())
        frames[-1].rattle(0.03, seed=seed)

    found = distributions(frames)

    cutoff = found.cutoffs["C-Si"]
    density = 32 / crystal.get_volume()
    inside = found.r < cutoff
    neighbors = (4 * np.pi * density * found.r**2 * found.pairs["C-Si"])[inside].sum() * (found.r[1] - found.r[0])
    assert neighbors == pytest.approx(4.0, rel=1e-3)
    assert 0.25 * np.sqrt(3) * 4.36 < cutoff < 0.25 * np.sqrt(11) * 4.36
    angles = found.triples["C-Si-C"]
    assert (angles * found.angles).sum() == pytest.approx(109.47, abs=1.0)
    assert found.n_frames == 4


def test_a_stated_cutoff_chooses_the_angles() -> None:
    found = distributions([bulk("Cu", a=3.6, cubic=True).repeat(2)], cutoff=3.0)
    density = found.triples["Cu-Cu-Cu"]
    # Of the 66 angles between 12 neighbors 24 are 60, 12 are 90, 24 are 120 and 6 are 180 degrees.
    shares = [density[abs(found.angles - angle) < 1.0].sum() for angle in (60, 90, 120, 180)]
    assert found.cutoffs == {"Cu-Cu": 3.0}
    assert shares == pytest.approx([24 / 66, 12 / 66, 24 / 66, 6 / 66])


def test_molecules_have_no_density() -> None:
    with pytest.raises(ValueError, match="frames must be periodic in three directions"):
        distributions([molecule("H2O")])
