"""Time and memory of a fit of a ready least-squares configuration, stage by stage, on two cores.

    python examples/benchmarks/training.py --data my.xyz [--family soap_linear] [--threads 2] [--before /path/to/python]
        [--settings targets.stress=0.02 ...]

The whole command is measured: reading, choosing columns, equations, members, evaluation, saving with its check. The
stages are those of the fit, in wall time; `before` is a Python with another version of rhopot, which runs right before.
The limits are those of the sparse kernel (soap_gap) on the silicon frames of mlearn.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import Finished, arguments, machine, prepare, train, verdict

from rhopot.potentials.console import make_console, table

LIMITS = {"wall s": 60.0, "peak GB": 1.5}


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--family", choices=("soap_gap", "soap_linear"), default="soap_gap")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--settings",
        nargs="*",
        default=["targets.stress=0.02", "report.learning_curve=[]"],
        help="what differs from the ready configuration (default: %(default)s); nothing: nothing",
    )
    parser.add_argument("--before", type=Path, help="Python of another installation of rhopot, for comparison")
    options = parser.parse_args(words)
    options.repeats = 1
    prepare(options)
    pythons = {"now": None, **({"before": options.before} if options.before else {})}
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = ("report.learning_curve=[0.25, 0.5]", *options.settings)  # `train` leaves the curve out
        for name in sorted(pythons):
            model, finished = train(
                options.family,
                options.data,
                Path(folder),
                name,
                *settings,
                threads=options.threads,
                python=pythons[name],
            )
            assert finished is not None  # the folder was empty
            found[name] = stages(finished, model.parent)
    limited = options.family == "soap_gap"
    rows = [
        [
            stage,
            *(f"{found[name].get(stage, 0.0):.2f}" for name in found),
            *([f"{found['before'].get(stage, 0.0) / max(value, 1e-9):.1f}"] if options.before else []),
            verdict(value, LIMITS[stage]) if limited and stage in LIMITS else "",
        ]
        for stage, value in found["now"].items()
    ]
    console = make_console()
    columns = ("", *found, *(["ratio"] if options.before else []), "must reach")
    console.print(table(f"{options.family}: {Path(options.data).name}, {options.threads} threads", columns, rows))
    console.print(machine())


def stages(finished: Finished, folder: Path) -> dict[str, float]:
    """Times and memory of a whole training, and the wall time of each stage of its fit."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    whole = {"wall s": finished.time.wall, "CPU s": finished.time.cpu, "peak GB": finished.peak / 1e9}
    return whole | {f"fit: {name} s": float(seconds) for name, seconds in report["fit"]["seconds"].items()}


if __name__ == "__main__":
    main()
