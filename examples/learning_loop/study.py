"""How many labels does a harvest save? Force errors on a test set against labels, beside random choice and a full fit.

    python examples/learning_loop/study.py Si_train.xyz.gz [--config examples/configs/multispectrum.yaml]
        [--output runs/learning_loop] [--test TEST.xyz] [--seeds 3]

Silicon of J. Zuo et al. (J. Phys. Chem. A 124, 731 (2020), doi:10.1021/acs.jpca.9b08723) is what the recorded results
are of; any labelled data serve. Where no test set is given, a fifth of the frames (`--split`: seed) is held out as one.
`--start` frames are drawn for the first model, the same for all; the others are the pool, whose labels count as soon as
they are used. `loop.py` then adds `--batch` labels a round, harvested or at random, with almost no limit. The full
fit is one to all frames. Prints a table, and draws learning_loop.png. A second start takes finished rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import loop
import numpy as np
from matplotlib.ticker import MultipleLocator

from rhopot.potentials.api import evaluate
from rhopot.potentials.console import make_console, table
from rhopot.potentials.files import write_json
from rhopot.potentials.plots import ACCENT, FAINT, INK, SECOND, save_figure, single_figure
from rhopot.potentials.structures.files import read_file

ROOT = Path(__file__).resolve().parents[2]
FORCES, ENERGY = "forces_mae_mev_per_angstrom", "energy_mae_mev_per_atom"
RMSE = "forces_rmse_mev_per_angstrom"
CLOSE = 1.1  # of the error of the full fit


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the loops, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "examples/configs/multispectrum.yaml")
    parser.add_argument("--output", type=Path, default=ROOT / "runs/learning_loop")
    parser.add_argument("--start", type=int, default=20, help="frames of the first model")
    parser.add_argument("--batch", type=int, default=15)
    parser.add_argument("--labels", type=int, default=60, help="added in all")
    parser.add_argument("--seeds", type=int, default=3, help="of random choice")
    parser.add_argument("--split", type=int, default=0, help="seed of the split and of the first frames")
    parser.add_argument("--only", help="run this one and stop: harvest, random_0, ... or full")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_intermixed_args(arguments)
    files = _files(options)
    rounds = -(-options.labels // options.batch)
    words = [str(files["start"]), "--config", str(options.config), "--pool", str(files["pool"])]
    words += ["--test", str(files["test"]), "--batch", str(options.batch), "--rounds", str(rounds), "--limit", "1e-9"]
    words += options.settings

    def wanted(kind: str) -> bool:
        return options.only in (None, kind)

    full: dict[str, Any] = {}
    if wanted("full"):
        full = _full(options, files)
    curves: dict[str, list[dict[str, Any]]] = {}
    for name, more in [("harvest", []), *((f"random_{k}", ["--random", str(k)]) for k in range(options.seeds))]:
        if wanted(name):
            _share_first_model(options.output, name)
            curves[name] = loop.main([*words, "--output", str(options.output / name), *more])
    if options.only is None:
        _report(options, curves, full, {name: len(read_file(file)) for name, file in files.items()})


def _files(options: argparse.Namespace) -> dict[str, Path]:
    """Frames of the first model, the pool, all of both, and the test set, written once."""
    options.output.mkdir(parents=True, exist_ok=True)
    files = {name: options.output / f"{name}.xyz" for name in ("start", "pool", "all")}
    files["test"] = options.test or options.output / "test.xyz"
    if all(file.is_file() for file in files.values()):
        return files
    frames = read_file(options.data)
    draw = np.random.default_rng(options.split).permutation(len(frames))
    held_out = 0 if options.test is not None else len(frames) // 5
    parts = {
        "test": draw[:held_out],
        "start": draw[held_out : held_out + options.start],
        "pool": draw[held_out + options.start :],
        "all": draw[held_out:],
    }
    for name, rows in parts.items():
        if name != "test" or options.test is None:
            ase.io.write(files[name], [frames[k] for k in sorted(rows)], format="extxyz")
    return files


def _share_first_model(output: Path, name: str) -> None:
    """The first model is the same for all loops."""
    first = next((found.parent for found in sorted(output.glob("*/round_00/test.json"))), None)
    if first is not None and not (output / name / "round_00").exists():
        shutil.copytree(first, output / name / "round_00")


def _full(options: argparse.Namespace, files: dict[str, Path]) -> dict[str, Any]:
    """Errors of one fit to all frames."""
    run, kept = options.output / "full" / "run", options.output / "full" / "test.json"
    words = [str(options.config), f"data.train={files['all']}", *loop.QUICK, *options.settings]
    loop._train(run, words)
    if not kept.is_file():
        write_json(kept, evaluate(run / "model.pt", files["test"]))
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _report(
    options: argparse.Namespace, curves: dict[str, list[dict[str, Any]]], full: dict[str, Any], sizes: dict[str, int]
) -> None:
    """The table, the labels that were needed, and the picture."""
    console = make_console()
    labels = [row["labels"] for row in curves["harvest"]]
    errors = {name: np.array([row["test"][FORCES] for row in rows]) for name, rows in curves.items()}
    energies = {name: np.array([row["test"][ENERGY] for row in rows]) for name, rows in curves.items()}
    random = np.array([values for name, values in errors.items() if name.startswith("random")])
    of_energies = np.array([values for name, values in energies.items() if name.startswith("random")])
    console.print(", ".join(f"{name}: {count} frames" for name, count in sizes.items()))
    rows = [
        [
            str(count),
            f"{errors['harvest'][k]:.1f}",
            f"{random[:, k].mean():.1f}",
            f"{random[:, k].min():.1f} to {random[:, k].max():.1f}",
            f"{energies['harvest'][k]:.2f}",
            f"{of_energies[:, k].mean():.2f}",
        ]
        for k, count in enumerate(labels)
    ]
    rows.append(["full fit", f"{full[FORCES]:.1f}", "", "", f"{full[ENERGY]:.2f}", ""])
    columns = ["labels added", "harvest", "random", "of seeds", "harvest", "random"]
    console.print(table("MAE on the test set: forces in meV/A (first three), energies in meV/atom", columns, rows))
    limit = CLOSE * full[FORCES]
    for name, values in {"harvest": errors["harvest"], "random, mean": random.mean(axis=0)}.items():
        within = np.flatnonzero(values <= limit)
        needed = f"{labels[within[0]]} labels added" if len(within) else "not with as many labels as were added"
        console.print(f"{name}: within 10 % of the full fit ({limit:.1f} meV/A): {needed}")
    console.print(table("kinds of labels added (config_type)", *_kinds(options.output, list(curves))))
    figure, axes = single_figure()
    axes.fill_between(labels, random.min(axis=0), random.max(axis=0), color=SECOND, alpha=0.15, lw=0)
    axes.plot(labels, random.mean(axis=0), "o-", ms=4, lw=1.2, color=SECOND, label=f"random, {len(random)} seeds")
    axes.plot(labels, errors["harvest"], "o-", ms=4, lw=1.2, color=ACCENT, label="rhopot harvest")
    axes.axhline(full[FORCES], color=INK, lw=1.0, label=f"all {sizes['pool']} labels")
    axes.axhline(limit, color=FAINT, lw=0.8, ls=":", label="10 % above")
    axes.set(xlabel=f"labels added to {sizes['start']} frames", ylabel="MAE of forces on the test set (meV/Å)")
    axes.xaxis.set_major_locator(MultipleLocator(options.batch))
    axes.legend(frameon=False, fontsize=9)
    console.print(str(save_figure(figure, options.output / "learning_loop.png")))


def _kinds(output: Path, names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: how many frames of each config_type the pool has, and how many were added."""
    frames = {"pool": read_file(output / "pool.xyz")}
    for name in names:
        frames[name] = [frame for file in sorted((output / name).glob("*/labelled.xyz")) for frame in read_file(file)]
    counts = {
        name: Counter(frame.info.get("config_type", "default") for frame in some) for name, some in frames.items()
    }
    return ["", *frames], [[kind, *(str(count[kind]) for count in counts.values())] for kind in sorted(counts["pool"])]


if __name__ == "__main__":
    main()
