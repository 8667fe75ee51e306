"""Optimal radial basis: the contraction of a large primitive basis that keeps most of the density's variance.

Over the environments i of a data set, for each degree l,

    C^l_{(an),(a'n')} = 1/N sum_i sum_m c_anlm(i) c_a'n'lm(i)                                     [1, eqs. 2.1, 2.6]
    C^l = U^T diag(lambda) U,  lambda descending;      c_qlm = sum_an U^l_{q;an} c_anlm           [1, eqs. 2.2, 2.7]

without centering, since invariants are made of the coefficients themselves. mixed: all species share the channels q;
separate: one contraction for each species a, of its own block of C. Of all orthogonal contractions to q_max functions
these keep the most variance; what they lose is the residual variance

    RV = 1 - sum_l sum_{q <= q_max} lambda_lq / sum_l sum_q lambda_lq                                     [1, eq. 2.12]

With `pcovr_mixing` the functions of degree 0 keep energies as well (`supervised_basis`) [1, eq. 2.11].

U goes into the radial splines (`table.build_table`), so that an optimal basis costs what a primitive one of size q_max
does [1, eq. 2.4]. Rows of U have a positive largest component, so that the same data give the same U.

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 2; doi:10.1063/5.0057229
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ase
import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.descriptors.soap.primitive_density import densities, evenly, primitive_table
from rhopot.potentials.descriptors.soap.pseudo_species import weights_by_variance
from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis, SoapSettings
from rhopot.potentials.descriptors.soap.supervised_basis import density_weights, supervised_rows

# Environments that the covariance is taken over.
ENVIRONMENTS = 5000

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
        raise ValueError("an optimal basis needs structures to be learned from, got none; give training data")
    table = primitive_table(settings, settings.l_max)
    width = len(settings.symbols) * settings.n_max
    total, count = np.zeros((settings.l_max + 1, width, width)), 0
    for atoms in evenly(frames, most):
        for density in densities(settings, table, atoms):
            count += len(density)
            for degree in range(settings.l_max + 1):
                rows = density[:, degree**2 : (degree + 1) ** 2].reshape(-1, width)
                total[degree] += (rows.T @ rows).numpy()
    return DensityCovariance(total / max(count, 1), len(settings.symbols))


def contraction(
    covariance: DensityCovariance, q_max: int, mixed: bool, degree_zero: Sequence[Floats] | None = None
) -> Floats:
    """Return U (L+1, Q, A, N) for Q = q_max functions, of each species when not `mixed`.

    degree_zero: orthonormal rows of each block in the place of the eigenvectors of degree 0

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
    if degree_zero is not None:
        for one, rows in zip(vectors, degree_zero, strict=True):
            one[0] = _signed(rows[:q_max])
    if mixed:
        return vectors[0].reshape(-1, q_max, n_species, n_radial)
    return np.stack(vectors, axis=2)


def _leading_vectors(matrices: Floats, count: int) -> Floats:
    """Return the eigenvectors of the `count` largest eigenvalues of each matrix, in rows: (L+1, count, n)."""
    _, vectors = np.linalg.eigh(matrices)
    return _signed(np.swapaxes(vectors[:, :, ::-1], 1, 2)[:, :count])


def _signed(rows: Floats) -> Floats:
    """Return rows (..., n) with a positive largest component."""
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=-1)[..., None], axis=-1)
    return np.asarray(rows * np.sign(largest))


def residual_variances(
    covariance: DensityCovariance, mixed: bool, degree_zero: Sequence[Floats] | None = None
) -> Floats:
    """Return RV after q = 1, 2, ... functions: of each species when not `mixed`; degree_zero: see `contraction`."""
    blocks = covariance.blocks(mixed)
    values = [np.linalg.eigvalsh(block)[:, ::-1].clip(min=0.0) for block in blocks]
    if degree_zero is not None:
        for one, block, rows in zip(values, blocks, degree_zero, strict=True):
            one[0] = np.einsum("qm,mn,qn->q", rows, block[0], rows)
    kept = np.cumsum(np.sum([one.sum(axis=0) for one in values], axis=0))
    return np.asarray(np.maximum(1.0 - kept / kept[-1], 0.0))


def learn_basis(
    settings: SoapSettings, frames: Sequence[ase.Atoms], covariance: DensityCovariance | None = None
) -> SoapSettings:
    """Return complete settings: contraction or pseudo-species learned from `frames` where asked for and not yet known.

    covariance: that of the frames, where it is known already

    Raises:
        ValueError: no frames to learn from, none with an energy where the basis is supervised, or more functions than
            the primitive basis has.
    """
    basis = settings.optimal_basis
    if basis is None and settings.pseudo_species == "learned" and settings.pseudo_weights is None:
        found = covariance or density_covariance(settings, frames)
        weights = weights_by_variance(found.values, found.n_species, settings.n_pseudo)
        return settings.model_copy(update={"pseudo_weights": tuple(map(tuple, weights.tolist()))})
    if basis is None or basis.contraction is not None:
        return settings
    covariance, mixed = covariance or density_covariance(settings, frames), settings.species_mode == "mixed"
    rows = _supervised(settings, frames, covariance, basis.pcovr_mixing)
    variances = residual_variances(covariance, mixed, rows)
    q_max = basis.q_max
    if q_max is None:
        assert basis.residual_variance is not None  # one of the two is given
        q_max = int(np.argmax(variances <= basis.residual_variance)) + 1
    contracted = OptimalBasis.model_validate(
        {
            "q_max": q_max,
            "residual_variance": float(variances[q_max - 1]) if q_max <= len(variances) else 0.0,
            "pcovr_mixing": basis.pcovr_mixing,
            "contraction": contraction(covariance, q_max, mixed, rows).tolist(),
        }
    )
    return settings.model_copy(update={"optimal_basis": contracted})


def _supervised(
    settings: SoapSettings, frames: Sequence[ase.Atoms], covariance: DensityCovariance, mixing: float | None
) -> list[Floats] | None:
    """Return the rows of degree 0 of each block, with a mixing below one, which PCA is."""
    if mixing is None or mixing == 1.0:
        return None
    weights = density_weights(settings, frames)
    blocks = covariance.blocks(settings.species_mode == "mixed")
    parts = np.split(weights, len(blocks))
    return [supervised_rows(block[0], part, mixing) for block, part in zip(blocks, parts, strict=True)]
