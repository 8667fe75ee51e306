"""Published Li-Si data: a model of scattering beside the other families on frames that none of them has seen.

    python examples/lithium_silicon/published.py --data LiSi_train.xyz.gz --output runs/published [key=value ...]

Ready configurations, changed by `key=value`, trained by `rhopot train` and judged by `rhopot evaluate`. Every seventh
frame of the data, in an order drawn at random, is kept for the test. Frames and models stay in `--output`: a run that
was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from tables import markdown

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FAMILIES = ("scattering", "soap_linear", "soap_gap", "gmp_snn")
EVERY = 7
UNITS = {"energy": "mev_per_atom", "forces": "mev_per_angstrom"}


def split(data: Path, largest: int, output: Path) -> tuple[Path, Path]:
    """Write the frames of at most `largest` atoms to train on and those to test on, once.

    Models in `output` belong to its frames: other data or sizes are refused there.
    """
    train, test, asked = output / "train.xyz", output / "test.xyz", output / "split.json"
    mine = {"data": hashlib.sha256(data.read_bytes()).hexdigest(), "largest": largest}
    if test.exists():
        known = json.loads(asked.read_text(encoding="utf-8"))
        if known != mine:
            different = ", ".join(f"{key} {known[key]}" for key in mine if known[key] != mine[key])
            raise SystemExit(f"--output must be new for other data or sizes, got {output}, made with {different}")
    else:
        frames = [frame for frame in ase.io.read(data, ":") if len(frame) <= largest]
        order = np.random.default_rng(0).permutation(len(frames))
        output.mkdir(parents=True, exist_ok=True)
        asked.write_text(json.dumps(mine), encoding="utf-8")
        ase.io.write(train, [frames[k] for place, k in enumerate(order) if place % EVERY], format="extxyz")
        ase.io.write(test.with_suffix(".partial"), [frames[k] for k in order[::EVERY]], format="extxyz")
        test.with_suffix(".partial").replace(test)
    return train, test


def rhopot(*words: str | Path) -> None:
    """Run a command of rhopot; its own sentence says what went wrong."""
    command = [sys.executable, "-m", "rhopot.potentials.commands", *map(str, words)]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit(f"{' '.join(command[2:])} must succeed, it did not; see above")


def judged(family: str, words: list[str], train: Path, test: Path, output: Path) -> dict[str, Any]:
    """Errors of a family's configuration on the test frames, and the seconds of its training."""
    folder, errors = output / family, output / f"{family}.json"
    if not errors.exists():
        resume = ["--resume"] if folder.exists() else []
        rhopot("train", CONFIGS / f"{family}.yaml", f"data.train={train}", f"output={folder}", *words, *resume)
        rhopot("evaluate", folder / "model.pt", test, "--json", errors)
    seconds = json.loads((folder / "report.json").read_text(encoding="utf-8"))["seconds"]
    return {**json.loads(errors.read_text(encoding="utf-8")), "seconds": seconds}


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="extended XYZ with energies, forces and stresses")
    parser.add_argument("--output", type=Path, required=True, help="folder of frames and models")
    parser.add_argument("--largest", type=int, default=10**6, help="frames of more atoms are left out")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("words", nargs="*", metavar="key=value", help="changes to the ready configurations")
    options = parser.parse_args()
    train, test = split(options.data, options.largest, options.output)
    found = {family: judged(family, options.words, train, test, options.output) for family in options.families}
    show(found)


def show(found: dict[str, dict[str, Any]]) -> None:
    """Print errors of all frames, and of the energies of each config_type."""
    rows = []
    for family, errors in found.items():
        energy, force = ([errors[f"{name}_{kind}_{unit}"] for kind in ("rmse", "mae")] for name, unit in UNITS.items())
        errors_in_words = ["{:.2f} ({:.2f})".format(*energy), "{:.0f} ({:.0f})".format(*force)]
        rows.append([family, *errors_in_words, f"{errors['seconds']:.0f}"])
    one = next(iter(found.values()))
    print(f"{one['n_frames']} test frames; energies in meV/atom, forces in meV/A, root mean square (mean absolute)")
    print(markdown(["family", "energies", "forces", "training, s"], rows))
    rows = []
    for kind, errors in one["per_config_type"].items():
        energies = [each["per_config_type"][kind]["energy_rmse_mev_per_atom"] for each in found.values()]
        rows.append([kind, str(errors["n_frames"]), *[f"{energy:.2f}" for energy in energies]])
    print(markdown(["energies of", "frames", *found], rows))


if __name__ == "__main__":
    main()
