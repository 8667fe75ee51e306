"""`radial_linear`: a linear model on Gaussians of the distances, as an example of a family in a package of its own.

    p_bq(i) = sum_{j of element b} exp(-(r_ij - mu_q)^2 / (2 sigma^2)) f(r_ij),   f(r) = (1 - (r / r_c)^2)^3
    E       = sum_i w[a_i] . p(i)

The centers mu_q are learned from the data: quantiles of all distances below the cutoff r_c in the training structures.
They become part of the settings, which the model file holds.

In : an atomic graph (`rhopot.potentials.graph.atomic_graph.AtomicGraph`), lengths in A
Out: features (C, A Q), element b of the neighbor slow, center q fast. C2 at the cutoff. Cost: O(E Q).
"""

from collections.abc import Sequence
from typing import Self

import ase
import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
from rhopot.potentials.descriptors.features import Features
from rhopot.potentials.families import Family, FamilySettings
from rhopot.potentials.families.local import REPULSION, features_of_atoms
from rhopot.potentials.fitting.least_squares.fit import fit_linear
from rhopot.potentials.fitting.least_squares.least_squares_settings import LinearSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres
from rhopot.potentials.graph.neighbours import find_edges


class RadialSettings(DescriptorSettings):
    """Settings of the Gaussians; immutable and closed to unknown keys."""

    cutoff: float = Field(5.0, gt=0, le=20)
    """Radius of an atomic environment. [A]"""
    n_centers: PositiveInt = 12
    """Number of Gaussians for each element of the neighbor."""
    width: PositiveFloat = 0.4
    """Standard deviation sigma of a Gaussian. [A]"""
    centers: tuple[float, ...] | None = None
    """Distances mu of the Gaussians; null: quantiles of the distances in the training structures. [A]"""

    def completed(self, frames: Sequence[ase.Atoms]) -> Self:
        """Return the same settings with the centers taken from `frames` where they are null."""
        if self.centers is not None:
            return self
        lengths = [np.linalg.norm(find_edges(atoms, self.cutoff).vectors, axis=1) for atoms in frames]
        distances = np.concatenate([np.zeros(0), *lengths])
        if len(distances) == 0:
            raise ValueError(
                f"descriptor.centers must be given where no two atoms are within the cutoff of {self.cutoff:g} A, "
                "got null; raise the cutoff or write them out"
            )
        centers = np.quantile(distances, np.linspace(0.0, 1.0, self.n_centers))
        return self.model_copy(update={"centers": tuple(round(float(center), 4) for center in centers)})

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        centers = "from the data" if self.centers is None else ", ".join(f"{center:g}" for center in self.centers)
        return [
            f"Gaussians of width {self.width:g} A on distances within a cutoff of {self.cutoff:g} A",
            f"centers (A): {centers}",
        ]


class RadialFeatures(Features):
    """Gaussians of the distances to the neighbors of each element.

    Args:
        settings: complete settings: with `symbols` and `centers`.
    """

    centers: Tensor

    def __init__(self, settings: RadialSettings) -> None:
        super().__init__()
        self.register_buffer("centers", torch.tensor(settings.centers, dtype=torch.float64))
        self.settings = settings
        self.cutoff: float = settings.cutoff
        self.width: float = settings.width
        self.n_species: int = len(settings.symbols)
        self.n_features: int = self.n_species * len(self.centers)

    def functions(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the Gaussians (E, Q) of distances (E) in A and their derivatives in A^-1."""
        x = (distance.unsqueeze(1) - self.centers) / self.width
        t = (distance / self.cutoff).unsqueeze(1)
        inside = (1.0 - t * t).clamp_min(0.0)
        gaussian = torch.exp(-0.5 * x * x)
        derivative = -x / self.width * inside**3 - 6.0 * t / self.cutoff * inside**2
        return gaussian * inside**3, gaussian * derivative

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Return the features (C, A Q)."""
        functions, _ = self.functions(graph.edge_vectors.square().sum(1).sqrt())
        n_centres, width = graph.centre.shape[0], functions.shape[1]
        row = edge_centres(graph.first_edge) * self.n_species + graph.species[graph.neighbour]
        sums = torch.zeros([n_centres * self.n_species, width], dtype=functions.dtype, device=functions.device)
        return sums.index_add(0, row, functions).reshape(n_centres, self.n_features)

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return the features (C, F) and the derivative (E, 3, F) of each edge's centre by its vector, in A^-1."""
        distance = graph.edge_vectors.square().sum(1).sqrt()
        _, derivatives = self.functions(distance)
        element = torch.nn.functional.one_hot(graph.species[graph.neighbour], self.n_species).to(derivatives.dtype)
        by_length = (element.unsqueeze(2) * derivatives.unsqueeze(1)).reshape(len(distance), self.n_features)
        unit = graph.edge_vectors / distance.unsqueeze(1)
        return self.forward(graph).detach(), (unit.unsqueeze(2) * by_length.unsqueeze(1)).detach()


def descriptor_for(settings: RadialSettings, frames: Sequence[ase.Atoms], symbols: Sequence[str]) -> RadialFeatures:
    """The descriptor of a training on `frames`; of complete settings, without any."""
    return RadialFeatures(settings.completed(frames).with_symbols(symbols))


def fit(problem: FitProblem, settings: FamilySettings) -> FitResult:
    """Ridge regression, as `soap_linear` does it: any descriptor will do."""
    return fit_linear(problem, settings.regressor)


FAMILY = Family(
    name="radial_linear",
    title="ridge regression on Gaussians of the distances",
    references=("R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104",),
    kind="local",
    n_layers=1,
    refits_on_validation=True,
    members_make_prediction=False,
    descriptor_settings=RadialSettings,
    regressor_settings=LinearSettings,
    descriptor_for=descriptor_for,
    fit=fit,
    features=features_of_atoms,
    defaults=REPULSION,
    notes=("energies depend on distances only: angles between bonds are not seen",),
)
