"""Committee of networks on a descriptor: the mean is the prediction, the standard deviation its uncertainty.

    E = sum_i [ e0(a_i) + e_pair(i) + mean_k e_k(i) ],    member k: mean + g (e_k - mean)

g is the factor that calibrates the standard deviation of the members' totals on the validation set. A single network
has no members.

In : edges of one graph (see `descriptor`), edge vectors in float64 and A
Out: energies per centre in eV (C, 1 + K), float64; column 0 is the prediction, (C, 1) without members
Smoothness and range: those of the descriptor. Cost: the descriptor once, K networks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.local_model import LocalModel
from rhopot.potentials.models.network import Networks


class NetworkModel(LocalModel):
    """Energies from networks on a descriptor, with baseline and members.

    Args:
        descriptor: module with `n_features` and `forward` (see `Descriptor`).
        networks: as trained; they are folded here.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.
        spread: factor g on the members' deviations from their mean.

    Raises:
        ValueError: networks for other numbers of features or elements, or a negative spread.
    """

    committee: int

    def __init__(
        self,
        descriptor: Descriptor,
        networks: Networks,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        if networks.n_features != descriptor.n_features or networks.n_sets not in (1, len(baseline)):
            raise ValueError(
                f"networks must take {descriptor.n_features} features and have 1 or {len(baseline)} weight sets, "
                f"got {networks.n_features} and {networks.n_sets}; make them for this descriptor and its elements"
            )
        if not spread >= 0:
            raise ValueError(f"spread must be a factor of at least 0, got {spread}; 1 leaves the members as they are")
        self.descriptor = descriptor
        self.networks = networks.folded()
        for parameter in self.networks.parameters():
            parameter.requires_grad_(False)
        self.committee = networks.n_members
        self.baseline = EnergyBaseline(baseline, pair)
        self.register_buffer("spread", torch.tensor(float(spread), dtype=torch.float64))
        self.register_buffer("own", torch.zeros(0, dtype=networks.output.weight.dtype))
        self.spread: Tensor
        self.own: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return self.committee if self.committee > 1 else 0

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members."""
        own = with_vectors(graph, graph.edge_vectors.to(self.own.dtype))
        features = self.descriptor(own)
        learnt = self.networks(features, graph.species[graph.centre]).to(torch.float64).t()
        fixed = self.baseline(graph).unsqueeze(1)
        mean = learnt.mean(1, keepdim=True) + fixed
        if members and self.committee > 1:
            departures = (learnt + fixed - mean) * self.spread.to(torch.float64)
            return torch.cat([mean, mean + departures], dim=1)
        return mean
