"""What a regressor and a fit need of a descriptor: a scriptable module from edges to features, and its derivative.

Legend of the shared argument list (one graph; edges sorted by centre):

    edge_vectors (E, 3)   r_ij = r_j - r_i in A           first_edge (C + 1)  where each centre's edges begin
    neighbour    (E)      row of j in `species`           centre     (C)      row of i in `species`
    species      (N_all)  index into the element list
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Descriptor(Protocol):
    """Local features p (C, F) of centres, each a function of that centre's own edges within the cutoff (A) only.

    Descriptors are `torch.nn.Module`s; this names what is used of them.
    """

    n_features: int
    cutoff: float

    def state_dict(self) -> dict[str, Any]:
        """Return the buffers by name."""

    def __call__(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return the features p (C, F)."""

    def jacobian(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return p (C, F) and dp (E, 3, F), the derivative of edge e's centre by edge vector e in A^-1."""

    def linear(
        self,
        edge_vectors: Tensor,
        first_edge: Tensor,
        neighbour: Tensor,
        centre: Tensor,
        species: Tensor,
        weights: Tensor,
        members: bool,
    ) -> Tensor:
        """Return p[c] . weights[a_c] (C, 1 + K) for weights (A, F, 1 + K), column 0 only (C, 1) without members."""
