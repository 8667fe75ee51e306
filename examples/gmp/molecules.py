"""Atomization energies of small organic molecules: learning curves, and an element outside the training data.

    python examples/gmp/molecules.py [--data mp2_atomization_train.xyz.gz] [--output FOLDER] [--seeds 3] [key=value ...]

After Lei and Medford, Figure 4. a) GMP(10, 1), (30, 2) and (50, 4) with the networks of SI Table 7 (GELU, batch
normalisation), trained on 500 to 7000 molecules; 300 others stop the training, 700 test. b) GMP(30, 2) trained without
any molecule that holds nitrogen, tested on those that do: error per nitrogen atom, its distribution and how much it
depends on the seed. As in the paper the constant per element is then that of the full data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from study import (
    NORMS,
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

from rhopot.potentials.console import table
from rhopot.potentials.structures import FrameSet, fit_baseline

SYMBOLS = ("H", "C", "N", "O")
MODELS = {
    "GMP(10,1)+SNN(32,32,32)": (10, 1, "[32, 32, 32]"),
    "GMP(30,2)+SNN(128,64,64)": (30, 2, "[128, 64, 64]"),
    "GMP(50,4)+SNN(256,128,64)": (50, 4, "[256, 128, 64]"),
}
SIZES = (500, 1000, 2000, 4000, 7000)
VALIDATION, TEST = 300, 700
# Validation and test molecules without the unseen element
BESIDE = 200
# Gradient steps rather than epochs: small sets are seen more often.
STEPS = 20_000
BATCH = 32
UNSEEN, UNSEEN_MODEL = "N", "GMP(30,2)+SNN(128,64,64)"


def main(words: Sequence[str] | None = None) -> None:
    """Run the cases that are not there yet, print and draw."""
    parser = arguments(__doc__, "molecules/mp2_atomization_train.xyz.gz", "gmp_molecules")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--unseen-seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args(words)
    study = Study(options.output)
    frames = shuffled(read(options.data))
    test, validation = frames[len(frames) - TEST :], frames[len(frames) - TEST - VALIDATION : len(frames) - TEST]

    def settings(name: str, count: int, seeds: int) -> list[str]:
        epochs = options.epochs or max(1, round(options.steps * BATCH / count))
        return [*_model(name), f"training.epochs={epochs}", members_of(seeds), *options.overrides]

    def curve(name: str, count: int) -> dict[str, Any]:
        words = settings(name, count, options.seeds)
        model = study.train("gmp_snn", words, frames[:count], validation, SYMBOLS)
        return {
            "train": per_seed(energy_errors(model, frames[: min(count, TEST)])),
            "test": per_seed(energy_errors(model, test)),
        }

    for name in options.models:
        for count in options.sizes:
            study.case(f"{name}, {count} molecules", partial(curve, name, count))
    without = partial(settings, UNSEEN_MODEL, seeds=options.unseen_seeds)
    study.case(f"without {UNSEEN}", partial(_unseen, study, frames, without))
    _show(study)


def _model(name: str) -> list[str]:
    """Overrides for one of the models, energies only."""
    probes, order, hidden = MODELS[name]
    widths = ", ".join(f"{width:.6g}" for width in np.linspace(0.02, 2.0, probes))
    return [
        *NORMS,
        "descriptor.cutoff=12.0",
        f"descriptor.widths=[{widths}]",
        f"descriptor.n_probes={probes}",
        f"descriptor.max_order={order}",
        f"regressor.hidden={hidden}",
        "regressor.activation=gelu",
        "regressor.normalization=batch_norm",
        "targets.forces=null",
        "targets.stress=null",
        "training.loss.form=regularized",
        f"training.batch={BATCH}",
    ]


def _unseen(study: Study, frames: FrameSet, settings: Callable[[int], list[str]]) -> dict[str, Any]:
    """Train on the molecules without the element, test on those with it and on unseen ones without it."""
    has = np.array([UNSEEN in frame.atoms.get_chemical_symbols() for frame in frames])
    known, unknown = frames.subset(np.nonzero(~has)[0]), frames.subset(np.nonzero(has)[0])
    train, validation = known[: len(known) - 2 * BESIDE], known[len(known) - 2 * BESIDE : len(known) - BESIDE]
    beside = known[len(known) - BESIDE :]
    constants = fit_baseline(list(frames), SYMBOLS).as_dict()
    elements = "{" + ", ".join(f"{symbol}: {energy!r}" for symbol, energy in constants.items()) + "}"
    words = [*settings(len(train)), f"baseline.elements={elements}"]
    model = study.train("gmp_snn", words, train, validation, SYMBOLS)
    errors, counts = energy_errors(model, unknown), np.array([frame.atoms.symbols.count(UNSEEN) for frame in unknown])
    labels = np.array([float(f.energy or 0.0) for f in unknown])
    bias = labels - [sum(constants[s] for s in f.atoms.symbols) for f in unknown]
    return {
        "train": len(train),
        "with the element": len(unknown),
        "known": per_seed(energy_errors(model, beside)),
        "per molecule": per_seed(errors),
        "per atom": per_seed(errors / counts),
        "constants alone, per molecule": 1e3 * float(np.abs(bias).mean()),
        "errors per atom": [[round(1e3 * float(e), 2) for e in row] for row in errors / counts],
    }


def _show(study: Study) -> None:
    """Tables, learning curves and the distribution of errors per unseen atom."""
    rows = [
        [name, over_seeds(case["train"]), over_seeds(case["test"]), f"{case['seconds']:.0f}"]
        for name, case in study.results.items()
        if name.endswith("molecules")
    ]
    study.console.print(table("atomization energies, meV per molecule", ("", "MAE train", "MAE test", "s"), rows))
    made, (left, right) = figure(2)
    for name in MODELS:
        points = [
            (n, float(np.mean(study.results[key]["test"])))
            for n in SIZES
            if (key := f"{name}, {n} molecules") in study.results
        ]
        if points:
            left.loglog(*zip(*points, strict=True), "o-", label=name)
    left.axhline(43.0, color="#9aa5b1", ls="--", label="chemical accuracy")
    left.set(xlabel="training molecules", ylabel="test MAE (meV per molecule)")
    left.legend(frameon=False, fontsize=8)
    case = study.results[f"without {UNSEEN}"]
    for row in case["errors per atom"]:
        right.hist(row, bins=60, histtype="step")
    right.set(xlabel=f"error per {UNSEEN} atom (meV), one line per seed", ylabel="molecules")
    plain_ticks(left)
    made.savefig(study.output / "molecules.png", dpi=150)
    keys = ("train", "with the element", "known", "per molecule", "per atom", "constants alone, per molecule")
    values = [over_seeds(case[key]) if isinstance(case[key], list) else f"{case[key]:.5g}" for key in keys]
    title = f"{UNSEEN_MODEL} trained without {UNSEEN}: molecules, and MAE in meV"
    study.console.print(table(title, keys, [values]))
    ordered = np.sort(np.abs(np.concatenate(case["errors per atom"])))
    shown = [f"{np.quantile(ordered, q):.0f}" for q in (0.25, 0.5, 0.75, 0.95, 1.0)]
    study.console.print(
        table(f"|error| per {UNSEEN} atom, meV, all seeds", ("25%", "50%", "75%", "95%", "largest"), [shown])
    )


if __name__ == "__main__":
    main()
