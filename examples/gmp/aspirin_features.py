"""Energy errors on aspirin against numbers of probes and orders, compared with Behler-Parrinello networks.

    python examples/gmp/aspirin_features.py [--data aspirin_train.xyz.gz] [--output FOLDER] [--seeds 3] [key=value ...]

After Lei and Medford, SI Table 4 and Figure 2: GMP(p, n) + SNN(50, 50, 50) for several numbers of probes p and highest
orders n, and the Behler-Parrinello sets of SI Table 2 with one network per element. Energies only; 900 frames train,
100 stop the training, 200 test (the paper: 40,000, 10,000, 10,000). `--forces BETA` adds forces to the loss (eq. 6): a
frame then tells as much as many. Prints the table with features, errors and the time of one frame on one core; draws
the errors against features and against time, and a learning curve.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from study import (
    PUBLISHED,
    Study,
    arguments,
    energy_errors,
    figure,
    members_of,
    over_seeds,
    per_seed,
    plain_ticks,
    read,
    shuffled,
)

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.console import table
from rhopot.potentials.structures import FrameSet

PROBES = (2, 6, 10)
ORDERS = (0, 1, 2, 3, 4, 6)
SETS = (1, 3, 6, 8, 9, 12)
CURVE, CURVE_ORDERS = (100, 225, 450), (0, 1, 3)
TRAIN, VALIDATION, TEST = 900, 100, 200
EPOCHS = 600


def main(words: Sequence[str] | None = None) -> None:
    """Run the cases that are not there yet, print and draw."""
    parser = arguments(__doc__, "rmd17/aspirin_train.xyz.gz", "gmp_aspirin_features")
    parser.add_argument("--forces", type=float, default=None, metavar="BETA", help="force coefficient of eq. 6")
    parser.add_argument("--probes", type=int, nargs="*", default=PROBES)
    parser.add_argument("--orders", type=int, nargs="*", default=ORDERS)
    parser.add_argument("--sets", type=int, nargs="*", default=SETS)
    options = parser.parse_args(words)
    study = Study(options.output)
    frames = shuffled(read(options.data))
    loss = ["targets.forces=null"] if options.forces is None else [f"training.loss.beta={options.forces}"]
    common = [
        *loss,
        "targets.stress=null",
        "training.loss.form=regularized",
        f"training.epochs={options.epochs or EPOCHS}",
        members_of(options.seeds),
    ]

    def run(config: str, own: Sequence[str], count: int = TRAIN) -> dict[str, Any]:
        return _judge(study, config, [*common, *own, *options.overrides], frames, count)

    for probes in options.probes:
        for order in options.orders:
            study.case(f"GMP({probes},{order})", partial(run, "gmp_snn", _gmp(probes, order)))
    for number in options.sets:
        study.case(f"BP set {number}", partial(run, "bpnn", _set(number)))
    for count in CURVE:
        for n in CURVE_ORDERS:
            study.case(f"GMP(10,{n}), {count} frames", partial(run, "gmp_snn", _gmp(10, n), count))
    _show(study)


def _gmp(probes: int, order: int) -> list[str]:
    """Overrides for one set of probes and orders."""
    return [
        *PUBLISHED,
        "descriptor.cutoff=10.0",
        f"descriptor.n_probes={probes}",
        "descriptor.max_width=2.0",
        f"descriptor.max_order={order}",
    ]


def _set(number: int) -> list[str]:
    """Override for one of the published sets, in the place of the configuration's own grids."""
    return [f"descriptor={{cutoff: 10.0, set: {number}}}"]


def _judge(study: Study, config: str, words: Sequence[str], frames: FrameSet, count: int) -> dict[str, Any]:
    """Train on `count` frames; errors (meV per image) of each seed and the time of one frame."""
    held = frames[len(frames) - TEST :]
    validation = frames[len(frames) - TEST - VALIDATION : len(frames) - TEST]
    model = study.train(config, words, frames[:count], validation, ("H", "C", "O"))
    return {
        "features": int(model.module.descriptor.n_features),
        "train": per_seed(energy_errors(model, frames[: min(count, TEST)])),
        "test": per_seed(energy_errors(model, held)),
        "ms_per_image": frame_time(model, held),
    }


def frame_time(model: LoadedModel, frames: FrameSet, repeats: int = 5) -> float:
    """Median time in ms of one energy, frame by frame, on this thread."""
    times = []
    for _ in range(repeats):
        for frame in frames[:40]:
            begin = time.perf_counter()
            evaluate(model, [frame.atoms], gradients=False)
            times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times))


def _show(study: Study) -> None:
    """Table, Pareto plots, learning curve."""
    full = {name: case for name, case in study.results.items() if "frames" not in name}
    rows = [
        [name, case["features"], over_seeds(case["train"]), over_seeds(case["test"]), f"{case['ms_per_image']:.2f}"]
        for name, case in full.items()
    ]
    columns = ("", "features", "MAE train (meV)", "MAE test (meV)", "ms per image")
    study.console.print(table(f"aspirin, {TRAIN} training frames", columns, [[str(c) for c in row] for row in rows]))
    made, (left, middle, right) = figure(3)
    for axes, key, label in ((left, "features", "features"), (middle, "ms_per_image", "time of one image (ms)")):
        for prefix, marker, color in (("GMP", "o", "#1d4ed8"), ("BP", "s", "#c2410c")):
            part = [case for name, case in full.items() if name.startswith(prefix)]
            if not part:
                continue
            x, y = [case[key] for case in part], [np.mean(case["test"]) for case in part]
            axes.loglog(x, y, marker, color=color, label={"GMP": "GMP + SNN", "BP": "Behler-Parrinello"}[prefix])
        axes.set(xlabel=label, ylabel="test MAE (meV per image)")
        axes.legend(frameon=False)
    for n in CURVE_ORDERS:
        names = [(count, f"GMP(10,{n}), {count} frames") for count in CURVE] + [(TRAIN, f"GMP(10,{n})")]
        points = [(count, np.mean(study.results[name]["test"])) for count, name in names if name in study.results]
        if points:
            right.loglog(*zip(*points, strict=True), "o-", label=f"GMP(10,{n})")
    right.set(xlabel="training frames", ylabel="test MAE (meV per image)")
    right.legend(frameon=False)
    plain_ticks(left, middle, right)
    made.savefig(study.output / "aspirin_features.png", dpi=150)


if __name__ == "__main__":
    main()
