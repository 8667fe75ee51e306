"""`scattering`: average of sparse linear models on wavelet scattering of the periodic cell.

E / N = c + sum_p w_p S_p with features S per atom of the structure (see `descriptors.scattering`).
"""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering, choose_grid
from rhopot.potentials.families.family import Configuration, Conflict, Family, FamilySettings
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.fit import fit_scattering
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.atomic_graph import species_of
from rhopot.potentials.units import STRETCH

SCATTERING = (
    "M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat, L. Thiry, J. Chem. Phys. 148, 241732 (2018), "
    "doi:10.1063/1.5023798"
)
SPARSE_MODELS = (
    "P. Sinz, M. W. Swift, X. Brumwell, J. Liu, K. J. Kim, Y. Qi, M. Hirn, J. Chem. Phys. 153, 084109 (2020), "
    "doi:10.1063/5.0016020"
)


def _scattering(settings: ScatteringSettings, frames: Sequence[ase.Atoms], symbols: Sequence[str]) -> WaveletScattering:
    """All wavelet paths; width and number of scales are taken from the frames where the settings leave them open."""
    return WaveletScattering(settings.completed(frames).with_symbols(symbols))


def _fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
    return fit_scattering(problem, settings.regressor)


def _features(scattering: WaveletScattering, atoms: ase.Atoms) -> NDArray[np.float64]:
    """Features (F,) per atom of the structure, on the grid that models use."""
    cell, pbc = torch.tensor(np.asarray(atoms.cell.array)), torch.tensor(atoms.pbc.tolist())
    grid = choose_grid(scattering.settings, atoms, STRETCH)
    species = species_of(atoms, scattering.settings.symbols)
    with torch.no_grad():
        return np.asarray(scattering(torch.tensor(atoms.positions), species, cell, pbc, grid).numpy())


def _names(scattering: WaveletScattering) -> list[str]:
    return [path.name for path in scattering.paths]


def _conflict(config: Configuration) -> Conflict | None:
    """Single precision, pairs of atoms, and fits without energies."""
    if config.dtype != "float64":
        sentence = f"must be float64 for scattering, got {config.dtype}; its features span many powers of ten"
        return Conflict(("dtype",), sentence)
    if config.baseline.pair is not None:
        sentence = f"must be null for scattering, got {config.baseline.pair.kind}; its models have no pairs of atoms"
        return Conflict(("baseline", "pair"), sentence)
    if config.targets.energy is None:
        sentence = "must be a sigma for scattering, got null; forces alone leave the energies open"
        return Conflict(("targets", "energy"), sentence)
    return None


FAMILY = Family(
    name="scattering",
    title="average of sparse linear models on wavelet scattering of the periodic cell",
    references=(SCATTERING, SPARSE_MODELS),
    kind="global",
    n_layers=1,
    refits_on_validation=True,
    members_make_prediction=False,
    descriptor_settings=ScatteringSettings,
    regressor_settings=ScatteringFitSettings,
    descriptor_for=_scattering,
    fit=_fit,
    features=_features,
    feature_names=_names,
    reach=lambda settings: float(settings.reach),
    conflict=_conflict,
    defaults={
        "descriptor": {"beta": None, "max_scale": None, "alias": 1e-3},
        "regressor": {"budget": 150},
        "targets": {"forces": {"sigma": 0.3, "required": False}, "stress": {"sigma": 0.3, "required": False}},
        "uncertainty": {"members": 100},
        "report": {"learning_curve": [], "train_frames": 100},
    },
    shorthands={"budget": ("regressor", "budget")},
    notes=("no repulsion at short distances: atoms closer than those of the training data may fuse",),
)
