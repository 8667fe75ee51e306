"""Linear and sparse-kernel models: the contract of a potential, definitions, scripting, refusals."""

from __future__ import annotations

import many_body_toy as toy
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from rhopot.export import LoadedModel
from rhopot.potentials.descriptors.dot_product import dot_product_kernel, integer_power, unit_rows
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres
from rhopot.potentials.models import GapModel, LinearModel
from rhopot.testing import PotentialContract
from rhopot.testing.spectrum import SmallSpectrum, arguments

SYMBOLS = ("Li", "Si")
CUTOFF = 4.5
MEMBERS = 4


def random_points(descriptor: SmallSpectrum, count: int, seed: int) -> list[torch.Tensor]:
    points = []
    for a in range(len(SYMBOLS)):
        rows = []
        for k in range(count):
            inputs = arguments(toy.skewed(seed + k), SYMBOLS, CUTOFF)
            rows.append(descriptor(inputs)[inputs[4] == a][0])
        points.append(torch.stack(rows))
    return points


def linear_model() -> LinearModel:
    descriptor = SmallSpectrum(len(SYMBOLS))
    random = torch.Generator().manual_seed(0)
    shape = [len(SYMBOLS), descriptor.n_features, 1 + MEMBERS]
    weights = torch.randn(shape, generator=random, dtype=torch.float64)
    return LinearModel(descriptor, weights, [-1.5, -3.25])


def gap_model(features: torch.Tensor | None = None) -> GapModel:
    descriptor = SmallSpectrum(len(SYMBOLS))
    points = random_points(descriptor, 5, seed=20)
    points[1] = points[1][:3]
    if features is not None:
        points = [part[:, features] for part in points]
    random = torch.Generator().manual_seed(1)
    weights = [torch.randn(len(part), 1 + MEMBERS, generator=random, dtype=torch.float64) for part in points]
    return GapModel(descriptor, points, weights, 4, [-1.5, -3.25], features=features)


def in_memory(model: nn.Module) -> LoadedModel:
    return LoadedModel(card=toy.card(MEMBERS, cutoff=CUTOFF), module=model)


class TestLinear(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return in_memory(linear_model())


class TestGap(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return in_memory(gap_model())


class TestGapOnChosenFeatures(PotentialContract):
    @pytest.fixture
    def model(self) -> LoadedModel:
        return in_memory(gap_model(torch.arange(0, 63, 3)))


def test_linear_energies_equal_definition() -> None:
    model = linear_model()
    inputs = arguments(toy.skewed(3), SYMBOLS, CUTOFF)
    spectrum = model.descriptor(inputs)
    expected = torch.stack([spectrum[i] @ model.weights[a] for i, a in enumerate(inputs[4])])
    constant = torch.tensor([-1.5, -3.25], dtype=torch.float64)[inputs[4]]
    assert_close(model(*inputs, True), expected + constant[:, None])


def test_gap_energies_equal_definition() -> None:
    model = gap_model()
    inputs = arguments(toy.skewed(4), SYMBOLS, CUTOFF)
    spectrum = model.descriptor(inputs)
    expected = torch.zeros(len(inputs[4]), 1 + MEMBERS, dtype=torch.float64)
    for i, a in enumerate(inputs[4].tolist()):
        for s in range(model.first_point[a], model.first_point[a + 1]):
            cosine = spectrum[i] @ model.points[s] / spectrum[i].norm()
            expected[i] += model.weights[s] * cosine**4
        expected[i] += (-1.5, -3.25)[a]
    assert_close(model(*inputs, True), expected)


@pytest.mark.parametrize("make", [linear_model, gap_model])
def test_scripted_equals_eager_in_energy_and_derivative(make: type) -> None:
    model = make()
    scripted = torch.jit.script(model)
    inputs = arguments(toy.skewed(5), SYMBOLS, CUTOFF)
    inputs[0].requires_grad_(True)
    results = []
    for module in (model, scripted):
        with torch.jit.optimized_execution(False):
            energies = module(*inputs, True)
            results.append((energies, torch.autograd.grad(energies[:, 0].sum(), inputs[0])[0]))
    assert_close(results[0], results[1])


@pytest.mark.parametrize("make", [linear_model, gap_model])
def test_float32_model_returns_float64_with_an_exact_baseline(make: type) -> None:
    inputs = arguments(toy.skewed(6), SYMBOLS, CUTOFF)
    model = make()
    exact = model(*inputs, False)
    single = model.to(torch.float32)
    energies = single(*inputs, False)
    assert energies.dtype == torch.float64
    assert_close(energies, exact, rtol=0, atol=1e-4)
    assert single.baseline.elements == [-1.5, -3.25]


class HalfSquare(nn.Module):
    """Pair baseline (r - 6)^2 / 2 within 6 A, half to each centre."""

    def forward(self, graph: AtomicGraph) -> torch.Tensor:
        energies = 0.25 * (graph.edge_vectors.norm(dim=1) - 6.0) ** 2
        return torch.zeros(len(graph.centre), dtype=energies.dtype).index_add(
            0, edge_centres(graph.first_edge), energies
        )


def test_pair_baseline_is_added() -> None:
    inputs = arguments(toy.skewed(7), SYMBOLS, CUTOFF)
    bare = linear_model()
    dressed = LinearModel(bare.descriptor, bare.weights, [-1.5, -3.25], HalfSquare())
    assert_close(dressed(*inputs, True) - bare(*inputs, True), HalfSquare()(inputs)[:, None].expand(-1, 1 + MEMBERS))


def test_kernel_is_one_with_itself_and_zero_without_density() -> None:
    units, inverse = unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64))
    assert_close(units, torch.tensor([[0.6, 0.8], [0.0, 0.0]], dtype=torch.float64))
    assert_close(inverse, torch.tensor([0.2, 0.0], dtype=torch.float64))
    assert_close(dot_product_kernel(units, units[:1], 3), torch.tensor([[1.0], [0.0]], dtype=torch.float64))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 7])
def test_integer_power_equals_pow_and_has_its_derivative(exponent: int) -> None:
    base = torch.tensor([-1.5, 0.0, 0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert_close(integer_power(base, exponent), base**exponent)
    if exponent:
        assert torch.autograd.gradcheck(lambda x: integer_power(x, exponent), base)
        assert torch.autograd.gradgradcheck(lambda x: integer_power(x, exponent), base)


def test_wrong_shapes_are_refused() -> None:
    descriptor = SmallSpectrum(2)
    with pytest.raises(ValueError, match=r"weights must have shape .* got \(1, 63, 1\)"):
        LinearModel(descriptor, torch.zeros(1, 63, 1), [0.0, 0.0])
    points = [torch.ones(2, descriptor.n_features)] * 2
    weights = [torch.ones(2, 1)] * 2
    with pytest.raises(ValueError, match="zeta must be an integer of at least 1, got 0"):
        GapModel(descriptor, points, weights, 0, [0.0, 0.0])
    with pytest.raises(ValueError, match="one entry per element"):
        GapModel(descriptor, points[:1], weights[:1], 2, [0.0, 0.0])
    with pytest.raises(ValueError, match=r"must have shapes \(M, 63\)"):
        GapModel(descriptor, [part[:, :5] for part in points], weights, 2, [0.0, 0.0])
