"""Extrapolation grade: how far the environment of an atom lies outside those a model was fitted to.

    z_ip    = v_p . (x_i - mean) / s_p                  features x_i in standardized principal components p = 1 ... P
    T_iq^2  = z_i1^2 + ... + z_iq^2                     Hotelling's T^2 of the first q of them [1]
    grade_i = max over q of T_iq / limit_q              q = 1, 3, 10, 30, P; above 1: outside

mean, principal components v_p and their standard deviations s_p are those of the training data, for each element of
the centre. Up to a factor, T^2 is the leverage of x_i in a regression on these components: the variance that the fit
leaves at x_i, in units of the noise. Small q see what is far along the features that vary most (a free atom), which
many components hide in their sum; large q see what differs where training environments hardly vary. The limits are such
that 99.9% of the training atoms have grades below 1 when their own structures are left out
(`rhopot.potentials.fitting.extrapolation`).

In : v_p . x_i / s_p of C centres, (C, P), and the species of the centres (C)
Out: grades (C), float64. Continuous; cost: P columns of a model that is linear in the features

[1] J. E. Jackson, Technometrics 1, 359 (1959), doi:10.1080/00401706.1959.10489868
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ExtrapolationGrade(nn.Module):
    """Grades of environments from their features.

    Args:
        directions: (A, F, P) v_p / s_p for each element of the centre; zeros where an element has fewer than P.
        means: (A, F) of the features.
        counts: numbers q of components that are summed, each at most P.
        limits: (A, len(counts)) of T.
    """

    def __init__(self, directions: Tensor, means: Tensor, counts: Sequence[int], limits: Tensor) -> None:
        super().__init__()
        self.register_buffer("directions", directions.contiguous())
        self.register_buffer("center", torch.einsum("af,afp->ap", means, directions).contiguous())
        self.register_buffer("last", torch.tensor(counts) - 1)
        self.register_buffer("limits", limits.contiguous())
        self.directions: Tensor
        self.center: Tensor
        self.last: Tensor
        self.limits: Tensor

    def forward(self, coordinates: Tensor, species: Tensor) -> Tensor:
        """Return the grades (C) of centres with these coordinates (C, P) and species (C)."""
        squares = (coordinates - self.center[species]).to(torch.float64).square()
        lengths = squares.cumsum(1).index_select(1, self.last).sqrt()
        return (lengths / self.limits[species].to(torch.float64)).amax(1)
