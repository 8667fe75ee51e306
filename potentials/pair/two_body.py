"""A pair potential fitted to the data on top of ZBL: the best that distances alone can say.

    E = sum_i e0(a_i) + 1/2 sum_ij [ V_ZBL(r_ij) + sum_k w_{ab,k} B_k(r_ij) ]

B_k are quintic B-splines whose supports lie between `start` and `cutoff`: they vanish at both ends with four
derivatives, so short distances stay purely repulsive. Weights and e0 minimise

    sum_f [ (E - E_f) / (N_f sigma_energy) ]^2 + sum |F - F_f|^2 / sigma_forces^2 + sum w^2 / prior^2

through the normal equations: a baseline of a few dozen well-conditioned columns needs no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.interpolate import BSpline

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.graph.derivatives import forces_from_edges
from rhopot.potentials.graph.neighbours import Edges, find_edges
from rhopot.potentials.pair.base import PairBaseline, SumOfPairs, unordered_pairs
from rhopot.potentials.pair.tabulated import TabulatedPair
from rhopot.potentials.pair.zbl import ZblPair, ZblSettings
from rhopot.potentials.structures.composition import composition
from rhopot.potentials.structures.frames import DataError, Frame

Floats = NDArray[np.float64]
DEGREE = 5


class TwoBodySettings(BaseModel):
    """Pair potentials that are fitted to the training data before the model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["two_body"] = "two_body"
    """Pair potentials fitted to the training data, plus zbl."""
    start: float = Field(default=1.5, gt=0.0)
    """Where the fitted splines begin. [A]"""
    cutoff: float = Field(default=5.0, gt=0.0)
    """Where they end. [A]"""
    n_functions: int = Field(default=10, ge=1)
    """Splines of each pair of elements."""
    sigma_energy: float = Field(default=0.02, gt=0.0)
    """Expected error of the energies. [eV/atom]"""
    sigma_forces: float = Field(default=0.3, gt=0.0)
    """Expected error of the forces. [eV/A]"""
    prior: float = Field(default=3.0, gt=0.0)
    """Prior standard deviation of a spline's coefficient. [eV]"""
    zbl: ZblSettings = ZblSettings(inner=1.0, outer=2.0)
    """Screened nuclear repulsion at short distances."""

    @model_validator(mode="after")
    def _ordered(self) -> TwoBodySettings:
        if self.cutoff <= self.start:
            raise ValueError(f"cutoff must exceed start ({self.start} A), got {self.cutoff}; raise it or lower start")
        return self


def fit_two_body(
    frames: Iterable[Frame], symbols: Sequence[str], settings: TwoBodySettings | None = None
) -> SumOfPairs:
    """ZBL plus the fitted splines; the element energies of the fit are not part of it."""
    settings = settings or TwoBodySettings()
    zbl = ZblPair(symbols, settings.zbl)
    basis = _basis(settings)
    n_pairs = len(unordered_pairs(len(symbols)))
    n_columns = n_pairs * settings.n_functions
    normal = np.diag(np.concatenate([np.full(n_columns, settings.prior**-2.0), np.zeros(len(symbols))]))
    right = np.zeros(len(normal))
    n_rows = 0
    for frame in frames:
        rows, targets = _rows(frame, symbols, zbl, basis, settings)
        normal += rows.T @ rows
        right += rows.T @ targets
        n_rows += len(targets)
    if n_rows == 0:
        raise DataError("a two-body fit must have energies or forces, got none; label the data or use kind zbl")
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))  # columns of one size: better conditioned
    solution = scale * np.linalg.lstsq(normal * scale * scale[:, None], right * scale, rcond=1e-12)[0]
    weights = solution[:n_columns].reshape(n_pairs, settings.n_functions)

    functions = [partial(_fitted, basis, weight) for weight in weights]
    parts: list[PairBaseline] = [zbl, TabulatedPair.from_functions(functions, len(symbols), settings.cutoff)]
    return SumOfPairs(parts)


def _rows(
    frame: Frame, symbols: Sequence[str], zbl: ZblPair, basis: BSpline, settings: TwoBodySettings
) -> tuple[Floats, Floats]:
    """Weighted design rows (R, columns) and targets (R,) of one frame, the ZBL part subtracted from the labels."""
    edges = find_edges(frame.atoms, max(settings.cutoff, zbl.cutoff))
    species = np.array([list(symbols).index(s) for s in frame.atoms.symbols], dtype=np.int64)
    zbl_energy, zbl_forces = _zbl_part(edges, species, zbl)
    distance = np.linalg.norm(edges.vectors, axis=1)
    pair = zbl.pair_index.numpy()[species[edges.edge_centre], species[edges.neighbour]]
    n_pairs, n_atoms = len(unordered_pairs(len(symbols))), len(frame)
    rows, targets = [], []
    if frame.energy is not None:
        weight = 1.0 / (n_atoms * settings.sigma_energy)
        columns = 0.5 * _by_pair(_splines(basis, distance, 0), pair, n_pairs).sum(axis=0)
        rows.append(weight * np.concatenate([columns, composition(frame.atoms, symbols)])[None, :])
        targets.append(weight * np.array([frame.energy - zbl_energy]))
    if frame.forces is not None:
        derivative = 0.5 * _by_pair(_splines(basis, distance, 1), pair, n_pairs)
        gradient = torch.from_numpy((edges.vectors / distance[:, None])[:, :, None] * derivative[:, None, :])
        force = forces_from_edges(
            gradient, torch.from_numpy(edges.edge_centre), torch.from_numpy(edges.neighbour), n_atoms
        ).numpy()[frame.free]  # forces on held atoms are no labels
        n_rows = 3 * len(force)
        columns = force.reshape(n_rows, force.shape[-1])
        rows.append(np.hstack([columns, np.zeros((n_rows, len(symbols)))]) / settings.sigma_forces)
        targets.append((frame.forces - zbl_forces)[frame.free].ravel() / settings.sigma_forces)
    n_columns = n_pairs * settings.n_functions + len(symbols)
    return np.concatenate([np.zeros((0, n_columns)), *rows]), np.concatenate([np.zeros(0), *targets])


def _zbl_part(edges: Edges, species: NDArray[np.int64], zbl: ZblPair) -> tuple[float, Floats]:
    """Energy (eV) and forces (N, 3) of the repulsion alone."""
    vectors = torch.from_numpy(edges.vectors).requires_grad_()
    index = [torch.from_numpy(array) for array in (edges.first_edge, edges.neighbour, edges.centre, species)]
    energy = zbl(AtomicGraph(vectors, *index)).sum()
    if not energy.requires_grad:  # no edge that short
        return 0.0, np.zeros((len(species), 3))
    (gradient,) = torch.autograd.grad(energy, vectors)
    forces = forces_from_edges(gradient, torch.from_numpy(edges.edge_centre), index[1], len(species))
    return float(energy.detach()), forces.numpy()


def _basis(settings: TwoBodySettings) -> BSpline:
    """All B-splines whose support lies in [start, cutoff], as one vector-valued spline."""
    step = (settings.cutoff - settings.start) / (settings.n_functions + DEGREE)
    # A spline is defined between knots DEGREE steps inside its ends: extend them, with no functions out there.
    knots = settings.start + step * np.arange(-DEGREE, settings.n_functions + 2 * DEGREE + 1)
    coefficients = np.zeros((settings.n_functions + 2 * DEGREE, settings.n_functions))
    coefficients[DEGREE:-DEGREE] = np.eye(settings.n_functions)
    return BSpline(knots, coefficients, DEGREE)


def _splines(basis: BSpline, distance: Floats, derivative: int) -> Floats:
    """All B-splines (E, n_functions), or their derivative, at `distance` (E,); zero outside their range."""
    start, end = basis.t[DEGREE], basis.t[-DEGREE - 1]
    inside = (distance > start) & (distance < end)
    return np.where(inside[:, None], basis(np.clip(distance, start, end), nu=derivative), 0.0)


def _fitted(basis: BSpline, weight: Floats, distance: Floats) -> Floats:
    """V, V', V'' (3, R) of one species pair."""
    return np.stack([_splines(basis, distance, n) @ weight for n in range(3)])


def _by_pair(values: Floats, pair: NDArray[np.int64], n_pairs: int) -> Floats:
    """Spread (E, n_functions) over the columns of each edge's species pair (E, n_pairs * n_functions)."""
    spread = np.zeros((len(values), n_pairs, values.shape[1]))
    spread[np.arange(len(values)), pair] = values
    return spread.reshape(len(values), n_pairs * values.shape[1])
