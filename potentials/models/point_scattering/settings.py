"""Settings of networks of point scattering."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from rhopot.potentials.models.network_settings import Activation, NetworkSettings

# Higher powers of moduli of order one are larger than float32 can hold in a network.
MOST_POWER = 8


class ReadOutSettings(NetworkSettings):
    """Shape of the read-out; without hidden layers it is linear."""

    hidden: tuple[PositiveInt, ...] = ()
    """Neurons of each hidden layer; none: linear."""


class PointScatteringNetworkSettings(BaseModel):
    """Shape of a network of point scattering."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    layers: int = Field(2, ge=1, le=8)
    """Layers of wavelets; features of neighbors pass from one to the next."""
    embedding: Literal["learned", "fixed"] = "learned"
    """Channels of the first layer: learned weights of the elements, or the channels c(Z) of `scattering`."""
    channels: PositiveInt = 16
    """Channels that an atom sends to its neighbors in a layer; of the first one only where they are learned."""
    combined: int = Field(32, ge=0)
    """Learned combinations of wavelets and channels, for each degree l; 0: none, each wavelet of each channel alone."""
    powers: tuple[float, ...] = (1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0)
    """Exponents q of the moduli that are read out, from 1 to 8, 1 among them. [1]"""
    hidden: tuple[PositiveInt, ...] = (64, 64)
    """Neurons of the hidden layers of the read-out of an atom; []: a linear read-out."""
    activation: Activation = "silu"
    """Nonlinearity after each hidden layer of the read-out."""
    per_element: bool = False
    """false: one read-out for all elements; true: one for each element of the atom."""

    @model_validator(mode="after")
    def _powers_fit(self) -> Self:
        known = all(1 <= power <= MOST_POWER for power in self.powers)  # false for NaN
        if not known or 1.0 not in self.powers or len(set(self.powers)) != len(self.powers):
            raise ValueError(
                f"powers must be different numbers from 1 to {MOST_POWER} with 1 among them, which layers pass on, "
                f"got {self.powers}"
            )
        return self

    @property
    def read_out(self) -> ReadOutSettings:
        """Shape of the read-out."""
        return ReadOutSettings(
            hidden=self.hidden, activation=self.activation, normalization="none", per_element=self.per_element
        )

    def describe(self, n_wavelets: int, n_degrees: int) -> str:
        """Say in a line what the networks are."""
        fields = f"{n_degrees} x {self.combined} combinations" if self.combined else "each channel"
        last = f"a network {'-'.join(str(width) for width in self.hidden)}" if self.hidden else "a linear read-out"
        return (
            f"point scattering, {self.layers} layers, {self.channels} channels ({self.embedding} at first), "
            f"{fields} of {n_wavelets} wavelets, {last}"
        )
