"""Time of a sparse-regression ensemble of the published size: 100 members of 1000 of 3740 features, 10,000 structures.

    OMP_NUM_THREADS=1 python examples/benchmarks/greedy.py [--members 100] [--workers 2] [--method gram]

The features are synthetic: 80 hidden variables seen through 3740 smooth functions of them, each with noise of its own,
on paths of 30 structures. `--members 4` measures a few and states what 100 take at that rate; `--reference` also fits
the first member on the rows and compares the choices. One BLAS thread per worker is what makes workers pay.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Sequence

import numpy as np
from measure import machine, verdict

from rhopot.potentials.console import make_console, table
from rhopot.potentials.fitting.sparse_regression import SparseRegressionSettings, WeightedRows, fit_ensemble, make_rows

N_PUBLISHED = 100
GOAL_SECONDS = 900.0


def synthetic(n_structures: int, n_features: int, seed: int = 0) -> WeightedRows:
    """Correlated features and targets that 200 of them explain up to noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n_structures, 80))
    x = np.tanh(0.3 * hidden @ rng.standard_normal((80, n_features))) + 3.0
    x += 0.3 * rng.standard_normal(x.shape)
    y = 0.01 * x[:, :200] @ rng.standard_normal(200) + 0.01 * rng.standard_normal(n_structures)
    return make_rows(x, y, np.arange(n_structures) // 30)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=3740)
    parser.add_argument("--chosen", type=int, default=1000)
    parser.add_argument("--members", type=int, default=N_PUBLISHED)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--method", choices=("gram", "rows"), default="gram")
    parser.add_argument("--reference", action="store_true", help="compare the first member with that of the rows")
    options = parser.parse_args(words)
    rows = synthetic(options.structures, options.features)
    settings = SparseRegressionSettings(n_members=options.members, max_features=options.chosen, method=options.method)
    wall, begin = time.perf_counter(), os.times()
    ensemble = fit_ensemble(rows, settings, workers=options.workers)
    wall, end = time.perf_counter() - wall, os.times()
    cpu = end.user + end.system - begin.user - begin.system
    lines = [
        [f"{options.members} members: wall s", f"{wall:.1f}", ""],
        ["CPU s per member", f"{cpu / options.members:.2f}", ""],
        [
            f"{N_PUBLISHED} members at that rate: wall s",
            f"{wall * N_PUBLISHED / options.members:.0f}",
            verdict(wall * N_PUBLISHED / options.members, GOAL_SECONDS),
        ],
        [f"{N_PUBLISHED} members: CPU s", f"{cpu * N_PUBLISHED / options.members:.0f}", ""],
        ["peak GB", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.2f}", ""],
        ["features of a member, mean", f"{np.mean([len(member.used) for member in ensemble.members]):.0f}", ""],
    ]
    if options.reference:
        again = fit_ensemble(rows, settings.model_copy(update={"n_members": 1, "method": "rows"})).members[0]
        length = min(len(again.order), len(ensemble.members[0].order))
        same = ensemble.members[0].order[:length] == again.order[:length]
        lines.append(["choices equal to those of the rows", f"{np.sum(same)} of {len(again.order)}", ""])
    console = make_console()
    title = f"{options.chosen} of {options.features} features, {options.structures} structures, {options.method}"
    console.print(table(f"{title}, {options.workers} workers", ("", "", "must reach"), lines))
    console.print(machine())


if __name__ == "__main__":
    main()
