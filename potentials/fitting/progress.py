"""How a fit reports on itself: stages with counts, one forecast, short messages. The caller decides how it looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Forecast:
    """Expected cost of a fit on this rank, measured on one frame before the work starts.

    columns: number of coefficients;  rows: equations of this rank
    stages: wall time in s of what is in the forecast, by name;  without: what is not in it, in words
    peak_bytes: memory on top of what the process holds already
    seconds_per_atom: time of an energy with forces of the fitted model
    """

    columns: int
    rows: int
    stages: Mapping[str, float]
    peak_bytes: float
    seconds_per_atom: float = 0.0
    without: str = ""

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(self.stages.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.stages.items() if seconds >= 0.5)
        return (
            f"about {self.seconds:.0f} s{f' ({parts})' if parts else ''} and {self.peak_bytes / 2**20:.0f} MiB "
            f"for {self.columns} coefficients from {self.rows} equations"
            + (f"; {self.without} not in it" if self.without else "")
        )


class Progress(Protocol):
    """Receiver of a fit's reports; every method may be called on rank 0 only."""

    def forecast(self, forecast: Forecast) -> None:
        """Expected memory and time, before the assembly starts."""

    def start(self, stage: str, total: int) -> None:
        """A stage of `total` steps begins."""

    def advance(self, stage: str, done: int) -> None:
        """`done` steps of the stage are complete."""

    def describe(self, stage: str, text: str) -> None:
        """How the stage stands, in a few words that replace those before."""

    def message(self, text: str) -> None:
        """One line worth knowing."""


class SilentProgress:
    """The receiver that drops every report."""

    def forecast(self, forecast: Forecast) -> None:
        """Drop the forecast."""

    def start(self, stage: str, total: int) -> None:
        """Drop the start."""

    def advance(self, stage: str, done: int) -> None:
        """Drop the step."""

    def describe(self, stage: str, text: str) -> None:
        """Drop the words."""

    def message(self, text: str) -> None:
        """Drop the line."""
