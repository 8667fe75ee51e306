"""Sections of a run configuration, one frozen model per section.

Lengths in A, energies in eV, forces in eV/A, stresses in eV/A^3. Sections that belong to one family (`descriptor`,
`regressor`, `training`) are kept as mappings here and validated against the family's own hyperparameter models by
`load_config`, which also fills in the defaults that are a family's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, field_validator, model_validator

from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.pair import PairSettings
from rhopot.potentials.structures import Keys

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


class Section(BaseModel):
    """A part of the configuration: immutable, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_list(value: Any) -> Any:
    return [] if value is None else [str(value)] if isinstance(value, str | Path) else value


def _at_home(value: Any) -> Any:
    """A folder, with `~` written out."""
    if not isinstance(value, str | Path):
        raise ValueError(f"must be the path of a folder, got {value!r}; write output=my_run")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"must name an existing home folder by ~, got {str(value)!r}; write the path out") from error


Files = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class SplitSettings(Section):
    """How a validation part is taken out of the training file when none is given.

    by="group": all frames that share the value of `key` stay on one side (a relaxation path is one group);
    by="fraction": frames are drawn one by one.
    refit: once the errors on that part are known, the model that is saved is fitted to it as well (never one that is
    trained, for that part says when to stop).
    """

    by: Literal["fraction", "group"] = "fraction"
    key: str | None = None
    fraction: Fraction = 0.1
    refit: bool = True

    @model_validator(mode="after")
    def _group_has_key(self) -> SplitSettings:
        if self.by == "group" and self.key is None:
            raise ValueError(
                "must have `key`, the name of the frames' info entry that tells groups apart, when by = group"
            )
        return self


class DataSettings(Section):
    """Files and their split. each is a path, a folder, a pattern (`runs/*.xyz`) or a list of these."""

    train: Files = ()
    validation: Files = ()
    split: SplitSettings = SplitSettings()
    keys: Keys = Keys()


class BaselineSettings(Section):
    """What is subtracted before the fit and added by the model.

    elements: `least_squares` | `isolated` (from one-atom frames) | a mapping of symbol to energy in eV.
    pair: null, or a mapping with `kind` (zbl, tabulated, two_body) and that baseline's own settings.
    """

    elements: Literal["least_squares", "isolated"] | dict[str, float] = "least_squares"
    pair: PairSettings | None = None


class UncertaintySettings(Section):
    """Number of member columns stored in the model (draws from the posterior, or networks); 0 stores none."""

    members: int = Field(default=16, ge=0, le=256)

    @field_validator("members")
    @classmethod
    def _differ(cls, members: int) -> int:
        if members == 1:
            raise ValueError("must be 0 (no uncertainty) or at least 2, got 1; 16 is customary, 4 for networks")
        return members


class HotDynamicsSettings(Section):
    """Short dynamics of training structures that shows whether the model runs away (see `runs.stability`).

    temperature in K; picoseconds of each run; seconds: most processor time of each run, which ends it early.
    """

    temperature: float = Field(default=600.0, gt=0.0)
    picoseconds: float = Field(default=1.0, gt=0.0)
    seconds: float = Field(default=5.0, gt=0.0)


class ReportSettings(Section):
    """What is shown after the fit.

    learning_curve: fractions of the training data that are fitted as well, for the learning curve; empty for none.
    train_frames: training frames, evenly chosen, that the errors of the training part are measured on; null for all.
    stability: hot dynamics of training structures with the saved model; null for none.
    """

    learning_curve: tuple[Fraction, ...] = (0.25, 0.5)
    train_frames: PositiveInt | None = None
    stability: HotDynamicsSettings | None = HotDynamicsSettings()


class RunConfig(Section):
    """A whole run; `descriptor`, `regressor` and `training` hold the family's own settings, complete after loading."""

    family: str
    output: Annotated[Path, BeforeValidator(_at_home)] = Path("run")
    seed: int = Field(default=0, ge=0)
    dtype: Literal["float64", "float32"] = "float64"
    data: DataSettings = DataSettings()
    descriptor: dict[str, Any] = Field(default_factory=dict)
    regressor: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    targets: Targets = Targets()
    baseline: BaselineSettings = BaselineSettings()
    uncertainty: UncertaintySettings = UncertaintySettings()
    report: ReportSettings = ReportSettings()
