"""`multispectrum`: ridge regression on multispectra, correlations of up to four neighbors in an optimal radial basis.

E = sum_i w[a_i] . p_i with weights w of each element a (settings: `least_squares_settings.LinearSettings`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms

from rhopot.potentials import operators
from rhopot.potentials.descriptors.multispectrum.multispectrum import Multispectrum, learn
from rhopot.potentials.descriptors.multispectrum.multispectrum_settings import MultispectrumSettings
from rhopot.potentials.families.family import Family, FamilySettings
from rhopot.potentials.families.local import REPULSION, expected_errors, features_of_atoms
from rhopot.potentials.families.soap import SCALING
from rhopot.potentials.fitting.least_squares.fit import fit_linear
from rhopot.potentials.fitting.least_squares.least_squares_settings import LinearSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult

NICE = "J. Nigam, S. Pozdnyakov, M. Ceriotti, J. Chem. Phys. 153, 121101 (2020), doi:10.1063/5.0021116"
OPTIMAL_BASIS = "A. Goscinski et al., J. Chem. Phys. 155, 104106 (2021), doi:10.1063/5.0057229"

DESCRIPTOR: dict[str, Any] = {
    "cutoff": 6.0,
    "cutoff_width": 2.0,
    "l_max": 4,
    "density_width": 0.3,
    "scaling": {"rate": 1.0, "scale": 3.0, "exponent": 4},
    "species_mode": "mixed",
}


def multispectrum(settings: MultispectrumSettings, frames: Sequence[Atoms], symbols: Sequence[str]) -> Multispectrum:
    """The multispectrum of these settings; its radial basis and the choice of its terms are learned from the frames."""
    operators.load()
    complete = settings.with_symbols(symbols)
    assert isinstance(complete, MultispectrumSettings)
    return Multispectrum(learn(complete, frames))


def _fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
    return fit_linear(problem, settings.regressor)


FAMILY = Family(
    name="multispectrum",
    title="ridge regression on multispectra, invariants of order 1 to 4",
    references=(NICE, OPTIMAL_BASIS, SCALING),
    kind="local",
    n_layers=1,
    refits_on_validation=True,
    members_make_prediction=False,
    descriptor_settings=MultispectrumSettings,
    regressor_settings=LinearSettings,
    descriptor_for=multispectrum,
    fit=_fit,
    features=features_of_atoms,
    defaults={
        **REPULSION,
        "descriptor": DESCRIPTOR,
        "regressor": {"scaling": 1.0},
        "targets": expected_errors(energy=0.007, forces=0.1, stress=0.1),
    },
    tuning={
        "descriptor.cutoff": (4.0, 5.0, 6.0, 7.0),
        "descriptor.optimal_basis.q_max": (4, 6, 8, 10, 12),
        "descriptor.n_three": (0, 250, 500, 1000, 2000, 4000),
        "descriptor.n_four": (0, 250, 500, 1000),
        "targets.energy.sigma": (0.002, 0.007, 0.02),
        "regressor.prior": (0.1, 0.3, 1.0, 3.0),
    },
)
