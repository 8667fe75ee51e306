"""`soap_linear`: ridge regression on the SOAP power spectrum.

E = sum_i w[a_i] . p_i with weights w of each element a (settings: `least_squares_settings.LinearSettings`).
"""

from __future__ import annotations

from rhopot.potentials.descriptors.soap import SoapSettings
from rhopot.potentials.families.family import Family, FamilySettings
from rhopot.potentials.families.local import REPULSION, expected_errors, features_of_atoms
from rhopot.potentials.families.soap import SCALING, SOAP, power_spectrum
from rhopot.potentials.fitting.least_squares.fit import fit_linear
from rhopot.potentials.fitting.least_squares.least_squares_settings import LinearSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult


def _fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
    return fit_linear(problem, settings.regressor)


FAMILY = Family(
    name="soap_linear",
    title="ridge regression on the SOAP power spectrum",
    references=(SOAP, SCALING),
    kind="local",
    n_layers=1,
    refits_on_validation=True,
    members_make_prediction=False,
    descriptor_settings=SoapSettings,
    regressor_settings=LinearSettings,
    descriptor_for=power_spectrum,
    fit=_fit,
    features=features_of_atoms,
    defaults={
        **REPULSION,
        "descriptor": {"cutoff": 6.0, "cutoff_width": 2.0, "l_max": 8, "density_width": 0.3},
        "targets": expected_errors(energy=0.007, forces=0.1, stress=0.1),
    },
    tuning={
        "descriptor.cutoff": (4.0, 5.0, 6.0, 7.0),
        "descriptor.n_max": (4, 6, 8, 10, 12),
        "descriptor.l_max": (3, 4, 6, 8, 10),
        "descriptor.optimal_basis": ({"q_max": 3}, {"q_max": 4}, {"q_max": 6}, {"q_max": 8}, None),
        "targets.energy.sigma": (0.002, 0.007, 0.02),
        "regressor.prior": (0.1, 0.3, 1.0, 3.0),
    },
)
