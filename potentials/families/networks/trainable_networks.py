"""Networks on cached features as a trainable model.

Batch normalisation uses the statistics of the minibatch (of all processes) as long as only energies are trained. With
forces the statistics are frozen before the first step, because an atom's energy may then depend on no other atom's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rhopot.potentials.families.networks.feature_cache import FeatureBatch, FeatureCache
from rhopot.potentials.families.networks.jacobians import sums_of_images
from rhopot.potentials.fitting.gradient.loss import Predictions
from rhopot.potentials.fitting.gradient.trainable import TrainableModel
from rhopot.potentials.models.network import Networks


class NetworksOnFeatures(TrainableModel):
    """Networks that take the standardised features of a `FeatureCache`."""

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks
        self.n_members = networks.n_members
        self._batch_statistics = True

    def predict(self, batch: FeatureBatch, forces: bool, strain: bool) -> Predictions:
        """Return energies, forces and V * stress (see `TrainableModel`); derivatives need a cache that holds them."""
        if not (forces or strain):
            return Predictions(_of_structures(self.networks(batch.features, batch.species), batch))
        if batch.jacobian is None:
            raise ValueError("batch must hold derivatives for forces and stresses, got none; cache them")
        with_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            features = batch.features.expand(self.n_members, -1, -1).requires_grad_(True)
            energies = self.networks(features, batch.species)
            (gradient,) = torch.autograd.grad(energies.sum(), features, create_graph=with_graph)
        if not with_graph:
            energies = energies.detach()
        return Predictions(_of_structures(energies, batch), *batch.jacobian.forces_and_strain(gradient, strain))

    def start(self, source: FeatureCache, forces: bool, total: Callable[[Tensor], Tensor]) -> None:
        """Synchronise batch statistics over the processes; freeze them where derivatives are trained."""
        self._batch_statistics = not forces
        self.networks.synchronise_with(total)
        if forces:
            self.networks.freeze_statistics(source.features, source.species)

    def settle(self, source: FeatureCache) -> None:
        """Take the batch statistics of all training data where the data determine them."""
        if self._batch_statistics:
            self.networks.freeze_statistics(source.features, source.species)


def _of_structures(of_atoms: Tensor, batch: FeatureBatch) -> Tensor:
    """Return energies (K, n, 1) of structures from those of atoms (K, C)."""
    return sums_of_images(of_atoms.unsqueeze(2), batch.image, len(batch.n_atoms))
