"""Real models, small and made without a fit: SOAP features of one structure as sparse points, seeded weights.

`reference` asks for the plain PyTorch operators instead of the compiled ones.
"""

from __future__ import annotations

import many_body_toy as toy
import torch

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty
from rhopot.potentials.neighbours import find_edges
from rhopot.potentials.regressors import GapModel, LinearModel
from rhopot.potentials.soap import SoapHypers, SoapPowerSpectrum

SYMBOLS = ("Li", "Si")
BASELINE = {"Li": -1.5, "Si": -4.0}
HYPERS = SoapHypers(symbols=SYMBOLS, cutoff=4.0, n_max=3, l_max=2, density_width=0.6)
ZETA = 3
N_POINTS = 4
N_MEMBERS = 2


def linear(dtype: torch.dtype = torch.float64, reference: bool = False) -> LoadedModel:
    """Linear power-spectrum model with two members."""
    descriptor = SoapPowerSpectrum(HYPERS, reference=reference)
    weights = 0.05 * _normal(11, len(SYMBOLS), descriptor.n_features, 1 + N_MEMBERS)
    module = LinearModel(descriptor, weights, list(BASELINE.values())).to(dtype)
    return LoadedModel(card=_card("soap_linear", dtype, {"regressor": "linear"}), module=module, name="linear")


def gap(dtype: torch.dtype = torch.float64, reference: bool = False) -> LoadedModel:
    """Sparse-kernel model with two members; its points are atoms of `many_body_toy.skewed`."""
    descriptor = SoapPowerSpectrum(HYPERS, reference=reference)
    atoms = toy.skewed()
    edges = find_edges(atoms, HYPERS.cutoff)
    graph = [torch.from_numpy(a) for a in (edges.vectors, edges.first_edge, edges.neighbour, edges.centre)]
    species = torch.tensor([SYMBOLS.index(symbol) for symbol in atoms.get_chemical_symbols()])
    features = descriptor(*graph, species)
    points = [features[species == a][:N_POINTS] for a in range(len(SYMBOLS))]
    weights = [_normal(13 + a, N_POINTS, 1 + N_MEMBERS) for a in range(len(SYMBOLS))]
    module = GapModel(descriptor, points, weights, ZETA, list(BASELINE.values())).to(dtype)
    return LoadedModel(card=_card("soap_gap", dtype, {"regressor": "gap", "zeta": ZETA}), module=module, name="gap")


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _card(family: str, dtype: torch.dtype, fit: dict[str, object]) -> ModelCard:
    return ModelCard(
        family=family,
        kind="local",
        symbols=SYMBOLS,
        cutoff=HYPERS.cutoff,
        n_layers=1,
        dtype=str(dtype).removeprefix("torch."),
        baseline_energies=BASELINE,
        uncertainty=Uncertainty(members=N_MEMBERS),
        descriptor=HYPERS.model_dump(mode="json"),
        fit=fit,
        training_data=TrainingData(summary={"frames": 0}, hash="none"),
        metrics={"frames": 0},
        references=["none: made for tests"],
    )
