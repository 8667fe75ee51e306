"""`fix rhopot/metad` beside a trained model of each family: forces are the model's and the bias', as in ASE."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import metadynamics_in_lammps as metad
import numpy as np
import pytest
import trained_models

from rhopot.export import MetadynamicsCalculator, RhopotCalculator, load_cv, read_card

STEP = 1000
WALLS = (("distance", 1.0, 0.3), ("coordination", 1.0, 0.7))  # both act


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of two variables."""
    folder = tmp_path_factory.mktemp("variables")
    metad.write_variables(folder)
    return folder / "both.pt"


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_biased_forces_are_those_of_ase(
    trained_model: Callable[[str], Path], both: Path, tmp_path: Path, family: str
) -> None:
    """On two ranks, hills and walls together; pair style `zero` reaches the neighbors that a global model does not."""
    model, atoms = trained_model(family), toy.crystal((2, 1, 1))
    cv = load_cv(both)
    hills = metad.random_hills(cv, atoms)
    metad.write_hills(tmp_path / "HILLS", cv, hills, metad.BIASFACTOR)
    calculator = MetadynamicsCalculator(
        RhopotCalculator(model), cv, height=metad.HEIGHT, sigma=[metad.SIGMA[name] for name in cv.card.names],
        pace=metad.PACE, biasfactor=metad.BIASFACTOR, temperature=metad.TEMPERATURE, wall_upper=WALLS,
        hills=tmp_path / "HILLS", colvar=None, restart=True,
    )  # fmt: skip
    calculator.begin(STEP, 1.0)
    pair = f"pair_style rhopot\npair_coeff * * {model} Li Si"
    if read_card(model).kind == "global":
        pair = f"pair_style hybrid/overlay rhopot zero 4.0\npair_coeff * * rhopot {model} Li Si\npair_coeff * * zero"
    walls = " ".join(f"wall_upper {name} {at} {kappa}" for name, at, kappa in WALLS)
    fix = metad.fix(both, f"{metad.KEYWORDS} {walls} restart yes")
    script = f"{metad.start(tmp_path, atoms, pair)}reset_timestep {STEP}\n{fix}fix_modify bias energy yes\n{lmp.WHOLE}"
    result = lmp.succeed(tmp_path, script, 2)
    energy, bias = calculator.get_property("energy", atoms), calculator.get_property("bias", atoms)
    assert bias > 0.1
    assert result.values["pe"] == pytest.approx(energy, abs=1e-8)
    expected = calculator.get_property("forces", atoms)
    np.testing.assert_allclose(lmp.forces(result.dump()[0]), expected, rtol=0, atol=1e-8)
