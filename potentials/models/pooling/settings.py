"""Settings of pooling networks."""

from __future__ import annotations

from typing import Self

from pydantic import Field, NonNegativeFloat, model_validator

from rhopot.potentials.models.angular.settings import AngularNetworkSettings


class PoolingNetworkSettings(AngularNetworkSettings):
    """Shape of a pooling network, and the penalties of its assignments."""

    layers: int = Field(2, ge=1, le=8)
    """Layers of messages between atoms."""
    width: int = Field(64, ge=1)
    """Features of an atom and of a node."""
    filters: int = Field(64, ge=8, multiple_of=8)
    """Hidden filters of an edge; a multiple of 8 and of `heads`."""
    nodes: tuple[float, ...] = Field((0.5,), max_length=8)
    """Nodes of each pooling as fractions of the number of atoms, rounded up; an empty list: no pooling. [1]"""
    pooled_layers: int = Field(1, ge=1, le=8)
    """Layers of messages between nodes after each pooling."""
    pooled_cutoff: float = Field(8.0, gt=0, le=40)
    """Distance up to which nodes act on each other. [A]"""
    link: NonNegativeFloat = 1e-2
    """Penalty of near atoms in different nodes: weight of |A - S S^T| / N in the loss of a structure. [1]"""
    entropy: NonNegativeFloat = 1e-2
    """Penalty of atoms shared between nodes: weight of the mean entropy of their assignments in the loss. [1]"""

    @model_validator(mode="after")
    def _nodes_become_fewer(self) -> Self:
        fractions = (1.0, *self.nodes)
        if not all(0.0 < after <= before for before, after in zip(fractions, self.nodes, strict=False)):
            raise ValueError(
                f"nodes must be fractions of the atoms, above 0, at most 1 and not rising, got {list(self.nodes)}; "
                "[0.5, 0.25] pools twice"
            )
        return self

    def describe_pooling(self, most: int, parameters: int) -> str:
        """Say in a line what the networks are; most: atoms of the largest structure; parameters: of one network."""
        found = f"pooling network, {self.layers} layers between atoms"
        for fraction in self.nodes:
            found += f", {self.pooled_layers} between at most {most_nodes(fraction, most)} nodes"
        return f"{found}, {self.width} features, {self.filters} filters, {parameters} parameters"


def most_nodes(fraction: float, n_atoms: int) -> int:
    """Return the nodes of a pooling of so many atoms, rounded up."""
    return max(-int(-(fraction * n_atoms - ROUNDING) // 1), 1)


ROUNDING = 1e-9  # of fraction times atoms: 0.1 of 30 atoms are 3 nodes, not 4
