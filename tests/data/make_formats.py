"""Write a model of every family in the present file format, and what it must go on giving, into this folder.

    PYTHONPATH=tests python tests/data/make_formats.py

Run it once when a format is new; files of past formats are kept, never written again. The numbers in `format_N.json`
come from the plain PyTorch operators, in memory, so they owe nothing to the files or to the compiled operators.
"""

from __future__ import annotations

import json
from pathlib import Path

import many_body_toy as toy
import small_models

from rhopot.export import FORMAT_VERSION, evaluate, save_model

FOLDER = Path(__file__).parent
MODELS = {"linear": small_models.linear, "gap": small_models.gap}


def main() -> None:
    """Write `format_N_FAMILY.pt` and `format_N.json`."""
    structures = [toy.skewed(), toy.cluster()]
    record: dict[str, object] = {
        "structures": [
            {
                "symbols": atoms.get_chemical_symbols(),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.array.tolist(),
                "pbc": atoms.pbc.tolist(),
            }
            for atoms in structures
        ]
    }
    for name, make in MODELS.items():
        model = make()
        save_model(model.module, model.card, FOLDER / f"format_{FORMAT_VERSION}_{name}.pt", structures)
        results = evaluate(make(reference=True), structures, members=True)
        record[name] = [
            {key: getattr(result, key).tolist() for key in ("energies", "forces", "virial", "members")}
            for result in results
        ]
    (FOLDER / f"format_{FORMAT_VERSION}.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
