"""One network for six elements compared with six networks, and an element that is not in the training data.

    python examples/gmp/metals.py [--data FOLDER] [--output FOLDER] [--seeds 3] [key=value ...]

The folder holds {Li,Si,Ge,Cu,Ni,Mo}_train.xyz.gz (Zuo et al., J. Phys. Chem. A 124, 731, 2020). A tenth of every
config_type of every file tests, a tenth of the rest stops the training. The model of all six elements is the shipped
configuration, trained on all frames together: one set of parameters, the same number of features as for one element.
Without copper: the same on the other five, tested on copper; its constant per atom is that of its data, as in the
paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from study import Study, arguments, figure, force_errors, members_of, read

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.console import table
from rhopot.potentials.structures import FrameSet, fit_baseline, split_fraction

ELEMENTS = ("Li", "Si", "Ni", "Cu", "Ge", "Mo")
UNSEEN = "Cu"

# Training, validation and test frames of one element
Parts = tuple[FrameSet, FrameSet, FrameSet]


def main(words: Sequence[str] | None = None) -> None:
    """Run the cases that are not there yet, print and draw."""
    parser = arguments(__doc__, "mlearn", "gmp_metals")
    options = parser.parse_args(words)
    study = Study(options.output)
    parts = {symbol: _parts(read(options.data / f"{symbol}_train.xyz.gz")) for symbol in ELEMENTS}
    common = ["data.split.refit=false", members_of(options.seeds), *options.overrides]
    if options.epochs:
        common.append(f"training.epochs={options.epochs}")

    for symbol in ELEMENTS:
        study.case(f"{symbol} alone", partial(_judge, study, common, {symbol: parts[symbol]}, parts))
    study.case("all six", partial(_judge, study, common, parts, parts))
    known = {symbol: part for symbol, part in parts.items() if symbol != UNSEEN}
    elements = {s: fit_baseline(list(part[0]), (s,)).energies[0] for s, part in parts.items()}
    listed = "baseline.elements={" + ", ".join(f"{s}: {e!r}" for s, e in elements.items()) + "}"
    study.case(f"without {UNSEEN}", partial(_judge, study, [*common, listed], known, parts, ELEMENTS))
    _show(study)


def _parts(frames: FrameSet) -> Parts:
    """Split the frames of one element."""
    rest, test = split_fraction(frames, 0.1, seed=0)
    return *split_fraction(rest, 0.1, seed=1), test


def _judge(
    study: Study,
    words: Sequence[str],
    used: Mapping[str, Parts],
    parts: Mapping[str, Parts],
    symbols: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Train on the elements `used`; errors on the test part of every element that the model knows."""
    train, validation = (FrameSet(tuple(f for part in used.values() for f in part[k])) for k in (0, 1))
    known = tuple(symbols or used)
    model = study.train("gmp_snn", words, train, validation, known)
    found: dict[str, Any] = {
        "features": int(model.module.descriptor.n_features),
        "parameters": sum(p.numel() for p in model.module.networks.parameters()),
    }
    for symbol in known:
        test = parts[symbol][2]
        found[symbol] = [_energy_error(model, test), 1e3 * float(np.abs(force_errors(model, test)).mean())]
    if set(known) > set(used):
        (unseen,) = set(known) - set(used)
        found["per atom"] = [_atom_errors(model, parts[unseen][2]).tolist()]
    return found


def _atom_errors(model: LoadedModel, frames: FrameSet) -> np.ndarray:
    """Errors of the energy per atom, meV."""
    results = evaluate(model, [frame.atoms for frame in frames], gradients=False)
    return np.array([1e3 * (r.energy - float(f.energy or 0.0)) / len(f) for r, f in zip(results, frames, strict=True)])


def _energy_error(model: LoadedModel, frames: FrameSet) -> float:
    """Mean absolute error of the energy per atom, meV."""
    return float(np.abs(_atom_errors(model, frames)).mean())


def _show(study: Study) -> None:
    """Errors of each element under each model."""
    cases = study.results
    rows = []
    for symbol in ELEMENTS:
        alone, together, without = (
            cases[name].get(symbol) for name in (f"{symbol} alone", "all six", f"without {UNSEEN}")
        )
        shown = [f"{v[0]:.2f}, {v[1]:.1f}" if v else "-" for v in (alone, together, without)]
        rows.append([symbol, *shown])
    columns = ("test part", "alone", "all six together", f"trained without {UNSEEN}")
    study.console.print(table("MAE: energy meV/atom, forces meV/A", columns, rows))
    sizes = [
        [name, str(case["features"]), str(case["parameters"]), f"{case['seconds']:.0f}"] for name, case in cases.items()
    ]
    study.console.print(table("", ("model", "features", "parameters", "s"), sizes))
    errors = np.array(cases[f"without {UNSEEN}"]["per atom"][0])
    shown = [f"{np.quantile(np.abs(errors), q):.1f}" for q in (0.25, 0.5, 0.75, 1.0)]
    study.console.print(table(f"{UNSEEN}, never seen: |error| meV/atom", ("25%", "50%", "75%", "largest"), [shown]))
    made, (left, right) = figure(2)
    at = np.arange(len(ELEMENTS))
    for k, (label, name) in enumerate((("alone", "{} alone"), ("all six", "all six"))):
        left.bar(at + 0.4 * k - 0.2, [cases[name.format(s)][s][1] for s in ELEMENTS], 0.4, label=label)
    left.set_xticks(at, ELEMENTS)
    left.set(ylabel="force MAE (meV/Å)")
    left.legend(frameon=False)
    right.hist(errors, bins=30)
    right.set(xlabel=f"energy error of {UNSEEN}, never seen (meV/atom)", ylabel="frames")
    made.savefig(study.output / "metals.png", dpi=150)


if __name__ == "__main__":
    main()
