"""Settings of the two regressors and of the uncertainty, as they stand in a configuration file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

Method = Literal["fps", "cur", "random"]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    n_features: PositiveInt | None = None
    """Number of descriptor features kept; None keeps all."""
    feature_method: Method = "fps"
    """How features are chosen: farthest points, leverage scores (CUR), or at random."""
    pool: PositiveInt = 20000
    """Environments per element from which sparse points, features and scales are taken; more are thinned at random."""
    batch_mib: PositiveFloat = 16.0
    """Memory for the derivatives of one batch of centres, in MiB; what fits into the last cache is the fastest."""
    block_rows: PositiveInt = 2048
    """Rows folded into the triangle at once."""
    checkpoint_seconds: NonNegativeFloat = 30.0
    """Time between checkpoints."""


class LinearSettings(_Settings):
    """Ridge-regularised linear model: coefficients have the prior deviation prior / (spread of the feature)^scaling."""

    prior: PositiveFloat = 1.0
    """Prior standard deviation of a coefficient, in eV per unit of the scaled feature."""
    scaling: float = Field(default=0.5, ge=0.0, le=1.0)
    """0: plain ridge on the features as they are; 1: every feature scaled to unit spread over the training data."""


class GapSettings(_Settings):
    """Sparse-kernel model: atomic energies have the prior covariance delta^2 k(i, j)."""

    zeta: PositiveInt = 4
    """Power of the dot-product kernel."""
    delta: PositiveFloat = 1.0
    """Prior standard deviation of an atomic energy, in eV."""
    n_sparse: PositiveInt | dict[str, PositiveInt] = 1000
    """Sparse points per element, one number for all or one for each symbol."""
    sparse_method: Method = "fps"
    """How sparse points are chosen."""
    rank_tolerance: PositiveFloat = 1e-12
    """Eigenvalues of the sparse kernel matrix below this fraction of the largest are dropped."""
