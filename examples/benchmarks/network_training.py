"""Training of angular networks: time of an epoch, where it goes, and the same network in plain PyTorch.

    python examples/benchmarks/network_training.py --data Si_train.xyz.gz [ethanol_train.xyz.gz] [--threads 1]

The ready configuration on the frames given, a tenth of them for validation. Steps of both run in turn, on the same
batches and weights, whose gradients are compared first. Plain PyTorch: the operator of the angular filters replaced by
its definition (`models/angular/reference.py`), differentiated by autograd. A step: energies, forces, loss, and the
gradient of the loss in the weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from rhopot.potentials import operators
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.console import make_console, table
from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.families.angular.fit import mean_neighbours
from rhopot.potentials.families.networks.graph_source import GraphSource
from rhopot.potentials.families.networks.learned import TrainableCommittee
from rhopot.potentials.fitting.gradient.batches import epoch_batches
from rhopot.potentials.fitting.gradient.loss import Loss
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.models.angular.angular_model import AngularModel
from rhopot.potentials.models.angular.network import AngularNetworks
from rhopot.potentials.models.angular.reference import angular_filters
from rhopot.potentials.structures import read_frames

LEAST = 3.0
# Steps that are timed at most: the plain implementation takes seconds for each.
MOST_STEPS = 12
KINDS = {
    "angular filters": ("rhopot",),
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "gathering and scattering": ("aten::index", "aten::scatter", "aten::gather", "aten::cat"),
}
Step = Callable[[Sequence[int]], list[Tensor]]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("more", nargs="*", help="files of other structures")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(words)
    operators.load()
    torch.set_num_threads(options.threads)
    console, rows = make_console(), []
    for path in (options.data, *options.more):
        rows.append(one_file(Path(path), options.repeats))
    columns = (
        "",
        "frames",
        "steps",
        "s/epoch",
        "epochs/minute",
        "plain s/epoch",
        "plain to operator",
        "must reach",
        *KINDS,
        "others",
    )
    runs = f"medians of {options.repeats} interleaved runs, wall"
    title = f"angular, ready configuration, {options.threads} thread(s), {runs}"
    console.print(table(title, columns, rows))
    console.print(measure.machine())


def one_file(path: Path, repeats: int) -> list[str]:
    """The row of one file of structures."""
    config = load_config(measure.CONFIGS / "angular.yaml", [f"data.train={path}", "training.epochs=1"])
    frames = read_frames([str(path)])
    symbols = tuple(sorted({symbol for frame in frames for symbol in frame.atoms.get_chemical_symbols()}))
    train = frames[: len(frames) - len(frames) // 10]
    settings = config.family_settings
    training = settings.training
    batches = epoch_batches([len(frame) for frame in train], training.batch, training.batch_by, 0, 0)
    chosen = batches[:: max(len(batches) // MOST_STEPS, 1)]
    steps = {plain: step_of(train, symbols, config, plain) for plain in (False, True)}
    compare(steps, chosen[0])
    times = measure.interleaved({plain: partial(timed, steps[plain], chosen) for plain in steps}, repeats)
    epoch = {plain: measure.median_wall(times[plain]) * len(batches) / len(chosen) for plain in steps}
    ratio = epoch[True] / epoch[False]
    shares = where(steps[False], chosen)
    return [
        path.name.split(".")[0],
        f"{len(train)}",
        f"{len(batches)}",
        f"{epoch[False]:.2f}",
        f"{60 / epoch[False]:.0f}",
        f"{epoch[True]:.1f}",
        f"{ratio:.1f}",
        measure.verdict(ratio, LEAST, more=True),
        *(f"{100 * share:.0f} %" for share in shares),
    ]


def step_of(train: Sequence[Any], symbols: Sequence[str], config: RunConfig, plain: bool) -> Step:
    """A step: from frames to the gradient of their loss; weights are those of seed 0."""
    settings, targets = config.family_settings, config.targets
    basis = AngularBasis(settings.descriptor.with_symbols(symbols))
    mean = float(np.mean([frame.energy / len(frame) for frame in train]))
    problem = FitProblem(
        train=list(train),
        validation=[],
        descriptor=basis,
        symbols=symbols,
        targets=targets,
        baseline=[mean] * len(symbols),
    )
    source = GraphSource(problem, train, settings.training.loss, torch.float32)
    networks = AngularNetworks(basis, settings.regressor, [0])
    networks.prepare(mean_neighbours(basis, source, problem.communicator), 1.0)
    model = TrainableCommittee(AngularModel(basis, networks, [0.0] * len(symbols))).to(torch.float32).train()
    for layer in networks.layers:
        if plain:
            layer.sums_of_angles = partial(plain_sums, layer)
    loss, parameters = Loss(settings.training.loss), list(model.parameters())

    def step(frames: Sequence[int]) -> list[Tensor]:
        batch = source.batch(frames)
        total = loss(model.predict(batch, True, False), batch.labels).sum()
        return list(torch.autograd.grad(total / len(frames), parameters))

    return step


def plain_sums(layer: Any, rows: Tensor, first_edge: Tensor) -> Tensor:
    """What the operator computes, by its definition in PyTorch."""
    return angular_filters(rows, first_edge, layer.n_angular, layer.heads, layer.cosine_width)


def compare(steps: Mapping[bool, Step], frames: Sequence[int]) -> None:
    """Refuse to time two implementations that do not agree."""
    for one, other in zip(steps[False](frames), steps[True](frames), strict=True):
        difference = float((one - other).abs().max() / other.abs().max().clamp_min(1e-12))
        if not difference < 1e-3:
            raise SystemExit(f"gradients of both implementations must agree to 1e-3 (float32), got {difference:.1e}")


def timed(step: Step, batches: Sequence[Sequence[int]]) -> measure.Time:
    """Time of these steps."""
    wall, cpu = time.perf_counter(), time.process_time()
    for frames in batches:
        step(frames)
    return measure.Time(time.perf_counter() - wall, time.process_time() - cpu)


def where(step: Step, batches: Sequence[Sequence[int]]) -> list[float]:
    """Shares of processor time: `KINDS`, and the rest."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        timed(step, batches)
    totals = dict.fromkeys(KINDS, 0.0)
    events = profiled.key_averages()
    for event in events:
        for kind, names in KINDS.items():
            if any(name in event.key for name in names):
                totals[kind] += event.self_cpu_time_total
    whole = sum(event.self_cpu_time_total for event in events)
    shares = [total / whole for total in totals.values()]
    return [*shares, 1.0 - sum(shares)]


if __name__ == "__main__":
    main()
