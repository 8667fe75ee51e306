"""Features and their derivatives against featomic, an independent code, on the same hyperparameters.

featomic's power spectrum carries a factor (-1)^l, which no dot product of two spectra sees. Its cutoff function is the
shifted cosine; ours is a table that is C2 everywhere, so it differs from it within one table interval (0.001 A) of the
two kinks: no pair of the test structures lies there. Tolerances are fractions of the largest number: 1e-9, and 1e-7 at
l = 12, where featomic's hypergeometric series loses digits (ours equals it in 40 digits, see `test_radial`).
"""

from dataclasses import dataclass

import ase
import many_body_toy as structures
import numpy as np
import pytest
import torch
from featomic import SoapPowerSpectrum as TheirPowerSpectrum
from featomic import SoapRadialSpectrum as TheirRadialSpectrum

from rhopot.potentials.density.scaling import WillattScaling
from rhopot.potentials.descriptors.soap import RadialSpectrum, SoapPowerSpectrum, SoapSettings, unpack_power_spectrum
from rhopot.testing.spectrum import arguments

SHARED = {"cutoff": 4.6, "cutoff_function": "shifted_cosine", "cutoff_width": 0.8}
CASES = {
    "silicon": (SoapSettings(symbols=("Si",), n_max=6, l_max=5, density_width=0.5, **SHARED), "Si"),
    "lithium_silicon": (SoapSettings(symbols=("Li", "Si"), n_max=4, l_max=4, density_width=0.35, **SHARED), "LiSi"),
    "scaled": (
        SoapSettings(
            symbols=("Li", "Si"),
            n_max=3,
            l_max=3,
            density_width=0.6,
            center_weight=0.4,
            scaling=WillattScaling(rate=1.3, scale=2.1, exponent=4),
            **SHARED,
        ),
        "LiSi",
    ),
    "many": (SoapSettings(symbols=("Si",), n_max=8, l_max=12, density_width=0.4, **SHARED), "Si"),
}


def structure(elements: str) -> ase.Atoms:
    atoms = structures.crystal((1, 1, 1), seed=8)
    if elements == "Si":
        atoms.symbols[:] = "Si"
    return atoms


def settings(hypers: SoapSettings) -> dict[str, object]:
    """Return featomic's words for the density and the cutoff."""
    density: dict[str, object] = {"type": "Gaussian", "width": hypers.density_width}
    density["center_atom_weight"] = hypers.center_weight
    if hypers.scaling is not None:
        density["scaling"] = {"type": "Willatt2018", **hypers.scaling.model_dump()}
    smoothing = {"type": "ShiftedCosine", "width": hypers.cutoff_width}
    return {"cutoff": {"radius": hypers.cutoff, "smoothing": smoothing}, "density": density}


@dataclass(frozen=True)
class Theirs:
    """features (N, F); derivatives (N, N, 3, F) of atom i's by the position of atom k; properties (F, ...) by name."""

    features: np.ndarray
    derivatives: np.ndarray
    properties: dict[str, np.ndarray]


def compute(calculator, atoms: ase.Atoms, keys: list[str]) -> Theirs:
    tensors = calculator.compute(atoms, gradients=["positions"])
    block = tensors.keys_to_samples("center_type").keys_to_properties(keys).block(0)
    features = np.zeros(block.values.shape)
    rows = block.samples["atom"]
    features[rows] = block.values
    gradient = block.gradient("positions")
    derivatives = np.zeros((len(atoms), len(atoms), 3, features.shape[1]))
    np.add.at(derivatives, (rows[gradient.samples["sample"]], gradient.samples["atom"]), gradient.values)
    return Theirs(features, derivatives, {name: block.properties[name] for name in block.properties.names})


def ours(descriptor: torch.nn.Module, atoms: ase.Atoms) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features (N, F) and their derivative by positions (N, N, 3, F), summed over edges."""
    inputs = arguments(atoms, descriptor.settings.symbols, descriptor.cutoff)
    features, by_edge = descriptor.jacobian(inputs)
    centre = torch.repeat_interleave(torch.arange(len(atoms)), inputs[1].diff())
    derivatives = torch.zeros(len(atoms), len(atoms), *by_edge.shape[1:], dtype=torch.float64)
    derivatives.index_put_((centre, inputs[2]), by_edge, accumulate=True)
    derivatives.index_put_((centre, centre), -by_edge, accumulate=True)
    return features, derivatives


def no_pair_at_a_kink(hypers: SoapSettings, atoms: ase.Atoms) -> bool:
    lengths = arguments(atoms, hypers.symbols, hypers.cutoff)[0].norm(dim=1).numpy()
    kinks = np.array([hypers.cutoff - hypers.cutoff_width, hypers.cutoff])
    return float(np.abs(lengths[:, None] - kinks).min()) > 0.002


def assert_agree(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tolerance"), [("silicon", 1e-9), ("lithium_silicon", 1e-9), ("scaled", 1e-9), ("many", 1e-7)]
)
def test_power_spectrum_and_its_gradient(name: str, tolerance: float) -> None:
    hypers, elements = CASES[name]
    atoms = structure(elements)
    assert no_pair_at_a_kink(hypers, atoms)
    radial = {"type": "Gto", "max_radial": hypers.n_max - 1}
    basis = {"type": "TensorProduct", "max_angular": hypers.l_max, "radial": radial, "spline_accuracy": None}
    theirs = compute(TheirPowerSpectrum(**settings(hypers), basis=basis), atoms, ["neighbor_1_type", "neighbor_2_type"])
    features, derivatives = ours(SoapPowerSpectrum(hypers), atoms)
    kind = {symbol: k for k, symbol in enumerate(hypers.symbols)}
    types = {ase.Atom(symbol).number: k for symbol, k in kind.items()}
    first, second = (np.array([types[z] for z in theirs.properties[f"neighbor_{k}_type"]]) for k in (1, 2))
    u, v = first * hypers.n_max + theirs.properties["n_1"], second * hypers.n_max + theirs.properties["n_2"]
    degree = theirs.properties["l"]
    factor = (-1.0) ** degree * np.where(first == second, 1.0, np.sqrt(2.0))

    def in_their_order(packed: torch.Tensor) -> np.ndarray:
        full = unpack_power_spectrum(packed.reshape(-1, packed.shape[-1]), hypers.l_max).numpy()
        return (full[:, u, v, degree] * factor).reshape(*packed.shape[:-1], -1)

    assert_agree(in_their_order(features), theirs.features, tolerance)
    assert_agree(in_their_order(derivatives), theirs.derivatives, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["silicon", "lithium_silicon", "scaled"])
def test_radial_spectrum_and_its_gradient(name: str) -> None:
    hypers, elements = CASES[name]
    atoms = structure(elements)
    basis = {"radial": {"type": "Gto", "max_radial": hypers.n_max - 1}, "spline_accuracy": None}
    theirs = compute(TheirRadialSpectrum(**settings(hypers), basis=basis), atoms, ["neighbor_type"])
    features, derivatives = ours(RadialSpectrum(hypers), atoms)
    numbers = np.array([ase.Atom(symbol).number for symbol in hypers.symbols])
    column = np.searchsorted(numbers, theirs.properties["neighbor_type"]) * hypers.n_max + theirs.properties["n"]
    assert_agree(features.numpy()[:, column], theirs.features)
    assert_agree(derivatives.numpy()[..., column], theirs.derivatives)
