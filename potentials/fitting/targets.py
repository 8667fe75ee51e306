"""Targets of a fit: sigmas per quantity and config_type, with the meaning they have in QUIP's gap_fit.

A sigma is the expected error of one number, so a row of the least-squares problem is divided by it:

    energy   total energy E:                  sigma_E * sqrt(N),  sigma_E in eV per atom
    forces   each component F_ic:             sigma_F,            in eV/A
    stress   each of the 6 components of V * stress (minus the virial):  sigma_V * sqrt(N),  sigma_V in eV per atom

A table for users of QUIP stands in examples/configs/README.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rhopot.potentials.structures import Frame, FrameSet
from rhopot.potentials.structures.frames import TARGETS


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"must be a positive number, got {value}")
    return value


def _not_vanishing(value: float) -> float:
    """The least sigma is far below any error and far above what squares to zero in double precision."""
    if value < LEAST_SIGMA:
        raise ValueError(f"must be {LEAST_SIGMA:g} or more, got {value:g}")
    return value


LEAST_SIGMA = 1e-15
Sigma = Annotated[float, Field(gt=0.0, allow_inf_nan=False), BeforeValidator(_no_truth), AfterValidator(_not_vanishing)]


class Target(BaseModel):
    """Expected error of one quantity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    sigma: Sigma
    """Expected error. [eV/atom, eV/A]"""
    required: bool = True
    """true: data without the quantity in any frame stop the run; false: it is fitted where it is present."""
    config_type: dict[str, Sigma | None] = Field(default_factory=dict)
    """Sigmas of config_types that differ, {config_type: sigma}; null leaves the quantity out there. [eV/atom, eV/A]"""

    def of(self, config_type: str) -> float | None:
        """Return the sigma for frames of `config_type`, None when the quantity is left out there."""
        return self.config_type.get(config_type, self.sigma)


def _as_target(value: Any) -> Any:
    """A target from its sigma alone; text is taken for a number, so that `inf` is refused as one."""
    return {"sigma": value} if isinstance(value, int | float | str) else value


OptionalTarget = Annotated[Target | None, BeforeValidator(_as_target)]


class Targets(BaseModel):
    """The fitted quantities; null leaves one out. A number stands for a target with that sigma."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    energy: OptionalTarget = Target(sigma=0.004)
    """Energies: sigma per atom in eV/atom, or a mapping with sigma, required, config_type; null: not fitted."""
    forces: OptionalTarget = Target(sigma=0.05)
    """Forces: sigma of a component in eV/A, or a mapping; null: not fitted."""
    stress: OptionalTarget = None
    """Stresses: sigma of volume x stress per atom in eV/atom, or a mapping; null: not fitted."""

    @model_validator(mode="after")
    def _one_at_least(self) -> Targets:
        if self.energy is None and self.forces is None and self.stress is None:
            raise ValueError("targets must ask for at least one of energy, forces and stress, got none; give a sigma")
        return self

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the quantities that the data must carry each; empty: any one of `fitted` will do."""
        return tuple(name for name in self.fitted if getattr(self, name).required)

    @property
    def fitted(self) -> tuple[str, ...]:
        """Names of the quantities that are fitted where the data carry them."""
        return tuple(name for name in ("energy", "forces", "stress") if getattr(self, name) is not None)

    def of(self, name: str, config_type: str) -> float | None:
        """Return the sigma of a quantity for frames of `config_type`, None where it is left out."""
        target: Target | None = getattr(self, name)
        return None if target is None else target.of(config_type)

    def kept(self, frames: FrameSet) -> FrameSet:
        """Return the frames without the labels that are left out, so that nothing can use them."""

        def fitted(frame: Frame) -> Frame:
            out: dict[str, Any] = {name: None for name in TARGETS if self.of(name, frame.config_type) is None}
            return replace(frame, **out) if any(frame.has(name) for name in out) else frame

        return replace(frames, frames=tuple(fitted(frame) for frame in frames))

    def sigmas(self, frame: Frame) -> dict[str, float]:
        """Return the sigma of each quantity that is asked for and present in the frame, scaled to one row's error."""
        root = float(len(frame.atoms)) ** 0.5
        present = {"energy": frame.energy, "forces": frame.forces, "stress": frame.stress}
        scale = {"energy": root, "forces": 1.0, "stress": root}
        found: dict[str, float] = {}
        for name, value in present.items():
            sigma = None if value is None else self.of(name, frame.config_type)
            if sigma is not None:
                found[name] = sigma * scale[name]
        return found
