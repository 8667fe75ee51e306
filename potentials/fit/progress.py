"""How a fit reports on itself: stages with counts, one forecast, short messages. The caller decides how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Forecast:
    """Expected cost of a fit on this rank, measured on one frame before the work starts.

    columns: number of coefficients;  rows: equations of this rank;  seconds: wall time;
    peak_bytes: memory on top of what the process holds already.
    """

    columns: int
    rows: int
    seconds: float
    peak_bytes: float

    def __str__(self) -> str:
        return (
            f"about {self.seconds:.0f} s and {self.peak_bytes / 2**20:.0f} MiB "
            f"for {self.columns} coefficients from {self.rows} equations"
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


class Silent:
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
