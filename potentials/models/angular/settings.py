"""Settings of angular networks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

# Products of a function of the distance and a feature that weigh a neighbor, for each head.
TERMS = 8


class AngularNetworkSettings(BaseModel):
    """Shape of an angular network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    layers: int = Field(3, ge=1, le=8)
    """Layers of messages."""
    width: int = Field(128, ge=1)
    """Features of an atom."""
    filters: int = Field(128, ge=8, multiple_of=8)
    """Hidden filters of an edge; a multiple of 8 and of `heads`."""
    heads: int = Field(4, ge=1, le=16, validate_default=True)
    """Groups of filters, each of which weighs neighbors in its own way."""
    message: Literal["neighbor", "center"] = "neighbor"
    """Whose features a message carries; center: as printed, elements of neighbors are then alike."""

    @field_validator("heads")
    @classmethod
    def _of_equal_size(cls, heads: int, info: ValidationInfo) -> int:
        """As many filters in each group."""
        filters = info.data.get("filters", heads)
        if filters % heads:
            raise ValueError(f"must divide filters = {filters}, got {heads}; 1, 2, 4 and 8 always do")
        return heads

    def describe(self, n_radial: int, n_angular: int) -> str:
        """Say in a line what the networks are."""
        weighing = TERMS * self.heads * (n_radial + self.width)
        layer = self.filters * (n_radial * n_angular + 2 * self.width) + 4 * self.width**2 + weighing
        return (
            f"angular network, {self.layers} layers, {self.width} features of an atom, {self.filters} filters, "
            f"{self.layers * layer} parameters and {2 * self.width} for each element"
        )
