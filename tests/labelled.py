"""Li-Si structures labelled by the many-body toy, and the fit problem that tests of fits vary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase
import many_body_toy as toy
import numpy as np
import torch
from torch import Tensor, nn

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials import operators
from rhopot.potentials.fitting.least_squares.assemble import Assembly
from rhopot.potentials.fitting.least_squares.kept_equations import (
    KeptEquations,
    equations_mark,
    read_equations,
    write_equations,
)
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings, LinearSettings
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.structures import Frame
from rhopot.testing.spectrum import SmallSpectrum

operators.load()

SYMBOLS = ("Li", "Si")
CUTOFF = 4.0
BASELINE = (-1.5, -4.0)
LINEAR = LinearSettings(prior=0.3, scaling=0.5, block_rows=20)
GAP = GapSettings(zeta=2, delta=2.0, n_sparse=12, block_rows=30)


class FastSpectrum(SmallSpectrum):
    """Its derivatives by the compiled operator: those of the reference take 0.3 s a frame, nearly all of a fit here."""

    def jacobian(self, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
        """Return p (C, F) and dp (E, 3, F)."""
        features, jacobian = torch.ops.rhopot.soap_jacobian_v1(*graph, *self.table())
        return features, jacobian


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


def fit_problem(train: list[Frame], validation: list[Frame] | None = None, **changes: Any) -> FitProblem:
    """Return a fit problem for those frames without members, unless changed."""
    fields: dict[str, Any] = {
        "descriptor": FastSpectrum(2, CUTOFF),
        "symbols": SYMBOLS,
        "targets": Targets(energy=0.002, forces=0.05, stress=0.01),
        "baseline": BASELINE,
        "members": 0,
    }
    return FitProblem(train=train, validation=validation or [], **(fields | changes))


def outputs(model: nn.Module, test: list[Frame]) -> np.ndarray:
    """Return energies per atom and forces of the frames as one vector."""
    loaded = LoadedModel(card=toy.card(cutoff=CUTOFF), module=model)
    results = evaluate(loaded, [frame.atoms for frame in test])
    return np.concatenate([np.append(r.energy / len(r.energies), r.forces.ravel()) for r in results])


def without_frames(file: Path, target: Path) -> Path:
    """A file of the same columns without any frame: a fit that goes on from it is one from scratch."""
    kept = read_equations(file, 20)
    rank, folds = kept.assembly.equations.n_columns, len(kept.assembly.equations.squares)
    prior = np.asfortranarray(np.diag([*np.ones(rank), 0.0]))
    write_equations(
        target,
        KeptEquations(
            Assembly.empty(rank, folds, 20, prior),
            np.zeros(0, dtype=np.int64),
            kept.columns,
            equations_mark(fit_problem(frames(1)), []),
        ),
    )
    return target
