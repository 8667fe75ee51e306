"""Force regularisation on aspirin: energy and force errors against the coefficient beta of the loss.

    python examples/gmp/aspirin_forces.py [--data aspirin_train.xyz.gz] [--output FOLDER] [--seeds 3] [key=value ...]

After Lei and Medford, Figure 3: GMP(6, 3) and GMP(10, 6) with SNN(50, 50, 50), the loss of eq. 6; 900 frames train, 100
stop the training, 200 test.
"""

from __future__ import annotations

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
    force_errors,
    members_of,
    per_seed,
    plain_ticks,
    read,
    shuffled,
)

from rhopot.potentials.console import table

BETAS = (0.0, 0.1, 1.0, 10.0, 100.0)
SETS = ((6, 3), (10, 6))
TRAIN, VALIDATION = 900, 100
EPOCHS = 400


def main(words: Sequence[str] | None = None) -> None:
    """Run the cases that are not there yet, print and draw."""
    parser = arguments(__doc__, "rmd17/aspirin_train.xyz.gz", "gmp_aspirin_forces")
    parser.add_argument("--betas", type=float, nargs="*", default=BETAS)
    options = parser.parse_args(words)
    study = Study(options.output)
    frames = shuffled(read(options.data))
    rest, test = frames[: TRAIN + VALIDATION], frames[TRAIN + VALIDATION :]

    def run(probes: int, order: int, beta: float) -> dict[str, Any]:
        settings = [
            *PUBLISHED,
            "targets.stress=null",
            "training.loss.form=regularized",
            f"training.loss.beta={beta}",
            f"training.epochs={options.epochs or EPOCHS}",
            "descriptor.cutoff=10.0",
            f"descriptor.n_probes={probes}",
            f"descriptor.max_order={order}",
            members_of(options.seeds),
            *options.overrides,
        ]
        model = study.train("gmp_snn", settings, rest[:TRAIN], rest[TRAIN:], ("H", "C", "O"))
        return {
            "energy": per_seed(energy_errors(model, test)),
            "forces": 1e3 * float(np.abs(force_errors(model, test)).mean()),
        }

    for probes, order in SETS:
        for beta in options.betas:
            study.case(f"GMP({probes},{order}), beta {beta:g}", partial(run, probes, order, beta))
    _show(study, options.betas)


def _show(study: Study, betas: Sequence[float]) -> None:
    """Table and plot; beta = 0 stands at the left edge."""
    rows = []
    made, (axes,) = figure(width=5.6)
    for (probes, order), color in zip(SETS, ("#c2410c", "#1d4ed8"), strict=True):
        found = [study.results[f"GMP({probes},{order}), beta {beta:g}"] for beta in betas]
        energy = [float(np.mean(case["energy"])) for case in found]
        forces = [case["forces"] for case in found]
        smallest = min([beta for beta in betas if beta > 0], default=1.0)
        at = [beta or smallest / 10 for beta in betas]
        axes.loglog(at, energy, "o-", color=color, label=f"GMP({probes},{order}) energy (meV)")
        axes.loglog(at, forces, "o--", color=color, label=f"GMP({probes},{order}) forces (meV/Å)")
        for beta, e, f in zip(betas, energy, forces, strict=True):
            rows.append([f"GMP({probes},{order})", f"{beta:g}", f"{e:.1f}", f"{f:.1f}", f"{energy[0] / e:.2f}"])
    axes.set(xlabel="force coefficient β (leftmost: 0)", ylabel="test MAE")
    axes.legend(frameon=False)
    plain_ticks(axes)
    made.savefig(study.output / "aspirin_forces.png", dpi=150)
    columns = ("", "beta", "energy MAE (meV)", "force MAE (meV/A)", "energy error of the first beta over this one")
    study.console.print(table(f"aspirin, {TRAIN} training frames", columns, rows))


if __name__ == "__main__":
    main()
