"""Settings of the networks that turn features of atoms into energies."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Activation = Literal["tanh", "gelu", "silu"]
Normalization = Literal["standardize", "batch_norm", "none"]


class NetworkSettings(BaseModel):
    """Shape of the networks; one serves all elements, or each element has its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    hidden: tuple[PositiveInt, ...] = Field(default=(50, 50, 50), min_length=1)
    """Neurons of each hidden layer."""
    activation: Activation = "tanh"
    """Nonlinearity after each hidden layer."""
    normalization: Normalization = "standardize"
    """standardize: features to mean 0 and standard deviation 1; batch_norm: hidden layers too; none: as they are."""
    per_element: bool = False
    """false: one network for all elements; true: one for each element of the central atom (Behler-Parrinello)."""

    def n_parameters(self, n_features: int, n_species: int) -> int:
        """Return the number of trained parameters of one member."""
        widths = [n_features, *self.hidden, 1]
        affine = 2 * sum(self.hidden) if self.normalization == "batch_norm" else 0
        one = sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths)) + affine
        return one * (n_species if self.per_element else 1)

    def describe(self, n_features: int, n_species: int) -> str:
        """Say in a line what the networks are."""
        shape = "-".join(str(width) for width in (n_features, *self.hidden, 1))
        whose = "one network per element" if self.per_element else "one network for all elements"
        return f"{whose}, {shape}, {self.activation}, {self.n_parameters(n_features, n_species)} parameters"


class ElementNetworkSettings(NetworkSettings):
    """Shape of the networks; each element has its own, or one serves all."""

    per_element: bool = True
    """false: one network for all elements; true: one for each element of the central atom (Behler-Parrinello)."""
