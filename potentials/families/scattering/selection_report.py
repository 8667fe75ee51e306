"""Composition of an ensemble in plain numbers: sizes, errors along the selection, features by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from rhopot.potentials.descriptors.scattering import WaveletPath
from rhopot.potentials.fitting.sparse_regression import Ensemble
from rhopot.potentials.units import MEV_PER_EV

# Points of a curve over the number of columns.
POINTS = 60


def composition(ensemble: Ensemble, paths: Sequence[WaveletPath]) -> dict[str, Any]:
    """Return how many columns members have, and which features the average uses."""
    best = np.array([member.best for member in ensemble.members])
    used = [paths[k] for k in ensemble.used]
    first = {(path.channel, path.n1, path.l1, path.j1) for path in used if path.order >= 1}
    second = {(path.channel, path.n1, path.l1, path.j1, path.n2, path.l2, path.j2) for path in used if path.order == 2}
    return {
        "members": len(best),
        "columns_of_a_member": {
            "mean": float(best.mean()),
            "deviation": float(best.std()),
            "least": int(best.min()),
            "most": int(best.max()),
        },
        "features_used": len(used),
        "wavelet_paths_used": {"first_order": len(first), "second_order": len(second)},
        "features_by": {
            "order": _counts(path.order for path in used),
            "channel": _counts(path.channel for path in used if path.channel is not None),
            "power": _counts(f"{path.q:.4g}" for path in used if path.q is not None),
            "scales": _counts(_scales(path) for path in used if path.order >= 1),
        },
    }


def selection_curve(ensemble: Ensemble) -> dict[str, list[float]]:
    """Return errors against the number of columns M, in meV per atom: means and deviations over members.

    fitted, energies: of the energies of the groups that a member was fitted to and of those it left out; training,
    validation: the same of all rows by their weights. Absent where there are none; M goes up to what half of the
    members reach.
    """
    lengths = sorted(len(member.order) for member in ensemble.members)
    longest = lengths[len(lengths) // 2]
    sizes = np.unique(np.geomspace(1, longest, POINTS).round().astype(int))
    curves: dict[str, list[float]] = {"columns": sizes.tolist()}
    for name in ("fitted", "energies", "training", "validation"):
        values = np.full((len(ensemble.members), len(sizes)), np.nan)
        for row, member in zip(values, ensemble.members, strict=True):
            curve = getattr(member, name)
            row[sizes <= len(curve)] = MEV_PER_EV * curve[sizes[sizes <= len(curve)] - 1]
        known = values[np.isfinite(values).any(axis=1)]
        if len(known):
            curves[name] = np.nanmean(known, axis=0).tolist()
            curves[f"{name}_deviation"] = np.nanstd(known, axis=0).tolist()
    return curves


def _scales(path: WaveletPath) -> str:
    return f"{path.j1:g}" if path.j2 is None else f"{path.j1:g} > {path.j2:g}"


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(str(name) for name in names).items()))
