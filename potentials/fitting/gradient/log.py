"""One row of numbers per epoch: a CSV file and, where asked for, a TensorBoard log.

The CSV is appended to epoch by epoch, each row in one write, and rewritten atomically when a training resumes from a
checkpoint that is older than the last rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rhopot.potentials.files import naming, write_checkpoint
from rhopot.potentials.fitting.metrics import ENERGY, FORCES, error_names

Row = dict[str, float]

CSV_NAME = "epochs.csv"
ERRORS = (*error_names(ENERGY), *error_names(FORCES))
COLUMNS = (
    "epoch",
    "seconds",
    "learning_rate",
    "train_loss",
    *(f"train_{name}" for name in ERRORS),
    "validation_loss",
    *(f"validation_{name}" for name in ERRORS),
    "members_taken_back",
    "members_learning",
)


class Log:
    """Writes rows into `folder` (None: nowhere).

    Args:
        tensorboard: write an event file too.

    Raises:
        ValueError: TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path | None, tensorboard: bool = False) -> None:
        self._path = None if folder is None else folder / CSV_NAME
        self._writer = _summary_writer(folder / "tensorboard") if tensorboard and folder is not None else None

    def restart(self, rows: Sequence[Row]) -> None:
        """Make the file hold the header and these rows."""
        if self._path is None:
            return
        text = ",".join(COLUMNS) + "\n" + "".join(_line(row) for row in rows)
        write_checkpoint(self._path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def append(self, row: Row) -> None:
        """Add one row."""
        if self._path is not None:
            with naming(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(_line(row))
        if self._writer is not None:
            for name in COLUMNS[1:]:
                if name in row:
                    self._writer.add_scalar(name.replace("_", "/", 1), row[name], int(row["epoch"]))

    def close(self) -> None:
        """Finish the TensorBoard log."""
        if self._writer is not None:
            self._writer.close()


def _line(row: Row) -> str:
    """Return a row of the file; what was not measured stays empty."""
    return ",".join(f"{row[name]:.8g}" if name in row else "" for name in COLUMNS) + "\n"


def _summary_writer(folder: Path):  # type: ignore[no-untyped-def]  # its type is not there when the package is not
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            "training.tensorboard must be false unless tensorboard is installed, got true; "
            "run `pip install tensorboard` or read epochs.csv"
        ) from error
    return SummaryWriter(str(folder))
