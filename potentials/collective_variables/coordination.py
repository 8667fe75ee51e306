"""Coordination number: the mean number of neighbors around atoms, counted smoothly.

    s = (1 / n) sum over i of kind `of`, sum over j of kind `by`, of f(r_ij),        n atoms i

    f(r) = 1                              r <= r_c - w
           1 - 10 t^3 + 15 t^4 - 6 t^5    t = (r - r_c + w) / w between
           0                              r >= r_c

the quintic of `density.cutoff`: C2 everywhere, exactly 1 for neighbors that are near and 0 for those beyond the cutoff,
so that a well separated shell is counted as in a crystal's textbook. w = r_c lets the function fall from the center on,
with a force at every distance. Unlike the rational functions 1 / (1 + (r / r_0)^n) it needs no second cutoff.

In : edges within r_c. Contributions (C, 2): whether the center counts, its coordination. Out: (1,), a number.
Range: r_c. Cost: O(E).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.collective_variables.collective_variable import CollectiveVariable, Description
from rhopot.potentials.collective_variables.elements import checked_cutoff, member_mask, union
from rhopot.potentials.collective_variables.norms import length
from rhopot.potentials.density.cutoff import quintic_fade
from rhopot.potentials.graph.atomic_graph import edge_centres

WIDTH = 1.0


class Coordination(CollectiveVariable):
    """Mean coordination number of atoms of some elements by atoms of others.

    Args:
        of: elements of the atoms whose neighbors are counted.
        by: elements of the neighbors.
        cutoff: r_c in A.
        width: w in A, over which neighbors are switched off, 0 < w <= r_c.
        name: of the variable.

    Raises:
        ValueError: no or unknown elements, a cutoff that is not positive, a width outside its range.
    """

    counted: Tensor
    counting: Tensor

    def __init__(
        self, of: Sequence[str], by: Sequence[str], cutoff: float, width: float = WIDTH, name: str = "coordination"
    ) -> None:
        symbols = union(of, by)
        checked_cutoff(cutoff, width)
        settings = {"variable": "coordination", "of": list(of), "by": list(by), "cutoff": cutoff, "width": width}
        super().__init__(Description(names=(name,), symbols=symbols, cutoff=cutoff, n_sums=2, settings=settings))
        self.cutoff: float = cutoff
        self.width: float = width
        self.register_buffer("counted", member_mask(symbols, of))
        self.register_buffer("counting", member_mask(symbols, by))

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return 1 and the coordination number of each center (C, 2) of the elements `of`, 0 and 0 of others."""
        fade = quintic_fade(length(edge_vectors), self.cutoff, self.width)
        fade = fade * torch.index_select(self.counting, 0, torch.index_select(species, 0, neighbour))
        number = edge_vectors.new_zeros([centre.shape[0]]).index_add(0, edge_centres(first_edge), fade)
        own = torch.index_select(self.counted, 0, torch.index_select(species, 0, centre))
        return torch.stack([own, own * number], dim=1)

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the mean (1,); not a number where no atom counts."""
        return sums[1:] / sums[0]
