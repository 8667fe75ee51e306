"""Hyperparameters of the GMP features: what defines the probes, and nothing else.

Energies have a cone where a norm vanishes, as on the symmetric sites of perfect crystals, with a tip rounded over the
displacements that make the norm eps. `regularization_length` is that displacement, the same for all features. Norms are
quadratic in strains and displacements below it, so that elastic constants and phonons do not depend on their size.

`regularization` keeps norms near the published ones: a norm changes by at most `regularization` times its scale. 1e-6
keeps the published numbers, in double precision only: rounding in single precision reaches 1e-5 scales, and the
gradient of a norm that small is noise. There, 1e-2 keeps forces on perfect sites below a hundredth of those of single
edges. 1 rounds orders 1 and 2 over about 0.03 A and high orders of wide probes over 0.001 A: crystals are then the
stiffer the less they are strained.
"""

from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.descriptors.descriptor_settings import LocalDescriptorSettings

NARROWEST, WIDEST = 0.01, 5.0  # A
SHORTEST_LENGTH, LONGEST_LENGTH = 1e-3, 1.0  # A
LEAST_IN_SINGLE = 1e-3  # regularization below which single precision is refused


class GmpSettings(LocalDescriptorSettings):
    """Gaussian multipole features: multipoles of the valence density around each atom."""

    cutoff_width: float = Field(2.0, gt=0)
    """Length before the cutoff over which neighbors are switched off smoothly (quintic, C2). [A]"""
    widths: tuple[float, ...] = ()
    """Standard deviations of the Gaussian probes; empty: from n_probes and max_width. [A]"""
    n_probes: int = Field(10, ge=1, le=100)
    """Number of probes, their widths evenly spaced from max_width / n_probes to max_width."""
    max_width: float = Field(2.0, ge=NARROWEST, le=WIDEST)
    """Standard deviation of the widest probe. [A]"""
    max_order: int = Field(3, ge=0, le=8)
    """Highest order of the Maxwell-Cartesian harmonics."""
    harmonics: Literal["cartesian", "solid"] = "cartesian"
    """cartesian: Maxwell-Cartesian harmonics as published; solid: their traceless part."""
    regularization: float | None = Field(1e-6, gt=0, le=10)
    """eps of each norm sqrt(s + eps^2) - eps, relative to the feature's scale; null where the length is given. [1]"""
    regularization_length: float | None = Field(None, ge=SHORTEST_LENGTH, le=LONGEST_LENGTH)
    """Displacement whose change of each norm is its eps: the tip of the norm is rounded over this length. [A]"""
    center_weight: float = Field(1.0, ge=0)
    """Weight of the central atom's own density. [1]"""
    tolerance: float = Field(1e-9, gt=0, lt=1e-2)
    """Largest error of the tabulated radial functions, relative to each function's maximum. [1]"""

    @model_validator(mode="before")
    @classmethod
    def _count_widths(cls, data: Any) -> Any:
        """Let n_probes and max_width follow from `widths` where those are given."""
        if not isinstance(data, dict) or not isinstance(data.get("widths"), (list, tuple)) or not data["widths"]:
            return data
        try:
            found = {"n_probes": len(data["widths"]), "max_width": max(float(width) for width in data["widths"])}
        except (TypeError, ValueError):
            return data  # not numbers: refused by the field's type
        for name, value in found.items():
            if data.get(name, value) != value:
                raise ValueError(f"{name} must be left out beside widths, got {data[name]}; widths say {value:g}")
        return {**data, **found}

    @model_validator(mode="before")
    @classmethod
    def _one_regularization(cls, data: Any) -> Any:
        """Leave `regularization` out where the length is given."""
        if isinstance(data, dict) and data.get("regularization_length") is not None and "regularization" not in data:
            return {**data, "regularization": None}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        narrowest = self.probe_widths[0]
        if list(self.widths) != sorted(set(self.widths)) or narrowest < NARROWEST:
            written = ", ".join(f"{width:g}" for width in self.probe_widths)
            raise ValueError(
                f"widths must ascend from at least {NARROWEST:g} A, got {written}; "
                "sort them, name each once, or take fewer probes"
            )
        return self

    @model_validator(mode="after")
    def _regularized_once(self) -> Self:
        if (self.regularization is None) == (self.regularization_length is None):
            raise ValueError(
                "regularization must be given without regularization_length or that without this, got "
                f"{self.regularization} and {self.regularization_length} A; set one of them to null"
            )
        return self

    def unsuitable(self, dtype: str) -> str | None:
        """Say what is wrong with `regularization` for a model in `dtype` (float32 or float64), None if nothing is."""
        if dtype == "float64" or self.regularization is None or self.regularization >= LEAST_IN_SINGLE:
            return None
        return (
            f"must be at least {LEAST_IN_SINGLE:g} where dtype is float32, got {self.regularization:g}; "
            "forces on perfect sites would be rounding: take 0.01 or more, or dtype float64"
        )

    @property
    def probe_widths(self) -> tuple[float, ...]:
        """Standard deviations of the probes in A, ascending."""
        if self.widths:
            return self.widths
        return tuple(float(width) for width in np.linspace(0.0, self.max_width, self.n_probes + 1)[1:])

    @property
    def n_features(self) -> int:
        """Number of features, whatever the elements."""
        return len(self.probe_widths) * (self.max_order + 1)

    @property
    def solid(self) -> bool:
        """Whether harmonics are made traceless."""
        return self.harmonics == "solid"

    @property
    def cutoff_fn(self) -> CutoffFunction:
        """The cutoff function that these settings name."""
        return CutoffFunction("quintic", self.cutoff, self.cutoff_width)

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        widths = self.probe_widths
        probes = f"{len(widths)} Gaussian probes of widths {widths[0]:g} ... {widths[-1]:g} A"
        rounding = (
            f"by {self.regularization:g} of their scale"
            if self.regularization is not None
            else f"within displacements of {self.regularization_length:g} A"
        )
        form = "traceless (solid) harmonics" if self.solid else "Maxwell-Cartesian harmonics"
        return [
            f"valence densities within {self.cutoff:g} A, central-atom weight {self.center_weight:g}",
            f"{probes}, {form} of orders 0 ... {self.max_order}: {self.n_features} features for any elements",
            f"cutoff function: {self.cutoff_fn.describe()}",
            f"norms regularised {rounding}",
        ]
