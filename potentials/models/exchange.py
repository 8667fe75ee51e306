"""Features of atoms between two layers of messages."""

import torch
from torch import Tensor


def exchange_features(x: Tensor) -> Tensor:
    """Return the features (N, d) of all atoms, those of atoms of other processes (ghosts in LAMMPS) from their owners.

    Where all atoms are in one graph nothing changes. Linear; gradients come back to the owners (operator `exchange_v1`,
    kernels/exchange.hpp).
    """
    found: Tensor = torch.ops.rhopot.exchange_v1(x)
    return found
