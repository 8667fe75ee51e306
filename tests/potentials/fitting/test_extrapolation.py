"""The limit of extrapolation grades on features whose distribution is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy import stats

from rhopot.potentials.fitting.communicator import Communicator, SingleProcess
from rhopot.potentials.fitting.extrapolation import fit_extrapolation
from rhopot.potentials.fitting.progress import SilentProgress
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.models.extrapolation import ExtrapolationGrade
from rhopot.potentials.structures import Frame


class Mixed:
    """Features of atoms without neighbors: their positions, mixed linearly into n features."""

    cutoff = 1.0

    def __init__(self, n_features: int, rank: int = 3) -> None:
        self.n_features = n_features
        self.mixing = np.random.default_rng(0).normal(size=(3, n_features))
        self.mixing[rank:] = 0.0
        self.rows: Any = None

    def __call__(self, graph: Any) -> torch.Tensor:
        return torch.from_numpy(self.rows[graph.centre.numpy()] @ self.mixing)


def frames(n_frames: int, n_atoms: int, groups: int | None = None, shift: float = 0.0) -> list[Frame]:
    """Atoms far from each other; `shift`: of the means of groups."""
    found = []
    for k in range(n_frames):
        positions = np.zeros((n_atoms, 3))
        positions[:, 0] = 50.0 * np.arange(n_atoms)
        found.append(
            Frame(Atoms(f"Si{n_atoms}", positions=positions), group=None if groups is None else str(k % groups))
        )
    return found


def fitted(
    n_features: int, n_frames: int = 400, n_atoms: int = 50, **how: Any
) -> tuple[ExtrapolationGrade | None, Mixed]:
    """The grade of normal features of rank three."""
    rng = np.random.default_rng(3)
    descriptor = Mixed(n_features, how.pop("rank", 3))
    searched: list[Atoms] = []

    def search(atoms: Atoms, cutoff: float) -> Any:
        searched.append(atoms)
        descriptor.rows = rng.normal(size=(len(atoms), 3))
        return find_edges(atoms, cutoff)

    communicator: Communicator = SingleProcess()
    grade = fit_extrapolation(
        frames(n_frames, n_atoms, **how), descriptor, ("Si",), search, communicator, SilentProgress()
    )
    return grade, descriptor


def grades(grade: ExtrapolationGrade, descriptor: Mixed, rows: np.ndarray) -> np.ndarray:
    coordinates = torch.from_numpy(rows @ (descriptor.mixing @ grade.directions[0].numpy()))
    return grade(coordinates, torch.zeros(len(rows), dtype=torch.int64)).numpy()


@pytest.mark.parametrize("n_features", [3, 10, 40_000])
def test_limit_of_normal_features(n_features: int) -> None:
    """T^2 of three normal components is chi-squared: 99.9% are below its quantile. More features than atoms as well.

    Two limits hold at once (of one component, of three), so that each is somewhat above its own quantile.
    """
    grade, descriptor = fitted(n_features, 400 if n_features < 1000 else 40)
    assert grade is not None
    assert grade.directions.shape[2] == 3
    rows = np.random.default_rng(7).normal(size=(200_000, 3))
    outside = grades(grade, descriptor, rows) > 1.0
    # Of 20000 atoms 20 are outside, of 750 less than one: the limits are known to that many.
    assert 0.0005 < outside.mean() < (0.002 if n_features < 1000 else 0.008)
    far = np.sqrt(stats.chi2(3).ppf(0.999))
    assert grades(grade, descriptor, 1.4 * far * np.eye(3)).min() > 1.0
    assert grades(grade, descriptor, 0.7 * far * np.eye(3)).max() < 1.0


def test_features_that_do_not_vary_count_for_nothing() -> None:
    grade, _ = fitted(10, rank=1)
    assert grade is not None
    assert grade.directions.shape[2] == 1


def test_nothing_without_variation_or_atoms() -> None:
    assert fitted(10, rank=0)[0] is None
    assert fitted(10, n_frames=3, n_atoms=6)[0] is None, "18 atoms"
    assert fitted(10, n_frames=1)[0] is None, "one structure cannot be held against others"
