"""Force error against the time of a step: our silicon models and potentials of other programs, all in LAMMPS.

    python examples/benchmarks/pareto.py Si_train.xyz.gz --output runs/pareto
    rhopot train examples/configs/soap_linear.yaml data.train=runs/pareto/train.xyz \\
        data.validation=runs/pareto/held_out.xyz uncertainty.members=0 output=runs/pareto/soap_linear
    python examples/benchmarks/pareto.py Si_train.xyz.gz runs/pareto/*/model.pt --output runs/pareto

Every fifth frame, from the first, is held out. Models must be trained on the others, `train.xyz` in the output folder;
POD is fitted to them here (`peers.py`; kept in the output folder). Published potentials are as they are: whether the
held-out frames were among those that they were fitted to is not known here.

Cost: processor time of a step of 1000 atoms on one core, float64, medians of interleaved runs (as `speed.py`). Errors:
mean absolute errors on the held-out frames, from LAMMPS as well; energies up to one constant, fitted to the training
frames. A table, with the points of the Pareto front of cost and force error marked, and `pareto.png`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from measure import Time, count, instruction_sets, interleaved, machine, md, median_cpu, rhopot_style
from peers import PODS, fitted, published, write_labelled

from rhopot.export import ModelFileError, read_card
from rhopot.potentials import plots
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.fitting.metrics import FramePrediction, element_constants, error_table
from rhopot.potentials.lammps.input_decks import write_data
from rhopot.potentials.lammps.process import LammpsError, read_dump, run_lammps
from rhopot.potentials.structures import DataError, Frame, FrameSet, read_frames
from rhopot.potentials.tuning.pareto import Outcome, pareto_front

EVERY = 5  # one frame in so many is held out
REFERENCE = "snap"
STATIC = """\
clear
units metal
atom_style atomic
newton on
boundary {boundary}
read_data {k}.data
{style}
thermo_style custom step pe
dump forces all custom 1 {k}.dump id fx fy fz
dump_modify forces sort id format float %.17g
run 0
print "energy_{k} $(pe:%.17g)"
"""


@dataclass(frozen=True)
class Row:
    """A potential: us per atom and step, with the least instruction set where it has several, and errors."""

    name: str
    cost: float
    least: float | None
    energy_error: float
    force_error: float


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and plot."""
    options = parse(words)
    console = make_console()
    try:
        train, held_out = split(options.data)
        folder = options.output.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        write_split(train, held_out, folder)
        models = named(options.models, train, folder)
        styles = {name: rhopot_style(model) for name, model in models.items()}
        styles |= published() | fitted(train, folder, options.fit)
        errors = {}
        with bar(console, "errors", len(styles)) as advance:
            for done, (name, style) in enumerate(styles.items(), 1):
                errors[name] = errors_of(style, train, held_out)
                advance(done)
    except (DataError, LammpsError, ModelFileError, OSError) as error:
        raise SystemExit(str(error)) from None
    times = timed(styles, set(models), options)
    rows = [row(name, times, errors[name], options) for name in styles]
    show(sorted(rows, key=lambda one: one.cost), (len(train), len(held_out)), folder, options)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Words of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="silicon frames with energies and forces (mlearn)")
    parser.add_argument(
        "models", type=Path, nargs="*", default=(), help="model files trained on train.xyz in the output folder"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the split, the fits and the plot")
    parser.add_argument(
        "--fit",
        nargs="*",
        choices=tuple(PODS),
        default=tuple(PODS),
        help="potentials to fit (default: all; none without a name)",
    )
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--steps", type=int, default=50, help="steps of a timed run (default: %(default)s)")
    parser.add_argument("--repeats", type=count, default=5, help="interleaved runs (default: %(default)s)")
    return parser.parse_args(words)


def split(data: str) -> tuple[FrameSet, FrameSet]:
    """Training frames and held-out frames of a file of silicon."""
    frames = read_frames(data)
    for target in ("energy", "forces"):
        frames.require([target])
    if frames.symbols != ["Si"]:
        raise DataError(
            f"data must hold silicon alone, got {', '.join(frames.symbols)}; the other potentials know no other element"
        )
    if len(frames) < EVERY:
        raise DataError(f"data must hold {EVERY} frames or more, got {len(frames)}; one in {EVERY} is held out")
    every = range(len(frames))
    return frames.subset([k for k in every if k % EVERY]), frames.subset([k for k in every if k % EVERY == 0])


def write_split(train: FrameSet, held_out: FrameSet, folder: Path) -> None:
    """Write both parts as extended XYZ, with the labels under their usual names."""
    for name, frames in (("train", train), ("held_out", held_out)):
        write_labelled(folder / f"{name}.xyz", frames)


def named(models: Sequence[Path], train: FrameSet, folder: Path) -> dict[str, Path]:
    """Models by the names of their folders; one that was trained on other frames is refused."""
    found: dict[str, Path] = {}
    for model in models:
        card = read_card(model)
        if card.training_data.hash != train.digest():
            raise DataError(
                f"model '{model}' must be trained on {folder / 'train.xyz'}, got one of other data; train it with "
                f"data.train={folder / 'train.xyz'} data.validation={folder / 'held_out.xyz'}"
            )
        name = model.resolve().parent.name
        if name in found:
            raise DataError(f"models must lie in folders of different names, got two in '{name}'; rename one")
        found[name] = model
    return found


def errors_of(style: str, train: FrameSet, held_out: FrameSet) -> tuple[float, float]:
    """MAE of energies (meV/atom) and of force components (meV/A) on the held-out frames."""
    found = predictions(style, [*train, *held_out])
    constants = element_constants(train, found[: len(train)])
    errors = error_table(held_out, found[len(train) :], constants)
    return errors["energy_mae_mev_per_atom"], errors["forces_mae_mev_per_angstrom"]


def predictions(style: str, frames: Sequence[Frame]) -> list[FramePrediction]:
    """Energies and forces from one LAMMPS process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        decks, rotations = [], []
        for k, frame in enumerate(frames):
            data = write_data(folder / f"{k}.data", frame.atoms, ("Si",))
            boundary = " ".join("p" if periodic else "f" for periodic in data.pbc)
            decks.append(STATIC.format(k=k, style=style, boundary=boundary))
            rotations.append(data.rotation)
        run = run_lammps("".join(decks), folder, timeout=3600)
        return [
            FramePrediction(
                run.printed(f"energy_{k}")[0], read_dump(folder / f"{k}.dump", ("fx", "fy", "fz")) @ rotation
            )
            for k, rotation in enumerate(rotations)
        ]


def timed(
    styles: Mapping[str, str], ours: Set[str], options: argparse.Namespace
) -> dict[tuple[str, str | None], list[Time]]:
    """Times of every potential, of our models with the least and with the best instruction set, in interleaved runs."""
    sets = instruction_sets()
    cells = (options.cells,) * 3
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            (name, kernels): partial(md, style, Path(folder), cells, options.steps, kernels=kernels)
            for name, style in styles.items()
            for kernels in (dict.fromkeys((sets[-1], sets[0])) if name in ours else (None,))
        }
        return interleaved(runs, options.repeats)


def row(
    name: str,
    times: Mapping[tuple[str, str | None], Sequence[Time]],
    errors: tuple[float, float],
    options: argparse.Namespace,
) -> Row:
    """Costs and errors of a potential."""
    scale = 1e6 / (8 * options.cells**3 * options.steps)
    costs = [scale * median_cpu(found) for (one, _), found in times.items() if one == name]
    if min(costs) <= 0.0:
        raise SystemExit(
            f"--steps must be enough for a measurable time, got {options.steps} and 0 s for '{name}'; raise it"
        )
    return Row(name, costs[0], costs[-1] if (name, None) not in times else None, *errors)


def show(rows: Sequence[Row], counts: tuple[int, int], folder: Path, options: argparse.Namespace) -> None:
    """Print the table and draw the plot."""
    front = pareto_front([Outcome(one.cost, one.force_error) for one in rows])
    (snap,) = (one.cost for one in rows if one.name == REFERENCE)
    cells = [
        [
            one.name,
            f"{one.cost:.2f}",
            f"{one.cost / snap:.3f}",
            "" if one.least is None else f"{one.least:.2f}",
            f"{one.energy_error:.2f}",
            f"{one.force_error:.1f}",
            "*" if k in front else "",
        ]
        for k, one in enumerate(rows)
    ]
    sets = instruction_sets()
    columns = ("", "us/atom/step", f"to {REFERENCE}", f"with {sets[0]}", "E MAE meV/atom", "F MAE meV/A", "front")
    console = make_console()
    title = (
        f"{8 * options.cells**3} Si atoms, {options.steps} steps, one core, {options.repeats} interleaved runs, CPU; "
        f"errors on {counts[1]} held-out frames, {counts[0]} for training"
    )
    console.print(table(title, columns, cells))
    console.print(f"instruction set of our kernels: {sets[-1]}; with {sets[0]}: the least one")
    points = {one.name: (one.cost, one.force_error) for one in rows}
    picture = plots.named_front(
        folder / "pareto.png", points, front, "time of a step (µs per atom)", "force MAE (meV/Å)"
    )
    console.print(f"plot: {picture}")
    console.print(machine())


if __name__ == "__main__":
    main()
