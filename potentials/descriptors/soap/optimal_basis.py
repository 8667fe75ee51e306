"""Optimal radial basis: the contraction of a large primitive basis that keeps most of the density's variance.

Over the environments i of a data set, for each degree l,

    C^l_{(an),(a'n')} = 1/N sum_i sum_m c_anlm(i) c_a'n'lm(i)                                     [1, eqs. 2.1, 2.6]
    C^l = U^T diag(lambda) U,  lambda descending;      c_qlm = sum_an U^l_{q;an} c_anlm           [1, eqs. 2.2, 2.7]

without centering, since invariants are made of the coefficients themselves. mixed: all species share the channels q;
separate: one contraction for each species a, of its own block of C. Of all orthogonal contractions to q_max functions
these keep the most variance; what they lose is the residual variance

    RV = 1 - sum_l sum_{q <= q_max} lambda_lq / sum_l sum_q lambda_lq                                     [1, eq. 2.12]

U goes into the radial splines (`table.build_table`), so that an optimal basis costs what a primitive one of size q_max
does [1, eq. 2.4]. Rows of U have a positive largest component, so that the same data give the same U.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 2; doi:10.1063/5.0057229
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis, SoapSettings
from rhopot.potentials.descriptors.soap.table import build_table
from rhopot.potentials.graph.atomic_graph import graphs

# Environments that the covariance is taken over, and edges of one evaluation.
ENVIRONMENTS = 5000
MAX_EDGES = 20000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DensityCovariance:
    """C^l of all (species, radial function) pairs: `values` (L+1, A N, A N) in the order species > n."""

    values: Floats
    n_species: int

    @property
    def n_radial(self) -> int:
        """N, primitive radial functions."""
        return self.values.shape[1] // self.n_species

    def blocks(self, mixed: bool) -> list[Floats]:
        """Return the matrices that are diagonalised for each degree: one, or one (L+1, N, N) for each species."""
        if mixed:
            return [self.values]
        n = self.n_radial
        return [self.values[:, a * n : (a + 1) * n, a * n : (a + 1) * n] for a in range(self.n_species)]


def density_covariance(
    settings: SoapSettings, frames: Sequence[ase.Atoms], most: int = ENVIRONMENTS
) -> DensityCovariance:
    """Return the covariance of the density coefficients in the primitive basis of `settings`.

    Args:
        settings: settings with `symbols`; their optimal basis is not used.
        frames: structures; where they hold more than `most` atoms, evenly spaced ones of them that hold about as many.
        most: environments to take.

    Raises:
        ValueError: no frames.
    """
    if len(frames) == 0:
        raise ValueError("an optimal basis needs structures to be learnt from, got none; give training data")
    primitive = settings.model_copy(update={"optimal_basis": None, "species_mode": "separate"})
    soap = build_table(primitive, settings.l_max)
    table = RadialTable(
        torch.from_numpy(soap.table.values),
        settings.cutoff,
        torch.from_numpy(soap.species_channel),
        soap.n_channels,
        settings.center_weight,
    )
    width = soap.n_channels * settings.n_max
    total, count = np.zeros((settings.l_max + 1, width, width)), 0
    for atoms in _evenly(frames, most):
        for graph in graphs(atoms, settings.symbols, settings.cutoff, MAX_EDGES):
            density = torch.ops.rhopot.density_expansion_v1(*graph, *table)
            count += len(density)
            for degree in range(settings.l_max + 1):
                rows = density[:, degree**2 : (degree + 1) ** 2].reshape(-1, width)
                total[degree] += (rows.T @ rows).numpy()
    return DensityCovariance(total / max(count, 1), len(settings.symbols))


def _evenly(frames: Sequence[ase.Atoms], most: int) -> Iterable[ase.Atoms]:
    """Return evenly spaced frames with about `most` atoms together, at least one."""
    n_atoms = sum(len(atoms) for atoms in frames)
    wanted = max(1, min(len(frames), round(len(frames) * most / max(n_atoms, 1))))
    return [frames[int(k)] for k in np.linspace(0, len(frames) - 1, wanted).round()]


def contraction(covariance: DensityCovariance, q_max: int, mixed: bool) -> Floats:
    """Return U (L+1, Q, A, N) for Q = q_max functions, of each species when not `mixed`.

    Raises:
        ValueError: more functions than the primitive basis has.
    """
    n_species, n_radial = covariance.n_species, covariance.n_radial
    available = n_species * n_radial if mixed else n_radial
    if q_max > available:
        raise ValueError(
            f"optimal_basis.q_max must be at most the number of primitive functions ({available}), got {q_max}; "
            "raise n_max"
        )
    vectors = [_leading_vectors(block, q_max) for block in covariance.blocks(mixed)]
    if mixed:
        return vectors[0].reshape(-1, q_max, n_species, n_radial)
    return np.stack(vectors, axis=2)


def _leading_vectors(matrices: Floats, count: int) -> Floats:
    """Return the eigenvectors of the `count` largest eigenvalues of each matrix, in rows: (L+1, count, n)."""
    _, vectors = np.linalg.eigh(matrices)
    rows = np.swapaxes(vectors[:, :, ::-1], 1, 2)[:, :count]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=2)[:, :, None], axis=2)
    return np.asarray(rows * np.sign(largest))


def residual_variances(covariance: DensityCovariance, mixed: bool) -> Floats:
    """Return RV after q = 1, 2, ... functions: of each species when not `mixed`."""
    values = [np.linalg.eigvalsh(block)[:, ::-1].clip(min=0.0).sum(axis=0) for block in covariance.blocks(mixed)]
    kept = np.cumsum(np.sum(values, axis=0))
    return np.asarray(np.maximum(1.0 - kept / kept[-1], 0.0))


def learn_basis(
    settings: SoapSettings, frames: Sequence[ase.Atoms], covariance: DensityCovariance | None = None
) -> SoapSettings:
    """Return complete settings: with the contraction learnt from `frames` where it is asked for and not yet known.

    covariance: that of the frames, where it is known already

    Raises:
        ValueError: no frames to learn from, or more functions than the primitive basis has.
    """
    basis = settings.optimal_basis
    if basis is None or basis.contraction is not None:
        return settings
    covariance, mixed = covariance or density_covariance(settings, frames), settings.species_mode == "mixed"
    variances = residual_variances(covariance, mixed)
    q_max = basis.q_max
    if q_max is None:
        assert basis.residual_variance is not None  # one of the two is given
        q_max = int(np.argmax(variances <= basis.residual_variance)) + 1
    learnt = OptimalBasis.model_validate(
        {
            "q_max": q_max,
            "residual_variance": float(variances[q_max - 1]) if q_max <= len(variances) else 0.0,
            "contraction": contraction(covariance, q_max, mixed).tolist(),
        }
    )
    return settings.model_copy(update={"optimal_basis": learnt})
