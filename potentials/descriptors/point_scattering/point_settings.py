"""Settings of the wavelets of point scattering; names as in `descriptors.scattering`."""

from collections.abc import Sequence
from typing import Self

import ase
from pydantic import Field, model_validator

from rhopot.potentials.descriptors.descriptor_settings import LocalDescriptorSettings
from rhopot.potentials.descriptors.scattering.parameters import closest_distance

# Width over the distance of close atoms: these are then 2.5 widths apart, inside the last zero of n = 3, l = 0.
SHARE = 0.4


class PointScatteringSettings(LocalDescriptorSettings):
    """Solid-harmonic wavelets between an atom and its neighbors."""

    cutoff: float = Field(5.0, gt=0, le=20)
    """Radius of an atomic environment, of one layer. [A]"""
    n: tuple[int, ...] = (3, 4)
    """Orders of the wavelets, each with the angular degrees l = 0 ... n-1."""
    beta: float | None = Field(0.5, gt=0, le=10)
    """Width of the narrowest wavelet, j = 0; null: 0.4 distances of the closest hundredth of atoms in the data. [A]"""
    max_scale: float = Field(1.5, ge=0, le=6)
    """J, largest of the scales j; widths are 2^j beta. [1]"""
    scale_step: float = Field(0.5, gt=0, le=2)
    """Step of the scales j. [1]"""
    regularization: float = Field(1.0, ge=1e-3, le=10)
    """Rounding of the modulus at zero, in units of a typical field. [1]"""

    @model_validator(mode="after")
    def _orders_are_known(self) -> Self:
        if not self.n or min(self.n) < 1 or max(self.n) > 8 or len(set(self.n)) != len(self.n):
            raise ValueError(f"n must be different whole numbers from 1 to 8, got {self.n}; (3, 4) is the default")
        return self

    def completed(self, frames: Sequence[ase.Atoms]) -> Self:
        """Return the same settings with the width of the wavelets from the data, where it is null.

        Narrower ones would be seen by their tails alone, which differ much between environments that differ little.

        Raises:
            ValueError: no two atoms of `frames` are close to each other where beta is asked for.
        """
        if self.beta is not None:
            return self
        return self.model_copy(update={"beta": round(SHARE * closest_distance(frames), 3)})

    @property
    def base_width(self) -> float:
        """Width beta (A) of the narrowest wavelet."""
        if self.beta is None:
            raise ValueError("beta must be known before features are made, got null; use settings.completed(frames)")
        return self.beta

    @property
    def width(self) -> float:
        """Length over which neighbors are switched off, in A."""
        return self.cutoff if self.cutoff_width is None else self.cutoff_width

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales j = 0 ... J."""
        return tuple(k * self.scale_step for k in range(int(self.max_scale / self.scale_step + 1e-9) + 1))

    @property
    def wavelets(self) -> tuple[tuple[int, int, float], ...]:
        """The triples (n, l, j): by degree, then order, then scale."""
        orders = sorted(self.n)
        degrees = range(max(orders))
        return tuple((n, degree, j) for degree in degrees for n in orders if n > degree for j in self.scales)

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        orders, widths = ", ".join(str(n) for n in sorted(self.n)), "from the data"
        if self.beta is not None:
            widths = f"{self.beta:g} to {self.beta * 2.0 ** self.scales[-1]:.3g} A"
        return [
            f"{len(self.wavelets)} solid-harmonic wavelets n = {orders}, l < n, in {len(self.scales)} scales, "
            f"widths {widths}",
            f"neighbors up to the cutoff of {self.cutoff:g} A, switched off over {self.width:g} A (quintic polynomial)",
        ]
