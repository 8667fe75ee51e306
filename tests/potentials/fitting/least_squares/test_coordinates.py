"""Scales of a linear model's coefficients: by what varies, and by magnitude where an element has one environment."""

import numpy as np

from rhopot.potentials.fitting.least_squares.coordinates import linear_coordinates


def test_scales_are_the_prior_over_the_deviation() -> None:
    features = np.random.default_rng(0).normal(3.0, [1.0, 0.01, 20.0], size=(200, 3))
    scale = linear_coordinates([features], prior=0.5, scaling=1.0).expand(np.ones((3, 1)))[:, 0]
    np.testing.assert_allclose(scale, 0.5 / features.std(axis=0), rtol=1e-12)


def test_an_element_that_is_always_alike_is_scaled_by_its_features() -> None:
    """Isolated atoms have one environment, whose deviation is zero or rounding error."""
    alone = np.array([[2.0, 0.1, 0.0]])
    for environments in (alone, np.repeat(alone, 3, axis=0) * (1.0 + 1e-16)):
        scale = linear_coordinates([environments], prior=1.0, scaling=1.0).expand(np.ones((3, 1)))[:, 0]
        np.testing.assert_allclose(scale[:2], [0.5, 10.0], rtol=1e-12)
        assert np.isfinite(scale).all()
