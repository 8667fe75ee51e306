"""Index orders of Voigt components and the volume that stress needs."""

from __future__ import annotations

import numpy as np
import pytest
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from rhopot.potentials import units


def test_voigt_orders() -> None:
    names = np.array([["xx", "xy", "xz"], ["yx", "yy", "yz"], ["zx", "zy", "zz"]])
    assert [str(names[i]) for i in units.ASE_VOIGT] == ["xx", "yy", "zz", "yz", "xz", "xy"]
    assert [str(names[i]) for i in units.LAMMPS_VOIGT] == ["xx", "yy", "zz", "xy", "xz", "yz"]
    assert [str(names[i]) for i in units.LAMMPS_CENTROID[6:]] == ["yx", "zx", "zy"]


def test_voigt_agrees_with_ase_and_round_trips() -> None:
    tensor = np.random.default_rng(1).normal(size=(4, 3, 3))
    tensor = tensor + tensor.transpose(0, 2, 1)
    np.testing.assert_allclose(units.to_voigt(tensor), full_3x3_to_voigt_6_stress(tensor))
    components = units.to_voigt(tensor)
    np.testing.assert_allclose(units.from_voigt(components), voigt_6_to_full_3x3_stress(components))
    for order in (units.ASE_VOIGT, units.LAMMPS_VOIGT):
        np.testing.assert_allclose(units.from_voigt(units.to_voigt(tensor, order), order), tensor)
    raw = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(units.to_voigt(raw, units.LAMMPS_CENTROID), [0, 4, 8, 1, 2, 5, 3, 6, 7])


def test_no_volume_no_stress() -> None:
    with pytest.raises(ValueError, match=r"volume must be positive to define a stress, got 0\.0"):
        units.stress_from_virial(np.eye(3), 0.0)
