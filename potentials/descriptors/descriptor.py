"""Interface of local descriptors: a scriptable module from atomic graphs to features, and its Jacobian."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from rhopot.potentials.graph.atomic_graph import AtomicGraph


@runtime_checkable
class Descriptor(Protocol):
    """Local features p (C, F) of centres, each a function of that centre's own edges within the cutoff (A) only.

    Descriptors are `torch.nn.Module`s; this names what is used of them.
    """

    n_features: int
    cutoff: float

    def state_dict(self) -> dict[str, Any]:
        """Return the buffers by name."""

    def __call__(self, graph: AtomicGraph) -> Tensor:
        """Return the features p (C, F)."""

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return p (C, F) and dp (E, 3, F), the derivative of edge e's centre by edge vector e in A^-1."""

    def linear(self, graph: AtomicGraph, weights: Tensor, members: bool) -> Tensor:
        """Return p[c] . weights[a_c] (C, 1 + K) for weights (A, F, 1 + K), column 0 only (C, 1) without members."""
