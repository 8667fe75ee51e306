"""Settings of greedy ensembles, as they stand in a configuration file."""

from __future__ import annotations

from math import isqrt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

Candidates = Literal["all", "root"] | PositiveInt


class FeatureSelectionSettings(BaseModel):
    """How sparse linear models are selected, drawn and averaged: what a configuration may set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_members: PositiveInt = 100
    """Sparse models (ensemble members) that are averaged; with sampling: folds, the number of folds."""
    max_features: PositiveInt = 1000
    """Features that a member may select, the constant included; its own validation set then says how many are kept."""
    candidates: Candidates = "root"
    """Features tried in each step: root, floor(sqrt(d + 1)) of d at random (feature bagging); a number; or all."""
    sampling: Literal["bootstrap", "folds"] = "bootstrap"
    """Training set of a member: groups drawn with replacement (validated on the others), or all but one fold."""
    unit: Literal["groups", "frames"] = "groups"
    """Unit of the sampling: groups (relaxation paths) or single frames, whose errors are then underestimated."""
    constant: Literal["first", "candidate", "none"] = "first"
    """Constant term: selected first, a candidate like any feature (as published), or none."""
    method: Literal["gram", "rows"] = "gram"
    """Arithmetic of the selection: gram, products of columns (fast), or rows, the design matrix itself (reference)."""
    dependence: float = Field(default=1e-5, ge=1e-6, le=1e-1)
    """A feature is never selected when less than this fraction of its norm is orthogonal to those selected. [1]"""

    def n_candidates(self, n_columns: int) -> int:
        """Number of columns looked at in a step when there are `n_columns` in all, the constant included."""
        if self.candidates == "all":
            return n_columns
        return max(1, isqrt(n_columns)) if self.candidates == "root" else min(self.candidates, n_columns)


class SparseRegressionSettings(FeatureSelectionSettings):
    """All settings of an ensemble."""

    keep_paths: bool = False
    """Keep every member's triangle, from which the model of any number of features can be formed."""
    seed: NonNegativeInt = 0
