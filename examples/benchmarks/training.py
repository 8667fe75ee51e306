"""Time and memory of the fit of the ready sparse-kernel configuration to energies, forces and stresses, on two cores.

    python examples/benchmarks/training.py [--data Si_train.xyz.gz] [--threads 2] [--stress 0.02]

The whole command is measured: reading, choosing sparse points, fit, members, evaluation, saving with its check.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import arguments, machine, prepare, train, verdict

from rhopot.potentials.console import make_console, table


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stress", type=float, default=0.02, help="sigma of the virial in eV/atom")
    options = parser.parse_args(words)
    options.repeats = 1
    prepare(options)
    with tempfile.TemporaryDirectory() as folder:
        words_ = (f"targets.stress={options.stress}",)
        _, found = train("soap_gap", options.data, Path(folder), "gap", *words_, threads=options.threads)
    assert found is not None  # the folder was empty
    gigabytes = found.peak / 1e9
    rows = [
        ["wall s", f"{found.time.wall:.1f}", verdict(found.time.wall, 60)],
        ["CPU s", f"{found.time.cpu:.1f}", ""],
        ["peak GB", f"{gigabytes:.2f}", verdict(gigabytes, 1.5)],
    ]
    console = make_console()
    console.print(
        table(f"GAP fit of {Path(options.data).name}, {options.threads} threads", ("", "", "must reach"), rows)
    )
    console.print(machine())


if __name__ == "__main__":
    main()
