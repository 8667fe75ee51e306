"""Settings of angular networks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AngularNetworkSettings(BaseModel):
    """Shape of an angular network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    layers: int = Field(3, ge=1, le=8)
    """Layers of messages."""
    width: int = Field(128, ge=1)
    """Features of an atom."""
    filters: int = Field(128, ge=8, multiple_of=8)
    """Hidden filters of an edge; a multiple of 8."""

    def describe(self, n_radial: int, n_angular: int) -> str:
        """Say in a line what the networks are."""
        layer = self.filters * (n_radial * n_angular + self.width) + 2 * self.width**2
        return (
            f"angular network, {self.layers} layers, {self.width} features of an atom, {self.filters} filters, "
            f"{self.layers * layer} parameters and {2 * self.width} for each element"
        )
