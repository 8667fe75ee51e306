"""Sections of a run configuration, one frozen model per section.

Lengths in A, energies in eV, forces in eV/A, stresses in eV/A^3. Sections that belong to one family (`descriptor`,
`regressor`) are kept as mappings here and validated against the family's own hyperparameter models by `load_config`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


class Section(BaseModel):
    """A part of the configuration: immutable, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


Files = Annotated[tuple[Path, ...], BeforeValidator(_as_list)]


class Split(Section):
    """How a validation part is taken out of the training file when none is given.

    by="group": all frames that share the value of `key` stay on one side (a relaxation path is one group);
    by="fraction": frames are drawn one by one.
    """

    by: Literal["fraction", "group"] = "fraction"
    key: str | None = None
    fraction: Fraction = 0.1

    @model_validator(mode="after")
    def _group_has_key(self) -> Split:
        if self.by == "group" and self.key is None:
            raise ValueError(
                "must have `key`, the name of the frames' info entry that tells groups apart, when by = group"
            )
        return self


class Keys(Section):
    """Names of the entries that hold the targets in the extended-XYZ files; None looks for the usual names."""

    energy: str | None = None
    forces: str | None = None
    stress: str | None = None


class Data(Section):
    """Files and their split. `train` and `validation` are one path or a list of paths."""

    train: Files = ()
    validation: Files = ()
    split: Split = Split()
    keys: Keys = Keys()


class Target(Section):
    """Expected error of one quantity: smaller means a larger weight in the fit.

    sigma in eV per atom (energy), eV/A (forces) or eV/A^3 (stress); `config_type` overrides it for frames of that type.
    """

    sigma: PositiveFloat
    config_type: dict[str, PositiveFloat] = Field(default_factory=dict)


def _as_target(value: Any) -> Any:
    return {"sigma": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


TargetOrNone = Annotated[Target | None, BeforeValidator(_as_target)]


class Targets(Section):
    """Which quantities are fitted; null leaves one out."""

    energy: TargetOrNone = Target(sigma=0.002)
    forces: TargetOrNone = Target(sigma=0.1)
    stress: TargetOrNone = None

    @model_validator(mode="after")
    def _one_at_least(self) -> Targets:
        if self.energy is None and self.forces is None and self.stress is None:
            raise ValueError("must ask for at least one of energy, forces and stress, got none")
        return self


class Baseline(Section):
    """What is subtracted before the fit and added by the model.

    elements: `least_squares` | `isolated` (from one-atom frames) | a mapping of symbol to energy in eV.
    pair: null, or a mapping with `kind` (zbl, tabulated) and that baseline's own settings.
    """

    elements: Literal["least_squares", "isolated"] | dict[str, float] = "least_squares"
    pair: dict[str, Any] | None = None


class Uncertainty(Section):
    """Number of member columns (draws from the posterior) stored in the model; 0 stores none."""

    members: int = Field(default=16, ge=0, le=256)


class RunConfig(Section):
    """A whole run; `descriptor` and `regressor` hold the family's own settings, complete after loading."""

    family: str
    output: Path = Path("run")
    seed: int = Field(default=0, ge=0)
    dtype: Literal["float64", "float32"] = "float64"
    data: Data = Data()
    descriptor: dict[str, Any] = Field(default_factory=dict)
    regressor: dict[str, Any] = Field(default_factory=dict)
    targets: Targets = Targets()
    baseline: Baseline = Baseline()
    uncertainty: Uncertainty = Uncertainty()
