"""A model whose radial functions are learned with its networks, trained end to end through the density operators.

    R'_pl = sum_q W_kqpl R_ql,    E_k = sum_i N_k(power spectrum of the density in R'),    members k

Forces are derivatives through the operators' backward, and the gradient of a loss of forces goes through their second
derivative. python learned_radial_functions.py PREFIX under a launcher writes the trained parameters to PREFIX-RANK.npz.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import labelled
import numpy as np
import torch
from torch import Tensor, nn
from training_problem import fit_problem, training_settings

from rhopot.potentials import operators
from rhopot.potentials.families.networks.jacobians import ranges, starts, strain_of_edges, sums_of_images
from rhopot.potentials.fitting.communicator import Communicator, find_communicator, round_robin
from rhopot.potentials.fitting.gradient import Trainable, TrainableModel, TrainedCommittee, train_committee
from rhopot.potentials.fitting.gradient.labels import join_labels, labels_of, trained_quantities
from rhopot.potentials.fitting.gradient.loss import Labels, LossSettings, Predictions
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.remainder import remainder
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, edge_centres, species_of, with_vectors
from rhopot.potentials.graph.derivatives import forces_from_edges
from rhopot.potentials.graph.neighbours import concatenate
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.structures import Frame
from rhopot.testing.spectrum import SmallSpectrum

operators.load()

TARGETS = Targets(energy=0.002, forces=0.05, stress=0.01)
N_LEARNED = 2


@dataclass(frozen=True)
class GraphBatch:
    """Some structures as one graph; image (C): which structure an atom belongs to."""

    graph: AtomicGraph
    image: Tensor
    n_atoms: Tensor
    labels: Labels


class GraphSource:
    """Structures of one process as graphs."""

    def __init__(self, problem: FitProblem, frames: Sequence[Frame], loss: LossSettings) -> None:
        baseline = EnergyBaseline(problem.baseline)
        self._edges = [problem.search(frame.atoms, problem.descriptor.cutoff) for frame in frames]
        self._species = [species_of(frame.atoms, problem.symbols) for frame in frames]
        found = []
        for frame, edges, species in zip(frames, self._edges, self._species, strict=True):
            left = remainder(frame, problem.targets.sigmas(frame), baseline, [as_graph(edges, species)])
            found.append(labels_of(frame, left, problem.targets, loss))
        self.labels = join_labels(found)
        self.species = torch.cat([torch.zeros(0, dtype=torch.int64), *self._species])
        self.n_atoms = torch.tensor([len(frame) for frame in frames], dtype=torch.int64)

    def batch(self, indices: Sequence[int]) -> GraphBatch:
        """Return the structures with these numbers."""
        which = torch.tensor(indices, dtype=torch.int64)
        sizes = self.n_atoms[which]
        species = torch.cat([self.species[:0], *(self._species[k] for k in indices)])
        graph = as_graph(concatenate([self._edges[k] for k in indices], sizes.tolist()), species)
        image = torch.repeat_interleave(torch.arange(len(indices)), sizes)
        return GraphBatch(graph, image, sizes, self.labels.select(which, ranges(starts(self.n_atoms), which)))


class LearnedRadialFunctions(TrainableModel):
    """K members with radial functions of their own; radial (K, L + 1, Q, P)."""

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self.n_members = len(seeds)
        self.primitive = SmallSpectrum(2, labelled.CUTOFF)
        n_radial, l_count = self.primitive.radial.shape[4], self.primitive.radial.shape[3]
        shape = (l_count, n_radial, N_LEARNED)
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn = [torch.randn(shape, generator=stream, dtype=torch.float64) for stream in streams]
        self.radial = nn.Parameter(torch.stack(drawn))
        self.register_buffer("degree", torch.repeat_interleave(torch.arange(l_count), 2 * torch.arange(l_count) + 1))
        width = 2 * N_LEARNED
        self.networks = Networks(width * (width + 1) // 2 * l_count, 2, NetworkSettings(hidden=(6,)), list(seeds))

    def features(self, graph: AtomicGraph) -> Tensor:
        """Return the power spectra (K, C, F) in the learned radial functions."""
        table = self.primitive.table()
        density = torch.ops.rhopot.density_expansion_v1(*graph, *table)
        split = density.reshape(*density.shape[:2], table.n_channels, -1)
        contracted = torch.einsum("imaq,kmqp->kimap", split, self.radial[:, self.degree])
        flat = contracted.reshape(self.n_members * len(density), density.shape[1], -1)
        return torch.ops.rhopot.power_spectrum_v1(flat).reshape(self.n_members, len(density), -1)

    def predict(self, batch: GraphBatch, forces: bool, strain: bool) -> Predictions:
        """Return energies, forces and V * stress (see `TrainableModel`)."""
        graph, n_images, with_graph = batch.graph, len(batch.n_atoms), torch.is_grad_enabled()
        vectors = graph.edge_vectors.detach().requires_grad_(forces or strain)
        with torch.set_grad_enabled(with_graph or forces or strain):
            of_atoms = self.networks(self.features(with_vectors(graph, vectors)), graph.species)
            energy = sums_of_images(of_atoms.unsqueeze(2), batch.image, n_images)
            if not (forces or strain):
                return Predictions(energy)
            members = [
                torch.autograd.grad(one.sum(), vectors, retain_graph=True, create_graph=with_graph)[0]
                for one in of_atoms
            ]
        gradient, row = torch.stack(members, dim=2), edge_centres(graph.first_edge)
        force = forces_from_edges(gradient, row, graph.neighbour, len(graph.species)).permute(2, 0, 1)
        strains = strain_of_edges(graph.edge_vectors, gradient).permute(2, 0, 1)
        virial = sums_of_images(strains, batch.image[row], n_images) if strain else None
        return Predictions(energy if with_graph else energy.detach(), force, virial)


def train(problem: FitProblem, epochs: int, **changes: Any) -> TrainedCommittee:
    """Train the members of a problem."""
    settings = training_settings(epochs, **changes)

    def prepare() -> Trainable:
        sources = [
            GraphSource(problem, [frame for _, frame in round_robin(part, problem.communicator)], settings.loss)
            for part in (problem.train, problem.validation)
        ]
        quantities = trained_quantities(sources[0].labels, problem.targets, problem.communicator)
        return Trainable(LearnedRadialFunctions(range(max(problem.members, 1))), sources[0], sources[1], quantities)

    return train_committee(problem, settings, prepare, ["learned radial functions"])


def problem(**changes: Any) -> FitProblem:
    """Return a small problem with energies, forces and stresses."""
    fields: dict[str, Any] = {"targets": TARGETS, "members": 2} | changes
    return fit_problem(labelled.frames(9), labelled.frames(5, seed=1), **fields)


def results(communicator: Communicator) -> dict[str, np.ndarray]:
    """Parameters, losses and calibration after three epochs."""
    found = train(problem(communicator=communicator), 3, learning_rate=0.01)
    parameters = torch.cat([p.detach().flatten() for p in found.model.parameters()])
    assert found.calibration is not None
    return {
        "size": np.array(communicator.size),
        "kind": np.array(type(communicator).__name__),
        "parameters": parameters.numpy(),
        "losses": np.array([row["validation_loss"] for row in found.report["epochs"]]),
        "factor": np.array(found.calibration.factor),
    }


if __name__ == "__main__":
    here = find_communicator()
    np.savez(f"{sys.argv[1]}-{here.rank}.npz", **results(here))
