"""Li-Si structures labelled by the many-body toy, and the fit task that the tests of this folder vary."""

from __future__ import annotations

from typing import Any

import ase
import many_body_toy as toy
import numpy as np
from contracts.spectrum import SmallSpectrum

from rhopot.export import evaluate
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

SYMBOLS = ("Li", "Si")
CUTOFF = 4.0
BASELINE = (-1.5, -4.0)


def structures(count: int, seed: int) -> list[ase.Atoms]:
    """Skewed crystals of four atoms, rattled and compressed at random."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        atoms = toy.crystal((1, 1, 1), int(random.integers(10**6)), rattle=0.12)[:4]
        strain = np.eye(3) * random.uniform(0.84, 0.94) + 0.03 * random.standard_normal((3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.symbols = random.choice(SYMBOLS, len(atoms))
        atoms.symbols[:2] = SYMBOLS
        found.append(atoms)
    return found


def frames(count: int, seed: int = 0) -> list[Frame]:
    """Return labelled structures, every third of config_type `hot`."""
    made = structures(count, seed)
    results = evaluate(toy.in_memory(), made)
    return [
        Frame(
            atoms=atoms,
            energy=result.energy,
            forces=result.forces,
            stress=result.stress(atoms),
            config_type="hot" if k % 3 == 0 else "default",
            index=k,
        )
        for k, (atoms, result) in enumerate(zip(made, results, strict=True))
    ]


def task(train: list[Frame], validation: list[Frame] | None = None, **changes: Any) -> FitProblem:
    """Return a task for those frames without members, unless changed."""
    fields: dict[str, Any] = {
        "descriptor": SmallSpectrum(2, CUTOFF),
        "symbols": SYMBOLS,
        "targets": Targets(energy=0.002, forces=0.05, stress=0.01),
        "baseline": BASELINE,
        "members": 0,
    }
    return FitProblem(train=train, validation=validation or [], **(fields | changes))
