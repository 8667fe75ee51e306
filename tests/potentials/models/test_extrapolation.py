"""The grade of an environment is the length of its standardized features."""

import numpy as np
import torch

from rhopot.potentials.models.extrapolation import ExtrapolationGrade


def test_length_of_standardized_features() -> None:
    """Two elements, of which the second has one component only."""
    rng = np.random.default_rng(1)
    directions, means = torch.from_numpy(rng.normal(size=(2, 5, 3))), torch.from_numpy(rng.normal(size=(2, 5)))
    directions[1, :, 1:] = 0.0
    features, species = torch.from_numpy(rng.normal(size=(4, 5))), torch.tensor([0, 1, 1, 0])
    coordinates = torch.einsum("cf,cfp->cp", features, directions[species])
    found = ExtrapolationGrade(directions, means)(coordinates, species)
    expected = [
        np.linalg.norm((x - means[s]).numpy() @ directions[s].numpy()) for x, s in zip(features, species, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
