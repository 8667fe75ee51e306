"""Polarization-like vector: to which side the neighbors of atoms stand, from the density of degree l = 1.

    P = (1 / n) sum over i of kind `of`, sum over j of kind `by`, of f(r_ij) r_ij / |r_ij|
      = (1 / n) sum_i sqrt(4 pi / 3) (c_1,1(i), c_1,-1(i), c_1,0(i))            in the order x, y, z

It is zero where every center lies amidst its neighbors, and points from centers to where more neighbors are: along the
displacement of anions from their cations, against the displacement of the cations. f is the switching function of the
coordination number. What is biased is one component along a direction, all three, or the norm, which alone is invariant
under rotations; it is rounded off below 1e-3 (`norms.rounded_norm`).

In : edges within r_c. Contributions (C, 4): whether the center counts, x, y, z. Out: (1,) or (3,), numbers.
C2 everywhere. Range: r_c. Cost: O(E).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.collective_variables.collective_variable import CollectiveVariable, Description
from rhopot.potentials.collective_variables.coordination import WIDTH
from rhopot.potentials.collective_variables.elements import checked_cutoff, member_mask, union
from rhopot.potentials.collective_variables.geometric import unit_vector
from rhopot.potentials.collective_variables.neighbor_density import NeighborDensity
from rhopot.potentials.collective_variables.norms import ROUNDING, rounded_norm
from rhopot.potentials.graph.atomic_graph import AtomicGraph


class Polarization(CollectiveVariable):
    """Mean direction from atoms of some elements to their neighbors of others.

    Args:
        of: elements of the centers.
        by: elements of the neighbors.
        cutoff: r_c in A.
        width: w in A, over which neighbors are switched off, 0 < w <= r_c.
        direction: (3,) for the component along it; `vector` for all three, `norm` for the length.
        name: of the variable; of a vector: what _x, _y and _z are added to.

    Raises:
        ValueError: no or unknown elements, a cutoff, width or direction out of range.
    """

    counted: Tensor
    direction: Tensor

    def __init__(
        self,
        of: Sequence[str],
        by: Sequence[str],
        cutoff: float,
        width: float = WIDTH,
        direction: Sequence[float] | str = "norm",
        name: str = "polarization",
    ) -> None:
        symbols = union(of, by)
        checked_cutoff(cutoff, width)
        if isinstance(direction, str) and direction not in ("vector", "norm"):
            raise ValueError(f"direction must be three numbers, vector or norm, got {direction}; 0 0 1 is z")
        along = [0.0, 0.0, 1.0] if isinstance(direction, str) else unit_vector(direction).tolist()
        settings = {
            "variable": "polarization",
            "of": list(of),
            "by": list(by),
            "cutoff": cutoff,
            "width": width,
            "direction": direction if isinstance(direction, str) else along,
        }
        names = tuple(f"{name}_{axis}" for axis in "xyz") if direction == "vector" else (name,)
        super().__init__(Description(names=names, symbols=symbols, cutoff=cutoff, n_sums=4, settings=settings))
        self.density = NeighborDensity(symbols, by, cutoff, width, 1)
        self.kind: str = direction if isinstance(direction, str) else "component"
        self.rounding: float = ROUNDING
        self.factor: float = math.sqrt(4.0 * math.pi / 3.0)
        self.register_buffer("counted", member_mask(symbols, of))
        self.register_buffer("direction", torch.tensor(along, dtype=torch.float64))

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return 1 and the sum of the directions to its neighbors of each center (C, 4), zero for other elements."""
        coefficients = self.density(AtomicGraph(edge_vectors, first_edge, neighbour, centre, species))
        vectors = self.factor * torch.stack([coefficients[:, 3], coefficients[:, 1], coefficients[:, 2]], dim=1)
        own = torch.index_select(self.counted, 0, torch.index_select(species, 0, centre))[:, None]
        return torch.cat([own, own * vectors], dim=1)

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return a component (1,), all (3,), or the norm (1,) of the mean; not a number where no atom counts."""
        mean = sums[1:] / sums[0]
        if self.kind == "vector":
            return mean
        if self.kind == "norm":
            return rounded_norm((mean * mean).sum().reshape(1), self.rounding)
        return (mean * self.direction).sum().reshape(1)
