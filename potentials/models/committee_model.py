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
    """Energies from networks, with baseline and members; a subclass defines `learned`.

    Args:
        descriptor: what the networks are given (see `Descriptor`).
        networks: with `n_members`, as trained; their parameters are constants from here on.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.
        calibration: factor g on the members' deviations from their mean.

    Raises:
        ValueError: a negative calibration.
    """

    committee: int

    def __init__(
        self,
        descriptor: Any,
        networks: Any,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        calibration: float = 1.0,
    ) -> None:
        super().__init__()
        if not calibration >= 0:
            raise ValueError(
                f"calibration must be a factor of at least 0, got {calibration}; 1 leaves the members as they are"
            )
        self.descriptor = descriptor
        self.networks = networks.requires_grad_(False)
        self.committee = networks.n_members
        self.baseline = EnergyBaseline(baseline, pair)
        self.register_buffer("calibration", torch.tensor(float(calibration), dtype=torch.float64))
        self.calibration: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return self.committee if self.committee > 1 else 0

    def learned(self, graph: AtomicGraph) -> Tensor:
        """Return the networks' energies (max(K, 1), C) in eV, without baseline; edge vectors of any float type."""
        raise NotImplementedError("a committee must define learned")

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members."""
        return self.columns(self.learned(graph).to(torch.float64).t(), self.baseline(graph), members)

    def columns(self, learned: Tensor, baseline: Tensor, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members, of the networks' (C, K) and the baseline (C)."""
        fixed = baseline.unsqueeze(1)
        mean = learned.mean(1, keepdim=True) + fixed
        if members and self.committee > 1:
            departures = (learned + fixed - mean) * self.calibration.to(torch.float64)
            return torch.cat([mean, mean + departures], dim=1)
        return mean
