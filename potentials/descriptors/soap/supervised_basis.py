"""Contraction of the radial functions of degree 0 that also serves energies: principal covariates regression.

PCovR finds the projections P of the features X that keep most of their variance and of a linear model y = X w at once,
from the leading eigenvectors of

    gamma X^T X + (1 - gamma) (X^T X)^1/2 w w^T (X^T X)^1/2                                                 [2]

gamma = 1 is the principal component analysis, and with gamma -> 0 the first function alone gives the energy of the
linear model on all of them. The rows of U^0 are the columns of P made orthogonal, in their order        [1, eq. 2.11].
Coefficients of l > 0 have a mean of zero and no part in a linear model of a scalar; they keep principal components.

    X   coefficients c_an00(i) of the environments, not centered, of all species (mixed) or of one species (separate)
    y   energies of atoms by the linear model of all coefficients, `energy_regression`; with separate species the part
        that the neighbors of one species have in it                                               [1, eq. 2.13]

Both are scaled to a norm of one. Only X^T X, the covariance of degree 0, enters: X is replaced by its square root.

In : covariance (n, n), weights w (n,), gamma
Out: orthonormal rows (n, n)

[1] A. J. Goscinski, PhD thesis, EPFL (2023); doi:10.1063/5.0057229
[2] S. de Jong, H. A. L. Kiers, Chemom. Intell. Lab. Syst. 14, 155 (1992), doi:10.1016/0169-7439(92)80100-I;
    B. A. Helfrecht et al., Mach. Learn.: Sci. Technol. 1, 045021 (2020), doi:10.1088/2632-2153/aba9ef; computed by
    scikit-matter
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import ase
import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.descriptors.energy_regression import energy_weights, formation_energies, labelled
from rhopot.potentials.descriptors.soap.primitive_density import densities, evenly, primitive_table
from rhopot.potentials.descriptors.soap.soap_settings import SoapSettings

Floats = NDArray[np.float64]

# Atoms that the linear model is fitted to.
ENVIRONMENTS = 20000
# Eigenvalues and squared lengths, relative to the largest, that count as zero.
ZERO = 1e-12


def density_weights(settings: SoapSettings, frames: Sequence[ase.Atoms]) -> Floats:
    """Return w (A N,) of the linear model of formation energies (eV/atom) on the coefficients of degree 0.

    Raises:
        ValueError: too few structures with energies.
    """
    known = labelled(frames)
    if not known:
        raise ValueError(
            "optimal_basis.pcovr_mixing must have structures with energies to learn from, got none; give labelled "
            "structures, or set it to null"
        )
    used = evenly(known, ENVIRONMENTS)
    table = primitive_table(settings, 0)
    sums = [sum(part[:, 0, :].sum(dim=0) for part in densities(settings, table, atoms)) for atoms in used]
    means = np.stack([np.asarray(total) / len(atoms) for total, atoms in zip(sums, used, strict=True)])
    return energy_weights(means, formation_energies(used, settings.symbols))


def supervised_rows(covariance: Floats, weights: Floats, mixing: float) -> Floats:
    """Return orthonormal rows (n, n): the projections of PCovR in their order, completed by principal components.

    covariance: (n, n) X^T X, of any scale; weights: (n,); mixing: gamma in [0, 1]
    """
    from skmatter.decomposition import PCovR

    values, vectors = np.linalg.eigh(covariance / max(np.trace(covariance), np.finfo(float).tiny))
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    components = vectors[:, ::-1].T
    target = root @ weights
    length = float(np.linalg.norm(target))
    if length <= ZERO * float(np.linalg.norm(weights)):
        return components
    model = PCovR(
        mixing=mixing, n_components=len(root), svd_solver="full", tol=ZERO, space="feature", regressor="precomputed"
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This class does not automatically center data")
        model.fit(root, (target / length)[:, None], W=(weights / length)[:, None])
    return _orthonormal([*model.pxt_.T, *components])


def _orthonormal(candidates: Sequence[Floats]) -> Floats:
    """Return the candidates made orthonormal one after the other, without those that add no direction."""
    rows = np.zeros((0, len(candidates[0])))
    for candidate in candidates:
        length = float(np.linalg.norm(candidate))
        if length <= ZERO or len(rows) == rows.shape[1]:
            continue
        row = candidate / length
        for _ in range(2):  # the second time for what rounding leaves of the first
            row = row - rows.T @ (rows @ row)
        rest = float(np.linalg.norm(row))
        if rest > np.sqrt(ZERO):
            rows = np.vstack([rows, row / rest])
    return rows
