"""Hyperparameters of the SOAP descriptors: what defines the density and its invariants, and nothing else.

| field | meaning | unit |
| --- | --- | --- |
| symbols | chemical symbols, in the order of the species index; filled from the data when empty | |
| cutoff | r_c, radius of an environment | A |
| n_max, l_max | radial functions per channel; highest angular degree | |
| density, density_width | `gaussian` of width sigma (standard deviation), or `delta` | A |
| radial_basis | `gto` or `dvr` primitives (see `density.basis`) | |
| cutoff_function, cutoff_width | `quintic` (C2), `shifted_cosine` (C1) or `step`; length over which it falls | A |
| scaling | weight of a neighbour by its distance, {rate, scale, exponent}, or nothing | |
| center_weight | factor of the centre's own density | |
| species_mode | `separate`: one channel per species; `mixed`: all species share n_pseudo n_max channels | |
| n_pseudo | pseudo-species of the mixed mode, without a coupling matrix of one's own | |
| tolerance | largest error of the radial tables, relative to each function's maximum | |
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from rhopot.potentials.density.cutoff import CutoffFunction, CutoffKind
from rhopot.potentials.density.scaling import WillattScaling
from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings


class SoapSettings(DescriptorSettings):
    """Settings of a SOAP descriptor (table in the module's docstring); immutable and closed to unknown keys."""

    cutoff: float = Field(5.0, gt=0, le=20)
    n_max: int = Field(8, ge=1, le=24)
    l_max: int = Field(6, ge=0, le=12)
    density: Literal["gaussian", "delta"] = "gaussian"
    density_width: float = Field(0.5, gt=0)
    radial_basis: Literal["gto", "dvr"] = "gto"
    cutoff_function: CutoffKind = "quintic"
    cutoff_width: float = Field(1.0, gt=0)
    scaling: WillattScaling | None = None
    center_weight: float = Field(1.0, ge=0)
    species_mode: Literal["separate", "mixed"] = "separate"
    n_pseudo: int = Field(2, ge=1)
    tolerance: float = Field(1e-9, gt=0, lt=1e-2)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.density == "gaussian" and self.density_width < 0.01 * self.cutoff:
            raise ValueError(
                f"density_width must be at least a hundredth of the cutoff ({self.cutoff:g} A), got "
                f"{self.density_width:g}; use density: delta for points"
            )
        return self

    @property
    def cutoff_fn(self) -> CutoffFunction:
        """The cutoff function that these settings name."""
        return CutoffFunction(self.cutoff_function, self.cutoff, self.cutoff_width)

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        density = (
            f"Gaussian density of width {self.density_width:g} A" if self.density == "gaussian" else "Dirac density"
        )
        lines = [
            f"{density} within {self.cutoff:g} A, own density x {self.center_weight:g}",
            f"{self.n_max} {self.radial_basis.upper()} radial functions, angular degrees up to {self.l_max}",
            f"cutoff function: {self.cutoff_fn.describe()}",
            f"{self.species_mode} species channels",
        ]
        return lines if self.scaling is None else [*lines, self.scaling.describe()]
