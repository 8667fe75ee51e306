"""Directions in the space of average SOAP power spectra that tell two sets of structures apart.

x(A) of a structure is the average of its atoms' power spectra, a block for each element of the center,

    x_a = (1 / N) sum over centers i of element a of p(i),        N centers of all elements

centered to the mean of both sets. The directions v_k are

    pca    those of the largest variance in the union of both sets
    pcovr  principal covariates: those that keep variance and tell the sets apart at once; leading eigenvectors of
           gamma X X^T + (1 - gamma) Y Y^T with Y a ridge regression of the set (-1, 1) on X, both of unit norm   [1]

PCA finds the difference of two sets where it is larger than what varies within them; PCovR also where it is smaller.
The ridge is the one of the smallest leave-one-out error. Values are scaled so that the mean of the first set is 0 and
that of the second 1. Along directions in which the means are less than a standard deviation apart, the mean of all is 0
and the standard deviation within the sets 1.

`Separation` says how well a variable tells the sets apart; `overlap` is the common area of two normal distributions
with the means and standard deviations of the sets: 1 for no difference, 0.05 for means four standard deviations apart.
It is given for structures that were not fitted to, too: every fourth one is held out of a second fit.

[1] S. de Jong, H. A. L. Kiers, Chemom. Intell. Lab. Syst. 14, 155 (1992), doi:10.1016/0169-7439(92)80100-I;
    B. A. Helfrecht et al., Mach. Learn.: Sci. Technol. 1, 045021 (2020), doi:10.1088/2632-2153/aba9ef; computed by
    scikit-matter
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import ase
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from rhopot.potentials.collective_variables.soap_projection import SoapProjection
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.graph.atomic_graph import graphs

Floats = NDArray[np.float64]
Method = Literal["pca", "pcovr"]

PCOVR = "B. A. Helfrecht et al., Mach. Learn.: Sci. Technol. 1, 045021 (2020), doi:10.1088/2632-2153/aba9ef"
FEWEST = 2
# Structures of each set from which every fourth is held out of a second fit.
ENOUGH = 8
EVERY = 4
MAX_EDGES = 100_000
# Singular values and norms, relative to the largest, that count as zero.
ZERO = 1e-10
# Ridges of the regression, relative to the largest eigenvalue of X X^T.
RIDGES = np.logspace(-10, 1, 45)


@dataclass(frozen=True)
class Separation:
    """How well one variable tells two sets apart.

    means, deviations  of both sets (standard deviations);  overlap  common area of the two normal distributions
    """

    means: tuple[float, float]
    deviations: tuple[float, float]
    overlap: float

    @classmethod
    def of(cls, first: Floats, second: Floats) -> Separation:
        """The separation of values (n,) and (m,)."""
        means = float(np.mean(first)), float(np.mean(second))
        deviations = float(np.std(first)), float(np.std(second))
        return cls(means, deviations, normal_overlap(means, deviations))


@dataclass(frozen=True)
class SoapFit:
    """A fitted variable, its values on the sets, and its separation of them.

    module      to be saved
    values      (n, K) and (m, K) of the structures of both sets
    separation  of each component
    held_out    the same of structures that a second fit had not seen; none where there are too few
    """

    module: SoapProjection
    values: tuple[Floats, Floats]
    separation: tuple[Separation, ...]
    held_out: tuple[Separation, ...]


def fit_projection(
    first: Sequence[ase.Atoms],
    second: Sequence[ase.Atoms],
    settings: SoapSettings,
    *,
    method: Method = "pcovr",
    mixing: float = 0.5,
    n_components: int = 1,
    of: Sequence[str] | None = None,
    name: str = "soap",
    progress: Callable[[int], None] = lambda done: None,
) -> SoapFit:
    """Fit collective variables that tell two sets of structures apart.

    settings: of the descriptor; its symbols, if it has none, are the elements of the structures
    mixing: gamma of PCovR, from 0 (only the difference of the sets) to 1 (only variance)
    n_components: 1 to 3; of: elements of the centers that count, default all
    name: of the variable; several are numbered. progress(k): after k structures

    Raises:
        ValueError: sets of fewer than 2 structures, sets that do not differ, a mixing or number out of range.
    """
    both = [*first, *second]
    if min(len(first), len(second)) < FEWEST:
        raise ValueError(
            f"sets must hold at least {FEWEST} structures each, got {len(first)} and {len(second)}; "
            "take snapshots of a trajectory"
        )
    if not 0.0 <= mixing <= 1.0:
        raise ValueError(f"mixing must lie between 0 and 1, got {mixing:g}; 0.5 weighs variance and difference alike")
    if not 1 <= n_components <= 3:
        raise ValueError(f"n_components must be from 1 to 3, got {n_components}; 1 is enough for most pairs of states")
    if not settings.symbols:
        settings = settings.with_symbols(sorted({symbol for atoms in both for symbol in atoms.symbols}))
    descriptor = SoapPowerSpectrum(settings)
    counted = list(settings.symbols if of is None else of)
    rows = []
    for k, atoms in enumerate(both):
        rows.append(average_spectrum(descriptor, atoms, counted))
        progress(k + 1)
    x, n = np.stack(rows), len(first)
    is_second = np.arange(len(both)) >= n
    weights, offsets = _scaled(x, is_second, _directions(x, is_second, method, mixing, n_components))
    values = x @ weights - offsets
    held = () if min(n, len(second)) < ENOUGH else _held_out(x, is_second, method, mixing, n_components)
    separation = _separations(values, is_second)
    fitted = {
        "method": method,
        "mixing": mixing if method == "pcovr" else None,
        "structures": [len(first), len(second)],
        "means": [list(each.means) for each in separation],
        "deviations": [list(each.deviations) for each in separation],
        "overlap": [each.overlap for each in separation],
    }
    module = SoapProjection(
        settings,
        torch.from_numpy(weights.reshape(len(settings.symbols), -1, n_components).copy()),
        torch.from_numpy(offsets),
        [name] if n_components == 1 else [f"{name}{k + 1}" for k in range(n_components)],
        fitted,
        references=(PCOVR,) if method == "pcovr" else (),
        of=counted,
    )
    return SoapFit(module, (values[:n], values[n:]), separation, held)


def average_spectrum(descriptor: SoapPowerSpectrum, atoms: ase.Atoms, of: Sequence[str]) -> Floats:
    """Return x (A F,) of a structure: averages over its centers of the elements `of`, a block for each element.

    Raises:
        ValueError: a structure without such centers.
    """
    symbols = descriptor.settings.symbols
    sums = torch.zeros((len(symbols), descriptor.n_features), dtype=torch.float64)
    for graph in graphs(atoms, symbols, descriptor.cutoff, MAX_EDGES):
        with torch.no_grad():
            sums.index_add_(0, graph.species[graph.centre], descriptor(graph))
    n_centers = sum(symbol in of for symbol in atoms.symbols)
    if n_centers == 0:
        raise ValueError(f"structures must have atoms of {', '.join(of)}, got {atoms.symbols}; choose other elements")
    kept = torch.tensor([float(symbol in of) for symbol in symbols], dtype=torch.float64)
    return np.asarray((sums * kept[:, None] / n_centers).flatten().numpy())


def normal_overlap(means: tuple[float, float], deviations: tuple[float, float]) -> float:
    """Common area of two normal distributions: 1 if they are the same, 0 if they are far apart."""
    (a, b), (s, t) = means, deviations
    scale = abs(b - a) + s + t
    if scale == 0.0:
        return 1.0
    s, t = max(s, 1e-9 * scale), max(t, 1e-9 * scale)
    if abs(s - t) <= 1e-6 * max(s, t):
        return float(2.0 * ndtr(-abs(b - a) / (s + t)))
    # The densities cross where their logarithms are equal: a quadratic equation.
    quadratic = [
        1.0 / t**2 - 1.0 / s**2,
        2.0 * (a / s**2 - b / t**2),
        b**2 / t**2 - a**2 / s**2 + 2.0 * np.log(t / s),
    ]
    low, high = np.sort(np.roots(quadratic).real)
    wide, narrow = ((a, s), (b, t)) if s > t else ((b, t), (a, s))
    inside = [ndtr((high - mean) / deviation) - ndtr((low - mean) / deviation) for mean, deviation in (wide, narrow)]
    return float(np.clip(inside[0] + 1.0 - inside[1], 0.0, 1.0))


def _directions(x: Floats, is_second: NDArray[np.bool_], method: Method, mixing: float, count: int) -> Floats:
    """Directions (D, K) of features (n, D)."""
    centered = x - x.mean(axis=0)
    left, values, right = np.linalg.svd(centered, full_matrices=False)
    kept = values > ZERO * np.linalg.norm(x)
    if kept.sum() < count:
        raise ValueError(
            f"structures must differ in at least {count} directions, got {int(kept.sum())}; give other structures or "
            "fewer components"
        )
    left, values, right = left[:, kept], values[kept], right[kept]
    if method == "pca":
        return np.asarray(right[:count].T)
    reduced = left * (values / np.linalg.norm(values))
    target = np.where(is_second, 1.0, -1.0)
    target = (target - target.mean()) / np.linalg.norm(target - target.mean())
    coefficients = _ridge(reduced, target)
    return np.asarray(right.T @ _principal_covariates(reduced, coefficients, mixing, count))


def _ridge(x: Floats, y: Floats) -> Floats:
    """Coefficients (r,) of y (n,) on x (n, r), with the ridge of the smallest leave-one-out error."""
    left, values, right = np.linalg.svd(x, full_matrices=False)
    projected, squares, best = left.T @ y, values**2, (np.inf, np.zeros(x.shape[1]))
    for ridge in RIDGES * squares[0]:
        shrunk = squares / (squares + ridge)
        # The mean was taken off with all structures: 1/n of freedom.
        freedom = 1.0 - 1.0 / len(y) - (left**2) @ shrunk
        error = float(np.sum(((y - left @ (shrunk * projected)) / np.maximum(freedom, ZERO)) ** 2))
        if error < best[0]:
            best = error, right.T @ (shrunk * projected / values)
    return np.asarray(best[1])


def _principal_covariates(x: Floats, coefficients: Floats, mixing: float, count: int) -> Floats:
    """Projections (r, K) of PCovR for x (n, r) of unit norm and the regression of the sets on them."""
    from skmatter.decomposition import PCovR

    model = PCovR(mixing=mixing, n_components=count, svd_solver="full", tol=1e-12, regressor="precomputed")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This class does not automatically center data")
        model.fit(x, (x @ coefficients)[:, None], W=coefficients[:, None])
    return np.asarray(model.pxt_)


def _scaled(x: Floats, is_second: NDArray[np.bool_], directions: Floats) -> tuple[Floats, Floats]:
    """Weights (D, K) and offsets (K,) of values that are 0 and 1 at the means of the sets (or standardized)."""
    values = x @ directions
    first, second = values[~is_second], values[is_second]
    difference = second.mean(axis=0) - first.mean(axis=0)
    within = np.sqrt(0.5 * (first.var(axis=0) + second.var(axis=0)))
    differs = np.abs(difference) >= within
    sign = np.where(difference < 0, -1.0, 1.0)
    weights = directions / np.where(differs, difference, sign * within)
    origin = np.where(differs, first.mean(axis=0), values.mean(axis=0))
    return weights, origin / np.where(differs, difference, sign * within)


def _separations(values: Floats, is_second: NDArray[np.bool_]) -> tuple[Separation, ...]:
    """Separation of each component of values (n, K)."""
    return tuple(Separation.of(column[~is_second], column[is_second]) for column in values.T)


def _held_out(
    x: Floats, is_second: NDArray[np.bool_], method: Method, mixing: float, count: int
) -> tuple[Separation, ...]:
    """Separation of every fourth structure of both sets by a fit to the others."""
    held = np.zeros(len(x), dtype=bool)
    for rows in (np.flatnonzero(~is_second), np.flatnonzero(is_second)):
        held[rows[EVERY - 1 :: EVERY]] = True
    weights, offsets = _scaled(
        x[~held], is_second[~held], _directions(x[~held], is_second[~held], method, mixing, count)
    )
    return _separations(x[held] @ weights - offsets, is_second[held])
