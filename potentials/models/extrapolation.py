"""Extrapolation grade: how far the environment of an atom lies outside those a model was fitted to.

    T_i^2   = sum_p ( v_p . (x_i - mean) / s_p )^2      Hotelling's T^2 of the features x_i in principal components [1]
    grade_i = T_i / T_limit                             above 1: outside

mean, principal components v_p and their standard deviations s_p are those of the training data, for each element of
the centre. Up to a factor, T^2 is the leverage of x_i in a regression on these components: the variance that the fit
leaves at x_i, in units of the noise. T_limit is what 99.9% of the training atoms stay within when their own structures
are left out (`rhopot.potentials.fitting.extrapolation`).

In : coordinates v_p . x_i / (s_p T_limit) of C centres, (C, P), and the species of the centres (C)
Out: grades (C), float64. Smooth where they are not zero; cost: P columns of a model that is linear in the features

[1] J. E. Jackson, Technometrics 1, 359 (1959), doi:10.1080/00401706.1959.10489868
"""

import torch
from torch import Tensor, nn


class ExtrapolationGrade(nn.Module):
    """Grades of environments from their features.

    Args:
        directions: (A, F, P) v_p / (s_p T_limit), one set for each element of the centre; zeros where an element has
            fewer than P.
        means: (A, F) of the features.
    """

    def __init__(self, directions: Tensor, means: Tensor) -> None:
        super().__init__()
        self.register_buffer("directions", directions.contiguous())
        self.register_buffer("center", torch.einsum("af,afp->ap", means, directions).contiguous())
        self.directions: Tensor
        self.center: Tensor

    def forward(self, coordinates: Tensor, species: Tensor) -> Tensor:
        """Return the grades (C) of centres with these coordinates (C, P) and species (C)."""
        return torch.linalg.vector_norm((coordinates - self.center[species]).to(torch.float64), dim=1)
