"""Gaussian approximation potential: a sparse kernel model of atomic energies.

    E = sum_i [ e0(a_i) + e_pair(i) + sum_{s in sparse set of a_i} c_s k(i, s) ]           [1, eq. 10; 2, eq. 36]

Each species of the centre has its own sparse points and coefficients; k is the kernel of `descriptors.dot_product`.
Columns 1..K of the coefficients are the members (draws from the posterior).

In : edges of one graph (see `descriptor`), edge vectors in float64 and A
Out: energies per centre in eV (C, 1 + K), float64; column 0 is the prediction, (C, 1) without members
Smoothness and range: those of the descriptor. Cost: descriptor + O(C M F), two matrix products per species.

[1] A. P. Bartók, M. C. Payne, R. Kondor, G. Csányi, Phys. Rev. Lett. 104, 136403 (2010)
[2] A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013)
"""

from collections.abc import Sequence
from typing import Any, Final, Optional

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.descriptors.dot_product import sparse_read_out, unit_rows
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.local_model import LocalModel


class GapModel(LocalModel):
    """Sparse-kernel energies on a descriptor, with baseline and members.

    Args:
        descriptor: module with `n_features` and `forward` (see `Descriptor`); where it has a `sparse_kernel`
            with the arguments of `SoapPowerSpectrum.sparse_kernel`, that evaluates the kernel too.
        points: for each element its sparse points (M_a, F'); rows are normalised here.
        weights: for each element its coefficients (M_a, 1 + K) in eV.
        zeta: integer power of the kernel, at least 1.
        baseline: A energies in eV, one per element.
        pair: pair baseline or None.
        features: (F') rows of the descriptor's features that the kernel uses; None uses all.

    Raises:
        ValueError: shapes that do not fit one another, or zeta below 1.
    """

    first_point: list[int]
    zeta: int
    select: bool
    fused: Final[bool]

    def __init__(
        self,
        descriptor: Descriptor,
        points: Sequence[Tensor],
        weights: Sequence[Tensor],
        zeta: int,
        baseline: Sequence[float],
        pair: nn.Module | None = None,
        features: Tensor | None = None,
    ) -> None:
        super().__init__()
        used = descriptor.n_features if features is None else len(features)
        _check(points, weights, zeta, len(baseline), used)
        self.descriptor: Any = descriptor
        self.baseline = EnergyBaseline(baseline, pair)
        self.zeta = int(zeta)
        self.select = features is not None
        self.fused = hasattr(descriptor, "sparse_kernel")
        self.first_point = [0]
        for part in points:
            self.first_point.append(self.first_point[-1] + len(part))
        self.register_buffer("points", unit_rows(torch.cat(list(points)))[0].contiguous())
        self.register_buffer("weights", torch.cat(list(weights)).contiguous())
        self.register_buffer("features", torch.arange(used) if features is None else features.to(torch.int64))
        self.points: Tensor
        self.weights: Tensor
        self.features: Tensor

    @property
    def n_members(self) -> int:
        """Number K of member columns."""
        return int(self.weights.shape[1]) - 1

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, or (C, 1) without members."""
        own = with_vectors(graph, graph.edge_vectors.to(self.points.dtype))
        features: Optional[Tensor] = self.features if self.select else None  # noqa: UP045  (TorchScript)
        if self.fused:
            learned = self.descriptor.sparse_kernel(
                own, self.points, self.first_point, self.weights, self.zeta, features, members
            )
        else:
            spectrum = self.descriptor(own)
            if features is not None:
                spectrum = spectrum.index_select(1, features)
            learned = sparse_read_out(
                spectrum, graph.species[graph.centre], self.points, self.first_point, self.weights, self.zeta, members
            )
        fixed = self.baseline(graph)
        return learned.to(torch.float64) + fixed[:, None]


def _check(points: Sequence[Tensor], weights: Sequence[Tensor], zeta: int, n_elements: int, n_features: int) -> None:
    """Refuse shapes that do not fit, in words."""
    if zeta < 1:
        raise ValueError(f"zeta must be an integer of at least 1, got {zeta}; 4 is customary")
    if len(points) != n_elements or len(weights) != n_elements:
        raise ValueError(
            f"points and weights must have one entry per element ({n_elements}), got {len(points)} and {len(weights)}; "
            "give an empty (0, F) tensor for an element without sparse points"
        )
    columns = {int(part.shape[1]) for part in weights}
    for part, coefficients in zip(points, weights, strict=True):
        if (
            part.dim() != 2
            or part.shape[1] != n_features
            or coefficients.shape[0] != part.shape[0]
            or len(columns) != 1
        ):
            raise ValueError(
                f"points and weights must have shapes (M, {n_features}) and (M, 1 + members), got {tuple(part.shape)} "
                f"and {tuple(coefficients.shape)}; rows are sparse points"
            )
