"""Cost of `fix rhopot/metad` in LAMMPS: a SOAP variable in every step, beside models, and on one and two ranks.

    python examples/benchmarks/metadynamics.py --data Si_train.xyz.gz [--output FOLDER]

The variable tells the molecular dynamics frames of the data from the strained cells (`rhopot cv fit`). A weak wall acts
in every step, so that each step has the variable's forces. Ratios are those of CPU time to the step without the fix,
1000 atoms on two ranks; the scaling is that of the time in fixes with 8000 atoms, which needs two idle cores.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ase.io
import measure

from rhopot.potentials.console import make_console, table

MODELS = {"soap_gap": 1.5, "soap_linear": 2.2}  # configurations, and the largest ratio
LEAST_SPEED_UP = 1.7
WALL = "fix bias all rhopot/metad {variable} Si wall_lower {name} 100.0 1e-6 colvar COLVAR 100"
IN_FIXES = re.compile(r"^Modify\s*\|\s*\S+\s*\|\s*(\S+)", flags=re.MULTILINE)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(words)
    folder = measure.prepare(options)
    variable = fitted(Path(options.data), folder)
    models = {name: measure.train(name, options.data, folder, name)[0] for name in MODELS}
    console = make_console()
    with tempfile.TemporaryDirectory() as scratch:
        bias = WALL.format(variable=variable, name="soap")
        rows = [overhead(name, models[name], bias, options, Path(scratch)) for name in MODELS]
        title = f"1000 Si atoms, two ranks, {options.repeats} interleaved runs of {options.steps} steps, CPU"
        console.print(table(title, ("model", "us/atom/step", "with the fix", "ratio", "must reach"), rows))
        console.print(scaling(models["soap_linear"], bias, options, Path(scratch)))
    console.print(measure.machine())


def fitted(data: Path, folder: Path) -> Path:
    """File of the variable, written once."""
    path = folder / "metadynamics_soap.pt"
    if path.is_file():
        return path
    frames = ase.io.read(data, ":")
    for name in ("AIMD-NVT", "Elastic"):
        ase.io.write(folder / f"{name}.xyz", [each for each in frames if each.info["config_type"] == name])
    sets = [str(folder / f"{name}.xyz") for name in ("AIMD-NVT", "Elastic")]
    command = [sys.executable, "-m", "rhopot.potentials.commands", "cv", "fit", *sets]
    measure.child([*command, "--output", str(path), "--name", "soap"], folder)
    return path


def overhead(name: str, model: Path, bias: str, options: argparse.Namespace, folder: Path) -> list[str]:
    """A row: a step without and with the fix."""
    steps, repeats = options.steps, options.repeats
    style = measure.rhopot_style(model)
    cases = {
        "without": partial(measure.md, style, folder, steps=steps, ranks=2),
        "with": partial(measure.md, f"{style}\n{bias}", folder, steps=steps, ranks=2),
    }
    times = measure.interleaved(cases, repeats)
    micro = {key: 1e6 * 2 * measure.median_cpu(each) / (1000 * steps) for key, each in times.items()}
    ratio = micro["with"] / micro["without"]
    verdict = measure.verdict(ratio, MODELS[name])
    return [name, f"{micro['without']:.1f}", f"{micro['with']:.1f}", f"{ratio:.2f}", verdict]


def scaling(model: Path, bias: str, options: argparse.Namespace, folder: Path) -> str:
    """Time in fixes with 8000 atoms on one rank and on two, by the clock."""
    steps, repeats = max(options.steps // 5, 5), options.repeats
    style = f"{measure.rhopot_style(model)}\n{bias}"

    def in_fixes(ranks: int) -> measure.Time:
        measure.md(style, folder, (10, 10, 10), steps, ranks=ranks)
        found = IN_FIXES.findall((folder / "in.lammps.log").read_text(encoding="utf-8"))
        return measure.Time(float(found[-1]), float(found[-1]))

    times = measure.interleaved({ranks: partial(in_fixes, ranks) for ranks in (1, 2)}, repeats)
    step = {ranks: 1e3 * measure.median_wall(each) / steps for ranks, each in times.items()}
    speed_up = step[1] / step[2]
    return (
        f"8000 atoms: the fix takes {step[1]:.1f} ms/step on one rank, {step[2]:.1f} on two: "
        f"{speed_up:.2f} times as fast {measure.verdict(speed_up, LEAST_SPEED_UP, more=True)}"
    )


if __name__ == "__main__":
    main()
