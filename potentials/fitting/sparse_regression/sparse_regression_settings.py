"""Settings of greedy ensembles, as they stand in a configuration file."""

from __future__ import annotations

from math import isqrt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

Candidates = Literal["all", "root"] | PositiveInt


class FeatureSelectionSettings(BaseModel):
    """How sparse linear models are selected, drawn and averaged: what a configuration may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_members: PositiveInt = 100
    """Models that are averaged; with `folds`, the number of parts."""
    max_features: PositiveInt = 1000
    """Columns a model may choose, the constant included; validation then keeps the best number of them."""
    candidates: Candidates = "root"
    """Columns looked at in each step: floor(sqrt(d + 1)) at random (feature bagging), a number of them, or all."""
    sampling: Literal["bootstrap", "folds"] = "bootstrap"
    """Training parts: groups drawn with replacement, validated on those left out; or all but one of n_members parts."""
    unit: Literal["groups", "frames"] = "groups"
    """What is drawn: groups (relaxation paths) or single frames; frames of one path on both sides flatter the model."""
    constant: Literal["first", "candidate", "none"] = "first"
    """The constant term: chosen before all features, so that an offset of the targets changes no choice; a column like
    any other, as published; or none."""
    method: Literal["gram", "rows"] = "gram"
    """Arithmetic of the selection: products of columns (fast) or the rows themselves (reference). The coefficients come
    from the rows in both."""
    dependence: float = Field(default=1e-5, ge=1e-6, le=1e-1)
    """A feature is dependent, and never chosen, when less than this fraction of its length is left beside those chosen.
    Above 1e-6 both methods see the same remainders."""

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
