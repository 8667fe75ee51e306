"""`dimension 2`: the layer is one layer, as in ASE with an open third axis."""

from collections.abc import Callable
from pathlib import Path

import ase
import lammps_process as lmp
import numpy as np
import pytest
import trained_models

from rhopot.export import RhopotCalculator


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_two_dimensions(trained_model: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    """A layer is one layer: LAMMPS wants a periodic z axis there, and makes no images along it."""
    rng = np.random.default_rng(7)
    places = 2.7 * np.array([[x, y, 0.0] for x in range(3) for y in range(2)])
    atoms = ase.Atoms("LiSiSiLiSiSi", positions=places, cell=[8.1, 5.4, 1.0], pbc=True)
    atoms.positions[:, :2] += rng.uniform(-0.2, 0.2, (6, 2))
    start = lmp.setup(tmp_path, atoms, trained_model(family), ["Li", "Si"], before="dimension 2")
    data = tmp_path / "structure.data"
    data.write_text(data.read_text().replace("0 1.0 zlo zhi", "-0.5 0.5 zlo zhi"))
    run = lmp.succeed(tmp_path, start + lmp.WHOLE, 2)
    layer = atoms.copy()
    layer.pbc = (True, True, False)
    layer.calc = RhopotCalculator(trained_model(family))
    assert run.values["pe"] == pytest.approx(layer.get_potential_energy(), abs=1e-8)
    np.testing.assert_allclose(lmp.forces(run.dump()[0]), layer.get_forces(), rtol=0, atol=1e-8)
    area = float(np.prod(atoms.cell.lengths()[:2]))
    virial = -layer.get_stress(voigt=False) * layer.get_volume() / area
    pressures = np.array([run.values[name] for name in ("pxx", "pyy", "pxy")]) / lmp.PRESSURE
    np.testing.assert_allclose(pressures, [virial[0, 0], virial[1, 1], virial[0, 1]], rtol=1e-7, atol=1e-8)
