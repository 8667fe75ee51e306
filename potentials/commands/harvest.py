"""`rhopot harvest`: frames of simulations that a model knows least, ready to be labelled (see `harvesting`)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from rich.console import Console

from rhopot.export import ModelCard, load_model
from rhopot.potentials import property_plots
from rhopot.potentials.config import load_config
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.files import finite, write_atomically, write_json
from rhopot.potentials.fitting.least_squares.kept_equations import NAME as EQUATIONS
from rhopot.potentials.harvesting.candidates import Candidate, find_runs, read_run
from rhopot.potentials.harvesting.clusters import ClusterSettings
from rhopot.potentials.harvesting.errors import NORMAL, ErrorPredictor
from rhopot.potentials.harvesting.harvest import (
    CUT,
    Chosen,
    Harvested,
    HarvestSettings,
    RunErrors,
    evaluate_run,
    harvest,
)
from rhopot.potentials.harvesting.inputs import refuse_other_inputs, require_program, write_inputs
from rhopot.potentials.lammps.dynamics_settings import pairs_of
from rhopot.potentials.properties.kept import Kept, plain
from rhopot.potentials.runs.folder_lock import lock_folder
from rhopot.potentials.runs.stability import allowed_distances, shortest_known, training_structures
from rhopot.potentials.structures import UNLABELLED, read_frames
from rhopot.potentials.units import MEV_PER_EV

BLOCK = 200  # frames whose errors are kept together
CONFIG_TYPE = "harvest"


@dataclass(frozen=True)
class HarvestOptions:
    """Options of `rhopot harvest`; see its help."""

    count: int
    threshold: float | None
    unsupported_first: bool
    every: int
    elements: str | None
    closest: float | None
    cluster_radius: float | None
    cluster_buffer: float | None
    cluster_above: int | None
    cluster_box: str | None
    cluster_vacuum: float | None
    known: Sequence[str]
    write: str | None
    output: Path
    json_file: Path | None
    overwrite: bool
    device: str

    def settings(self, card: ModelCard) -> HarvestSettings:
        """What is wanted of a model's runs."""
        names = [name for name, *_ in pairs_of(card.symbols)]
        closest = allowed_distances(names, shortest_known(card), self.closest)
        clusters = self._clusters(card)
        return HarvestSettings(self.count, self.threshold, self.unsupported_first, closest, clusters)

    def _clusters(self, card: ModelCard) -> ClusterSettings | None:
        """How clusters are cut, with the defaults of what is not given; None without a radius."""
        given: dict[str, Any] = {
            "buffer": self.cluster_buffer,
            "largest": self.cluster_above,
            "box": self.cluster_box,
            "vacuum": self.cluster_vacuum,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if self.cluster_radius is None:
            if given:
                names = ", ".join(f"--cluster-{'above' if name == 'largest' else name}" for name in given)
                raise ValueError(
                    f"{names} must be given together with --cluster-radius, got no radius; add for instance "
                    "--cluster-radius 6, or leave the option out"
                )
            return None
        if self.cluster_box == "periodic" and self.cluster_vacuum is not None:
            raise ValueError(
                f"--cluster-vacuum must go with clusters in vacuum, got {self.cluster_vacuum:g} with --cluster-box "
                "periodic; leave one of them out"
            )
        return ClusterSettings(self.cluster_radius, **{"buffer": card.cutoff * card.n_layers, **given})


def run_harvest(model_file: Path, runs: Sequence[str], options: HarvestOptions) -> None:
    """Read the runs, evaluate, choose, and write."""
    if options.write is not None:
        require_program(options.write)
    console = make_console()
    model = load_model(model_file, options.device)
    settings = options.settings(model.card)
    predict = ErrorPredictor(model)
    if settings.unsupported_first and not predict.grades:
        raise ValueError(
            f"--unsupported-first must be used with a model that grades environments, got '{model_file}'; leave it "
            "out, or train the model again with 20 or more atoms of each element and uncertainty.extrapolation=true"
        )
    if settings.clusters is not None and model.card.kind == "global":
        raise ValueError(
            f"--cluster-radius must be used with a model of kind local, got '{model_file}' of kind global, which knows "
            "no errors of atoms; leave it out"
        )
    files = find_runs(runs)
    elements = options.elements.split(",") if options.elements else list(model.card.symbols)
    task = {
        "model": hashlib.sha256(model_file.read_bytes()).hexdigest(),
        "files": {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "elements": elements,
        "every": options.every,
        "closest": settings.closest,
    }
    with lock_folder(options.output, "--output") as note:
        if note:
            console.print(note)
        kept = Kept(options.output, task, overwrite=options.overwrite)
        candidates = []
        for file in files:
            read, note = read_run(file, elements, options.every)
            candidates.append(read)
            if note:
                console.print(f"note: {note}")
        _say(console, model_file, candidates, settings, predict.calibrated)
        evaluated = [
            _evaluated(console, kept, str(file), read, predict, settings)
            for file, read in zip(files, candidates, strict=True)
        ]
        noise = _noise(model.card, evaluated)
        with bar(console, "comparing", sum(map(len, candidates))) as advance:
            known = _known(options.known, model.card)
            harvested = harvest(predict, model.card, candidates, evaluated, settings, noise, known, advance)
        _write(console, model_file, files, evaluated, harvested, settings, options, noise)


def _say(
    console: Console,
    model_file: Path,
    candidates: Sequence[Sequence[Candidate]],
    settings: HarvestSettings,
    calibrated: bool,
) -> None:
    """State what is done, defaults included."""
    count = sum(map(len, candidates))
    console.print(f"{model_file}: harvest of {count} frames from {len(candidates)} files")
    closest = ", ".join(f"{pair} {distance:.3g} A" for pair, distance in settings.closest.items())
    threshold = "none" if settings.threshold is None else f"{settings.threshold:g} eV/A"
    console.print(f"at most {settings.count} structures; threshold {threshold}; distances below {closest or 'none'}")
    if not calibrated:
        console.print(
            f"note: the model knows no radius of its force errors (too few structures in its validation set): "
            f"{NORMAL:g} times the standard deviation of the members' forces stands for it"
        )
    clusters = settings.clusters
    if clusters is not None:
        console.print(
            f"frames of more than {clusters.largest} atoms are cut: atoms within {clusters.radius:g} A count, those "
            f"within {clusters.buffer:g} A more are the buffer, held fixed; box: {clusters.box}; cells that are too "
            f"small for a {clusters.region} are taken whole"
        )


def _evaluated(
    console: Console,
    kept: Kept,
    file: str,
    candidates: Sequence[Candidate],
    predict: ErrorPredictor,
    settings: HarvestSettings,
) -> RunErrors:
    """Predicted errors of a file's frames, kept in blocks."""
    blocks = []
    with bar(console, Path(file).name, len(candidates)) as advance:
        for start in range(0, len(candidates), BLOCK):
            part = candidates[start : start + BLOCK]
            blocks.append(
                kept.get(
                    f"{file}: {start}",
                    RunErrors,
                    lambda part=part, start=start: evaluate_run(  # type: ignore[misc]
                        part, predict, settings.closest, lambda done: advance(start + done)
                    ),
                )
            )
    names = ("frames", "largest", "rms", "unsupported", "apart")
    return RunErrors(*(np.concatenate([np.asarray(getattr(block, name)) for block in blocks]) for name in names))


def _noise(card: ModelCard, evaluated: Sequence[RunErrors]) -> float:
    """Force error in eV/A that further labels are not expected to lower: 2.5 times the MAE on the validation set.

    Where it is not known, the median error of the frames.
    """
    validation: Any = card.metrics.get("validation", {})
    mae = validation.get("forces_mae_mev_per_angstrom") if isinstance(validation, dict) else None
    if mae:
        return float(NORMAL * mae / MEV_PER_EV)
    found = np.concatenate([errors.rms for errors in evaluated])
    found = found[np.isfinite(found)]
    return max(float(np.median(found)), 1e-6) if len(found) else 1.0


def _known(files: Sequence[str], card: ModelCard) -> list[Atoms]:
    """Structures that are known: those in the model file, and those of `--known`."""
    given = [frame.atoms for frame in read_frames(list(files), UNLABELLED)] if files else []
    return [*training_structures(card), *given]


def _write(
    console: Console,
    model_file: Path,
    files: Sequence[Path],
    evaluated: Sequence[RunErrors],
    harvested: Harvested,
    settings: HarvestSettings,
    options: HarvestOptions,
    noise: float,
) -> None:
    """Structures, inputs, table, numbers and picture."""
    folder, chosen = options.output, harvested.chosen
    group = _group_key(model_file)
    frames = [labelled_later(one, group) for one in chosen]
    refuse_other_inputs(frames, folder)
    structures = folder / "harvest.xyz"
    structures.unlink(missing_ok=True)
    if frames:
        write_atomically(structures, lambda partial: ase.io.write(partial, frames, format="extxyz"))
    console.print(table("", _COLUMNS, [_row(k, one) for k, one in enumerate(chosen)]))
    left_out = ", ".join(f"{number} {reason}" for reason, number in harvested.left_out.items())
    console.print(f"left out: {left_out or 'none'}")
    if settings.clusters is not None:
        whole = ", ".join(f"{number} {reason}" for reason, number in harvested.cells.items() if reason != CUT)
        console.print(f"cells: {harvested.cells.get(CUT, 0)} cut; taken whole: {whole or 'none'}")
    every = np.concatenate([errors.largest for errors in evaluated])
    every = every[~np.isnan(every)]
    least_known = float(every.max()) if len(every) else float("nan")
    numbers = {
        "model": str(model_file),
        "settings": asdict(settings),
        "every": options.every,
        "noise_eV_A": noise,
        "n_frames": int(sum(len(errors.frames) for errors in evaluated)),
        "largest_error_eV_A": least_known,
        "left_out": dict(harvested.left_out),
        "cells": dict(harvested.cells),
        "chosen": [_as_dict(one) for one in chosen],
        "runs": {
            str(file): {
                "frames": errors.frames,
                "largest_eV_A": errors.largest,
                "rms_eV_A": errors.rms,
                "unsupported_atoms": errors.unsupported,
            }
            for file, errors in zip(files, evaluated, strict=True)
        },
    }
    for path in [folder / "harvest.json", *([options.json_file] if options.json_file else [])]:
        write_json(path, finite(plain(numbers)), indent=2)
    picture = _draw(folder / "harvest.png", files, evaluated, chosen, settings.threshold, model_file)
    console.print(f"files: {structures.name if frames else 'no structures'}, harvest.json, {picture.name} in {folder}")
    if options.write is not None and frames:
        places = write_inputs(options.write, frames, folder)
        console.print(
            f"inputs: {places[0]} ... {places[-1].name}; make their settings those of the training data"
            + (", and add POTCAR" if options.write == "vasp" else "")
        )
    if not frames:
        console.print(f"nothing is harvested; the largest predicted force error is {least_known:.3g} eV/A")
    elif (model_file.parent / "config.yaml").is_file():
        console.print(f"when labelled: {_next_training(model_file.parent)}")


def _next_training(run: Path) -> str:
    """The command that trains with the labelled structures, of a training that stands in a folder."""
    if (run / EQUATIONS).is_file():
        return f"rhopot train {run}/config.yaml append={run} data.train=labelled.xyz output=NEW_RUN"
    data = ", ".join([*load_config(run / "config.yaml").data.train, "labelled.xyz"])
    return f'rhopot train {run}/config.yaml "data.train=[{data}]" output=NEW_RUN'


_COLUMNS = [
    "",
    "file",
    "frame",
    "around atom",
    "atoms",
    "largest predicted error (eV/A)",
    "rms (eV/A)",
    "unsupported",
    "gain (nats)",
]


def _row(k: int, one: Chosen) -> list[str]:
    centre = one.candidate.centre
    counted = "" if one.counts is None or one.counts.all() else f" ({int(one.counts.sum())} count)"
    return [
        str(k),
        one.candidate.source,
        str(one.candidate.index),
        "" if centre is None else str(centre),
        f"{len(one.candidate.atoms)}{counted}",
        f"{one.largest:.3g}",
        f"{one.rms:.3g}",
        str(one.unsupported),
        f"{one.gain:.3g}",
    ]


def _as_dict(one: Chosen) -> dict[str, Any]:
    return {
        "file": one.candidate.source,
        "frame": one.candidate.index,
        "center": one.candidate.centre,
        "n_atoms": len(one.candidate.atoms),
        "n_counted": len(one.candidate.atoms) if one.counts is None else int(one.counts.sum()),
        "largest_error_eV_A": one.largest,
        "rms_error_eV_A": one.rms,
        "n_unsupported": one.unsupported,
        "gain_nats": one.gain,
    }


def labelled_later(one: Chosen, group: str | None = None) -> Atoms:
    """The structure with its origin in `info`: harvest_file, harvest_frame, and the group its split goes by."""
    atoms = one.candidate.atoms.copy()
    atoms.info = {
        "config_type": CONFIG_TYPE,
        "harvest_file": one.candidate.source,
        "harvest_frame": one.candidate.index,
        "harvest_error": float(f"{one.largest:.6g}"),
    }
    if one.candidate.centre is not None:
        atoms.info["harvest_center"] = one.candidate.centre
    if group is not None:
        atoms.info[group] = f"harvest_{Path(one.candidate.source).stem}"
    return atoms


def _group_key(model_file: Path) -> str | None:
    """Key by which the training beside the model file divides its frames, which appended ones need as well."""
    file = model_file.parent / "config.yaml"
    if not file.is_file():
        return None
    split = load_config(file).data.split
    return split.key if split.by == "group" else None


def _draw(
    path: Path,
    files: Sequence[Path],
    evaluated: Sequence[RunErrors],
    chosen: Sequence[Chosen],
    threshold: float | None,
    model_file: Path,
) -> Path:
    """Predicted errors along the runs, the chosen frames marked."""
    runs = {str(file): (errors.frames, errors.largest) for file, errors in zip(files, evaluated, strict=True)}
    marked: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for file in runs:
        mine = [one for one in chosen if one.candidate.source == file]
        if mine:
            marked[file] = np.array([one.candidate.index for one in mine]), np.array([one.largest for one in mine])
    return property_plots.errors_along_runs(path, runs, marked, threshold, str(model_file))
