"""Settings that descriptors share: elements; for local ones also cutoff and width of the cutoff function."""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rhopot.potentials.descriptors.elements import checked_symbols


class DescriptorSettings(BaseModel):
    """Settings of a descriptor; immutable and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    symbols: tuple[str, ...] = ()
    """Chemical symbols in the order of the species index; empty: those of the training data."""

    @model_validator(mode="after")
    def _known_elements(self) -> Self:
        checked_symbols(self.symbols)
        return self

    def with_symbols(self, symbols: Sequence[str]) -> Self:
        """Return the same settings for `symbols`."""
        return type(self).model_validate({**self.model_dump(), "symbols": tuple(symbols)})

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        raise NotImplementedError(f"{type(self).__name__} must define describe, got none; say what its settings mean")


class LocalDescriptorSettings(DescriptorSettings):
    """Settings of a descriptor of atomic environments."""

    cutoff: float = Field(6.0, gt=0, le=20)
    """Radius of an atomic environment. [A]"""
    cutoff_width: float | None = Field(None, gt=0)
    """Length before the cutoff over which neighbors are switched off smoothly; null: the whole cutoff. [A]"""

    @model_validator(mode="after")
    def _width_fits(self) -> Self:
        if self.cutoff_width is not None and self.cutoff_width > self.cutoff:
            raise ValueError(
                f"cutoff_width must be at most the cutoff ({self.cutoff:g} A), got {self.cutoff_width:g}; "
                "make it shorter"
            )
        return self
