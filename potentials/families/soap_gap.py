"""`soap_gap`: Gaussian approximation potential, a sparse dot-product kernel on the SOAP power spectrum.

E = sum_i sum_s c_s k(p_i, p_s) with sparse points s (settings: `least_squares_settings.GapSettings`).
"""

from __future__ import annotations

from rhopot.potentials.descriptors.soap import SoapSettings
from rhopot.potentials.families.family import Family, FamilySettings
from rhopot.potentials.families.local import REPULSION, expected_errors, features_of_atoms
from rhopot.potentials.families.soap import SCALING, SOAP, power_spectrum
from rhopot.potentials.fitting.least_squares.fit import fit_gap
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult

GAP = "A. P. Bartók et al., Phys. Rev. Lett. 104, 136403 (2010), doi:10.1103/PhysRevLett.104.136403"


def _fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
    return fit_gap(problem, settings.regressor)


FAMILY = Family(
    name="soap_gap",
    title="sparse dot-product kernel on the SOAP power spectrum",
    references=(SOAP, GAP, SCALING),
    kind="local",
    n_layers=1,
    refits_on_validation=True,
    members_make_prediction=False,
    descriptor_settings=SoapSettings,
    regressor_settings=GapSettings,
    descriptor_for=power_spectrum,
    fit=_fit,
    features=features_of_atoms,
    defaults={
        **REPULSION,
        "descriptor": {
            "cutoff": 6.5,
            "cutoff_width": 2.0,
            "l_max": 8,
            "density_width": 0.4,
            "scaling": {"rate": 1.0, "scale": 3.5, "exponent": 4},
        },
        "regressor": {"zeta": 3, "delta": 3.0},
        "targets": expected_errors(energy=0.003, forces=0.05, stress=0.05),
    },
    tuning={
        "descriptor.cutoff": (4.0, 5.0, 5.75, 6.5, 7.25),
        "descriptor.n_max": (4, 6, 8, 10, 12),
        "descriptor.l_max": (3, 4, 6, 8, 10),
        "regressor.n_sparse": (125, 250, 500, 1000, 2000),
        "regressor.zeta": (1, 2, 3, 4),
        "targets.energy.sigma": (0.001, 0.003, 0.01),
    },
)
