"""Small runs of `fix colvars`: two argon-like atoms, metadynamics or OPES on their distance."""

from __future__ import annotations

from pathlib import Path

import lammps_process
from ase import Atoms

DISTANCE = """
colvar {
  name d
  lowerBoundary 2.5
  upperBoundary 8.0
  width 0.1
  distance {
    group1 { atomNumbers 1 }
    group2 { atomNumbers 2 }
  }
}
"""
HEIGHT = """
colvar {
  name z
  lowerBoundary -15.0
  upperBoundary 15.0
  width 0.5
  distanceZ {
    main { atomNumbers 1 }
    ref { dummyAtom (0, 0, 0) }
    axis (0, 0, 1)
    period 30.0
  }
}
"""
WALL = """
harmonicWalls {
  name wall
  colvars d
  upperWalls 7.0
  forceConstant 0.5
  outputEnergy on
}
"""
METADYNAMICS = """
metadynamics {
  name mtd
  colvars d
  hillWeight 0.005
  gaussianSigmas 0.1
  newHillFrequency 100
  outputEnergy on
  writeHillsTrajectory on
  wellTempered on
  biasTemperature 1500
}
"""
IN_TWO = """
metadynamics {
  name mtd
  colvars d z
  hillWeight 0.01
  gaussianSigmas 0.15 0.8
  newHillFrequency 100
  outputEnergy on
  writeHillsTrajectory on
}
"""
OPES = """
opes_metad {
  name opes
  colvars d
  newHillFrequency 100
  gaussianSigma 0.1
  barrier 0.15
  outputEnergy on
  pmf on
  pmfColvars d
}
"""


def run(folder: Path, name: str, config: str, steps: int = 40_000, every: int = 20, units: str = "metal") -> None:
    """Langevin dynamics at 300 K; what colvars writes is called `name`.colvars.traj and so on.

    OPES divides by kT and by the frequencies: it needs `tstat`, colvarsTrajFrequency and colvarsRestartFrequency.
    """
    atoms = Atoms("Ar2", [[14.0, 15.0, 15.0], [17.8, 15.0, 15.0]], cell=[30.0] * 3, pbc=True)
    lammps_process.write_data(folder / "two.data", atoms, ["Ar"])
    head = f"colvarsTrajFrequency {every}\ncolvarsRestartFrequency {steps}\n"
    (folder / f"{name}.in").write_text(head + config)
    energy, time = (lammps_process.REAL, 1000.0) if units == "real" else (1.0, 1.0)
    lammps_process.succeed(
        folder,
        f"""
units {units}
atom_modify map yes
read_data two.data
pair_style lj/cut 9.0
pair_coeff 1 1 {0.05 * energy} 3.4
neighbor 2.0 bin
timestep {0.004 * time}
velocity all create 300 7
fix 1 all nve
fix 2 all langevin 300 300 {0.2 * time} 11
fix cv all colvars {name}.in output {name} tstat 2
run {steps}
""",
    )
