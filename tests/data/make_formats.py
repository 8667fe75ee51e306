"""Write models of every kind in the present file format, and what they must go on giving, into this folder.

    PYTHONPATH=tests python tests/data/make_formats.py

Run it when a format or a model in it is new; what stands in the folder is kept, never written again. The numbers in
`format_N.json` come from plain PyTorch, in memory, so they owe nothing to the files or to the compiled operators.
"""

from __future__ import annotations

import json
from pathlib import Path

import many_body_toy as toy
import numpy as np
import small_models

from rhopot.export import FORMAT_VERSION, evaluate, save_model

KEPT = ("energy", "energies", "forces", "virial", "members")
FOLDER = Path(__file__).parent
# name -> model, and the same in plain PyTorch
MODELS = {
    "linear": (small_models.linear, lambda: small_models.linear(reference=True)),
    "gap": (small_models.gap, lambda: small_models.gap(reference=True)),
    "scattering": (small_models.scattering, lambda: small_models.scattering(reference=True)),
}


def main() -> None:
    """Write `format_N_FAMILY.pt` and add to `format_N.json`."""
    structures = [toy.skewed(), toy.cluster()]
    known = FOLDER / f"format_{FORMAT_VERSION}.json"
    record: dict[str, object] = (
        json.loads(known.read_text())
        if known.exists()
        else {
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
    )
    for name, (make, reference) in MODELS.items():
        if name in record:
            continue
        model = make()
        save_model(model.module, model.card, FOLDER / f"format_{FORMAT_VERSION}_{name}.pt", structures)
        results = evaluate(reference(), structures, members=True)
        record[name] = [
            {key: np.asarray(value).tolist() for key in KEPT if (value := getattr(result, key)) is not None}
            for result in results
        ]
    known.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
