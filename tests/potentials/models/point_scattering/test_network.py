"""Networks of point scattering: the contract of potentials, the equations in NumPy, how far atoms act, crystals."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import ase
import many_body_toy as toy
import numpy as np
import pytest
import small_models
import torch
from ase.build import bulk
from scipy.special import eval_genlaguerre, lpmv

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.descriptors.point_scattering.wavelets import amplitude
from rhopot.potentials.descriptors.scattering.wavelets import typical_field
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, species_of
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.models.point_scattering import network
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings
from rhopot.testing import PotentialContract
from rhopot.testing.spectrum import arguments

SYMBOLS, CUTOFF = small_models.SYMBOLS, small_models.POINTS.cutoff


class TestTwoLayersOfACommittee(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.point_scattering()


class TestAsPublished(PotentialContract):
    """Fixed channels, each wavelet of each channel alone, a linear read-out."""

    @pytest.fixture
    def model(self) -> LoadedModel:
        return small_models.point_scattering(members=0, embedding="fixed", combined=0, hidden=())


def harmonics(vector: np.ndarray, degree: int) -> np.ndarray:
    """Complex Y_lm for m = -l ... l of one vector; any at zero."""
    r = np.linalg.norm(vector)
    z, azimuth = (vector[2] / r if r > 0 else 1.0), math.atan2(vector[1], vector[0])
    found = []
    for m in range(-degree, degree + 1):
        ratio = math.factorial(degree - abs(m)) / math.factorial(degree + abs(m))
        norm = math.sqrt((2 * degree + 1) / (4 * math.pi) * ratio)
        found.append(norm * lpmv(abs(m), degree, z) * np.exp(1j * m * azimuth))
    return np.array(found)


def wavelet(vector: np.ndarray, order: int, degree: int, scale: float) -> np.ndarray:
    """f_c psi for m = -l ... l."""
    settings, r = small_models.POINTS, np.linalg.norm(vector)
    x = (r / (settings.beta * 2.0**scale)) ** 2 / 2
    t = min(r / settings.cutoff, 1.0)
    radial = r**degree * eval_genlaguerre(order - degree - 1, degree + 0.5, x) * math.exp(-x)
    size = amplitude(order, degree, scale, settings.beta) / typical_field(order, degree, scale, settings.beta)
    return size * radial * (1 - 10 * t**3 + 15 * t**4 - 6 * t**5) * harmonics(vector, degree)


def energies(module: torch.nn.Module, atoms: ase.Atoms, k: int, powers: Sequence[float]) -> np.ndarray:
    """Energies (N,) of member k by the equations, atom by atom, wavelet by wavelet."""
    networks, edges = module.networks, find_edges(atoms, CUTOFF)
    kinds = [SYMBOLS.index(symbol) for symbol in atoms.symbols]
    triples = small_models.POINTS.wavelets
    eps = small_models.POINTS.regularization
    x, size = np.eye(len(SYMBOLS))[kinds], 8 * networks.read_out.n_features**-0.5
    features = []
    for layer in networks.layers:
        sent = x @ layer.send[k].numpy()
        combine = layer.combine[k].numpy()
        squares, begin = [], 0
        for degree in range(max(small_models.POINTS.n)):
            mine = [w for w in triples if w[1] == degree]
            fields = np.zeros((len(atoms), 2 * degree + 1, len(mine) * sent.shape[1]), dtype=complex)
            for i in range(len(atoms)):
                own = range(int(edges.first_edge[i]), int(edges.first_edge[i + 1]))
                around = [(np.zeros(3), i), *((edges.vectors[e], int(edges.neighbour[e])) for e in own)]
                for vector, j in around:
                    waves = np.array([wavelet(vector, *w) for w in mine])  # (wavelets, m)
                    fields[i] += np.einsum("wm,c->mwc", waves, sent[j]).reshape(2 * degree + 1, -1)
            rows = fields.shape[2]
            if layer.combined:
                fields = fields @ combine[begin : begin + rows]
                begin += rows
            squares.append((np.abs(fields) ** 2).sum(1))
        s = np.concatenate(squares, axis=1) * layer.inverse_size[k].numpy()
        if len(features) == 0:
            features.append(sent * size)
        for p, power in enumerate(powers):
            modulus = (s / eps**2 + 1) ** (power / 2) - 1
            z = (modulus - layer.mean[k, p].numpy()) * layer.rate[k, p].numpy()
            features.append(z / np.sqrt(1 + (z / (5 * size)) ** 2))
            if power == 1.0:
                x = features[-1]
    rows = np.concatenate(features, axis=1)
    for number, affine in enumerate([*networks.read_out.layers, networks.read_out.output]):
        if number > 0:
            rows = rows / (1 + np.exp(-rows))  # silu
        rows = rows @ affine.weight[k, 0].numpy() + affine.bias[k, 0].numpy()
    return rows[:, 0] * float(networks.read_out.energy_scale) + float(networks.read_out.energy_shift)


@pytest.mark.parametrize(
    ("powers", "changes"),
    [((1.0, 4 / 3, 5 / 3, 2.0), {}), ((2.0, 1.0), {"combined": 0, "embedding": "fixed", "hidden": ()})],
)
def test_the_equations_in_numpy_give_the_same_energies(powers: tuple[float, ...], changes: dict[str, object]) -> None:
    module = small_models.point_scattering(powers=powers, **changes).module
    for atoms in (toy.cluster(3), toy.skewed()):
        found = module.learned(arguments(atoms, SYMBOLS, CUTOFF))
        for k in range(module.committee):
            np.testing.assert_allclose(found[k], energies(module, atoms, k, powers), rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_atoms_act_as_far_as_layers_reach_and_no_farther(layers: int) -> None:
    """A row of atoms, 0.76 cutoffs apart: the last that acts is beyond layers - 1 cutoffs, the next beyond all."""
    model = small_models.point_scattering(layers=layers)
    row = ase.Atoms("LiSiLiSiLi", [(0.76 * CUTOFF * k, 0, 0) for k in range(5)])

    def first_energy(moved: int) -> float:
        atoms = row.copy()
        atoms.positions[moved] += (-0.3, 0.3, 0.0)
        return float(evaluate(model, [atoms], gradients=False)[0].energies[0])

    here = float(evaluate(model, [row], gradients=False)[0].energies[0])
    assert abs(first_energy(layers) - here) > 1e-9
    assert first_energy(layers + 1) == here


def test_some_atoms_as_centers_have_their_energies_where_the_others_are_exchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in LAMMPS: rows of atoms that are no centers hold nothing after a layer, until the exchange brings them."""
    module = small_models.point_scattering(layers=3, members=0).module
    whole, kept = arguments(toy.skewed(), SYMBOLS, CUTOFF), []
    monkeypatch.setattr(network, "exchange_features", lambda x: kept.append(x) or x)
    every = module.learned(whole)
    assert len(kept) == 2
    begin, end = (int(whole.first_edge[k]) for k in (3, 9))
    edges = (whole.edge_vectors[begin:end], whole.first_edge[3:10] - begin, whole.neighbour[begin:end])
    part = AtomicGraph(*edges, whole.centre[3:9], whole.species)

    def exchange(x: torch.Tensor) -> torch.Tensor:
        owners = kept.pop(0)
        torch.testing.assert_close(x[3:9], owners[3:9], rtol=0, atol=1e-12)
        assert not x[:3].any()
        return torch.cat([owners[:3], x[3:9], owners[9:]])

    monkeypatch.setattr(network, "exchange_features", exchange)
    torch.testing.assert_close(module.learned(part), every[:, 3:9], rtol=0, atol=1e-12)


def test_constants_of_the_features_are_those_of_all_processes() -> None:
    graphs = [arguments(toy.skewed(seed), SYMBOLS, CUTOFF) for seed in range(3)]
    alone = small_models.point_scattering().module.networks
    alone.prepare(small_models.point_scattering().module.descriptor, graphs, lambda sums: sums, 0.3)
    barrier, sums = threading.Barrier(2), [torch.zeros(0)] * 2
    both = [small_models.point_scattering().module for _ in range(2)]

    def process(rank: int) -> None:
        def total(mine: torch.Tensor) -> torch.Tensor:
            sums[rank] = mine
            barrier.wait()
            found = sums[0] + sums[1]
            barrier.wait()
            return found

        both[rank].networks.prepare(both[rank].descriptor, graphs[rank::2], total, 0.3)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(process, range(2)))
    for name, expected in alone.named_buffers():
        for module in both:
            found = dict(module.networks.named_buffers())[name]
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_another_element_at_a_neighbor_changes_the_energy() -> None:
    model = small_models.point_scattering()
    atoms = toy.cluster(2)
    other = atoms.copy()
    other.symbols[1] = "Li" if atoms.symbols[1] == "Si" else "Si"
    before, after = evaluate(model, [atoms, other], gradients=False)
    assert abs(after.energies[0] - before.energies[0]) > 1e-4


@pytest.mark.parametrize("published", [False, True])
def test_derivatives_are_continuous_to_second_order_at_the_cutoff(published: bool) -> None:
    """Three atoms in a row, the last of which leaves the cutoff of the second: its features reach the first."""
    changes = {"combined": 0, "hidden": ()} if published else {}
    module = small_models.point_scattering(**changes).module

    def derivatives(distance: float) -> np.ndarray:
        atoms = ase.Atoms("SiLiSi", [(0, 0, 0), (2.4, 0, 0), (2.4, 0.6 * distance, 0.8 * distance)])
        graph = as_graph(find_edges(atoms, 1.5 * CUTOFF), species_of(atoms, SYMBOLS))  # edges on both sides
        shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
        moved = (graph.neighbour == 2).double() - (
            graph.centre.repeat_interleave(graph.first_edge.diff()) == 2
        ).double()
        direction = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
        energy = module.learned(graph._replace(edge_vectors=graph.edge_vectors + shift * moved[:, None] * direction))[
            0, 0
        ]
        (first,) = torch.autograd.grad(energy, shift, create_graph=True)
        (second,) = torch.autograd.grad(first, shift)
        return np.array([float(energy.detach()), float(first.detach()), float(second)])

    control, edge, beyond = (derivatives(factor * CUTOFF) for factor in (0.6, 1 - 1e-6, 1 + 1e-6))
    assert np.abs(control[1:]).min() > 1e-4
    np.testing.assert_allclose(edge, beyond, rtol=0, atol=1e-4 * np.abs(control).max())
    np.testing.assert_allclose(beyond[1:], 0.0, rtol=0, atol=1e-15)


@pytest.mark.parametrize("powers", [(1.0,), (1.0, 4.0 / 3.0, 5.0 / 3.0, 2.0)])
def test_perfect_crystals_have_forces_and_force_constants(powers: tuple[float, ...]) -> None:
    """Fields vanish by symmetry: forces are zero, second derivatives are those of the forces by differences."""
    module = small_models.point_scattering(powers=powers, members=0).module
    atoms = bulk("Si", "diamond", a=5.43) * (2, 2, 2)
    graph = arguments(atoms, SYMBOLS, CUTOFF)
    row = graph.centre.repeat_interleave(graph.first_edge.diff())
    direction = torch.from_numpy(np.random.default_rng(0).standard_normal((len(atoms), 3)))
    stretch = direction[graph.neighbour] - direction[row]

    def forces(shift: torch.Tensor) -> torch.Tensor:
        vectors = (graph.edge_vectors + shift * stretch).requires_grad_(True)
        energy = module.learned(graph._replace(edge_vectors=vectors)).sum()
        (gradient,) = torch.autograd.grad(energy, vectors, create_graph=True)
        return torch.zeros_like(direction).index_add(0, row, gradient).index_add(0, graph.neighbour, -gradient)

    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    here = forces(zero)
    np.testing.assert_allclose(here.detach(), 0.0, rtol=0, atol=1e-10)
    step = 1e-5
    numeric = (forces(zero.detach() + step) - forces(zero.detach() - step)).detach() / (2 * step)
    along = torch.from_numpy(np.random.default_rng(1).standard_normal((len(atoms), 3)))
    (analytic,) = torch.autograd.grad((here * along).sum(), zero)
    assert float(numeric.abs().max()) > 1e-3
    assert float(analytic) == pytest.approx(float((numeric * along).sum()), rel=1e-6)


@pytest.mark.parametrize("powers", [(2.0,), (1.0, 1.0), (1.0, 0.5), (1.0, float("nan")), (1.0, float("inf"))])
def test_settings_that_do_not_fit_are_refused(powers: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"powers must be different numbers from 1 to 8 with 1 among them"):
        PointScatteringNetworkSettings(powers=powers)
