"""Base of local models: the exported argument list, turned into an `AtomicGraph` once."""

from torch import Tensor, nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph


class LocalModel(nn.Module):
    """Energies of centres from their edges, as model files give them (see `rhopot.export.local_models`).

    A subclass defines `energies`; `forward` is what ASE and LAMMPS call.
    """

    def energies(self, graph: AtomicGraph, members: bool) -> Tensor:
        """Return energies (C, 1 + K) in eV, float64, of the centres; column 0 alone, (C, 1), without members."""
        raise NotImplementedError("a local model must define energies")

    def forward(
        self,
        edge_vectors: Tensor,
        first_edge: Tensor,
        neighbour: Tensor,
        centre: Tensor,
        species: Tensor,
        members: bool,
    ) -> Tensor:
        """Return `energies` of the graph with these fields."""
        return self.energies(AtomicGraph(edge_vectors, first_edge, neighbour, centre, species), members)
