"""Base class of descriptors without a fused linear operator: energies linear in the features."""

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph


class Features(nn.Module):
    """Base of a descriptor; the class itself defines `forward` and `jacobian` (see `descriptors.descriptor`)."""

    def linear(self, graph: AtomicGraph, weights: Tensor, members: bool) -> Tensor:
        """Return p[c] . weights[a_c]: (C, 1+K) for weights (A, F, 1+K), or (C, 1) without members."""
        features: Tensor = self.forward(graph)
        return linear_read_out(features, graph.species[graph.centre], weights, members)


def linear_read_out(features: Tensor, centre_species: Tensor, weights: Tensor, members: bool) -> Tensor:
    """Return features[i] . weights[a_i]: (C, 1+K) for weights (A, F, 1+K) or (1, F, 1+K), (C, 1) without members."""
    used = weights if members else weights[:, :, :1]
    if used.shape[0] == 1:
        return torch.matmul(features, used[0])
    energies = torch.zeros([features.shape[0], used.shape[2]], dtype=features.dtype, device=features.device)
    for kind in range(used.shape[0]):
        rows = torch.nonzero(centre_species == kind).flatten()
        energies = energies.index_add(0, rows, torch.matmul(torch.index_select(features, 0, rows), used[kind]))
    return energies
