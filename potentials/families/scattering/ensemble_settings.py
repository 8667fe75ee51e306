"""Settings of ensembles of sparse models on scattering features, as they stand in a configuration file.

Those of `greedy.FeatureSelectionSettings`, and:

| field | meaning |
| --- | --- |
| translated | training frames that are computed once more with all atoms shifted: they measure the noise of the grids |
| signal | columns need a spread over the training frames of at least this many times their noise |
| size | columns need fields of at least this many times a solid's: wavelets too wide for the training cells have none |
| translation | energy change under translation, eV/atom, that weighs like an energy error of sigma; nothing: no rows |
| directions | random directions in which the forces of each frame are fitted, where `targets.forces` asks for forces |
| strains | random strains, of six, along which the stress of each frame is fitted, where `targets.stress` asks for it |
| budget | features, or moduli, that the model may use: fitted again to the best ones |
| budget_of | what a budget counts: `features`, or `moduli`, whose integrals of all powers are computed together |
| cache | folder that keeps the features for other fits; nothing: they are kept until the fit is done |
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from rhopot.potentials.fitting.sparse_regression import FeatureSelectionSettings, SparseRegressionSettings

# Settings that do not change what comes out.
CIRCUMSTANCES = {"cache"}


class ScatteringFitSettings(FeatureSelectionSettings):
    """How sparse models on scattering features are fitted and averaged (table in the module's docstring)."""

    translated: NonNegativeInt = 200
    signal: NonNegativeFloat = 3.0
    size: NonNegativeFloat = 0.02
    translation: PositiveFloat | None = 1e-6
    directions: NonNegativeInt = 4
    strains: int = Field(default=2, ge=0, le=6)
    budget: PositiveInt | None = None
    budget_of: Literal["features", "moduli"] = "features"
    cache: str | None = Field(default=None, min_length=1)

    def greedy(self, seed: int, n_members: int | None = None) -> SparseRegressionSettings:
        """Return the settings of the selection; groups are labelled by what is drawn (see `rows`)."""
        chosen = {name: getattr(self, name) for name in FeatureSelectionSettings.model_fields}
        chosen |= {"unit": "groups", "seed": seed}
        return SparseRegressionSettings(**chosen if n_members is None else {**chosen, "n_members": n_members})
