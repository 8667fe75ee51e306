"""GMP features: everything a descriptor owes, closed forms, and the physics of norms on symmetric sites."""

import pytest
from contracts.descriptor import SYMBOLS, DescriptorContract
from contracts.gmp import HOLLOW, SOFT
from torch import nn

from rhopot.potentials.gmp import GmpFeatures, GmpHypers

HYPERS = GmpHypers(symbols=SYMBOLS, cutoff=4.5, cutoff_width=2.0, n_probes=3, max_width=1.2, max_order=4)
DENSITIES = (SOFT, HOLLOW)
CASES = {
    "cartesian": (HYPERS, False),
    "cartesian_reference": (HYPERS, True),
    "solid": (HYPERS.model_copy(update={"harmonics": "solid"}), False),
    "without_centre": (HYPERS.model_copy(update={"center_weight": 0.0}), False),
}


class TestGmpFeatures(DescriptorContract):
    @pytest.fixture(scope="class", params=list(CASES))
    @classmethod
    def descriptor(cls, request: pytest.FixtureRequest) -> nn.Module:
        hypers, twin = CASES[request.param]
        return GmpFeatures(hypers, DENSITIES, reference=twin)
