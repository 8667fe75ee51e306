"""Files of collective variables: written as model files are, and read with the same checks.

`save_cv` writes beside the final name, lets a fresh process load and evaluate the file, compares with the module in
memory, and only then moves it, which is atomic. `load_cv` checks every byte of the archive, then reads the card, and
only then the module. A file that cannot be used is refused in one sentence.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase
import torch

from rhopot.export import script
from rhopot.export.archive import CARD_NAME, COPY, SEAL_NAME, read_records
from rhopot.export.card_file import FORMAT_VERSION, Versions, checked_card
from rhopot.export.cv_card import KIND, CvCard
from rhopot.export.cv_probe import (
    CvProbe,
    cv_results,
    default_probes,
    differences,
    probe_of,
    require_contract,
    require_dependence,
    require_invariance,
    write_probes,
)
from rhopot.export.load import ModelFileError, require_operators
from rhopot.export.save import SelfCheckError, run_in_fresh_process
from rhopot.potentials.files import naming, write_atomically


class CvFileError(ValueError):
    """A file that holds no collective variables this installation can run; the message says why in one sentence."""


@dataclass(frozen=True)
class LoadedCv:
    """Collective variables that can be evaluated: their card, and the module that obeys its contract (`cv_card`).

    name: of the file; content: its bytes
    """

    card: CvCard
    module: Any
    name: str
    content: bytes = field(repr=False)

    @property
    def identity(self) -> str:
        """Eight hexadecimal digits that tell one file from another: the seal of the archive."""
        records = read_records(self.content)
        return next(data for name, data in records.items() if name.endswith(f"/extra/{SEAL_NAME}")).decode()

    def __copy__(self) -> LoadedCv:
        """The variables themselves: nothing in them changes."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> LoadedCv:
        """The variables themselves: nothing in them changes."""
        return self

    def __reduce__(self) -> tuple[Callable[..., LoadedCv], tuple[Any, ...]]:
        """Pickled with the bytes of the file, which may be gone where it is read."""
        return _from_content, (self.content, self.name)


def save_cv(module: torch.nn.Module, card: CvCard, path: str | Path, probe: Sequence[ase.Atoms] = ()) -> LoadedCv:
    """Write collective variables to one file and return what the file holds.

    module  obeys the contract (`rhopot.export.cv_card`), in eager mode
    card    describes it, `CvCard.of(module)`; its `versions` are replaced by those of this installation
    path    ends in .pt; an existing file is replaced, in one step, after the new one has been checked
    probe   structures on which file and module must agree; default: random ones of the card's elements

    Raises ValueError for what cannot be written, SelfCheckError if the file does not reproduce the module.
    """
    path = Path(path)
    if path.suffix != ".pt":
        raise ValueError(f"path must end in .pt, got '{path}'; name it for instance '{path.with_suffix('.pt')}'")
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in an existing folder, got '{path}'; make '{path.parent}' first")
    module.eval()
    probes = [probe_of(card, atoms, str(path)) for atoms in probe] or default_probes(card)
    require_contract(card, module, probes, str(path))
    require_invariance(card, module, probes, str(path))
    expected = cv_results(card, module, probes)
    require_dependence(card, expected, str(path))
    compiled = script.compile_module(module)
    card = card.model_copy(update={"versions": Versions.installed(script.custom_operators(compiled))})
    content = script.serialise(compiled, {CARD_NAME: card.to_json()})

    def check(unchecked: Path) -> None:
        _self_check(unchecked, card, expected, probes, path)

    write_atomically(path, lambda unchecked: unchecked.write_bytes(content), check)
    return _from_content(content, str(path))


def load_cv(path: str | Path) -> LoadedCv:
    """The collective variables in a file.

    Raises CvFileError with the reason if this installation cannot run it.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no file"
        raise CvFileError(f"file of collective variables must exist, got {found} at '{path}'; check the name")
    return _from_content(path.read_bytes(), str(path))


def read_cv_card(path: str | Path) -> CvCard:
    """The card in a file of collective variables, without loading the module; raises CvFileError."""
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no file"
        raise CvFileError(f"file of collective variables must exist, got {found} at '{path}'; check the name")
    return _card(path.read_bytes(), str(path))


def _from_content(content: bytes, name: str) -> LoadedCv:
    """The collective variables in the bytes of a file."""
    card = _card(content, name)
    try:
        require_operators(card.versions, name)
    except ModelFileError as error:
        raise CvFileError(str(error)) from error
    try:
        module = script.deserialise(io.BytesIO(content), torch.device("cpu"))
    except RuntimeError as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise CvFileError(
            f"file of collective variables must be readable by PyTorch {torch.__version__}, got '{name}', written by "
            f"PyTorch {card.versions.torch} and rhopot {card.versions.rhopot} ({reason}); install those versions"
        ) from error
    require_contract(card, module, default_probes(card, count=1), name, CvFileError)
    return LoadedCv(card, module, name, content)


def _card(content: bytes, name: str) -> CvCard:
    """The card in the bytes of a file, every one of which is checked."""
    return checked_card(content, CvCard, lambda text: _check_kind(text, name), lambda *found: _refused(name, *found))


def _check_kind(text: str, name: str) -> None:
    """Refuse models and newer formats, before anything else in the card is looked at."""
    try:
        fields = json.loads(text)
        version, kind = fields["format_version"], fields["kind"]
    except (ValueError, TypeError, KeyError) as error:
        raise _refused(name, f"whose {CARD_NAME} states no format_version and kind") from error
    if kind != KIND:
        raise _refused(
            name, f"which holds a potential (kind {kind})", "make collective variables with 'rhopot cv' or save_cv"
        )
    if type(version) is int and version > FORMAT_VERSION:
        raise CvFileError(
            f"format_version of '{name}' must be at most {FORMAT_VERSION} for this rhopot, got {version}; "
            "install a newer rhopot"
        )


def _refused(name: str, found: str, remedy: str | None = None) -> CvFileError:
    """The error for a file without collective variables."""
    return CvFileError(
        f"file of collective variables must be one written by rhopot, got '{name}', {found}; {remedy or COPY}"
    )


def _self_check(unchecked: Path, card: CvCard, expected: Sequence[Any], probes: Sequence[CvProbe], path: Path) -> None:
    """Evaluate the file in a fresh process and compare."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, results = Path(folder, "probes.npz"), Path(folder, "results.npz")
        with naming(inputs):
            write_probes(probes, inputs)
        run_in_fresh_process("rhopot.export.cv_selfcheck", [unchecked, inputs, results], str(path), "module")
        found = differences(card, expected, results)
    if found:
        raise SelfCheckError(
            f"'{path}' was not written: in a fresh process {'; '.join(found)}; "
            "the module must not change when it is compiled"
        )
