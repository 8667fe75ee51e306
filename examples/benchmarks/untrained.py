"""Model files with random weights, to be timed: what a model costs does not depend on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import torch

from rhopot.export import ModelCard, TrainingData, Uncertainty, save_model
from rhopot.potentials.gmp import GmpFeatures, GmpHypers
from rhopot.potentials.neighbours import find_edges
from rhopot.potentials.regressors.network import Networks
from rhopot.potentials.regressors.network_hypers import NetworkHypers
from rhopot.potentials.regressors.network_model import NetworkModel


def untrained(
    symbols: Sequence[str],
    cutoff: float,
    order: int,
    probe: ase.Atoms,
    path: Path,
    n_probes: int = 10,
    hidden: tuple[int, ...] = (50, 50, 50),
) -> Path:
    """Model file of GMP(n_probes, order) with a random network, standardised on one structure."""
    hypers = GmpHypers(symbols=tuple(symbols), cutoff=cutoff, max_order=order, n_probes=n_probes)
    descriptor = GmpFeatures(hypers)
    networks = Networks(descriptor.n_features, len(symbols), NetworkHypers(hidden=hidden), (0,))
    edges = find_edges(probe, cutoff)
    graph = [torch.from_numpy(a) for a in (edges.vectors, edges.first_edge, edges.neighbour, edges.centre)]
    features = descriptor(*graph, torch.tensor([list(symbols).index(symbol) for symbol in probe.symbols]))
    networks.prepare(features.mean(0), features.std(0) + 1e-3 * features.std(), 1.0)
    card = ModelCard(
        family="gmp_snn",
        kind="local",
        symbols=tuple(symbols),
        cutoff=cutoff,
        n_layers=1,
        dtype="float64",
        baseline_energies=dict.fromkeys(symbols, 0.0),
        uncertainty=Uncertainty(members=0),
        descriptor=hypers.model_dump(mode="json"),
        fit={"regressor": "untrained"},
        training_data=TrainingData(summary={"frames": 0}, hash="none"),
        metrics={"frames": 0},
        references=("none: made to be timed",),
    )
    save_model(NetworkModel(descriptor, networks, [0.0] * len(symbols)), card, path, [probe])
    return path
