"""Read a model file: first every byte of the archive is checked, then the card is read, and only then the model.

A file that cannot be used is refused in one sentence that says what it is instead: missing, empty, damaged, of
another program, of a newer format, or in need of operators this installation lacks.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch

from rhopot.export import script
from rhopot.export.archive import CARD_NAME, COPY
from rhopot.export.card import ModelCard
from rhopot.export.card_file import FORMAT_VERSION, Versions, checked_card
from rhopot.potentials.device import find_device

# Message-passing layers that ASE and LAMMPS can evaluate.
MOST_LAYERS = 8


class ModelFileError(ValueError):
    """A file that is not a model this installation can run; the message says why in one sentence."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that can be evaluated: its card, and the module that obeys the contract of its kind.

    See `rhopot.export.local_models` and `rhopot.export.global_models`.
    """

    card: ModelCard
    module: torch.nn.Module
    name: str = "model"
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (immutable)

    def __copy__(self) -> LoadedModel:
        """The model itself: nothing in it changes."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> LoadedModel:
        """The model itself: nothing in it changes."""
        return self

    def __reduce__(self) -> tuple[Callable[..., LoadedModel], tuple[Any, ...]]:
        """Pickled with the bytes of the module: the file may be gone where it is read."""
        if not script.is_compiled(self.module):
            return LoadedModel, (self.card, self.module, self.name, self.device)
        if self.module not in _ARCHIVES:
            _ARCHIVES[self.module] = script.serialise(self.module, {})
        return _unpickle, (self.card, _ARCHIVES[self.module], self.name, self.device.type)


# Archives of models that were pickled, and models that were unpickled in this process: many structures share one.
_ARCHIVES: WeakKeyDictionary[torch.nn.Module, bytes] = WeakKeyDictionary()
_UNPICKLED: WeakValueDictionary[tuple[bytes, str, str], LoadedModel] = WeakValueDictionary()


def _unpickle(card: ModelCard, archive: bytes, name: str, device: str) -> LoadedModel:
    """The model of a pickle, on the kind of device it was on: one for all pickles of the same model."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device must be there where a model is unpickled, got no GPU for model '{name}', which was on one; "
            "load it with device='cpu' before it is sent to other processes"
        )
    key = hashlib.sha256(archive).digest(), name, device
    model = _UNPICKLED.get(key)
    if model is None:
        require_operators(card.versions, name)
        place = find_device(device, "device")
        model = LoadedModel(card, script.deserialise(io.BytesIO(archive), place), name, place)
        _UNPICKLED[key] = model
    return model


def read_card(path: str | Path) -> ModelCard:
    """The card of a model file, without loading the model.

    Raises ModelFileError with the reason if the file is not a readable model of a known format.
    """
    return _read(Path(path))[1]


def load_model(path: str | Path, device: str = "cpu") -> LoadedModel:
    """The model in a file, on a device: `cpu`, `cuda`, or `auto`, which is the GPU where torch finds one.

    A file written before models ran on a GPU stays on the processor with `auto`.

    Raises ModelFileError with the reason if this installation cannot run it, ValueError for another device and for
    `cuda` where torch finds no GPU.
    """
    path = Path(path)
    place = find_device(device, "device")
    content, card = _read(path)
    require_runnable(card, str(path))
    require_operators(card.versions, str(path))
    try:
        module = script.deserialise(io.BytesIO(content), place)
    except RuntimeError as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise ModelFileError(
            f"model file must be readable by PyTorch {torch.__version__}, got '{path}', written by PyTorch "
            f"{card.versions.torch} and rhopot {card.versions.rhopot} ({reason}); install those versions"
        ) from error
    if card.kind == "global" and not hasattr(module, "prepare"):
        raise _refused(path, "of kind 'global' but without the method 'prepare'", "export it with save_model")
    if place.type != "cpu" and not script.runs_on_gpu(module):
        if device != "auto":
            raise ModelFileError(
                f"device must be cpu or auto for '{path}', got {device}; rhopot {card.versions.rhopot} wrote it for "
                "the processor alone, train it again for a GPU"
            )
        place = torch.device("cpu")
        module.to(place)
    model = LoadedModel(card=card, module=module, name=str(path), device=place)
    _require_columns(model)
    return model


def _require_columns(model: LoadedModel) -> None:
    """Raise ModelFileError where two atoms have not the columns of energies that the card states."""
    card = model.card
    r = 0.6 * card.cutoff if card.kind == "local" else 2.0
    positions = torch.tensor([[0.0, 0.0, 0.0], [r, 0.0, 0.0]], dtype=torch.float64, device=model.device)
    index = torch.tensor([0, 1], device=model.device)
    species = torch.zeros_like(index)
    module: Any = model.module
    with script.plain_execution(), torch.no_grad():
        if card.kind == "local":
            vectors = torch.stack([positions[1], -positions[1]])
            first_edge = torch.tensor([0, 1, 2], device=model.device)
            output, shape = module(vectors, first_edge, 1 - index, index, species, True), [2]
        else:
            cell, pbc = 4.0 * torch.eye(3, dtype=torch.float64, device=model.device), torch.ones_like(positions[0]) > 0
            prepared = module.prepare(positions, cell, pbc, 1.0)
            output, shape = module(positions, species, cell, pbc, prepared.cpu(), 0, 1, True), []
    shape.append(1 + card.uncertainty.members)
    if list(output.shape) != shape or output.dtype != torch.float64:
        words = f"[centres, {shape[-1]}]" if card.kind == "local" else f"[{shape[-1]}]"
        raise ModelFileError(f"model '{model.name}' must return float64 {words}; export it again")


def require_runnable(card: ModelCard, name: str) -> None:
    """Raise ModelFileError for models that this version does not run."""
    if card.n_layers > MOST_LAYERS:
        raise ModelFileError(
            f"n_layers of model '{name}' must be at most {MOST_LAYERS}, got {card.n_layers}; this rhopot "
            "does not run models with more layers of messages"
        )


def _refused(path: Path, found: str, remedy: str | None = None) -> ModelFileError:
    """The error for a file that is not, or no longer, an exported model."""
    return ModelFileError(f"model file must be one exported by rhopot, got '{path}', {found}; {remedy or COPY}")


def _read(path: Path) -> tuple[bytes, ModelCard]:
    """The bytes of a file, every one of which was checked, and its card."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no file"
        raise ModelFileError(f"model file must exist, got {found} at '{path}'; check the name")
    content = path.read_bytes()
    card = checked_card(
        content, ModelCard, lambda text: _check_format_version(path, text), lambda *found: _refused(path, *found)
    )
    return content, card


def _check_format_version(path: Path, text: str) -> None:
    """Refuse collective variables, and newer formats by number, before anything else in the card is looked at."""
    try:
        fields = json.loads(text)
        version = fields["format_version"]
    except (ValueError, TypeError, KeyError) as error:
        raise _refused(path, f"whose {CARD_NAME} states no format_version") from error
    if fields.get("kind") == "cv":
        raise _refused(path, "which holds collective variables", "'rhopot cv' and load_cv read it")
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelFileError(
            f"format_version of '{path}' must be at most {FORMAT_VERSION} for this rhopot, got {version}; "
            "install a newer rhopot"
        )


def require_operators(versions: Versions, name: str) -> None:
    """Load the compiled operators if a file calls any, and refuse it if one is unknown."""
    if not versions.operators:
        return
    from rhopot.potentials import operators

    operators.load()
    unknown = [name for name in versions.operators if not script.is_registered(name)]
    if unknown:
        raise ModelFileError(
            f"operators of '{name}' must be among those of this rhopot, got {', '.join(unknown)}; "
            f"install rhopot {versions.rhopot}, which wrote it"
        )
