"""Base class of descriptors without fused operators: energies linear in the features, Jacobian by autograd."""

import torch
from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph, with_vectors


class Features(nn.Module):
    """Base of a descriptor; the class itself defines `forward` (see `descriptors.descriptor`)."""

    n_features: int

    def linear(self, graph: AtomicGraph, weights: Tensor, members: bool) -> Tensor:
        """Return p[c] . weights[a_c]: (C, 1+K) for weights (A, F, 1+K), or (C, 1) without members."""
        features: Tensor = self.forward(graph)
        return linear_read_out(features, graph.species[graph.centre], weights, members)

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return features (C, F) and their derivative (E, 3, F) by each edge vector, in A^-1; no autograd graph."""
        vectors = graph.edge_vectors.detach().requires_grad_(True)
        with torch.enable_grad():
            features = self.forward(with_vectors(graph, vectors))
            columns = [
                torch.autograd.grad(features[:, k].sum(), vectors, retain_graph=True)[0] for k in range(self.n_features)
            ]
        return features.detach(), torch.stack(columns, dim=2)


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
