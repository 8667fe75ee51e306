"""The loop that improves a potential, on one machine: train, look for what the model does not know, label, append.

    python examples/learning_loop/loop.py START.xyz --config examples/configs/soap_linear.yaml --output runs/loop \
        --pool POOL.xyz [--labels MODULE:FUNCTION]                              # candidates: frames of a file
    python examples/learning_loop/loop.py START.xyz ... --structure CELL.xyz \
        --md "--temperature 300,1500 --steps 5000" --labels MODULE:FUNCTION     # candidates: dynamics of the model

A model is trained on START.xyz. In every round `rhopot md` runs with it (or the frames of the pool that have no labels
yet are taken), `rhopot harvest` chooses at most `--batch` frames with a predicted force error above `--limit`, they are
labelled, and `rhopot train ... append=` adds them. The loop ends when no frame is above the limit, or after `--rounds`.
Labels are those that all frames of the pool carry (keys as in START.xyz), or of any ASE calculator: a function
without arguments that makes one. KEY=VALUE behind the options changes the configuration of the first training.

Prints a line for each round: labels so far, the largest predicted force error of the candidates, and with `--test` the
force errors on labelled structures that are never trained on. `--random SEED` chooses frames at random, for comparison.
Every step is kept in `--output`; the same command goes on where it was stopped, also with other `--rounds`, `--batch`,
`--test` and, with a pool, `--limit`. All inputs are checked before the first training; a failure is one sentence.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import ase.io
import numpy as np
import typer
from ase import Atoms

from rhopot.export import read_card
from rhopot.potentials.api import evaluate
from rhopot.potentials.commands import main as rhopot
from rhopot.potentials.commands.application import app
from rhopot.potentials.commands.failures import is_usage, sentence
from rhopot.potentials.commands.md_request import MdRequest, request_of
from rhopot.potentials.commands.property_structures import read_structure
from rhopot.potentials.config.load import load_config
from rhopot.potentials.files import write_atomically, write_json
from rhopot.potentials.harvesting.errors import deviation_of
from rhopot.potentials.properties.potential import import_function
from rhopot.potentials.structures.files import find_files, read_file
from rhopot.potentials.structures.keys import ALIASES, Key, family_of, named, names_of
from rhopot.potentials.structures.read import read_frames

QUICK = ["report.learning_curve=[]", "report.stability=null"]
# options of `rhopot md` that the loop gives, or that would contradict its own
OWN = ("output", "seed", "until_uncertain", "overwrite", "config", "prototype", "calculator", "pair_style")
FIRST = ("START", "--config", "KEY=VALUE")  # what the first model depends on
UNCERTAIN = 3  # exit status of `rhopot md` where --until-uncertain ended it


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run the loop; what the rounds gave."""
    options = _options(arguments)
    try:
        _check(options)
        _keep_inputs(options)
        return _loop(options)
    except Exception as error:
        raise SystemExit(f"loop.py: {sentence(error)}") from error


class Parser(argparse.ArgumentParser):
    """One that refuses in one sentence."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"loop.py: {message}\n")


def _loop(options: argparse.Namespace) -> list[dict[str, Any]]:
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
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("start", type=Path, help="labelled structures of the first model")
    parser.add_argument("--config", type=Path, required=True, help="configuration of a family that can append")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pool", type=Path, help="candidates, with labels or without")
    parser.add_argument("--structure", type=Path, help="where dynamics starts, instead of a pool")
    parser.add_argument("--md", default="", help="options of rhopot md")
    parser.add_argument("--labels", metavar="MODULE:FUNCTION", help="makes the ASE calculator that labels")
    parser.add_argument("--batch", type=int, default=10, help="most labels in a round, by default %(default)s")
    parser.add_argument("--rounds", type=int, default=6, help="most rounds, by default %(default)s")
    limit = "predicted force error in eV/A that is small enough, by default %(default)s"
    parser.add_argument("--limit", type=float, default=0.3, help=limit)
    parser.add_argument("--test", type=Path, help="labelled structures for the errors of every round")
    parser.add_argument("--random", type=int, metavar="SEED", help="choose from the pool at random")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_intermixed_args(arguments)
    if (options.pool is None) == (options.structure is None):
        parser.error("candidates must be --pool or --structure, one of them")
    if options.structure is not None and (options.labels is None or options.random is not None):
        parser.error("dynamics must have --labels and no --random")
    for name, least in (("batch", 1), ("rounds", 1), ("random", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            parser.error(f"--{name} must be {least} or more, got {value}")
    if not options.limit > 0.0:
        parser.error(f"--limit must be above 0 eV/A, got {options.limit:g}")
    return options


def _check(options: argparse.Namespace) -> None:
    """Refuse, before the first training, what a later step would stumble over."""
    data = load_config(options.config, [f"data.train={options.start}", *options.settings]).data
    start = read_frames(options.start, data.keys)
    options.keys = start.used
    target = "energy" if "energy" in start.used else "forces"
    known = set(start.symbols)
    given = {"--pool": options.pool, "--test": options.test, "--structure": options.structure}
    for name, path in given.items():
        if path is None:
            continue
        if not path.is_file():
            raise ValueError(f"{name} must be a file, got '{path}'; check the name")
        frames = read_file(path)
        others = {symbol for frame in frames for symbol in frame.symbols} - known
        if others:
            raise ValueError(
                f"{name} must have elements of '{options.start}', {', '.join(sorted(known))}, got "
                f"{', '.join(sorted(others))}; add structures with them to it"
            )
        if name == "--structure" or (name == "--pool" and options.labels is not None):
            continue
        labels = [getattr(frame, target) for frame in read_frames(path, data.keys, preferred=start.used)]
        missing = [k for k, label in enumerate(labels) if label is None]
        if missing:
            raise ValueError(
                f"{name} must have {target} labels in every frame, got {len(missing)} of {len(labels)} frames of "
                f"'{path}' without (first: frame {missing[0]}); "
                + ("give --labels" if name == "--pool" else "label or remove them")
            )
    if options.labels is not None:
        try:
            import_function(options.labels)
        except ValueError as error:
            raise ValueError(str(error).replace("--calculator", "--labels")) from error
    if options.structure is not None:
        _check_dynamics(options)


def _keep_inputs(options: argparse.Namespace) -> None:
    """Write what kept models and labels depend on; refuse other inputs, by content, where such are in the folder."""
    given = {
        "START": (options.start, _content(*find_files(options.start)[0])),
        "--config": (options.config, _content(options.config)),
        "KEY=VALUE": (" ".join(options.settings), " ".join(options.settings)),
        "--pool": (options.pool, None if options.pool is None else _content(options.pool)),
        "--labels": (options.labels, options.labels),
        "--random": (options.random, options.random),
    }
    now = {
        name: {"given": "none" if value is None else str(value), "content": content}
        for name, (value, content) in given.items()
    }
    file, run = options.output / "inputs.json", options.output / "round_00" / "run"
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else now
    trained = (run / "model.pt").is_file() or (run / "checkpoint").is_dir()
    labelled = any(options.output.glob("round_*/labels/*.xyz"))
    others = [
        name
        for name in now
        if (trained if name in FIRST else labelled) and now[name]["content"] != before[name]["content"]
    ]
    if others:
        pairs = [(name, now[name]["given"], before[name]["given"]) for name in others]
        got = [
            f"{name} '{new}' " + (f"(was '{old}')" if new != old else "of other content") for name, new, old in pairs
        ]
        raise ValueError(
            f"{', '.join(others)} must be as for the rounds in '{options.output}', got {', '.join(got)}; "
            "give another --output"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    write_json(file, now, indent=2)


def _content(*files: Path) -> str:
    """Hash of the contents of files."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def _check_dynamics(options: argparse.Namespace) -> None:
    """Refuse options of `rhopot md` that it does not have, or that the structure cannot be run with."""
    try:
        words = shlex.split(options.md)
    except ValueError as error:
        raise ValueError(f"--md must be words as in a shell, got {options.md}: {error}; correct it") from error
    command = typer.main.get_command(app).commands["md"]  # type: ignore[attr-defined]
    try:
        context = command.make_context("md", ["model.pt", str(options.structure), *words])
        params = context.params
        own = {field.name: params.get(field.name) for field in fields(MdRequest)}
        request = request_of(own)
        atoms = request.supercell(read_structure(options.structure))
        request.settings(atoms).require(atoms)
    except Exception as error:
        if not isinstance(error, ValueError) and not is_usage(error):
            raise
        raise ValueError(f"--md '{options.md}': {sentence(error)}") from error
    own = [f"--{name.replace('_', '-')}" for name in OWN if context.get_parameter_source(name).name == "COMMANDLINE"]
    if len(params["inputs"]) > 2:
        raise ValueError(f"--md must be options of rhopot md, got '{options.md}' with words besides; leave them out")
    if own:
        raise ValueError(f"--md must leave {', '.join(own)} to the loop, got '{options.md}'; leave it out")


def _train(run: Path, words: Sequence[str]) -> None:
    """A training that is made once."""
    if (run / "model.pt").is_file() and not (run / "checkpoint").is_dir():
        return
    run.parent.mkdir(parents=True, exist_ok=True)
    resume = ["--resume"] if (run / "checkpoint").is_dir() else []
    _succeed(["train", *words, f"output={run}", *resume])


def _succeed(words: Sequence[str]) -> None:
    """Run a command that says itself why it fails, which ends the loop."""
    status = rhopot(words)
    if status != 0:
        raise SystemExit(status)


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
    _succeed(["harvest", *words, "-o", str(folder / "harvest")])
    found = json.loads((folder / "harvest" / "harvest.json").read_text(encoding="utf-8"))
    if not found["chosen"] and options.pool is None and ran_away:
        raise RuntimeError(
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
    now = {"--structure": str(options.structure), "--md": options.md, "--limit": options.limit}
    kept = folder / "dynamics.json"
    before = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else now
    for name, value in now.items():
        if value != before[name]:
            raise ValueError(
                f"{name} must stay as it was for the dynamics in '{folder}', '{before[name]}', got '{value}'; remove "
                "that folder to run it again, or give another --output"
            )
    write_json(kept, now, indent=2)
    words = [str(run / "model.pt"), str(options.structure), *shlex.split(options.md), "--seed", str(number)]
    deviation = deviation_of(read_card(run / "model.pt"), options.limit)
    limit = ["--until-uncertain", f"{deviation:g}", "-o", str(folder / "md")]
    status = rhopot(["md", *words, *limit])
    stopped = list((folder / "md").glob("stopped_*.extxyz"))
    if status not in (0, UNCERTAIN) and not stopped:
        raise SystemExit(status)
    return folder / "md", status not in (0, UNCERTAIN)


def _label(options: argparse.Namespace, done: Path, frames: Sequence[Atoms]) -> None:
    """Write the file of the frames with labels; each calculation is kept as soon as it is done."""
    parts = []
    for frame in frames:
        # named by the structure: other frames are chosen where the loop goes on with another --batch
        structure = b"".join(array.tobytes() for array in (frame.numbers, frame.positions, frame.cell[:]))
        part = done.parent / "labels" / f"{hashlib.sha256(structure).hexdigest()[:16]}.xyz"
        part.parent.mkdir(exist_ok=True)
        if not part.is_file():
            made = frame if options.labels is None else _calculated(frame, options.labels, options.keys)
            write_atomically(part, lambda partial, made=made: ase.io.write(partial, made, format="extxyz"))
        parts.append(ase.io.read(part))
    write_atomically(done, lambda partial: ase.io.write(partial, parts, format="extxyz"))


def _calculated(frame: Atoms, name: str, keys: Mapping[str, Key]) -> Atoms:
    """Energy (the one that forces are derivatives of), forces and, of crystals where there is one, the stress.

    keys: of the training data, under which the labels are written
    """
    moving = frame.copy()
    del moving.constraints
    moving.calc = import_function(name)()
    free = "free_energy" in moving.calc.implemented_properties
    made = frame.copy()
    for known in {key for names in (*ALIASES.values(), *map(names_of, keys.values())) for key in names}:
        made.info.pop(known, None)  # labels of another method
        made.arrays.pop(known, None)
    families = (family_of(target, names_of(key)[0]) for target, key in keys.items())
    family = next((found for found in families if found is not None), named("REF_"))
    key = {target: names_of(keys.get(target, family[target]))[0] for target in ("energy", "forces", "stress")}
    made.info[key["energy"]] = moving.get_potential_energy(force_consistent=free)
    made.arrays[key["forces"]] = moving.get_forces()
    if not np.isfinite([made.info[key["energy"]], *made.arrays[key["forces"]].ravel()]).all():
        raise ValueError(f"--labels must give finite energies and forces, got others of '{name}'; check the calculator")
    if all(moving.pbc) and "stress" in moving.calc.implemented_properties:
        stress = moving.get_stress(voigt=False)
        if "virial" in keys and "stress" not in keys:
            made.info[names_of(keys["virial"])[0]] = -moving.get_volume() * stress
        else:
            made.info[key["stress"]] = stress
    return made


def _measured(options: argparse.Namespace, number: int, run: Path, labelled: Sequence[Path]) -> dict[str, Any]:
    """A row of the table; errors on a test set are computed once."""
    row: dict[str, Any] = {
        "round": number,
        "labels": sum(len(ase.io.read(file, ":")) for file in labelled),
        "largest_error_eV_A": None,
    }
    if options.test is not None:
        kept = run.parent / "test.json"
        content = _content(options.test)
        before = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        if before.get("content") != content:
            found = evaluate(run / "model.pt", options.test)
            names = [f"{name}_{kind}" for name in ("energy", "forces") for kind in ("mae", "rmse")]
            errors = {name: value for name, value in found.items() if name.startswith(tuple(names))}
            before = {"content": content, "errors": errors}
            write_json(kept, before)
        row["test"] = before["errors"]
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
