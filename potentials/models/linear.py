"""Linear model: the energy of an atom is linear in its features.

    E = sum_i [ e0(a_i) + e_pair(i) + sum_f w[a_i, f] p[i, f] ]

one weight vector per species of the centre; columns 1..K of the weights are the members (draws from the posterior).

In : edges of one graph (see `descriptor`), edge vectors in float64 and A
Out: energies per centre in eV (C, 1 + K), float64; column 0 is the prediction, (C, 1) without members
Smoothness and range: those of the descriptor and the pair baseline. Cost: the descriptor, which may fuse the product.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.local_model import LocalModel


class LinearModel(LocalModel):
    """Energies linear in a descriptor, with baseline and members.

    Args:
        descriptor: module with `n_features`, `forward` and `linear` (see `Descriptor`).
        weights: (A, F, 1 + K) in eV per unit of feature, one set per center species.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.

    Raises:
        ValueError: shapes that do not fit the descriptor or the number of elements.
    """

    def __init__(
        self, descriptor: Descriptor, weights: Tensor, baseline: Sequence[float], pair: nn.Module | None = None
    ) -> None:
        super().__init__()
        expected = (len(baseline), descriptor.n_features)
        if weights.dim() != 3 or tuple(weights.shape[:2]) != expected or weights.shape[2] < 1:
            raise ValueError(
                f"weights must have shape (elements, features, 1 + members) = {(*expected, '>= 1')}, "
                f"got {tuple(weights.shape)}; give one weight set per element"
            )
        self.descriptor = descriptor
        self.baseline = EnergyBaseline(baseline, pair)
        self.register_buffer("weights", weights.contiguous())
        self.weights: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return int(self.weights.shape[2]) - 1

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members."""
        own = with_vectors(graph, graph.edge_vectors.to(self.weights.dtype))
        learned = self.descriptor.linear(own, self.weights, members)
        fixed = self.baseline(graph)
        return learned.to(torch.float64) + fixed[:, None]
