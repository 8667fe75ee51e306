"""`python -m rhopot.export.cv_selfcheck FILE PROBES RESULTS`: evaluate collective variables in a separate process.

`save_cv` runs this before a file gets its final name.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rhopot.export.cv_file import load_cv
from rhopot.export.cv_probe import cv_results, read_probes, write_results


def main(arguments: list[str]) -> None:
    """Evaluate the file (first argument) on probes (second) and store the results (third)."""
    file, probes, results = (Path(argument) for argument in arguments)
    loaded = load_cv(file)
    write_results(cv_results(loaded.card, loaded.module, read_probes(probes)), results)


if __name__ == "__main__":
    main(sys.argv[1:])
