"""The tabulated radial functions of a density as the operators take them."""

from typing import NamedTuple

from torch import Tensor


class RadialTable(NamedTuple):
    """Radial functions of a density and how species share its channels; a type of TorchScript too.

    The field order is that of the operators' arguments.

    radial: (A, K, 3, L+1, Q) values and two derivatives at K knots (see `hermite`)
    cutoff: of the environments, in A
    species_channel: (A) channel block that each species fills; n_channels: number of blocks
    center_weight: of the centre's own density
    """

    radial: Tensor
    cutoff: float
    species_channel: Tensor
    n_channels: int
    center_weight: float
