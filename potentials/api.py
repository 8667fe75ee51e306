"""What the commands do, from Python, with ASE Atoms in memory or files of structures.

    from rhopot.potentials import check, evaluate, features, train

    run = train(frames, family="soap_gap", output="run1", descriptor={"cutoff": 5.5}, targets={"stress": 0.05})
    run.errors["validation"]["forces_mae_mev_per_angstrom"]
    atoms.calc = run.calculator()

    evaluate("run1/model.pt", test_frames)["energy_mae_mev_per_atom"]
    features("run1/model.pt", frames)["features"]
    check("run1/model.pt").passed

Structures are `ase.Atoms` (a list, or anything that gives them one by one), a file, a folder, a pattern (`runs/*.xyz`),
or a list of these. Labels of Atoms stand where `ase.io.read` leaves them: in `info`, `arrays`, or the results of a
calculator. Units are eV, A, eV/A and eV/A^3. What cannot be used is a ValueError whose sentence says what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pydantic import ValidationError

from rhopot.export import LoadedModel, RhopotCalculator, load_model
from rhopot.potentials.config import ConfigError, RunConfig
from rhopot.potentials.config.document import Document, read_document
from rhopot.potentials.config.load import validate_document
from rhopot.potentials.console import make_console
from rhopot.potentials.fitting.communicator import find_communicator
from rhopot.potentials.fitting.metrics import error_table
from rhopot.potentials.runs.cautions import cautions
from rhopot.potentials.runs.evaluation import predict_frames, trained_keys
from rhopot.potentials.runs.features import compute_features, keys_for
from rhopot.potentials.runs.output_folder import IN_PYTHON
from rhopot.potentials.runs.stability import Stability, run_hot_dynamics, training_structures
from rhopot.potentials.runs.train import run_training
from rhopot.potentials.runs.training_set import load_training_set
from rhopot.potentials.structures import Keys, read_frames
from rhopot.potentials.verification.check import HOT_SECONDS, STEPS, CheckResult, check_model, structure_for

Structures = Iterable[Atoms] | str | Path | Sequence[str | Path]
Model = LoadedModel | RhopotCalculator | str | Path
WHAT = "a list of ase.Atoms, a path or a list of paths"
OPTION = 'keys={{"{}": "{}"}}'  # how messages write the key of a label


@dataclass(frozen=True)
class Training:
    """A finished training: its folder (`model.pt`, `report.md`, plots) and what the report says.

    report: contents of `report.json`
    """

    folder: Path
    report: Mapping[str, Any]

    def __repr__(self) -> str:
        """Folder, family and errors on the validation set in a line."""
        found = self.errors.get("validation", {})
        errors = [
            f"{name} {found[key]:.3g} {unit}"
            for name, key, unit in (
                ("energy", "energy_mae_mev_per_atom", "meV/atom"),
                ("forces", "forces_mae_mev_per_angstrom", "meV/A"),
                ("stress", "stress_mae_gpa", "GPa"),
            )
            if found.get(key) is not None
        ]
        words = f"; validation errors (MAE): {', '.join(errors)}" if errors else ""
        return f"<Training '{self.folder}': {self.report['family']}{words}>"

    @property
    def model_file(self) -> Path:
        """The model for ASE and LAMMPS."""
        return self.folder / "model.pt"

    @cached_property
    def model(self) -> LoadedModel:
        """The model, loaded on the processor."""
        return load_model(self.model_file)

    @property
    def errors(self) -> Mapping[str, Any]:
        """Error tables of the sets `train` and `validation`, as those of `evaluate`."""
        found: Mapping[str, Any] = self.report["errors"]
        return found

    @property
    def cautions(self) -> list[tuple[str, str]]:
        """Title and text of what must be known before the model is used."""
        return cautions(self.report)

    def calculator(self, **options: Any) -> RhopotCalculator:
        """An ASE calculator of the model; `options` are those of `RhopotCalculator`."""
        return RhopotCalculator(self.model_file, **options)


@dataclass(frozen=True)
class ModelCheck:
    """Comparisons of ASE, LAMMPS and finite differences, and hot dynamics of training structures."""

    comparisons: tuple[CheckResult, ...]
    dynamics: tuple[Stability, ...]

    @property
    def failed(self) -> list[str]:
        """Comparisons outside their limit, and runs in which the model ran away, in words."""
        compared = [f"{one.name}: {one.value:.2e} {one.unit}" for one in self.comparisons if not one.passed]
        return compared + [run.sentence() for run in self.dynamics if not run.passed]

    @property
    def passed(self) -> bool:
        """True where nothing failed."""
        return not self.failed


def train(
    structures: Structures,
    family: str | None = None,
    *,
    output: str | Path,
    validation: Structures | None = None,
    config: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> Training:
    """Fit a potential to labelled structures and fill the folder `output`, as `rhopot train` does.

    family: one of `rhopot config`; may stand in `config` instead
    validation: structures for the validation set; a part of `structures` is split off where none are given
    config: YAML configuration whose settings are the defaults of these
    resume, overwrite: continue a training that was stopped; replace what stands in the folder
    quiet: print nothing
    settings: sections and keys of the configuration: `descriptor={"cutoff": 5.0}`, `seed=1`, `uncertainty={...}`

    Raises:
        ValueError: settings or structures that cannot be used, or a folder that may not be touched.
        IncompleteResults: the model is saved, and something beside it could not be made.
    """
    given: dict[str, Any] = {"output": str(output), **({} if family is None else {"family": family})}
    listed = _listed(structures, "structures")
    held_out = None if validation is None else _listed(validation, "validation")
    from_files = not _in_memory(listed)
    if from_files:
        given["data"] = {"train": _as_words(listed)}
    run = _configured(config, settings, given)
    memory = None if from_files else listed
    communicator = find_communicator()
    console = make_console(quiet=quiet or communicator.rank > 0)
    run_training(
        run,
        lambda settings: load_training_set(settings, memory, held_out),
        communicator,
        console,
        resume=resume,
        overwrite=overwrite,
        words=IN_PYTHON,
    )
    communicator.broadcast(None)  # the first rank has written the report
    report = json.loads((run.output / "report.json").read_text(encoding="utf-8"))
    return Training(run.output, report)


def evaluate(
    model: Model | Training,
    structures: Structures,
    *,
    keys: Mapping[str, str | Sequence[str]] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Errors of a model on labelled structures, as `rhopot evaluate --json` gives them; also per config_type.

    Errors of energies in meV/atom, of forces in meV/A, of stresses in GPa; for models with an uncertainty its root mean
    square and the fractions of errors within one and two standard deviations.

    keys: names of labels, {"energy": "dft_energy"}; those that the model was trained on where none are given
    """
    loaded = _loaded(model, device)
    listed = _listed(structures, "structures")
    frames = read_frames(listed, _keys(keys), preferred=trained_keys(loaded.card), option=OPTION)
    if not any(frames.count(target) for target in ("energy", "forces", "stress")):
        frames.require(("energy",), OPTION)
    return error_table(frames, predict_frames(loaded, frames, uncertainty=True))


def features(source: Model | Training | str | Path, structures: Structures, **settings: Any) -> dict[str, NDArray[Any]]:
    """Descriptor of every atom, or for global models of every structure (arrays: see `runs.features`).

    source: a model, a YAML configuration, or the name of a family with `settings`: `descriptor={"cutoff": 5.0}`
    """
    described: Any = source.model_file if isinstance(source, Training) else source
    described = described.model if isinstance(described, RhopotCalculator) else described
    if isinstance(described, LoadedModel):
        described = described.card
    elif isinstance(described, str) and not Path(described).suffix:
        described = _configured(None, settings, {"family": described})
    elif settings:
        raise ValueError(
            f"settings must go with the name of a family, got {', '.join(settings)} with '{described}'; leave them out"
        )
    frames = read_frames(_listed(structures, "structures"), keys_for(described))
    return compute_features(described, frames)[1]


def check(
    model: str | Path | Training,
    structure: Atoms | None = None,
    *,
    ranks: Sequence[int] = (1, 2, 4),
    steps: int | None = None,
    temperature: float = 600.0,
    hot_ps: float = 2.0,
    lmp: Sequence[str] | None = None,
    device: str = "auto",
) -> ModelCheck:
    """Hold ASE, LAMMPS and finite differences against each other, then run hot dynamics, as `rhopot check` does.

    structure: what is compared and run; else a crystal (of molecules, a training structure), and training structures
        that the model file carries
    ranks: numbers of MPI ranks of LAMMPS; steps: time steps on each; temperature: of all dynamics (K)
    hot_ps: length of the hot dynamics of each structure, 0 for none
    lmp: command that starts LAMMPS; device: of LAMMPS (auto, cpu, cuda)
    """
    file = model.model_file if isinstance(model, Training) else Path(model)
    calculator = RhopotCalculator(file)
    card = calculator.model.card
    if not ranks or min(ranks) < 1:
        raise ValueError(f"ranks must be numbers such as (1, 2, 4), got {ranks}")
    atoms = structure_for(card, structure)
    comparisons = check_model(
        file,
        atoms,
        calculator,
        symbols=card.symbols,
        dtype=card.dtype,
        ranks=ranks,
        steps=STEPS[card.kind] if steps is None else steps,
        temperature=temperature,
        lmp=lmp,
        device=device,
    )
    runs: list[Stability] = []
    if hot_ps > 0:
        starts = training_structures(card) if structure is None else [atoms]
        limits = {"temperature": temperature, "picoseconds": hot_ps, "seconds": HOT_SECONDS}
        runs = run_hot_dynamics(starts, calculator, card, **limits)
    return ModelCheck(tuple(comparisons), tuple(runs))


def _listed(structures: Any, name: str) -> Any:
    """A path, or a list of structures or paths, whatever gives them one by one.

    Raises ValueError for what is neither, and where there is none.
    """
    if isinstance(structures, str | Path) and str(structures):
        return structures
    if isinstance(structures, Atoms):
        return [structures]
    if isinstance(structures, str | Mapping) or not isinstance(structures, Iterable):
        raise ValueError(f"{name} must be {WHAT}, got {structures!r:.40}; read them with ase.io.read(file, ':')")
    listed = list(structures)
    if not listed:
        raise ValueError(f"{name} must hold at least one structure, got none; check where they come from")
    for k, one in enumerate(listed):
        if not isinstance(one, Atoms | str | Path):
            remedy = "join the lists into one" if isinstance(one, list | tuple) else "remove it"
            raise ValueError(f"{name} must be {WHAT}, got {type(one).__name__} at {k}; {remedy}")
    return listed


def _in_memory(structures: Any) -> bool:
    """Whether the structures come from no file."""
    return not isinstance(structures, str | Path) and any(isinstance(one, Atoms) for one in structures)


def _as_words(structures: Any) -> list[str]:
    """Files as a configuration names them."""
    return [str(structures)] if isinstance(structures, str | Path) else [str(one) for one in structures]


def _configured(config: str | Path | None, settings: Mapping[str, Any], given: Mapping[str, Any]) -> RunConfig:
    """The configuration of a file with other settings on top. Raises ConfigError, a ValueError, for wrong ones."""
    document = Document("settings") if config is None else read_document(config)
    for values in (settings, given):
        document.values = _merged(document.values, _plain(values))
    return validate_document(document)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings, the second one's values in place of the first one's."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _plain(value: Any) -> Any:
    """Values as YAML has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _loaded(model: Model | Training, device: str) -> LoadedModel:
    if isinstance(model, LoadedModel | RhopotCalculator):
        return model if isinstance(model, LoadedModel) else model.model
    return load_model(model.model_file if isinstance(model, Training) else model, device)


def _keys(keys: Mapping[str, Any] | None) -> Keys:
    """Names of labels. Raises ValueError for a target that there is not, or a name that is none."""
    try:
        return Keys.model_validate(dict(keys or {}))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        known = ", ".join(Keys.model_fields)
        raise ConfigError(f"keys must name labels of {known} by text, got {place}: {fault['input']!r}") from error
