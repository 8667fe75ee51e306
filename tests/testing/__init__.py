"""Tests that every descriptor and every model must pass, to be inherited by the tests of a family.

    from rhopot.testing import PotentialContract

    class TestMyFamily(PotentialContract):
        @pytest.fixture
        def model(self) -> LoadedModel:
            return load_model("model.pt")

`DescriptorContract`      descriptors of atomic environments: invariances, smoothness, derivatives, TorchScript
`PotentialContract`       models of kind `local`: the same of energies, forces and virials, additivity, dynamics
`GlobalModelContract`     models of kind `global`
`SmallSpectrum`           a small descriptor of plain PyTorch, for tests of what stands on descriptors
`structures`              the structures that the contracts use

Models and descriptors must know Li and Si. The package needs pytest (`pip install rhopot[test]`).
"""

import pytest

# Failing assertions of inherited tests show their values, as those of the test file itself do.
pytest.register_assert_rewrite(
    "rhopot.testing.descriptor", "rhopot.testing.potential", "rhopot.testing.global_model"
)  # fmt: skip

from rhopot.testing import structures  # noqa: E402
from rhopot.testing.descriptor import DescriptorContract  # noqa: E402
from rhopot.testing.global_model import GlobalModelContract  # noqa: E402
from rhopot.testing.potential import PotentialContract  # noqa: E402
from rhopot.testing.spectrum import SmallSpectrum, arguments  # noqa: E402

__all__ = [
    "DescriptorContract",
    "GlobalModelContract",
    "PotentialContract",
    "SmallSpectrum",
    "arguments",
    "structures",
]
