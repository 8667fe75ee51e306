"""`multispectrum_gap`: Gaussian approximation potential, a sparse dot-product kernel on multispectra.

E = sum_i sum_s c_s k(p_i, p_s) with sparse points s (settings: `least_squares_settings.GapSettings`).
"""

from __future__ import annotations

from rhopot.potentials.descriptors.multispectrum.multispectrum_settings import MultispectrumSettings
from rhopot.potentials.families.family import Family, FamilySettings
from rhopot.potentials.families.local import REPULSION, expected_errors, features_of_atoms
from rhopot.potentials.families.multispectrum import DESCRIPTOR, NICE, OPTIMAL_BASIS, multispectrum
from rhopot.potentials.families.soap import SCALING
from rhopot.potentials.families.soap_gap import GAP
from rhopot.potentials.fitting.least_squares.fit import fit_gap
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult


def _fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
    return fit_gap(problem, settings.regressor)


FAMILY = Family(
    name="multispectrum_gap",
    title="sparse dot-product kernel on multispectra, invariants of order 1 to 4",
    references=(NICE, OPTIMAL_BASIS, GAP, SCALING),
    kind="local",
    n_layers=1,
    refits_on_validation=True,
    members_make_prediction=False,
    descriptor_settings=MultispectrumSettings,
    regressor_settings=GapSettings,
    descriptor_for=multispectrum,
    fit=_fit,
    features=features_of_atoms,
    defaults={
        **REPULSION,
        "descriptor": {**DESCRIPTOR, "n_three": 300},
        "regressor": {"zeta": 2, "delta": 3.0},
        "targets": expected_errors(energy=0.003, forces=0.05, stress=0.05),
    },
    tuning={
        "descriptor.cutoff": (4.0, 5.0, 6.0, 7.0),
        "descriptor.optimal_basis.q_max": (4, 6, 8, 10, 12),
        "descriptor.n_three": (0, 100, 300, 1000),
        "regressor.n_sparse": (125, 250, 500, 1000, 2000),
        "regressor.zeta": (1, 2, 3, 4),
        "targets.energy.sigma": (0.001, 0.003, 0.01),
    },
)
