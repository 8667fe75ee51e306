"""What modules of features have in common: energies linear in the features, for those without a fused operator."""

from torch import Tensor, nn

from rhopot.potentials.density.reference import linear_read_out


class Features(nn.Module):
    """Base of a descriptor; the class itself defines `forward` and `jacobian` (see `regressors.descriptor`)."""

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
        """Return p[c] . weights[a_c]: (C, 1+K) for weights (A, F, 1+K), or (C, 1) without members."""
        features: Tensor = self.forward(edge_vectors, first_edge, neighbour, centre, species)
        return linear_read_out(features, species[centre], weights, members)
