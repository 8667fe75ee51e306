"""Settings of angular networks."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class AngularNetworkSettings(BaseModel):
    """Shape of an angular network.

    layers: of messages; width: features of an atom; filters: hidden filters of an edge, a multiple of 8
    n_radial, n_angular: Gaussians of the distance and of the cosine
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: Annotated[int, Field(ge=1, le=8)] = 3
    width: Annotated[int, Field(ge=1)] = 128
    filters: Annotated[int, Field(ge=8, multiple_of=8)] = 128
    n_radial: Annotated[int, Field(ge=2)] = 10
    n_angular: Annotated[int, Field(ge=2)] = 10
