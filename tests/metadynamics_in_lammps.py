"""Files of collective variables, and inputs of `fix rhopot/metad`, for its tests."""

from __future__ import annotations

from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np

from rhopot.export.cv_card import CvCard
from rhopot.export.cv_evaluate import evaluate_cv
from rhopot.export.cv_file import LoadedCv, load_cv, save_cv
from rhopot.export.metadynamics_bias import Axis, Bias, BiasSettings, Hills
from rhopot.export.metadynamics_files import Columns, HillsFile
from rhopot.potentials import collective_variables as cvs

HEIGHT, PACE, BIASFACTOR, TEMPERATURE = 0.05, 5, 8.0, 300.0
SIGMA = {"distance": 0.15, "coordination": 0.2, "dihedral": 0.3}
KEYWORDS = f"pace {PACE} height {HEIGHT} biasfactor {BIASFACTOR} temp {TEMPERATURE}"


def write_variables(folder: Path) -> None:
    """distance.pt, coordination.pt, dihedral.pt and both.pt (coordination and distance) in a folder."""
    distance = cvs.Distance([1, 8])
    coordination = cvs.Coordination(["Li"], ["Li", "Si"], cutoff=3.4)
    variables = {
        "distance": distance,
        "coordination": coordination,
        "dihedral": cvs.Dihedral([1, 2, 3, 4]),
        "both": cvs.Combined([coordination, distance], [coordination.description, distance.description]),
    }
    for name, variable in variables.items():
        save_cv(variable, CvCard.of(variable), folder / f"{name}.pt")


def structures() -> dict[str, ase.Atoms]:
    """A crystal, a triclinic cell, and a cell of which all atoms lie in one corner, so that other ranks have none."""
    corner = toy.cluster()
    corner.positions += 1.0 - corner.positions.min(axis=0)
    corner.set_cell([40.0, 40.0, 40.0])
    corner.pbc = True
    return {"crystal": toy.crystal((2, 2, 2)), "triclinic": lmp.in_lammps_frame(toy.skewed()), "corner": corner}


def random_hills(cv: LoadedCv, atoms: ase.Atoms, n: int = 7) -> Hills:
    """Hills about the variables of a structure."""
    values = evaluate_cv(cv, atoms, gradients=False).values
    generator = np.random.default_rng(3)
    sigma = np.array([SIGMA[name] for name in cv.card.names])
    centers = values + sigma * generator.normal(size=(n, len(sigma)))
    return Hills(centers, np.tile(sigma, (n, 1)), generator.uniform(0.02, 0.2, n))


def write_hills(path: Path, cv: LoadedCv, hills: Hills, biasfactor: float | None) -> None:
    """HILLS of a run whose hill k was added at 0.005 (k + 1) ps."""
    card = cv.card
    file = HillsFile(path, Columns(card.names, card.units, card.periods, cv.identity), biasfactor)
    file.begin()
    for k in range(len(hills)):
        mask = np.arange(len(hills)) == k
        file.append(0.005 * (k + 1), hills.only(mask))


def elements(cv: LoadedCv) -> str:
    """The elements in a line of the fix: those of the types, where the variable reads edges."""
    return "Li Si" if cv.card.reads_edges else ""


def start(folder: Path, atoms: ase.Atoms, pair: str = "pair_style zero 4.0\npair_coeff * *") -> str:
    """An input up to the pair style; by default one without forces, so that all forces are those of the bias."""
    return lmp.setup(folder, atoms, "", ["Li", "Si"], pair=pair)


def fix(path: Path, words: str, group: str = "all") -> str:
    """The line of the fix, with the widths of the file's variables."""
    cv = load_cv(path)
    sigma = " ".join(str(SIGMA[name]) for name in cv.card.names)
    return f"fix bias {group} rhopot/metad {path} {elements(cv)} sigma {sigma} {words}\n"


def bias_of(cv: LoadedCv, hills: Hills, grid: tuple[Axis, ...] = ()) -> Bias:
    """The same bias in NumPy."""
    settings = BiasSettings(HEIGHT, tuple(SIGMA[name] for name in cv.card.names), PACE, BIASFACTOR, TEMPERATURE, grid)
    bias = Bias(settings, cv.card.names, cv.card.periods)
    bias.add(hills)
    return bias


def dynamics(
    folder: Path, atoms: ase.Atoms, model: Path | str, words: str, steps: int, path: Path, seed: int = 11
) -> str:
    """An input of biased Langevin dynamics with a model, or with a pair style's lines."""
    pair = None if isinstance(model, Path) else model
    return (
        lmp.setup(folder, atoms, model, ["Li", "Si"], pair=pair)
        + f"timestep 0.001\nvelocity all create 600 {seed}\nfix integrate all nve\n"
        + f"fix bath all langevin 300 300 0.1 {seed}\n"
        + fix(path, words)
        + f"thermo 50\nrun {steps}\n"
    )
