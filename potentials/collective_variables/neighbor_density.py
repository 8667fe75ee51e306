"""Density of the neighbors of some elements in one radial function, the switching function of the coordination number.

    c_lm(i) = sum over j of the elements `by` of f(r_ij) Y_lm(r_ij / r_ij),      sqrt(4 pi) c_00(i) = sum_j f(r_ij)

f is 1 up to r_c - w and falls to 0 at r_c as the quintic of `density.cutoff`. The center's own density is left out.

In : an atomic graph. Out: (C, (L+1)^2), index l*l + l + m. C2 everywhere. Range: r_c. Cost: O(E L^2), a C++ operator.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.density.reference import density_expansion
from rhopot.potentials.density.spline import tabulate
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors


class NeighborDensity(nn.Module):
    """Coefficients of the density of neighbors.

    Args:
        symbols: elements in the order of the graph's species.
        by: elements that count as neighbors.
        cutoff: r_c in A.
        width: w in A, 0 < w <= r_c.
        l_max: highest degree.
    """

    radial: Tensor
    species_channel: Tensor

    def __init__(self, symbols: Sequence[str], by: Sequence[str], cutoff: float, width: float, l_max: int) -> None:
        super().__init__()
        switch = CutoffFunction("quintic", cutoff, width)
        counts = np.array([float(symbol in by) for symbol in symbols])[:, None, None]

        def functions(distance: np.ndarray) -> np.ndarray:
            return switch(distance)[:, :, None, None, None] * np.broadcast_to(counts, (len(symbols), l_max + 1, 1))

        self.register_buffer("radial", torch.from_numpy(tabulate(functions, switch).values))
        self.register_buffer("species_channel", torch.zeros(len(symbols), dtype=torch.int64))
        self.cutoff: float = cutoff

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the coefficients (C, (L+1)^2) of the centers, float64."""
        own = with_vectors(graph, graph.edge_vectors.to(self.radial.dtype))
        table = RadialTable(self.radial, self.cutoff, self.species_channel, 1, 0.0)
        if own.edge_vectors.is_cuda:
            return density_expansion(own, table)[:, :, 0].to(torch.float64)
        return torch.ops.rhopot.density_expansion_v1(*own, *table)[:, :, 0].to(torch.float64)
