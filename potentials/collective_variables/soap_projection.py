"""Projection of a structure's average SOAP power spectrum on directions that were fitted to data (`soap_fit`).

    s_k = (1 / N) sum over centers i of w[a_i, :, k] . p(i) - b_k,      N centers of the elements `of`

with the power spectrum p of `descriptors.soap` and weights of each element a of the center. At constant composition
this is any linear function of the averages of p over the atoms of each element.

In : edges within the descriptor's cutoff. Contributions (C, 1 + K): 1, w . p(i). Out: (K,), numbers.
C2 at the cutoff with the quintic cutoff function. Range: one cutoff. Cost: that of a linear model, one C++ operator.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rhopot.potentials.collective_variables.collective_variable import CollectiveVariable, Description
from rhopot.potentials.collective_variables.elements import member_mask
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors

SOAP = "A. P. Bartók, R. Kondor, G. Csányi, Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115"


class SoapProjection(CollectiveVariable):
    """Linear functions of the average SOAP power spectrum.

    Args:
        settings: of the descriptor, with `symbols`.
        weights: w (A, F, K), K up to 3.
        offsets: b (K,).
        names: of the variables, K.
        fitted: what the weights come from, kept among the settings of the file.
        references: what to cite beside SOAP.
        of: elements of the centers that count; default: all. Weights of others are not used.

    Raises:
        ValueError: weights or offsets that do not fit the descriptor and the names.
    """

    weights: Tensor
    offsets: Tensor
    counted: Tensor

    def __init__(
        self,
        settings: SoapSettings,
        weights: Tensor,
        offsets: Tensor,
        names: Sequence[str],
        fitted: Mapping[str, Any],
        references: Sequence[str] = (),
        of: Sequence[str] | None = None,
    ) -> None:
        descriptor = SoapPowerSpectrum(settings)
        expected = (len(settings.symbols), descriptor.n_features, len(names))
        if tuple(weights.shape) != expected or tuple(offsets.shape) != (len(names),):
            raise ValueError(
                f"weights must have shape (elements, features, variables) = {expected} and offsets ({len(names)},), "
                f"got {tuple(weights.shape)} and {tuple(offsets.shape)}; give one column for each name"
            )
        super().__init__(
            Description(
                names=tuple(names),
                symbols=tuple(settings.symbols),
                cutoff=settings.cutoff,
                n_sums=1 + len(names),
                settings={
                    "variable": "soap_projection",
                    "descriptor": settings.model_dump(mode="json"),
                    "of": list(settings.symbols if of is None else of),
                    "fitted": dict(fitted),
                },
                references=(SOAP, *references),
            )
        )
        self.descriptor = descriptor
        counted = member_mask(settings.symbols, settings.symbols if of is None else of)
        self.register_buffer("counted", counted)
        self.register_buffer("weights", (weights.to(torch.float64) * counted[:, None, None]).contiguous())
        self.register_buffer("offsets", offsets.to(torch.float64))

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return 1 and the projections of each center (C, 1 + K), zero for elements that do not count."""
        graph = AtomicGraph(edge_vectors, first_edge, neighbour, centre, species)
        cast = with_vectors(graph, edge_vectors.to(self.weights.dtype))
        projections = self.descriptor.linear(cast, self.weights, True).to(torch.float64)
        own = torch.index_select(self.counted, 0, torch.index_select(species, 0, centre))
        return torch.cat([own[:, None], projections], dim=1)

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the means (K,) minus the offsets; not numbers where there is no center."""
        return sums[1:] / sums[0] - self.offsets
