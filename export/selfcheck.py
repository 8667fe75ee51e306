"""`python -m rhopot.export.selfcheck MODEL STRUCTURES RESULTS`: evaluate a model file in a separate process.

`save_model` runs this before a file gets its final name: only a process that never saw the Python module shows
whether the file can stand alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rhopot.export.evaluate import evaluate
from rhopot.export.load import load_model
from rhopot.export.probe import read_structures, write_results


def main(arguments: list[str]) -> None:
    """Evaluate the model (first argument) on structures (second) and store the results (third)."""
    model, structures, results = (Path(argument) for argument in arguments)
    loaded = load_model(model)
    members = loaded.card.uncertainty.members > 0
    # Two shares, as on two ranks: that parts add up to the whole is checked with the file.
    found = evaluate(loaded, read_structures(structures), members=members, grades=True, n_shares=2)
    write_results(found, results)


if __name__ == "__main__":
    main(sys.argv[1:])
