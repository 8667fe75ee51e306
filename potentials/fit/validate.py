"""Predictions for the validation part straight from its equations: errors, and the members' deviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.fit.parallel import Ranks, deal
from rhopot.potentials.fit.problem import Problem
from rhopot.potentials.fit.progress import Progress
from rhopot.potentials.structures import Frame
from rhopot.potentials.units import MEV_PER_EV

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Errors of the prediction and deviations of the members, for each of X sets of members.

    energies (V) and (V, X) in eV per atom, one entry per frame; forces (components) and (components, X) in eV/A.
    """

    energy_errors: Floats
    energy_deviations: Floats
    force_errors: Floats
    force_deviations: Floats

    def metrics(self) -> dict[str, float]:
        """Return mean absolute errors in meV per atom and meV/A, where there is anything to compare."""
        names = {"energy_mae_mev_per_atom": self.energy_errors, "forces_mae_mev_per_angstrom": self.force_errors}
        return {name: MEV_PER_EV * float(np.abs(errors).mean()) for name, errors in names.items() if len(errors)}


def predict(
    frames: Sequence[Frame],
    problem: Problem,
    coefficients: Floats,
    departures: Floats,
    ranks: Ranks,
    progress: Progress,
) -> Predictions:
    """Return the predictions of coefficients (n) and of X sets of departures (X, n, K), complete on rank 0 only."""
    share = deal(frames, ranks)
    progress.start("validation", len(share))
    mine: dict[int, Predictions] = {}
    for done, (k, frame) in enumerate(share, start=1):
        mine[k] = _one(frame, problem, coefficients, departures)
        progress.advance("validation", done)
    found: dict[int, Predictions] = {}
    for part in ranks.gather(mine):
        found.update(part)
    empty = _pack(np.zeros(0), np.zeros((len(departures), 0, 1)), np.zeros(0), np.zeros((len(departures), 0, 1)))
    parts = [empty, *(found[k] for k in sorted(found))]
    names = ("energy_errors", "energy_deviations", "force_errors", "force_deviations")
    return Predictions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _one(frame: Frame, problem: Problem, coefficients: Floats, departures: Floats) -> Predictions:
    """Return the predictions of one frame."""
    left = problem.remainder(frame, ("energy", "forces"))
    rows = problem.design_rows(frame)
    n_atoms, n_columns = len(frame.atoms), len(coefficients)
    energy, forces = np.zeros((0, n_columns)), np.zeros((0, n_columns))
    energy_target, force_target = np.zeros(0), np.zeros(0)
    if "energy" in left:
        energy, energy_target = rows.energy.numpy()[None, :] / n_atoms, left["energy"] / n_atoms
    if "forces" in left:
        free = slice(None) if frame.fixed is None else np.nonzero(~frame.fixed)[0]
        forces, force_target = rows.forces.numpy()[free].reshape(-1, n_columns), left["forces"][free].reshape(-1)
    return _pack(
        energy @ coefficients - energy_target,
        energy @ departures,
        forces @ coefficients - force_target,
        forces @ departures,
    )


def _pack(energy_errors: Floats, energy_members: Floats, force_errors: Floats, force_members: Floats) -> Predictions:
    """Return predictions from errors and the departures (X, rows, K) of the members."""
    return Predictions(energy_errors, energy_members.std(axis=2).T, force_errors, force_members.std(axis=2).T)
