"""Real models, small and made without a fit: SOAP features, sparse points from one structure, seeded weights.

`reference` asks for the plain PyTorch operators instead of the compiled ones.
"""

from __future__ import annotations

from pathlib import Path

import ase
import many_body_toy as toy
import torch
from torch import nn

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty, script
from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings
from rhopot.potentials.descriptors.multispectrum.multispectrum import Multispectrum, learn
from rhopot.potentials.descriptors.multispectrum.multispectrum_settings import MultispectrumSettings
from rhopot.potentials.descriptors.point_scattering import PointScatteringSettings, PointWavelets
from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering, all_paths, choose_grid
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.symmetry_functions import SymmetryFunctions, SymmetryFunctionSettings
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, species_of
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.models import GapModel, LinearModel, NetworkModel, Networks, NetworkSettings
from rhopot.potentials.models.angular.angular_model import AngularModel
from rhopot.potentials.models.angular.network import AngularNetworks
from rhopot.potentials.models.angular.settings import AngularNetworkSettings
from rhopot.potentials.models.point_scattering.network import PointScatteringNetworks
from rhopot.potentials.models.point_scattering.point_scattering_model import PointScatteringModel
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings
from rhopot.potentials.models.scattering_model import ScatteringModel

SYMBOLS = ("Li", "Si")
BASELINE = {"Li": -1.5, "Si": -4.0}
HYPERS = SoapSettings(symbols=SYMBOLS, cutoff=4.0, n_max=3, l_max=2, density_width=0.6)
POINTS = PointScatteringSettings(symbols=SYMBOLS, cutoff=4.0, n=(2, 3), beta=0.6, max_scale=1.0, scale_step=1.0)
SCATTERING = ScatteringSettings(
    symbols=SYMBOLS,
    beta=0.8,
    max_scale=1,
    n=(2,),
    powers=(1.0, 2.0),
    alias=1e-3,
    least_points=8,
    padding=12.0,
    regularization=0.2,  # with the weights below atoms then move gently; at 1 they fall into each other
)
# First and second order, all degrees and scales, and of the size of those of a crystal in clusters too.
PATHS = (
    "lithium n2l0j0 q1", "lithium n2l1j1 q1", "silicon n2l1j0 q2", "valence n2l0j1 q1",
    "lithium n2l0j0 n2l1j0 q2", "lithium n2l0j0 n2l1j1 q1", "silicon n2l0j0 n2l0j1 q1", "silicon n2l1j0 n2l0j0 q1",
    "valence n2l0j0 n2l0j0 q2", "ionic n2l1j0 n2l1j0 q2", "ionic n2l0j1 n2l0j0 q1", "kinetic n2l1j0 n2l1j1 q1",
)  # fmt: skip
ZETA = 3
N_POINTS = 4
N_MEMBERS = 2
CALIBRATION = 1.7


def linear(dtype: torch.dtype = torch.float64, reference: bool = False) -> LoadedModel:
    """Linear power-spectrum model with two members."""
    descriptor = SoapPowerSpectrum(HYPERS, reference=reference)
    weights = 0.05 * _normal(11, len(SYMBOLS), descriptor.n_features, 1 + N_MEMBERS)
    module = LinearModel(descriptor, weights, list(BASELINE.values())).to(dtype)
    return LoadedModel(card=_card("soap_linear", dtype, {"regressor": "linear"}), module=module, name="linear")


def multispectrum(dtype: torch.dtype = torch.float64, reference: bool = False) -> LoadedModel:
    """Linear model with two members on invariants of orders up to 4; basis and terms are learned from `toy.skewed`."""
    basis = {"optimal_basis": {"q_max": 2}, "species_mode": "mixed"}
    orders = {"l_three": 2, "n_three": 12, "l_four": 1, "n_four": 6}
    settings = MultispectrumSettings.model_validate({**HYPERS.model_dump(), **basis, **orders})
    descriptor = Multispectrum(learn(settings, [toy.skewed()]), reference=reference)
    weights = 0.05 * _normal(12, len(SYMBOLS), descriptor.n_features, 1 + N_MEMBERS)
    module = LinearModel(descriptor, weights, list(BASELINE.values())).to(dtype)
    card = _card("multispectrum", dtype, {"regressor": "linear"})
    return LoadedModel(card=card, module=module, name="multispectrum")


def gap(dtype: torch.dtype = torch.float64, reference: bool = False) -> LoadedModel:
    """Sparse-kernel model with two members; its points are atoms of `many_body_toy.skewed`."""
    descriptor = SoapPowerSpectrum(HYPERS, reference=reference)
    graph = _graph(toy.skewed())
    features, species = descriptor(graph), graph.species
    points = [features[species == a][:N_POINTS] for a in range(len(SYMBOLS))]
    weights = [_normal(13 + a, N_POINTS, 1 + N_MEMBERS) for a in range(len(SYMBOLS))]
    module = GapModel(descriptor, points, weights, ZETA, list(BASELINE.values())).to(dtype)
    return LoadedModel(card=_card("soap_gap", dtype, {"regressor": "gap", "zeta": ZETA}), module=module, name="gap")


def network(
    dtype: torch.dtype = torch.float64,
    *,
    per_element: bool = False,
    members: int = N_MEMBERS,
    descriptor: nn.Module | None = None,
) -> LoadedModel:
    """Networks 9-7-1, a committee or (members = 0) one; standardised on `many_body_toy.skewed`. SOAP unless told."""
    descriptor = SoapPowerSpectrum(HYPERS) if descriptor is None else descriptor
    features = descriptor(_graph(toy.skewed()))
    settings = NetworkSettings(hidden=(9, 7), activation="silu", normalization="batch_norm", per_element=per_element)
    made = Networks(features.shape[1], len(SYMBOLS), settings, range(max(members, 1)))
    made.prepare(features.mean(0), 3.0 * features.std(0), 0.05, -0.4)
    made.freeze_statistics(features, _graph(toy.skewed())[4])
    module = NetworkModel(descriptor, made, list(BASELINE.values()), calibration=CALIBRATION).to(dtype)
    card = _card("soap_network", dtype, {"regressor": "network"}, members)
    return LoadedModel(card=card, module=module, name="network_per_element" if per_element else "network")


def gmp_network(dtype: torch.dtype = torch.float64) -> LoadedModel:
    """A committee of one network for all elements on Gaussian multipole features, smooth enough for differences."""
    settings = GmpSettings(symbols=SYMBOLS, cutoff=HYPERS.cutoff, n_probes=4, max_order=3, regularization=1e-2)
    return network(dtype, descriptor=GmpFeatures(settings))


def symmetry_network(dtype: torch.dtype = torch.float64) -> LoadedModel:
    """One network per element on symmetry functions."""
    settings = SymmetryFunctionSettings(symbols=SYMBOLS, cutoff=HYPERS.cutoff, cutoff_width=1.5, set=9)
    return network(dtype, per_element=True, members=0, descriptor=SymmetryFunctions(settings))


def angular(
    dtype: torch.dtype = torch.float64, *, layers: int = 2, members: int = N_MEMBERS, message: str = "neighbor"
) -> LoadedModel:
    """A committee of angular networks, or (members = 0) one: two heads of eight filters, six features."""
    settings = AngularSettings(symbols=SYMBOLS, cutoff=HYPERS.cutoff, n_radial=5, n_angular=4)
    basis = AngularBasis(settings)
    shape = AngularNetworkSettings.model_validate(
        {"layers": layers, "width": 6, "filters": 16, "heads": 2, "message": message}
    )
    networks = AngularNetworks(basis, shape, range(max(members, 1)))
    networks.prepare(neighbours=2.0, energy_scale=2.0, energy_shift=-0.4)  # strong messages
    module = AngularModel(basis, networks, list(BASELINE.values()), calibration=CALIBRATION).to(dtype)
    card = _card("angular", dtype, {"regressor": shape.model_dump()}, members).model_dump()
    card |= {"n_layers": layers, "descriptor": settings.model_dump(mode="json")}
    return LoadedModel(card=ModelCard(**card), module=module, name="angular")


def point_scattering(dtype: torch.dtype = torch.float64, *, members: int = N_MEMBERS, **changes: object) -> LoadedModel:
    """Networks of point scattering, a committee or (members = 0) one; constants from `many_body_toy.skewed`."""
    fields: dict[str, object] = {"channels": 3, "combined": 4, "hidden": (7,)}
    settings = PointScatteringNetworkSettings.model_validate(fields | changes)
    descriptor = PointWavelets(POINTS)
    networks = PointScatteringNetworks(descriptor, settings, range(max(members, 1)))
    networks.prepare(descriptor, [_graph(toy.skewed())], lambda sums: sums, 0.3, -0.4)
    module = PointScatteringModel(descriptor, networks, list(BASELINE.values()), calibration=CALIBRATION).to(dtype)
    card = _card("point_scattering", dtype, {"regressor": "network"}, members)
    card = card.model_copy(update={"n_layers": settings.layers})
    return LoadedModel(card=card, module=module, name="point_scattering")


def scattering(members: int = N_MEMBERS, reference: bool = False) -> LoadedModel:
    """Linear global model on a few scattering features, some tenths of an eV per atom each."""
    paths = [path for path in all_paths(SCATTERING) if path.name in PATHS]
    features = WaveletScattering(SCATTERING, paths, reference)
    atoms = toy.skewed()
    species = torch.tensor([SYMBOLS.index(symbol) for symbol in atoms.get_chemical_symbols()])
    cell, pbc = torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc)
    with torch.no_grad():
        sizes = features(torch.tensor(atoms.positions), species, cell, pbc, choose_grid(SCATTERING, atoms))
    coefficients = 0.3 * _normal(17, len(PATHS), 1 + members) / sizes[:, None]
    module = ScatteringModel(features, coefficients, _normal(19, 1 + members), list(BASELINE.values()), CALIBRATION)
    card = ModelCard(
        **_card("scattering", torch.float64, {"regressor": "greedy"}, members).model_dump()
        | {"kind": "global", "cutoff": SCATTERING.reach, "descriptor": SCATTERING.model_dump(mode="json")}
    )
    return LoadedModel(card=card, module=module, name="scattering")


def write(model: LoadedModel, path: Path) -> Path:
    """Write a model file without the self-check that `save_model` makes."""
    path.write_bytes(script.serialise(script.compile_module(model.module), {"rhopot.json": model.card.to_json()}))
    return path


def _graph(atoms: ase.Atoms) -> AtomicGraph:
    """The graph of one structure."""
    return as_graph(find_edges(atoms, HYPERS.cutoff), species_of(atoms, SYMBOLS))


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _card(family: str, dtype: torch.dtype, fit: dict[str, object], members: int = N_MEMBERS) -> ModelCard:
    return ModelCard(
        family=family,
        kind="local",
        symbols=SYMBOLS,
        cutoff=HYPERS.cutoff,
        n_layers=1,
        dtype=str(dtype).removeprefix("torch."),
        baseline_energies=BASELINE,
        uncertainty=Uncertainty(members=members),
        descriptor=HYPERS.model_dump(mode="json"),
        fit=fit,
        training_data=TrainingData(summary={"frames": 0}, hash="none"),
        metrics={"frames": 0},
        references=["none: made for tests"],
    )
