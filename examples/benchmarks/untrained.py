"""Model files with random weights for timing: the cost of a model does not depend on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import ase
import numpy as np
import torch

from rhopot.export import ModelCard, TrainingData, Uncertainty, save_model
from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings
from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering, all_paths
from rhopot.potentials.graph.atomic_graph import as_graph, species_of
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.network_model import NetworkModel
from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.models.scattering_model import ScatteringModel


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
    settings = GmpSettings(symbols=tuple(symbols), cutoff=cutoff, max_order=order, n_probes=n_probes)
    descriptor = GmpFeatures(settings)
    networks = Networks(descriptor.n_features, len(symbols), NetworkSettings(hidden=hidden), (0,))
    features = descriptor(as_graph(find_edges(probe, cutoff), species_of(probe, symbols)))
    networks.prepare(features.mean(0), features.std(0) + 1e-3 * features.std(), 1.0)
    card = _card("gmp_snn", "local", symbols, cutoff, settings.model_dump(mode="json"))
    save_model(NetworkModel(descriptor, networks, [0.0] * len(symbols)), card, path, [probe])
    return path


def untrained_scattering(
    symbols: Sequence[str], n_paths: int, probe: ase.Atoms, path: Path, settings: ScatteringSettings | None = None
) -> Path:
    """Model file of wavelet scattering: `n_paths` paths drawn at random, with one member (default settings)."""
    settings = (settings or ScatteringSettings()).with_symbols(symbols)
    paths = all_paths(settings)
    chosen = sorted(np.random.default_rng(0).choice(len(paths), n_paths, replace=False))
    coefficients = torch.full((n_paths, 2), 1e-6, dtype=torch.float64)
    module = ScatteringModel(
        WaveletScattering(settings, [paths[k] for k in chosen]),
        coefficients,
        torch.zeros(2, dtype=torch.float64),
        [0.0] * len(symbols),
    )
    save_model(
        module,
        _card("scattering", "global", symbols, settings.reach, settings.model_dump(mode="json"), 1),
        path,
        [probe],
    )
    return path


def _card(
    family: str, kind: str, symbols: Sequence[str], cutoff: float, descriptor: dict[str, object], members: int = 0
) -> ModelCard:
    """Card of a model that nobody trained."""
    fields: dict[str, object] = {
        "family": family,
        "kind": kind,
        "symbols": tuple(symbols),
        "cutoff": cutoff,
        "n_layers": 1,
        "dtype": "float64",
        "baseline_energies": dict.fromkeys(symbols, 0.0),
        "uncertainty": Uncertainty(members=members),
        "descriptor": descriptor,
        "fit": {"regressor": "untrained"},
        "training_data": TrainingData(summary={"frames": 0}, hash="none"),
        "metrics": {"frames": 0},
        "references": ("none: made to be timed",),
    }
    return ModelCard(**fields)
