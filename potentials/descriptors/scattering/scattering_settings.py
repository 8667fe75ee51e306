"""Hyperparameters of wavelet scattering: what defines the features, and nothing of a structure.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapters 2-4
"""

from collections.abc import Sequence
from typing import Literal, Self

import ase
from pydantic import Field, model_validator

from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
from rhopot.potentials.descriptors.scattering.channels import channel_weights, default_channels
from rhopot.potentials.descriptors.scattering.parameters import (
    beta_from_overlap,
    closest_distance,
    largest_scale,
    padding_error,
    spacing_from_alias,
    typical_box,
)


class ScatteringSettings(DescriptorSettings):
    """Wavelet scattering of a structure."""

    channels: dict[str, dict[str, float]] | None = None
    """Weights of the atoms in each Dirac density, {name: {symbol: weight}}; null: see the module `channels`. [1]"""
    n: tuple[int, ...] = (3,)
    """Orders of the wavelets, each with the angular degrees l = 0 ... n-1."""
    beta: float | None = Field(0.5, gt=0)
    """Width of the narrowest wavelet, j = 0; null: from the data, by `overlap` and eq. 2.36 of Brumwell. [A]"""
    overlap: float = Field(0.1, gt=0, lt=1)
    """Overlap of the base Gaussians of two atoms as close as the closest hundredth of the data, which sets beta. [1]"""
    max_scale: float | None = Field(4.0, ge=0, le=12)
    """J, largest of the scales j; widths are 2^j beta; null: from the cells of the data, eq. 2.39 of Brumwell. [1]"""
    scale_step: float = 1.0
    """Step of the scales j, 1 or 0.5. [1]"""
    powers: tuple[float, ...] = (1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0)
    """Exponents q of the integrals of the moduli, each 1 or more. [1]"""
    max_order: Literal[0, 1, 2] = 2
    """Number of wavelet transforms in a row."""
    scale_lag: float = Field(1.0, ge=0)
    """Second order uses j2 >= j1 - scale_lag; 0 is the published j2 >= j1. [1]"""
    degree_rule: Literal["all", "greater"] = "all"
    """Second order: all pairs of (n, l), or only (n2, l2) > (n1, l1)."""
    alias: float = Field(1e-6, gt=0, lt=1)
    """Part of the narrowest wavelet beyond the band limit of its grid, which sets the spacing (eq. 2.40). [1]"""
    spacing: float | None = Field(None, gt=0)
    """Grid spacing at j = 0; null: from `alias`. [A]"""
    grids: Literal["coarse", "full"] = "coarse"
    """coarse: scale j on a grid 2^j times coarser; full: every scale on the finest grid."""
    least_points: int = Field(24, ge=2)
    """Fewest points of a coarse grid along each axis."""
    regularization: float = Field(1.0, ge=0, le=10)
    """Rounding of the modulus at zero, in units of a typical field; 0: the published modulus. [1]"""
    tolerance: float = Field(1e-10, ge=1e-13, lt=1e-2)
    """Error of the nonuniform Fourier transform of the atoms, relative to the sum of their weights. [1]"""
    padding: float | None = Field(None, gt=0)
    """Vacuum around the structure along open directions; null: 6 widths of the widest wavelet. [A]"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.n or min(self.n) < 1 or max(self.n) > 8 or len(set(self.n)) != len(self.n):
            raise ValueError(f"n must be different whole numbers from 1 to 8, got {self.n}; (3,) is the default")
        if self.scale_step not in (0.5, 1.0):
            raise ValueError(f"scale_step must be 1 or 0.5, got {self.scale_step:g}; widths grow by 2 or sqrt 2")
        if not self.powers or min(self.powers) < 1 or len(set(self.powers)) != len(self.powers):
            raise ValueError(f"powers must be different numbers >= 1, got {self.powers}; below 1 gradients diverge")
        for name, weights in (self.channels or {}).items():
            unknown = sorted(set(weights) - set(self.symbols)) if self.symbols else []
            if unknown:
                raise ValueError(
                    f"channels must weigh elements among symbols ({', '.join(self.symbols)}), got "
                    f"{', '.join(unknown)} in {name}; add the element or leave it out"
                )
        if self.channels is not None and not self.channels:
            raise ValueError("channels must name at least one density, got none; leave the key out for the defaults")
        return self

    def completed(self, frames: Sequence[ase.Atoms]) -> Self:
        """Return the same settings with what is null filled from the data.

        beta comes from the distance of the closest atoms of `frames`, J from the median size of their cells.

        Raises:
            ValueError: no two atoms within `LONGEST_BOND` where beta is asked for.
        """
        beta, max_scale = self.beta, self.max_scale
        if beta is None:
            beta = round(beta_from_overlap(closest_distance(frames), self.overlap), 3)
        if max_scale is None:
            max_scale = largest_scale(typical_box(frames), beta, self.scale_step)
        return self.model_copy(update={"beta": beta, "max_scale": max_scale})

    @property
    def base_width(self) -> float:
        """Width beta (A) of the smallest wavelet."""
        if self.beta is None:
            raise ValueError("beta must be known before features are made, got null; use settings.completed(frames)")
        return self.beta

    @property
    def channel_table(self) -> dict[str, dict[str, float]]:
        """The channels {name: {symbol: c}}, given or by default."""
        return default_channels(self.symbols) if self.channels is None else self.channels

    @property
    def weights(self) -> list[list[float]]:
        """Weight c of every channel (row) and species (column)."""
        return channel_weights(self.channel_table, self.symbols)

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales j = 0 ... J."""
        if self.max_scale is None:
            raise ValueError(
                "max_scale must be known before features are made, got null; use settings.completed(frames)"
            )
        return tuple(k * self.scale_step for k in range(int(self.max_scale / self.scale_step + 1e-9) + 1))

    @property
    def wavelets(self) -> tuple[tuple[int, int], ...]:
        """The pairs (n, l) in ascending order."""
        return tuple((order, degree) for order in sorted(self.n) for degree in range(order))

    @property
    def grid_spacing(self) -> float:
        """Distance of grid points at scale 0, in A."""
        return spacing_from_alias(self.n, self.base_width, self.alias) if self.spacing is None else self.spacing

    @property
    def reach(self) -> float:
        """Six widths (A) of the widest wavelet: what is farther away has next to no part in a field."""
        return 6 * self.base_width * 2.0 ** self.scales[-1]

    @property
    def vacuum(self) -> float:
        """Least distance (A) between periodic images along axes that are not periodic."""
        return self.reach if self.padding is None else self.padding

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        rule = "j2 >= j1" if self.scale_lag == 0 else f"j2 >= j1 - {self.scale_lag:g}"
        if self.beta is None or self.max_scale is None:
            return [f"channels: {', '.join(self.channel_table)}", "width and number of scales: from the data"]
        leak = padding_error(self.n, self.beta, self.scales[-1], self.vacuum)
        return [
            f"channels: {', '.join(self.channel_table)}",
            f"wavelets n = {', '.join(map(str, self.n))}, widths {self.beta:g} to "
            f"{self.beta * 2.0 ** self.scales[-1]:g} A in {len(self.scales)} scales",
            f"order up to {self.max_order}, {rule}, pairs of degrees: {self.degree_rule}",
            f"integrals of powers {', '.join(f'{q:.4g}' for q in self.powers)}, per atom",
            f"grid of {self.grid_spacing:.3f} A ({self.grids})",
            f"vacuum of {self.vacuum:g} A where not periodic: the widest wavelet reaches the next image with "
            f"{leak:.1e} of its maximum",
        ]
