"""Molecules as batches, for models of their total energy: positions beside the edges of a graph.

`MoleculeModel` is what such a model is to the trainer: energies of structures from positions, and their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.families.networks.graph_source import GraphBatch, GraphSource
from rhopot.potentials.fitting.communicator import round_robin
from rhopot.potentials.fitting.gradient.loss import LossSettings, Predictions
from rhopot.potentials.fitting.gradient.trainable import TrainableModel
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres, with_vectors
from rhopot.potentials.structures import Frame, naming


@dataclass(frozen=True)
class MoleculeBatch(GraphBatch):
    """Some structures as one graph; positions (N, 3): of their atoms from the center of each structure, in A."""

    positions: Tensor


def require_open(frames: Sequence[Frame]) -> None:
    """Raise ValueError for structures with periodic boundaries."""
    for frame in frames:
        with naming(frame):
            if frame.atoms.pbc.any():
                raise ValueError(
                    f"pbc must be F F F for family pooling, got {' '.join('FT'[int(b)] for b in frame.atoms.pbc)}; "
                    "pooled positions mean nothing among periodic images: take structures without, or another family"
                )


class MoleculeSource(GraphSource):
    """This process's share of some molecules.

    Raises:
        ValueError: structures with periodic boundaries.
    """

    def __init__(
        self,
        problem: FitProblem,
        frames: Sequence[Frame],
        loss: LossSettings,
        dtype: torch.dtype = torch.float64,
        advance: Callable[[int], None] = lambda done: None,
    ) -> None:
        require_open(frames)
        super().__init__(problem, frames, loss, dtype, advance)
        share = [frame.atoms.positions for _, frame in round_robin(frames, problem.communicator)]
        self._positions = [torch.from_numpy(np.asarray(r - r.mean(axis=0))).to(dtype) for r in share]

    def batch(self, indices: Sequence[int]) -> MoleculeBatch:
        """Return the structures with these numbers."""
        found = super().batch(indices)
        positions = torch.cat([torch.zeros(0, 3, dtype=self._dtype), *(self._positions[k] for k in indices)])
        return MoleculeBatch(found.graph, found.image, found.n_atoms, found.labels, positions)


class MoleculeModel(TrainableModel):
    """Energies of structures, `member`, as a trainable model.

    Members are evaluated apart: through a stack of their energies, the derivatives of one would be sought in all.
    """

    def member(
        self, batch: MoleculeBatch, graph: AtomicGraph, positions: Tensor, k: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return the energies (n) in eV of structures by member k, without baseline, and what is added to its loss (n).

        graph, positions: those of the batch, differentiable where derivatives are asked for.
        """
        raise NotImplementedError(f"{type(self).__name__} must define member")

    def predict(self, batch: MoleculeBatch, forces: bool, strain: bool) -> Predictions:
        """Return energies and forces (see `TrainableModel`)."""
        if strain:
            raise ValueError("targets.stress must be null for molecules, got a stress to train; leave it out")
        with_graph, graph = torch.is_grad_enabled(), batch.graph
        positions = batch.positions.detach().requires_grad_(forces)
        with torch.set_grad_enabled(with_graph or forces):
            vectors = positions[graph.neighbour] - positions[edge_centres(graph.first_edge)]
            here = with_vectors(graph, vectors)
            members = [self.member(batch, here, positions, k) for k in range(self.n_members)]
            gradients = [
                torch.autograd.grad(one.sum(), positions, retain_graph=True, create_graph=with_graph)[0]
                for one, _ in (members if forces else ())
            ]
        energy = torch.stack([one for one, _ in members]).unsqueeze(2)
        penalties = [penalty for _, penalty in members if penalty is not None]
        return Predictions(
            energy if with_graph else energy.detach(),
            -torch.stack(gradients) if forces else None,
            penalty=torch.stack(penalties) if penalties else None,
        )
