"""`fix rhopot/metad` against `fix colvars` of LAMMPS, on the same variable with the same hills."""

from __future__ import annotations

from pathlib import Path

import lammps_process as lmp
import metadynamics_in_lammps as metad
import numpy as np
import pytest

STEPS, PACE = 60, 10

COLVARS = """\
units metal
colvarsTrajFrequency 1
colvarsRestartFrequency 0
colvar {
    name distance
    distance {
        group1 { atomNumbers 1 }
        group2 { atomNumbers 8 }
    }
}
metadynamics {
    name bias
    colvars distance
    hillWeight 0.05
    gaussianSigmas 0.15
    newHillFrequency %d
    useGrids off
    outputEnergy on
    %s
}
"""


@pytest.mark.parametrize("tempered", [False, True], ids=["plain", "well-tempered"])
def test_equals_fix_colvars(many_body: Path, tmp_path: Path, tempered: bool) -> None:
    """Two runs from the same start, each biased by one of the fixes: the same variable and bias in every step.

    The bias of colvars holds the hill of a step at that step already, which acts on no force there.
    """
    metad.write_variables(tmp_path)
    atoms = metad.structures()["crystal"]
    start = (
        lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"])
        + "timestep 0.001\nvelocity all create 600 11\nfix nve all nve\n"
    )
    words = "wellTempered on\nbiasTemperature 1800.0" if tempered else ""
    (tmp_path / "colvars.inp").write_text(COLVARS % (PACE, words))
    lmp.succeed(tmp_path, f"{start}fix bias all colvars colvars.inp output theirs\nthermo 10\nrun {STEPS}\n", 2)
    theirs = np.loadtxt(tmp_path / "theirs.colvars.traj", usecols=(0, 1, 2))
    tempering = "biasfactor 7 temp 300" if tempered else ""
    mine = f"fix bias all rhopot/metad distance.pt pace {PACE} height 0.05 sigma 0.15 {tempering} colvar COLVAR 1\n"
    lmp.succeed(tmp_path, f"{start}{mine}thermo 10\nrun {STEPS}\n", 2)
    ours = np.loadtxt(tmp_path / "COLVAR")
    assert len(ours) == len(theirs) == STEPS + 1
    np.testing.assert_allclose(10.0 * ours[:, 1], theirs[:, 1], rtol=0, atol=1e-6)
    between = np.arange(STEPS + 1) % PACE != 0
    energies = ours[:, 2] / 96.48533212331
    assert energies[between].max() > 0.1
    np.testing.assert_allclose(energies[between], theirs[between, 2], rtol=0, atol=1e-6)
