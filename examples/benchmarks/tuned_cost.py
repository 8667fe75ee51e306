"""The cost that `rhopot tune` measures compared with a step of dynamics in LAMMPS, of models of the shipped Li-Si data.

    python examples/benchmarks/tuned_cost.py [--repeats 5] [--steps 100] [--output runs/benchmarks]

Both are processor times per atom on one core, of the same structure, in interleaved runs. `tune` divides its times by
those of a reference and multiplies with the least time of the reference; this table has its times as they were
measured, for LAMMPS is not divided by anything: a busy machine slows both down.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from measure import LITHIUM_SILICON, Time, arguments, interleaved, loop_time, machine, median_cpu

from rhopot.export import LoadedModel, save_model
from rhopot.potentials.config.load import make_config
from rhopot.potentials.console import make_console, table
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.lammps.input_decks import write_data
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import load_training_set
from rhopot.potentials.tuning.cost import measure_cost, timed_structure

FILES = [str(LITHIUM_SILICON / f"{name}.xyz") for name in ("Li12Si20_0", "Li4Si28_0")]
SMALL = [("soap_linear", {"cutoff": 3.5, "n_max": 2, "l_max": 2})]
CASES = [
    ("soap_linear", {"cutoff": 4.0, "n_max": 3, "l_max": 3}),
    ("soap_linear", {"cutoff": 6.0, "n_max": 8, "l_max": 6}),
    ("soap_gap", {"cutoff": 5.0, "n_max": 6, "l_max": 6}),
    ("multispectrum", {"cutoff": 5.0, "n_three": 250}),
]
DECK = """\
units metal
atom_style atomic
newton on
read_data structure.data
pair_style rhopot device cpu
pair_coeff * * model.pt {elements}
velocity all create 300 4928
timestep 0.0001
fix 1 all nve
thermo 100000
run 5
run {steps}
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=100, help="time steps of a run in LAMMPS")
    parser.add_argument("--small", action="store_true", help="one small model only")
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for family, descriptor in SMALL if options.small else CASES:
        with tempfile.TemporaryDirectory(dir=options.output) as folder:
            model, atoms = prepared(family, descriptor, Path(folder))
            runs = {
                "tune": partial(in_tune, model, atoms),
                "LAMMPS": partial(in_lammps, model, atoms, Path(folder), options.steps),
            }
            times = interleaved(runs, options.repeats)
        ratio = float(np.median([a.cpu / b.cpu for a, b in zip(times["tune"], times["LAMMPS"], strict=True)]))
        name = f"{family}, {' '.join(f'{key}={value}' for key, value in descriptor.items())}"
        both = [f"{1e6 * median_cpu(times[key]):.2f}" for key in runs]
        rows.append([name, f"{len(atoms)}", *both, f"{ratio:.2f}"])
    console = make_console()
    columns = ("model", "atoms", "tune, us/atom", "LAMMPS, us/atom/step", "ratio")
    console.print(table("processor time, one core, medians", columns, rows))
    console.print(machine())


def prepared(family: str, descriptor: dict[str, float], folder: Path) -> tuple[LoadedModel, Atoms]:
    """A model, written beside the structure that it is timed on."""
    settings = {"family": family, "descriptor": descriptor, "data": {"train": FILES}, "uncertainty": {"members": 0}}
    config = make_config(settings)
    data = load_training_set(config)
    fitted = fit_model(config, data, SingleProcess())
    atoms = timed_structure(data.train, "local")
    save_model(fitted.model, fitted.card, folder / "model.pt", [data.train[0].atoms])
    write_data(folder / "structure.data", atoms, fitted.card.symbols)
    return LoadedModel(fitted.card, fitted.model.eval()), atoms


def in_tune(model: LoadedModel, atoms: Atoms) -> Time:
    """What `rhopot tune` times, per atom."""
    seconds = 1e-6 * measure_cost(model, atoms).measured_microseconds
    return Time(seconds, seconds)


def in_lammps(model: LoadedModel, atoms: Atoms, folder: Path, steps: int) -> Time:
    """A step of dynamics, per atom."""
    deck = DECK.format(elements=" ".join(model.card.symbols), steps=steps)
    time, share = loop_time(run_lammps(deck, folder)), 1.0 / (steps * len(atoms))
    return Time(time.wall * share, time.cpu * share)


if __name__ == "__main__":
    main()
