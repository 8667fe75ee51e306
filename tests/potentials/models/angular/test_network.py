"""Angular networks: contract of potentials, the equations a second time in NumPy, range, what a message carries."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import small_models
import torch
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from pydantic import ValidationError
from torch.testing import assert_close

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.models.angular.settings import AngularNetworkSettings
from rhopot.testing import PotentialContract, structures
from rhopot.testing.spectrum import arguments

Floats = NDArray[np.float64]
SYMBOLS, CUTOFF = small_models.SYMBOLS, small_models.HYPERS.cutoff


class TestCommitteeOfAngularNetworks(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.angular()


class TestAsPrinted(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.angular(layers=1, members=0, message="center")


def saturated(x: Floats) -> Floats:
    """Return x, at most 8."""
    return x / np.sqrt(1.0 + (x / 8.0) ** 2)


def ssp(x: Floats) -> Floats:
    """Shifted softplus."""
    return np.logaddexp(0.0, x) - np.log(2.0)


def quintic(r: float) -> float:
    """Quintic cutoff function over the whole range."""
    x = min(r / CUTOFF, 1.0)
    return 1.0 - 10.0 * x**3 + 15.0 * x**4 - 6.0 * x**5


def energies_by_hand(model: LoadedModel, atoms: ase.Atoms, member: int) -> Floats:
    """Energies of atoms (N): loops over atoms, neighbors k and neighbors j, one filter response at a time."""
    networks = model.module.networks
    weights = {name: value[member].numpy() for name, value in networks.named_parameters()}
    settings = model.module.descriptor.settings
    centers_r = np.linspace(0.0, CUTOFF, settings.n_radial)
    centers_c = np.linspace(-1.0, 1.0, settings.n_angular)
    sigma_r, sigma_c = 0.5 * (centers_r[1] - centers_r[0]), 0.5 * (centers_c[1] - centers_c[0])
    scale = float(networks.scale)
    of_neighbors = networks.layers[0].of_neighbors
    first, second, vectors = neighbor_list("ijD", atoms, CUTOFF)
    kind = [SYMBOLS.index(symbol) for symbol in atoms.get_chemical_symbols()]
    x = weights["embedding"][kind]
    for b, layer in enumerate(networks.layers):
        w = {name: weights[f"layers.{b}.{name}"] for name, _ in layer.named_parameters()}
        heads = layer.heads
        per_head = w["filters"].shape[0] // heads
        table = w["bases"].reshape(len(centers_r), len(centers_c), heads, per_head)
        terms = w["weight_features"].shape[1] // heads
        refined = x.copy()
        for i in range(len(atoms)):
            mine = np.flatnonzero(first == i)
            message = np.zeros(x.shape[1])
            for k in mine:
                r_k = np.linalg.norm(vectors[k])
                radial = np.exp(-0.5 * ((r_k - centers_r) / sigma_r) ** 2)
                summed = np.zeros((heads, per_head))
                for j in mine:
                    r_j = np.linalg.norm(vectors[j])
                    cosine = vectors[j] @ vectors[k] / r_j / r_k
                    angular = np.exp(-0.5 * ((cosine - centers_c) / sigma_c) ** 2)
                    features = x[second[j] if of_neighbors else i] @ w["weight_features"]
                    distances = np.exp(-0.5 * ((r_j - centers_r) / sigma_r) ** 2) @ w["weight_distances"]
                    of_heads = quintic(r_j) * (1.0 + (features * distances).reshape(heads, terms).sum(1))
                    summed += of_heads[:, None] * ssp(np.einsum("r,c,rchd->hd", radial, angular, table))
                carried = x[second[k] if of_neighbors else i]
                edge = scale * summed.ravel()
                filters = edge @ w["filters"] + ssp(edge @ w["inner"]) @ w["outer"]
                message += scale * quintic(r_k) * carried * filters
            refined[i] += ssp(saturated(message @ w["mix"] + x[i] @ w["own"])) @ w["update"]
        x = refined
    return x @ weights["output"] * float(networks.energy_scale) + float(networks.energy_shift)


def energies(model: LoadedModel, atoms: ase.Atoms) -> Floats:
    """Energies of atoms (N), in eV."""
    return evaluate(model, [atoms], gradients=False)[0].energies


@pytest.mark.parametrize("message", ["neighbor", "center"])
@pytest.mark.parametrize("atoms", [structures.tiny(), structures.cluster()], ids=["periodic", "cluster"])
def test_energies_are_those_of_the_equations(atoms: ase.Atoms, message: str) -> None:
    model = small_models.angular(message=message)
    graph = arguments(atoms, SYMBOLS, CUTOFF)
    found = model.module.learned(graph)
    expected = np.stack([energies_by_hand(model, atoms, k) for k in range(small_models.N_MEMBERS)])
    assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-11)
    assert np.ptp(expected, axis=1).min() > 0.01


@pytest.mark.parametrize(("message", "least"), [("neighbor", 1e-3), ("center", 0.0)])
def test_element_of_a_neighbor_counts_where_messages_are_its_own(message: str, least: float) -> None:
    """With one layer as printed, the energy of an atom knows where its neighbors are but not what."""
    model = small_models.angular(layers=1, members=0, message=message)
    atoms = structures.cluster()
    other = atoms.copy()
    other.symbols[1] = "Li" if atoms.symbols[1] == "Si" else "Si"
    change = np.delete(np.abs(energies(model, other) - energies(model, atoms)), 1)
    assert change.max() > least if least else change.max() == 0.0


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_influence_reaches_as_many_cutoffs_as_there_are_layers(layers: int) -> None:
    """Along a chain, atom L lies within L cutoffs of the first but beyond L - 1, and atom L + 1 beyond L."""
    model = small_models.angular(layers=layers, members=0)
    hop = layers / (layers + 1) * CUTOFF + 0.05
    chain = ase.Atoms(f"Si{layers + 2}", [(hop * k, 0.0, 0.0) for k in range(layers + 2)])
    assert (layers - 1) * CUTOFF < layers * hop < layers * CUTOFF < (layers + 1) * hop

    def change(k: int) -> float:
        other = chain.copy()
        other.symbols[k] = "Li"
        return float(abs(energies(model, other) - energies(model, chain))[0])

    assert change(layers) > 1e-11, "of eV, whose rounding is 1e-15"
    assert change(layers + 1) == 0.0


def test_two_atoms_interact_without_a_third() -> None:
    model = small_models.angular(layers=1, members=0)
    near, far = (energies(model, ase.Atoms("LiSi", [(0, 0, 0), (r, 0, 0)])) for r in (2.0, CUTOFF + 0.1))
    assert np.abs(near - far).min() > 1e-3


def test_an_atom_that_comes_in_sight_does_so_twice_differentiably() -> None:
    """The change of the energy is of third order in the distance to the cutoff, so halving that divides it by 8."""
    model = small_models.angular(layers=2, members=0)
    corner = [(0.0, 0.0, 0.0), (2.3, 0.0, 0.0), (0.4, 2.1, 0.0)]

    def total(distance: float) -> float:
        along = np.array([-0.6, -0.64, 0.48])
        return float(energies(model, ase.Atoms("SiLiSiLi", [*corner, distance * along])).sum())

    outside = total(CUTOFF)
    changes = [abs(total(CUTOFF - h) - outside) for h in (0.1, 0.05, 0.025)]
    assert changes[0] > 1e-6
    assert 7.0 < changes[0] / changes[1] < 10.0
    assert 7.5 < changes[1] / changes[2] < 9.0


def test_filters_come_in_groups_of_equal_size() -> None:
    sentence = "must divide filters = 24, got 5; 1, 2, 4 and 8 always do"
    with pytest.raises(ValidationError, match=sentence):
        AngularNetworkSettings(filters=24, heads=5)
    assert AngularNetworkSettings(filters=24, heads=3).heads == 3
