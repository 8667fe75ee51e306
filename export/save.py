"""Write a model file, or nothing.

The file is written beside its final name, loaded and evaluated in a separate process, compared with the model in
memory, and only then moved to the final name, which is atomic. An interruption at any point leaves the old file, or
none, but never half of one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import ase
import torch

from rhopot.export import script
from rhopot.export.archive import CARD_NAME
from rhopot.export.card import ModelCard
from rhopot.export.card_file import Versions
from rhopot.export.evaluate import evaluate
from rhopot.export.global_models import inputs_of, prepare
from rhopot.export.load import LoadedModel, require_runnable
from rhopot.export.probe import differences, rounding, write_structures
from rhopot.export.results import Evaluation
from rhopot.potentials.files import naming, write_atomically

SELF_CHECK_SECONDS = 600


class SelfCheckError(RuntimeError):
    """A file that does not give the energies and forces of the model it was written from; it was removed."""


def save_model(model: torch.nn.Module, card: ModelCard, path: str | Path, probe: Sequence[ase.Atoms]) -> LoadedModel:
    """Export a model to one file and return what the file holds.

    model   obeys the contract of its kind, in eager mode or as TorchScript
    card    describes it; its `versions` are replaced by those of this installation
    path    ends in .pt; an existing file is replaced, in one step, after the new one has been checked
    probe   structures on which the file and the model must agree; for local models isolated atoms of every element
            are added

    Raises ValueError for arguments that cannot be exported, SelfCheckError if the file does not reproduce the model.
    """
    path = Path(path)
    _check_arguments(card, path, probe)
    model.eval()
    in_memory = LoadedModel(card=card, module=model, name=str(path))
    if card.kind == "local":
        _check_local_contract(in_memory)
        probe = [*probe, *(ase.Atoms(symbol, positions=[(0.0, 0.0, 0.0)]) for symbol in card.symbols)]
    else:
        # No isolated atoms: those of local models go through code for missing neighbours, while to these models an
        # atom is a structure like any other, in a box so wide for its vacuum that it costs more than the probe.
        _check_global_contract(in_memory, min(probe, key=len))
    expected = evaluate(in_memory, probe, members=card.uncertainty.members > 0, grades=True)
    compiled = script.compile_module(model)
    card = card.model_copy(update={"versions": Versions.installed(script.custom_operators(compiled))})
    _write(script.serialise(compiled, {CARD_NAME: card.to_json()}), in_memory, expected, probe, path)
    return LoadedModel(card=card, module=compiled, name=str(path))


def _check_arguments(card: ModelCard, path: Path, probe: Sequence[ase.Atoms]) -> None:
    """Refuse what would fail only after work has been done."""
    if path.suffix != ".pt":
        raise ValueError(f"path must end in .pt, got '{path}'; name it for instance '{path.with_suffix('.pt')}'")
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in an existing folder, got '{path}'; make '{path.parent}' first")
    if not len(probe):
        raise ValueError("probe must hold at least one structure, got none; give some of the training structures")
    require_runnable(card, str(path))


def _check_local_contract(model: LoadedModel) -> None:
    """Refuse modules whose output has not the shape and dtype of the contract."""
    no_edges, no_indices = torch.zeros((0, 3), dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    species = torch.arange(len(model.card.symbols))
    first_edge = torch.zeros(len(species) + 1, dtype=torch.int64)
    for members in (False, True):
        shape = (len(species), 1 + (model.card.uncertainty.members if members else 0))
        with torch.no_grad():
            output = model.module(no_edges, first_edge, no_indices, species, species, members)
        _check_output(output, shape, f"{len(species)} centres", members, "local")


def _check_global_contract(model: LoadedModel, atoms: ase.Atoms) -> None:
    """Refuse modules that cannot be prepared, or whose output has not the shape and dtype of the contract."""
    if not callable(getattr(model.module, "prepare", None)):
        raise ValueError(
            f"model of kind 'global' must have a method 'prepare', got {type(model.module).__name__} without; "
            "see the contract of global models"
        )
    prepared = prepare(model, atoms)
    if prepared.dim() != 1 or prepared.dtype != torch.float64:
        raise ValueError(
            f"prepare of model '{model.name}' must return float64 numbers in a row, got {prepared.dtype} of shape "
            f"{tuple(prepared.shape)}; see the contract of global models"
        )
    inputs = *inputs_of(model, atoms), prepared, 0, 1
    for members in (False, True):
        shape = (1 + (model.card.uncertainty.members if members else 0),)
        with torch.no_grad():
            output = model.module(*inputs, members)
        _check_output(output, shape, "a structure", members, "global")


def _check_output(output: torch.Tensor, shape: tuple[int, ...], subject: str, members: bool, kind: str) -> None:
    """Refuse an output that has not the shape and dtype of the contract."""
    if tuple(output.shape) != shape or output.dtype != torch.float64:
        raise ValueError(
            f"model output must be float64 of shape {shape} for {subject} and members={members}, "
            f"got {output.dtype} of shape {tuple(output.shape)}; see the contract of {kind} models"
        )


def _write(
    archive: bytes, model: LoadedModel, expected: Sequence[Evaluation], probe: Sequence[ase.Atoms], path: Path
) -> None:
    """Write beside the final name, check, move; the temporary file never survives."""
    write_atomically(
        path,
        lambda unchecked: unchecked.write_bytes(archive),
        lambda unchecked: _self_check(unchecked, model, expected, probe),
    )


def _self_check(
    unchecked: Path, model: LoadedModel, expected: Sequence[Evaluation], probe: Sequence[ase.Atoms]
) -> None:
    """Evaluate the file in a fresh process and compare."""
    with tempfile.TemporaryDirectory() as folder:
        structures, results = Path(folder, "structures.npz"), Path(folder, "results.npz")
        with naming(structures):
            write_structures(probe, structures)
        run_in_fresh_process("rhopot.export.selfcheck", [unchecked, structures, results], model.name, "model")
        known = rounding(model, probe, expected) if model.card.kind == "global" else []
        found = differences(model, expected, results, known)
    if found:
        raise SelfCheckError(
            f"'{model.name}' was not written: in a fresh process {'; '.join(found)}; "
            "the module must not change when it is compiled"
        )


def run_in_fresh_process(module: str, files: Sequence[Path], name: str, what: str) -> None:
    """Run a module of the package on files, in a process that knows nothing of this one.

    name: of the file that is being written; what: it holds, for the message

    Raises SelfCheckError with the last line that a failing process wrote.
    """
    command = [sys.executable, "-P", "-m", module, *map(str, files)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SELF_CHECK_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        reason = f"the self-check took longer than {SELF_CHECK_SECONDS} s; probe with smaller structures"
        raise SelfCheckError(f"'{name}' was not written: {reason}") from error
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
        raise SelfCheckError(f"'{name}' was not written: a fresh process could not run the {what} ({reason})")
