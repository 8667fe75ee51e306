"""From DFT data to molecular dynamics in ASE and in LAMMPS: the whole way, in one program.

Trains a SOAP/GAP potential on amorphous lithium-silicon (examples/data/lisi_gpaw), holds out whole relaxation paths that
no fit ever sees, and compares with a linear model and with the mean energy of each composition. The exported file then
runs an ASE trajectory and gives one structure's energy and forces in LAMMPS on one and on two MPI ranks.

    python examples/demo.py [--output runs/demo] [--quick]

Exits with 1 when the force error on the unseen paths is not below 40 % of those forces' own size, or when ASE and LAMMPS
disagree. About five minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from rhopot.export import LoadedModel, RhopotCalculator, load_model
from rhopot.potentials.commands.console import bar, make_console, table
from rhopot.potentials.commands.train import train_into
from rhopot.potentials.config import RunConfig, load_config
from rhopot.potentials.fit import find_ranks
from rhopot.potentials.metrics import Prediction, error_table
from rhopot.potentials.structures import FrameSet, read_frames
from rhopot.potentials.structures.composition import fit_baseline
from rhopot.potentials.workflows import lammps_input
from rhopot.potentials.workflows.evaluation import draw_parity, predict
from rhopot.potentials.workflows.lammps_run import read_dump, run_lammps
from rhopot.potentials.workflows.md import run_dynamics
from rhopot.potentials.workflows.training import load_training_set

HERE = Path(__file__).resolve().parent
GOAL = 0.40  # largest accepted force RMSE, as a share of the unseen forces' own RMS
ENERGY_LIMIT, FORCE_LIMIT = 1e-9, 1e-8  # eV/atom and eV/A between ASE and LAMMPS

QUICK = ["regressor.n_sparse=60", "descriptor.n_max=4", "descriptor.l_max=3", "report.learning_curve=[]"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every stage; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/demo"), help="folder for models, plots and logs")
    parser.add_argument("--data", type=Path, default=HERE / "data" / "lisi_gpaw", help="folder with one file per path")
    parser.add_argument("--quick", action="store_true", help="a small model and short runs: seconds, for tests")
    options = parser.parse_args(arguments)
    console = make_console()
    begin = time.perf_counter()
    kept, unseen = divide_paths(options.data)
    console.rule("data")
    console.print(f"{len(kept)} relaxation paths for the fit, {len(unseen)} never seen by it:")
    console.print("  " + ", ".join(file.stem for file in unseen))
    models = {}
    for family in ("soap_linear", "soap_gap"):
        console.rule(f"training {family}")
        models[family] = train(family, kept, options.output / family, options.quick, console)
    passed = compare(models, kept, unseen, options.output, console)
    passed &= run_everywhere(options.output / "soap_gap" / "model.pt", unseen, options.output, options.quick, console)
    console.print(f"total {time.perf_counter() - begin:.0f} s; results in {options.output}")
    return 0 if passed else 1


def divide_paths(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files for the fit and unseen files: every fourth composition, counted from the third poorest in lithium."""
    files = sorted(folder.glob("*.xyz"), key=lambda file: int(file.stem.split("Si")[0].removeprefix("Li")))
    if len(files) < 5:
        raise SystemExit(f"--data must hold at least five relaxation paths, got {len(files)} in '{folder}'")
    unseen = files[2::4]
    return [file for file in files if file not in unseen], unseen


def train(family: str, files: Sequence[Path], output: Path, quick: bool, console: Console) -> LoadedModel:
    """Train a shipped configuration; the validation part is a whole path too."""
    overrides = [
        f"data.train={json.dumps([str(file) for file in files])}",
        "data.split={by: group, key: path, fraction: 0.15}",
        f"output={json.dumps(str(output))}",
    ]
    settings: RunConfig = load_config(HERE / "configs" / f"{family}.yaml", [*overrides, *(QUICK if quick else [])])
    if family == "soap_linear" and quick:
        settings = load_config(HERE / "configs" / f"{family}.yaml", [*overrides, *QUICK[1:]])
  
    train_into(output, settings, load_training_set(settings), find_ranks(), console)
    return load_model(output / "model.pt")
