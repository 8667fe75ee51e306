"""The loop that improves a potential, on one machine: train, look for what the model does not know, label, append.

    python examples/learning_loop/loop.py START.xyz --config examples/configs/soap_linear.yaml --output runs/loop \
        --pool POOL.xyz [--labels MODULE:FUNCTION]                              # candidates: frames of a file
    python examples/learning_loop/loop.py START.xyz ... --structure CELL.xyz \
        --md "--temperature 300,1500 --steps 5000" --labels MODULE:FUNCTION     # candidates: dynamics of the model

A model is trained on START.xyz. In every round `rhopot md` runs with it (or the frames of the pool that have no labels
yet are taken), `rhopot harvest` chooses at most `--batch` frames with a predicted force error above `--limit`, they are
labelled, and `rhopot train ... append=` adds them. The loop ends when no frame is above the limit, or after `--rounds`.
Labels are those that the frames of the pool carry (keys as in training data), or of any ASE calculator: a function
without arguments that makes one. KEY=VALUE behind the options changes the configuration of the first training.

Prints a line for each round: labels so far, the largest predicted force error of the candidates, and with `--test` the
force errors on labelled structures that are never trained on. `--random SEED` chooses frames at random, for comparison.
Every step is kept in `--output`; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from rhopot.export import read_card
from rhopot.potentials.api import evaluate
from rhopot.potentials.commands import main as rhopot
from rhopot.potentials.files import write_atomically, write_json
from rhopot.potentials.harvesting.errors import deviation_of
from rhopot.potentials.properties.potential import import_function
from rhopot.potentials.structures.files import read_file

QUICK = ["report.learning_curve=[]", "report.stability=null"]
UNCERTAIN = 3  # exit status of `rhopot md` where --until-uncertain ended it


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run the loop; what the rounds gave."""
    options = _options(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    run = options.output / "round_00" / "run"
    first = [str(options.config), f"data.train={options.start}", "regressor.keep_equations=true", *QUICK]
    _train(run, [*first, *options.settings])
    labelled: list[Path] = []
    rounds = [_measured(options, 0, run, labelled)]
    for number in range(1, options.rounds + 1):
        folder = options.output / f"round_{number:02d}"
        file, largest = _labelled(options, folder, run, labelled, number)
        rounds[-1]["largest_error_eV_A"] = largest
        _tell(rounds[-1])
        if file is None:
            print(f"no candidate is above {options.limit:g} eV/A: the loop is done")
            break
        labelled.append(file)
        _train(folder / "run", [str(run / "config.yaml"), f"append={run}", f"data.train={file}"])
        run = folder / "run"
        rounds.append(_measured(options, number, run, labelled))
    else:
        _tell(rounds[-1])
    write_json(options.output / "loop.json", rounds, indent=2)
    print(f"last model: {run / 'model.pt'}; numbers: {options.output / 'loop.json'}")
    return rounds


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("start", type=Path, help="labelled structures of the first model")
    parser.add_argument("--config", type=Path, required=True, help="configuration of a family that can append")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pool", type=Path, help="candidates, with labels or without")
    parser.add_argument("--structure", type=Path, help="where dynamics starts, instead of a pool")
    parser.add_argument("--md", default="", help="options of rhopot md")
    parser.add_argument("--labels", metavar="MODULE:FUNCTION", help="makes the ASE calculator that labels")
    parser.add_argument("--batch", type=int, default=10, help="labels in a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--limit", type=float, default=0.3, help="predicted force error in eV/A that is small enough")
    parser.add_argument("--test", type=Path, help="labelled structures for the errors of every round")
    parser.add_argument("--random", type=int, metavar="SEED", help="choose from the pool at random")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_intermixed_args(arguments)
    if (options.pool is None) == (options.structure is None):
        parser.error("candidates must be --pool or --structure, one of them")
    if options.structure is not None and (options.labels is None or options.random is not None):
        parser.error("dynamics must have --labels and no --random")
    return options


def _train(run: Path, words: Sequence[str]) -> None:
    """A training that is made once."""
    if (run / "model.pt").is_file() and not (run / "checkpoint").is_dir():
        return
    run.parent.mkdir(parents=True, exist_ok=True)
    resume = ["--resume"] if (run / "checkpoint").is_dir() else []
    if rhopot(["train", *words, f"output={run}", *resume]) != 0:
        raise SystemExit(f"training {run} failed; see its message above")


def _labelled(
    options: argparse.Namespace, folder: Path, run: Path, labelled: Sequence[Path], number: int
) -> tuple[Path | None, float | None]:
    """The labelled frames of a round, None where no candidate is above the limit, and their largest predicted error."""
    done = folder / "labelled.xyz"
    if done.is_file():
        file = folder / "harvest" / "harvest.json"
        return done, json.loads(file.read_text(encoding="utf-8"))["largest_error_eV_A"] if file.is_file() else None
    chosen, largest = _chosen(options, folder, run, labelled, number)
    if chosen:
        _label(options, done, chosen)
    return done if chosen else None, largest


def _chosen(
    options: argparse.Namespace, folder: Path, run: Path, labelled: Sequence[Path], number: int
) -> tuple[list[Atoms], float | None]:
    """The frames of a round, with the labels that the pool has, and the largest predicted error of all candidates."""
    folder.mkdir(parents=True, exist_ok=True)
    if options.pool is not None:
        pool = read_file(options.pool)
        used = {frame.info["pool_frame"] for file in labelled for frame in ase.io.read(file, ":")}
        left = [k for k in range(len(pool)) if k not in used]
        for k in left:
            pool[k].info["pool_frame"] = k
        if options.random is not None:
            drawn = np.random.default_rng([options.random, number]).permutation(left)[: options.batch]
            return [pool[int(k)] for k in sorted(drawn)], None
        bare = [_bare(pool[k]) for k in left]
        candidates = folder / "candidates.xyz"
        write_atomically(candidates, lambda partial: ase.io.write(partial, bare, format="extxyz"))
    else:
        candidates, ran_away = _dynamics(options, folder, run, number)
    words = [str(run / "model.pt"), str(candidates), "-n", str(options.batch), "--threshold", str(options.limit)]
    if rhopot(["harvest", *words, "-o", str(folder / "harvest")]) != 0:
        raise SystemExit(f"harvest in {folder} failed; see its message above")
    found = json.loads((folder / "harvest" / "harvest.json").read_text(encoding="utf-8"))
    if not found["chosen"] and options.pool is None and ran_away:
        raise SystemExit(
            f"the model of {run} runs away in {folder} before a predicted error is above {options.limit:g} eV/A; give "
            "a lower --limit, or a first model of more structures"
        )
    if not found["chosen"]:
        return [], found["largest_error_eV_A"]
    if options.pool is not None:
        return [pool[left[one["frame"]]] for one in found["chosen"]], found["largest_error_eV_A"]
    return ase.io.read(folder / "harvest" / "harvest.xyz", ":"), found["largest_error_eV_A"]


def _bare(frame: Atoms) -> Atoms:
    """The structure without its labels."""
    return Atoms(numbers=frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)


def _dynamics(options: argparse.Namespace, folder: Path, run: Path, number: int) -> tuple[Path, bool]:
    """Dynamics of the model, other velocities in every round, until it does not know; whether it ran away instead."""
    words = [str(run / "model.pt"), str(options.structure), *shlex.split(options.md), "--seed", str(number)]
    deviation = deviation_of(read_card(run / "model.pt"), options.limit)
    limit = ["--until-uncertain", f"{deviation:g}", "-o", str(folder / "md")]
    status = rhopot(["md", *words, *limit])
    stopped = list((folder / "md").glob("stopped_*.extxyz"))
    if status not in (0, UNCERTAIN) and not stopped:
        raise SystemExit(f"dynamics in {folder} failed; see its message above")
    return folder / "md", status not in (0, UNCERTAIN)


def _label(options: argparse.Namespace, done: Path, frames: Sequence[Atoms]) -> None:
    """Write the file of the frames with labels; each calculation is kept as soon as it is done."""
    parts = []
    for k, frame in enumerate(frames):
        part = done.parent / "labels" / f"{k:04d}.xyz"
        part.parent.mkdir(exist_ok=True)
        if not part.is_file():
            made = frame if options.labels is None else _calculated(frame, options.labels)
            write_atomically(part, lambda partial, made=made: ase.io.write(partial, made, format="extxyz"))
        parts.append(ase.io.read(part))
    write_atomically(done, lambda partial: ase.io.write(partial, parts, format="extxyz"))


def _calculated(frame: Atoms, name: str) -> Atoms:
    """Energy (the one that forces are derivatives of), forces and, of crystals where there is one, the stress."""
    moving = frame.copy()
    del moving.constraints
    moving.calc = import_function(name)()
    free = "free_energy" in moving.calc.implemented_properties
    made = frame.copy()
    made.info["REF_energy"] = moving.get_potential_energy(force_consistent=free)
    made.arrays["REF_forces"] = moving.get_forces()
    if all(moving.pbc) and "stress" in moving.calc.implemented_properties:
        made.info["REF_stress"] = moving.get_stress(voigt=False)
    return made


def _measured(options: argparse.Namespace, number: int, run: Path, labelled: Sequence[Path]) -> dict[str, Any]:
    """A row of the table; errors on the test set are computed once."""
    row: dict[str, Any] = {
        "round": number,
        "labels": sum(len(ase.io.read(file, ":")) for file in labelled),
        "largest_error_eV_A": None,
    }
    if options.test is not None:
        kept = run.parent / "test.json"
        if not kept.is_file():
            found = evaluate(run / "model.pt", options.test)
            names = [f"{name}_{kind}" for name in ("energy", "forces") for kind in ("mae", "rmse")]
            write_json(kept, {name: value for name, value in found.items() if name.startswith(tuple(names))})
        row["test"] = json.loads(kept.read_text(encoding="utf-8"))
    return row


def _tell(row: dict[str, Any]) -> None:
    test = row.get("test", {})
    errors = (
        f"; test: forces MAE {test['forces_mae_mev_per_angstrom']:.1f}, RMSE "
        f"{test['forces_rmse_mev_per_angstrom']:.1f} meV/A, energy MAE {test['energy_mae_mev_per_atom']:.2f} meV/atom"
        if test
        else ""
    )
    largest = row["largest_error_eV_A"]
    known = "" if largest is None else f"; largest predicted force error {largest:.3g} eV/A"
    print(f"round {row['round']}: {row['labels']} labels added{known}{errors}", flush=True)


if __name__ == "__main__":
    main()
