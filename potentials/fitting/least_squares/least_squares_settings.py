"""Settings of the two regressors and of the uncertainty, as they stand in a configuration file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

Method = Literal["fps", "cur", "random"]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_features: PositiveInt | None = None
    """Number of descriptor features that are kept; null: all."""
    feature_method: Method = "fps"
    """How they are chosen: farthest-point sampling, leverage scores (CUR), or at random."""
    pool: PositiveInt = 20000
    """Environments per element, drawn at random, from which sparse points, features and scales are taken."""
    batch_mib: PositiveFloat = 16.0
    """Memory for the derivatives of one batch of atoms; fastest where it fits into the last-level cache. [MiB]"""
    block_rows: PositiveInt = 2048
    """Rows of the design matrix that are added to the normal equations at a time."""
    checkpoint_seconds: NonNegativeFloat = 30.0
    """Time between checkpoints. [s]"""
    keep_equations: bool = False
    """Keep the sums of the equations in the output folder, so that `append` can add frames to them."""


class LinearSettings(_Settings):
    """Ridge-regularised linear model: coefficients have the prior standard deviation prior / std(feature)^scaling."""

    prior: PositiveFloat = 1.0
    """Prior standard deviation of a coefficient, per unit of the scaled feature; smaller: smoother models. [eV]"""
    scaling: float = Field(default=0.5, ge=0.0, le=1.0)
    """0: ridge on the features as they are; 1: features scaled to unit standard deviation. [1]"""


class GapSettings(_Settings):
    """Sparse-kernel model: atomic energies have the prior covariance delta^2 k(i, j)."""

    zeta: PositiveInt = 4
    """Power of the dot-product kernel."""
    delta: PositiveFloat = 1.0
    """Prior standard deviation of an atomic energy. [eV]"""
    n_sparse: PositiveInt | dict[str, PositiveInt] = 1000
    """Sparse points: one number for every element, or {symbol: number}."""
    sparse_method: Method = "fps"
    """How sparse points are chosen: farthest-point sampling, CUR, or at random."""
    rank_tolerance: PositiveFloat = 1e-12
    """Eigenvalues of the sparse kernel matrix below this fraction of the largest are dropped. [1]"""
