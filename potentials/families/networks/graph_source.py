"""Structures as graphs, for models whose features are learned: nothing of them but edges and labels is kept.

`GraphModel` is what such a model is to the trainer: energies of atoms from a graph, and their derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rhopot.potentials.families.networks.jacobians import ranges, starts, strain_of_edges, sums_of_images
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.gradient.labels import join_labels, labels_of
from rhopot.potentials.fitting.gradient.loss import Labels, LossSettings, Predictions
from rhopot.potentials.fitting.gradient.trainable import TrainableModel
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.remainder import remainder
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, edge_centres, species_of, with_vectors
from rhopot.potentials.graph.derivatives import forces_from_edges
from rhopot.potentials.graph.neighbours import concatenate
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame, naming


@dataclass(frozen=True)
class GraphBatch:
    """Some structures as one graph; image (C): which structure an atom belongs to; n_atoms (n)."""

    graph: AtomicGraph
    image: Tensor
    n_atoms: Tensor
    labels: Labels


class GraphSource:
    """This process's share of some frames: edges in the training's float type and labels minus the baseline."""

    def __init__(
        self,
        problem: FitProblem,
        frames: Sequence[Frame],
        loss: LossSettings,
        dtype: torch.dtype = torch.float64,
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        baseline = EnergyBaseline(problem.baseline, problem.pair)
        share = [frame for _, frame in round_robin(frames, problem.communicator)]
        self._edges, self._species, found, self._dtype = [], [], [], dtype
        for k, frame in enumerate(share):
            with naming(frame):
                edges = problem.search(frame.atoms, problem.descriptor.cutoff)
                species = species_of(frame.atoms, problem.symbols)
                left = remainder(frame, problem.targets.sigmas(frame), baseline, [as_graph(edges, species)])
            self._edges.append(edges)
            self._species.append(species)
            found.append(labels_of(frame, left, problem.targets, loss))
            advance(k + 1)
        self.labels = join_labels(found).to(torch.device("cpu"), dtype)
        self.species = torch.cat([torch.zeros(0, dtype=torch.int64), *self._species])
        self.n_atoms = torch.tensor([len(frame) for frame in share], dtype=torch.int64)

    def batch(self, indices: Sequence[int]) -> GraphBatch:
        """Return the structures with these numbers."""
        which = torch.tensor(indices, dtype=torch.int64)
        sizes = self.n_atoms[which]
        species = torch.cat([self.species[:0], *(self._species[k] for k in indices)])
        graph = as_graph(concatenate([self._edges[k] for k in indices], sizes.tolist()), species)
        image = torch.repeat_interleave(torch.arange(len(indices)), sizes)
        labels = self.labels.select(which, ranges(starts(self.n_atoms), which))
        return GraphBatch(with_vectors(graph, graph.edge_vectors.to(self._dtype)), image, sizes, labels)


class GraphModel(TrainableModel):
    """Energies of atoms from a graph, `member`, as a trainable model.

    Members are evaluated apart: through a stack of their energies, the derivatives of one would be sought in all.
    """

    def member(self, graph: AtomicGraph, k: int) -> Tensor:
        """Return the energies (C) in eV of the atoms by member k, without baseline."""
        raise NotImplementedError(f"{type(self).__name__} must define member")

    def predict(self, batch: GraphBatch, forces: bool, strain: bool) -> Predictions:
        """Return energies, forces and V * stress (see `TrainableModel`)."""
        graph, n_images, with_graph = batch.graph, len(batch.n_atoms), torch.is_grad_enabled()
        vectors = graph.edge_vectors.detach().requires_grad_(forces or strain)
        with torch.set_grad_enabled(with_graph or forces or strain):
            of_atoms = [self.member(with_vectors(graph, vectors), k) for k in range(self.n_members)]
            energy = sums_of_images(torch.stack(of_atoms).unsqueeze(2), batch.image, n_images)
            if not (forces or strain):
                return Predictions(energy)
            gradients = [
                torch.autograd.grad(one.sum(), vectors, retain_graph=True, create_graph=with_graph)[0]
                for one in of_atoms
            ]
        gradient, row = torch.stack(gradients, dim=2), edge_centres(graph.first_edge)
        force = forces_from_edges(gradient, row, graph.neighbour, len(graph.species)).permute(2, 0, 1)
        strains = strain_of_edges(graph.edge_vectors, gradient).permute(2, 0, 1)
        virial = sums_of_images(strains, batch.image[row], n_images) if strain else None
        return Predictions(energy if with_graph else energy.detach(), force, virial)
