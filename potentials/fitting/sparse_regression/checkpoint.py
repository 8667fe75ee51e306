"""Fitted members on disk: one file each, written whole or not at all, refused when it belongs to another ensemble."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rhopot.potentials.files import read_arrays, write_arrays
from rhopot.potentials.fitting.checkpoint import fingerprint, require_mark
from rhopot.potentials.fitting.sparse_regression.member import Member
from rhopot.potentials.fitting.sparse_regression.path import SelectionPath
from rhopot.potentials.fitting.sparse_regression.sparse_regression_settings import SparseRegressionSettings
from rhopot.potentials.fitting.sparse_regression.weighted_rows import Integers, WeightedRows

PATH = "path_"


def ensemble_fingerprint(rows: WeightedRows, columns: Integers, settings: SparseRegressionSettings) -> str:
    """Return a digest of everything a member depends on; of bootstrap ensembles the number of members is not part."""
    free = {"n_members"} if settings.sampling == "bootstrap" else set()
    arrays = (rows.features, rows.targets, rows.groups, rows.weights, rows.constant, columns)
    return fingerprint(arrays, [settings.model_dump_json(exclude=free)])


class MemberFiles:
    """Saves and restores the members of one ensemble.

    Args:
        folder: where the files go; None saves nothing.
        mark: `ensemble_fingerprint` of the ensemble.
    """

    def __init__(self, folder: Path | None, mark: str) -> None:
        self._folder = folder
        self._mark = mark

    def save(self, member: Member) -> None:
        """Write a member, atomically."""
        if self._folder is None:
            return
        path = self._file(self._folder, member.number)
        content = {f.name: getattr(member, f.name) for f in fields(member) if f.name != "path"}
        if member.path is not None:
            content |= {PATH + f.name: getattr(member.path, f.name) for f in fields(member.path)}
        write_arrays(path, mark=self._mark, **content)

    def restore(self, number: int) -> Member | None:
        """Return a saved member, None when there is none.

        Raises:
            ValueError: the file belongs to another ensemble.
        """
        if self._folder is None or not self._file(self._folder, number).exists():
            return None
        path = self._file(self._folder, number)
        state = read_arrays(path)
        require_mark(path, str(state.pop("mark")), self._mark, "ensemble", "rows, features or settings")
        content = {name: _plain(array) for name, array in state.items()}
        kept = {name.removeprefix(PATH): content.pop(name) for name in list(content) if name.startswith(PATH)}
        return Member(**content, path=SelectionPath(**kept) if kept else None)

    @staticmethod
    def _file(folder: Path, number: int) -> Path:
        return folder / f"member-{number:04d}.npz"


def _plain(array: NDArray[Any]) -> Any:
    """Arrays as they are, single numbers as plain ones."""
    return array if array.ndim else array.item()
