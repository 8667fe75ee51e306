"""One structure's equations: rows of the design, targets without the baseline, and the sigmas that weigh them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.fitting.least_squares.design import Design, DesignRows, species_block, species_graphs
from rhopot.potentials.fitting.remainder import remainder
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, graphs
from rhopot.potentials.graph.neighbours import Search, find_edges
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame

Floats = NDArray[np.float64]

QUANTITIES = ("energy", "forces", "stress")
MIB = float(2**20)


@dataclass(frozen=True)
class Equations:
    """Rows [A | y] of one structure before weighting, by quantity: (m, n + 1) each, and the sigma of those rows."""

    rows: dict[str, Floats]
    sigma: dict[str, float]

    def weighted(self) -> Floats:
        """Return all rows divided by their sigmas."""
        return np.concatenate([self.rows[name] / self.sigma[name] for name in self.rows])


class LinearSystem:
    """Turns frames into equations for one design.

    Args:
        descriptor: features with jacobian (float64).
        design: columns.
        baseline: energies that are subtracted from the targets.
        symbols, cutoff: of the model.
        batch_mib: memory for one batch of Jacobians and their columns.
        search: finds the neighbours of a frame's atoms.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        design: Design,
        baseline: EnergyBaseline,
        symbols: Sequence[str],
        cutoff: float,
        batch_mib: float,
        search: Search = find_edges,
    ) -> None:
        self.descriptor = descriptor
        self.design = design
        self.baseline = baseline
        self.symbols = tuple(symbols)
        self.cutoff = cutoff
        self.search = search
        widest = max(descriptor.n_features, design.n_columns)
        self.batch_edges = max(int(batch_mib * MIB / (3 * 8 * widest)), 1)

    def graphs(self, frame: Frame) -> list[AtomicGraph]:
        """Return the graphs of a frame: all its centres, in batches."""
        return list(graphs(frame.atoms, self.symbols, self.cutoff, self.batch_edges, self.search))

    def design_rows(self, parts: Sequence[AtomicGraph], n_atoms: int) -> DesignRows:
        """Return how energy, forces and V * stress of a frame's graphs depend on each coefficient."""
        rows = DesignRows.zeros(n_atoms, self.design.n_columns)
        with torch.no_grad():
            for graph in parts:
                for species, of_species in species_graphs(graph):
                    self.design.add(rows, species, species_block(self.descriptor, of_species))
        return rows

    def equations(self, frame: Frame, targets: Targets) -> Equations | None:
        """Return the frame's equations for the targets it carries; None when there are none."""
        sigma = targets.sigmas(frame)
        return self.of_rows(frame, *self.rows_and_remainder(frame, sigma), targets) if sigma else None

    def of_rows(self, frame: Frame, rows: DesignRows, left: dict[str, Floats], targets: Targets) -> Equations | None:
        """Return the equations of a frame's `rows_and_remainder`; None when it carries no target."""
        sigma = targets.sigmas(frame)
        if not sigma:
            return None
        n_columns = self.design.n_columns
        matrices = {
            "energy": rows.energy.numpy()[None, :],
            "forces": rows.forces.numpy()[frame.free].reshape(-1, n_columns),
            "stress": rows.strain.numpy(),
        }
        used: dict[str, Floats] = {}
        for name in sigma:
            value = left[name][frame.free] if name == "forces" else left[name]
            used[name] = np.concatenate([matrices[name], value.reshape(-1, 1)], axis=1)
        return Equations(used, sigma)

    def rows_and_remainder(self, frame: Frame, names: Collection[str]) -> tuple[DesignRows, dict[str, Floats]]:
        """Return the frame's `design_rows`, and `remainder` of the quantities asked for."""
        parts = self.graphs(frame)
        return self.design_rows(parts, len(frame)), remainder(frame, names, self.baseline, parts)


def count_rows(frame: Frame, targets: Targets) -> int:
    """Return the number of equations of a frame."""
    sizes = {"energy": 1, "forces": 3 * len(frame.atoms), "stress": 6}
    return sum(sizes[name] for name in targets.sigmas(frame))
