"""The grade of an environment is how far its standardized features reach, in units of the limits."""

import numpy as np
import pytest
import torch

from rhopot.potentials.models.extrapolation import ExtrapolationGrade


def test_largest_ratio_of_partial_lengths_to_their_limits() -> None:
    """Two elements, of which the second has one component only."""
    rng = np.random.default_rng(1)
    directions, means = torch.from_numpy(rng.normal(size=(2, 5, 3))), torch.from_numpy(rng.normal(size=(2, 5)))
    directions[1, :, 1:] = 0.0
    limits = torch.tensor([[1.0, 2.0], [3.0, 3.0]], dtype=torch.float64)
    features, species = torch.from_numpy(rng.normal(size=(4, 5))), torch.tensor([0, 1, 1, 0])
    coordinates = torch.einsum("cf,cfp->cp", features, directions[species])
    found = ExtrapolationGrade(directions, means, (1, 3), limits)(coordinates, species)
    for grade, x, s in zip(found, features, species, strict=True):
        z = (x - means[s]).numpy() @ directions[s].numpy()
        expected = max(abs(z[0]) / float(limits[s, 0]), np.linalg.norm(z) / float(limits[s, 1]))
        assert float(grade) == pytest.approx(expected, rel=1e-12)
