"""Read a model file: first the card, as plain JSON in a zip archive, and only then the model.

A file that cannot be used is refused in one sentence that says what it is instead: missing, empty, damaged, of
another program, of a newer format, or in need of operators this installation lacks.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch

from rhopot.export import script
from rhopot.export.card import FORMAT_VERSION, CardError, ModelCard, installed_version
from rhopot.potentials.device import find_device

CARD_NAME = "rhopot.json"
_ZIP_START = b"PK"
_ZIP_ERRORS = (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error, UnicodeDecodeError)


class ModelFileError(ValueError):
    """A file that is not a model this installation can run; the message says why in one sentence."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that can be evaluated: its card, and the module that obeys the contract of its kind.

    See `rhopot.export.local` and `rhopot.export.whole`.
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
        require_operators(card, name)
        place = find_device(device, "device")
        model = LoadedModel(card, script.deserialise(io.BytesIO(archive), place), name, place)
        _UNPICKLED[key] = model
    return model


def read_card(path: str | Path) -> ModelCard:
    """The card of a model file, without loading the model.

    Raises ModelFileError with the reason if the file is not a readable model of a known format.
    """
    path = Path(path)
    text = _card_text(path)
    _check_format_version(path, text)
    try:
        return ModelCard.from_json(text)
    except CardError as error:
        reasons = str(error).replace("\n", "; ")
        raise _refused(path, f"whose {CARD_NAME} is wrong ({reasons})", "copy or export it again") from error


def load_model(path: str | Path, device: str = "cpu") -> LoadedModel:
    """The model in a file, on a device: `cpu`, `cuda`, or `auto`, which is the GPU where torch finds one.

    A file written before models ran on a GPU stays on the processor with `auto`.

    Raises ModelFileError with the reason if this installation cannot run it, ValueError for another device and for
    `cuda` where torch finds no GPU.
    """
    path = Path(path)
    place = find_device(device, "device")
    card = read_card(path)
    require_runnable(card, str(path))
    require_operators(card, str(path))
    try:
        module = script.deserialise(path, place)
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
    return LoadedModel(card=card, module=module, name=str(path), device=place)


def require_runnable(card: ModelCard, name: str) -> None:
    """Raise ModelFileError for models that this version does not run."""
    if card.n_layers != 1:
        raise ModelFileError(
            f"n_layers of model '{name}' must be 1, got {card.n_layers}; rhopot {installed_version()} "
            "does not run models that pass messages between atoms"
        )


def _refused(path: Path, found: str, remedy: str) -> ModelFileError:
    """The error for a file that is not, or no longer, an exported model."""
    return ModelFileError(f"model file must be one exported by rhopot, got '{path}', {found}; {remedy}")


def _card_text(path: Path) -> str:
    """Text of `rhopot.json` in an archive whose every part is intact."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no file"
        raise ModelFileError(f"model file must exist, got {found} at '{path}'; check the name")
    with path.open("rb") as stream:
        start = stream.read(len(_ZIP_START))
    if not start:
        raise _refused(path, "which is empty", "copy or export it again")
    if start != _ZIP_START:
        raise _refused(path, "which is not a TorchScript archive", "check the name")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise _refused(path, f"which is damaged in its part '{damaged}'", "copy or export it again")
            return _find_card(path, archive)
    except _ZIP_ERRORS as error:
        raise _refused(path, f"which is truncated or damaged ({error})", "copy or export it again") from error


def _find_card(path: Path, archive: zipfile.ZipFile) -> str:
    """Text of the card among the parts of an archive."""
    names = archive.namelist()
    cards = [name for name in names if name.endswith(f"/extra/{CARD_NAME}")]
    if cards:
        return archive.read(cards[0]).decode("utf-8")
    if any(name.endswith("/constants.pkl") for name in names):
        found = "a TorchScript model of another program"
    elif any(name.endswith("/data.pkl") for name in names):
        found = "which holds objects of torch.save"
    else:
        found = "a zip archive of another program"
    raise _refused(path, found, "export the model with rhopot.export.save_model")


def _check_format_version(path: Path, text: str) -> None:
    """Refuse newer formats by number, before anything else in the card is looked at."""
    try:
        version = json.loads(text)["format_version"]
    except (ValueError, TypeError, KeyError) as error:
        raise _refused(path, f"whose {CARD_NAME} states no format_version", "copy or export it again") from error
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelFileError(
            f"format_version of '{path}' must be at most {FORMAT_VERSION} for rhopot {installed_version()}, "
            f"got {version}; install a newer rhopot"
        )


def require_operators(card: ModelCard, name: str) -> None:
    """Load the compiled operators if the model calls any, and refuse it if one is unknown."""
    if not card.versions.operators:
        return
    from rhopot.potentials.density import operators  # here, because models without operators need no compiled library

    operators.load()
    unknown = [name for name in card.versions.operators if not script.is_registered(name)]
    if unknown:
        raise ModelFileError(
            f"operators of '{name}' must be among those of rhopot {installed_version()}, got {', '.join(unknown)}; "
            f"install rhopot {card.versions.rhopot}, which wrote it"
        )
