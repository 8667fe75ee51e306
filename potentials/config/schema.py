"""Sections of a run configuration, one frozen model per section.

Lengths in A, energies in eV, forces in eV/A, stresses in eV/A^3. Sections that belong to one family (`descriptor`,
`regressor`, `training`) are validated by the family's own models in `load_config`, which also fills in the defaults
that are a family's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import chemical_symbols
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PositiveInt,
    SerializeAsAny,
    field_validator,
    model_validator,
)

from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
from rhopot.potentials.families import FamilySettings
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.pair import PairSettings
from rhopot.potentials.structures import Keys

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


class Section(BaseModel):
    """A part of the configuration: immutable, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _as_list(value: Any) -> Any:
    return [] if value is None else [str(value)] if isinstance(value, str | Path) else value


def _at_home(value: Any) -> Any:
    """A folder, with `~` written out."""
    if not isinstance(value, str | Path):
        raise ValueError(f"must be the path of a folder, got {value!r}; write it as text, my_run for instance")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"must name an existing home folder by ~, got {str(value)!r}; write the path out") from error


Files = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class SplitSettings(Section):
    """How a validation part is taken out of the training file when none is given.

    Networks are never refitted: their validation set decides when training stops.
    """

    by: Literal["fraction", "group"] = "fraction"
    """fraction: frames are drawn one by one; group: frames with the same value of `key` stay on one side."""
    key: str | None = None
    """Entry of the frames that names their group, for instance path or trajectory."""
    fraction: Fraction = 0.1
    """Fraction of the frames for validation (of whole groups, if any); at least 3, or half if fewer than 6. [1]"""
    refit: bool = True
    """Fit the saved model to the validation set too, once its errors on it are known."""

    @model_validator(mode="after")
    def _group_has_key(self) -> SplitSettings:
        if self.by == "group" and self.key is None:
            raise ValueError(
                "must have `key`, the name of the frames' info entry that tells groups apart, when by = group"
            )
        return self


class DataSettings(Section):
    """Files and their split; each is a path, a folder, a pattern (`runs/*.xyz`) or a list of these."""

    train: Files = ()
    """Training data: file, folder, pattern, or a list of these."""
    validation: Files = ()
    """Validation data; empty: split off from the training data."""
    split: SplitSettings = SplitSettings()
    keys: Keys = Keys()


class BaselineSettings(Section):
    """Energies that are subtracted before the fit and added by the model."""

    elements: Literal["least_squares", "isolated"] | dict[str, float] = "least_squares"
    """Energy per element: least_squares, isolated (from one-atom frames), or {symbol: energy}. [eV]"""
    pair: PairSettings | None = None
    """Pair potential: a mapping with kind (zbl, tabulated, two_body) and its settings; null: none."""

    @field_validator("elements", mode="before")
    @classmethod
    def _energies(cls, elements: Any) -> Any:
        """One sentence for what would be refused as either, a word and a mapping."""
        rule = "must be least_squares, isolated or {symbol: energy in eV}"
        if not isinstance(elements, Mapping):
            if elements not in ("least_squares", "isolated"):
                raise ValueError(f"{rule}, got {elements!r}")
            return elements
        for symbol, energy in elements.items():
            if symbol not in chemical_symbols[1:]:
                raise ValueError(f"{rule}, got {symbol!r}, which is no chemical symbol")
            if isinstance(energy, bool) or not isinstance(energy, int | float):
                raise ValueError(f"{rule}, got {energy!r} for {symbol}")
        return elements


class UncertaintySettings(Section):
    """The ensemble that the model carries."""

    members: int = Field(default=16, ge=0, le=256)
    """Ensemble members in the model file (posterior samples, networks or sparse models); 0: no uncertainty."""
    extrapolation: bool = True
    """Let the model grade how far the environment of an atom lies outside the training data (local models)."""

    @field_validator("members")
    @classmethod
    def _differ(cls, members: int) -> int:
        if members == 1:
            raise ValueError("must be 0 (no uncertainty) or at least 2, got 1; 16 is customary, 4 for networks")
        return members


class HotDynamicsSettings(Section):
    """Short dynamics of training structures that shows whether the model is stable (see `runs.stability`)."""

    temperature: float = Field(default=600.0, gt=0.0)
    """Temperature of the dynamics. [K]"""
    picoseconds: float = Field(default=1.0, gt=0.0)
    """Length of each run. [ps]"""
    seconds: float = Field(default=5.0, gt=0.0)
    """Processor time after which a run ends early. [s]"""


class ReportSettings(Section):
    """What the report contains."""

    learning_curve: tuple[Fraction, ...] = (0.25, 0.5)
    """Fractions of the training data, fitted for a learning curve (least squares: nearest folds); empty: none. [1]"""
    train_frames: PositiveInt | None = None
    """Training frames, evenly chosen, on which training errors are evaluated; null: all."""
    stability: HotDynamicsSettings | None = HotDynamicsSettings()
    """Hot dynamics of training structures with the saved model; null: none."""


class NoSettings(Section):
    """A section without keys, of families that have no use for it."""


class RunConfig(Section):
    """A whole run; `descriptor`, `regressor` and `training` are settings of the family's own, complete after loading.

    They are instances of the family's models (`Family.descriptor_settings` and its like) and are used as they are.
    """

    family: str
    """Name of the family."""
    output: Annotated[Path, BeforeValidator(_at_home)] = Path("run")
    """Folder of the results."""
    append: Annotated[Path, BeforeValidator(_at_home)] | None = None
    """Output folder of a finished training whose equations are used again: data.train are the new frames."""
    seed: int = Field(default=0, ge=0)
    """Seed of all random numbers."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision of the saved model."""
    data: DataSettings = DataSettings()
    descriptor: SerializeAsAny[InstanceOf[DescriptorSettings]] = DescriptorSettings()
    regressor: SerializeAsAny[InstanceOf[BaseModel]] = NoSettings()
    training: SerializeAsAny[InstanceOf[BaseModel]] = NoSettings()
    targets: Targets = Targets()
    baseline: BaselineSettings = BaselineSettings()
    uncertainty: UncertaintySettings = UncertaintySettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _two_folders(self) -> RunConfig:
        if self.append is not None and self.append.resolve() == self.output.resolve():
            raise ValueError(f"output must be another folder than append, got '{self.output}' for both; name a new one")
        return self

    @property
    def family_settings(self) -> FamilySettings:
        """The three sections that the family's fit takes."""
        return FamilySettings(self.descriptor, self.regressor, self.training)
