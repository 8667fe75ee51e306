"""What the commands print with: console, tables, and progress bars for fits; silent on MPI ranks but the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rhopot.potentials.fitting.progress import Forecast


def make_console(quiet: bool = False) -> Console:
    """Console on stdout; bars and colours appear only on a terminal, other outputs are as wide as their tables.

    Text is printed as it is: names of files and config_types may hold brackets, which rich would take for markup.
    """
    console = Console(quiet=quiet, highlight=False, soft_wrap=True, markup=False)
    if console.is_terminal:
        return console
    return Console(quiet=quiet, highlight=False, soft_wrap=True, markup=False, width=220)


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str | Text]], words: bool = False) -> Table:
    """Plain table: first column left, the others right (numbers) or, with `words`, left."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for k, column in enumerate(columns):
        made.add_column(column, justify="left" if k == 0 or words else "right", no_wrap=not words)
    for row in rows:
        made.add_row(*row)
    return made


def to_error(value: float, error: float | None) -> str:
    """A number with the decimals of the two leading digits of its error, but with no more than six digits."""
    if error is None or not (math.isfinite(value) and math.isfinite(error) and error > 0.0):
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(float(f"{error:.1e}"))))
    digits = decimals + math.floor(math.log10(max(abs(value), error))) + 1
    return f"{value:.{decimals}f}" if digits <= 6 and decimals <= 6 else f"{value:.6g}"


def rounded(value: Any) -> Any:
    """Plain values with six digits in every number."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def bar(console: Console, description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; the yielded function sets the number of finished steps."""
    with _bars(console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, completed=done)


class FitProgress:
    """Reports of a fit (see `rhopot.potentials.fitting.progress`) as lines and bars."""

    def __init__(self, console: Console, complete: Callable[[Forecast], Forecast] = lambda fit: fit) -> None:
        """complete: makes the forecast of the whole run from the fit's."""
        self.console = console
        self._complete = complete
        self.forecasts: list[str] = []
        self._progress = _bars(console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> FitProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def forecast(self, forecast: Forecast) -> None:
        """Say what the fit, and what comes with it, will cost before it starts."""
        text = str(self._complete(forecast))
        self.forecasts.append(text)
        self.console.print(f"forecast: {text}")

    def start(self, stage: str, total: int) -> None:
        """Open a bar."""
        self._tasks[stage] = self._progress.add_task(stage, total=total)

    def advance(self, stage: str, done: int) -> None:
        """Move a bar."""
        self._progress.update(self._tasks[stage], completed=done)

    def describe(self, stage: str, text: str) -> None:
        """Show how a stage stands beside its bar."""
        self._progress.update(self._tasks[stage], description=f"{stage}: {text}")

    def message(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text)
