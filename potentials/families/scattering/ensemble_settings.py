"""Settings of ensembles of sparse models on scattering features, as they stand in a configuration file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from rhopot.potentials.fitting.sparse_regression import FeatureSelectionSettings, SparseRegressionSettings

# Settings that do not change what comes out.
CIRCUMSTANCES = {"cache"}


class ScatteringFitSettings(FeatureSelectionSettings):
    """How sparse models on scattering features are fitted and averaged."""

    translated: NonNegativeInt = 200
    """Training frames that are computed once more with all atoms translated, to measure the noise of the grids."""
    signal: NonNegativeFloat = 3.0
    """Features are used if their standard deviation over the training frames is this many times their noise. [1]"""
    size: NonNegativeFloat = 0.02
    """Least field of a wavelet relative to that of a solid: too wide wavelets vanish in the training cells. [1]"""
    translation: PositiveFloat | None = 1e-6
    """Energy change under translation that counts like an energy error of sigma; null: not penalized. [eV/atom]"""
    directions: NonNegativeInt = 4
    """Random directions per frame along which forces are fitted, where `targets.forces` asks for them."""
    strains: int = Field(default=2, ge=0, le=6)
    """Random strains per frame, of six, along which the stress is fitted, where `targets.stress` asks for it."""
    budget: PositiveInt | None = None
    """Most features (or moduli) of the saved model, refitted to the best ones; null: all that were selected."""
    budget_of: Literal["features", "moduli"] = "features"
    """What the budget counts: features, or moduli, whose integrals of all powers are computed together."""
    cache: str | None = Field(default=None, min_length=1)
    """Folder that keeps the features for other fits; null: they are removed after the fit."""

    def greedy(self, seed: int, n_members: int | None = None) -> SparseRegressionSettings:
        """Return the settings of the selection; groups are labelled by the unit of the bootstrap (see `equations`)."""
        chosen = {name: getattr(self, name) for name in FeatureSelectionSettings.model_fields}
        chosen |= {"unit": "groups", "seed": seed}
        return SparseRegressionSettings(**chosen if n_members is None else {**chosen, "n_members": n_members})
