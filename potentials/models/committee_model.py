"""Committee of networks: the mean is the prediction, the standard deviation its uncertainty.

    E = sum_i [ e0(a_i) + e_pair(i) + mean_k e_k(i) ],    member k: mean + g (e_k - mean)

g is the factor that calibrates the standard deviation of the members' totals on the validation set. A single network
has no members.

In : edges of one graph, edge vectors in float64 and A
Out: energies per center in eV (C, 1 + K), float64; column 0 is the prediction, (C, 1) without members
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.local_model import LocalModel


class CommitteeModel(LocalModel):
    """Energies from networks, with baseline and members; a subclass defines `learnt`.

    Args:
        descriptor: what the networks are given (see `Descriptor`).
        networks: with `n_members`, as trained; their parameters are constants from here on.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.
        spread: factor g on the members' deviations from their mean.

    Raises:
        ValueError: a negative spread.
    """

    committee: int

    def __init__(
        self,
        descriptor: Any,
        networks: Any,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        if not spread >= 0:
            raise ValueError(f"spread must be a factor of at least 0, got {spread}; 1 leaves the members as they are")
        self.descriptor = descriptor
        self.networks = networks.requires_grad_(False)
        self.committee = networks.n_members
        self.baseline = EnergyBaseline(baseline, pair)
        self.register_buffer("spread", torch.tensor(float(spread), dtype=torch.float64))
        self.spread: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return self.committee if self.committee > 1 else 0

    def learnt(self, graph: AtomicGraph) -> Tensor:
        """Return the networks' energies (max(K, 1), C) in eV, without baseline; edge vectors of any float type."""
        raise NotImplementedError("a committee must define learnt")

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members."""
        learnt = self.learnt(graph).to(torch.float64).t()
        fixed = self.baseline(graph).unsqueeze(1)
        mean = learnt.mean(1, keepdim=True) + fixed
        if members and self.committee > 1:
            departures = (learnt + fixed - mean) * self.spread.to(torch.float64)
            return torch.cat([mean, mean + departures], dim=1)
        return mean
