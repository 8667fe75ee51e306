"""The folder of a search: what is searched, and a file for each finished trial.

    search.json           settings of the starting configuration, data, folds: what the trials belong to
    trials/<digest>.json  one trial; written at once or not at all, so that a stopped search loses the unfinished one
    tune.json, front.png, config.yaml   results, written anew by each run

The digest is that of the trial's settings, the data and the number of folds: other grids, budgets and numbers of trials
find the trials that were made before.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rhopot.export.card_file import installed_version
from rhopot.potentials.config import RunConfig
from rhopot.potentials.files import finite, remove_partials, write_json
from rhopot.potentials.runs.folder_lock import NAME as LOCK
from rhopot.potentials.runs.output_folder import differing, read_json
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.tuning.cost import Cost
from rhopot.potentials.tuning.pareto import Outcome

SEARCH = "search.json"
RESULTS = ("tune.json", "front.png", "config.yaml")
FORCES, ENERGY = "forces_mae_mev_per_angstrom", "energy_mae_mev_per_atom"
# Sections of a configuration that no error and no cost depends on.
WITHOUT_EFFECT = ("output", "report")


@dataclass(frozen=True)
class Trial:
    """One configuration with its cross-validation errors and cost.

    changes: keys and values that differ from the starting configuration; errors: of all held-out frames
    (`fitting.metrics.error_table`), folds: of each fold; seconds: wall time; fault: why it failed, else empty
    """

    digest: str
    changes: dict[str, Any]
    errors: dict[str, Any]
    folds: list[dict[str, Any]]
    cost: Cost | None
    seconds: float
    processor: str
    fault: str = ""

    def outcome(self, objective: str) -> Outcome:
        """Error and cost, in units of the reference, that the search goes by."""
        error = self.errors.get(objective)
        if self.cost is None or error is None:
            return Outcome(float("inf"), float("inf"))
        return Outcome(self.cost.ratio, float(error))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they are written to a file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Trial:
        """The trial that `as_dict` described."""
        cost = values["cost"]
        if cost is not None:
            cost = Cost(**{**cost, "quartiles": tuple(cost["quartiles"])})
        return cls(**{**values, "cost": cost})


@dataclass(frozen=True)
class TrialFolder:
    """Finished trials of one data set and number of folds."""

    folder: Path
    data: str
    n_folds: int

    def digest(self, config: RunConfig) -> str:
        """Name of the trial of a configuration."""
        text = json.dumps([_settings(config), self.data, self.n_folds], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def read(self, digest: str) -> Trial | None:
        """A finished trial, None where there is none."""
        file = self._file(digest)
        return Trial.from_dict(read_json(file)) if file.exists() else None

    def write(self, trial: Trial) -> None:
        """Keep a trial."""
        write_json(self._file(trial.digest), finite(trial.as_dict()), indent=1)

    def _file(self, digest: str) -> Path:
        return self.folder / "trials" / f"{digest}.json"


def open_search(
    folder: Path,
    base: RunConfig,
    frames: FrameSet,
    n_folds: int,
    overwrite: bool,
) -> TrialFolder:
    """Return the trials of a folder, which is new, or of the same search, or is emptied by `overwrite`.

    Raises:
        ValueError: the folder holds another search, or something else.
    """
    state = {
        "settings": _settings(base),
        "data": frames.digest(),
        "folds": n_folds,
        "version of rhopot": installed_version(),
    }
    remove_partials(folder)
    inside = sorted(path.name for path in folder.iterdir() if path.name != LOCK)
    if inside and SEARCH not in inside:
        raise ValueError(
            f"--output must be a new folder or one of an earlier search, got '{folder}' with {inside[0]}; name another"
        )
    if overwrite:
        shutil.rmtree(folder / "trials", ignore_errors=True)
        for name in (SEARCH, *RESULTS):
            (folder / name).unlink(missing_ok=True)
        inside = []
    if inside:
        changed = differing(read_json(folder / SEARCH), state)
        if changed:
            raise ValueError(
                f"a search must go on with the data and settings that it began with, got other {', '.join(changed)} "
                f"for '{folder}'; restore them, name another --output, or start again with --overwrite"
            )
    (folder / "trials").mkdir(exist_ok=True)
    remove_partials(folder / "trials")
    write_json(folder / SEARCH, state, indent=1)
    return TrialFolder(folder, frames.digest(), n_folds)


def _settings(config: RunConfig) -> dict[str, Any]:
    """What errors and costs depend on, without the names of files: the same frames may have another path."""
    settings = {key: value for key, value in config.model_dump(mode="json").items() if key not in WITHOUT_EFFECT}
    settings["data"] = {key: value for key, value in settings["data"].items() if key not in ("train", "validation")}
    return settings
