"""What every descriptor of environments owes physics and calculus. A test class inherits these and gives an instance.

    class TestMine(DescriptorContract):
        @pytest.fixture(scope="class")
        @classmethod
        def descriptor(cls) -> nn.Module: ...

The descriptor takes the shared argument list (edge vectors, first edge, neighbour, centre, species), knows Li and Si as
species 0 and 1, has `cutoff`, `n_features`, `jacobian` and `linear`, and is in float64.
"""

import copy
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from scipy.stats import ortho_group
from torch import Tensor, nn
from torch.testing import assert_close

from rhopot.export import script
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.testing import structures
from rhopot.testing.spectrum import arguments

SYMBOLS = ("Li", "Si")


def graph(descriptor: nn.Module, atoms: ase.Atoms) -> AtomicGraph:
    """Return the arguments of `descriptor` for one structure."""
    return arguments(atoms, SYMBOLS, descriptor.cutoff)


def features(descriptor: nn.Module, atoms: ase.Atoms) -> Tensor:
    """Return the features (N, F)."""
    return descriptor(graph(descriptor, atoms))


def dimer(distance: float) -> ase.Atoms:
    """Return Li at the origin and Si at `distance` A, along no axis."""
    direction = np.array([2.0, -1.0, 2.0]) / 3.0
    return ase.Atoms("LiSi", [np.zeros(3), distance * direction])


def few_edges(n_edges: int, seed: int) -> AtomicGraph:
    """Return the arguments of two centres with random edges between 1.5 and 4.3 A."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(n_edges, 3, generator=generator, dtype=torch.float64)
    length = 1.5 + 2.8 * torch.rand(n_edges, 1, generator=generator, dtype=torch.float64)
    vectors = direction / direction.norm(dim=1, keepdim=True) * length
    first_edge = torch.tensor([0, n_edges - 1, n_edges])
    neighbour = torch.arange(n_edges) % 3
    return AtomicGraph(vectors, first_edge, neighbour, torch.tensor([1, 2]), torch.tensor([0, 1, 1]))


def mixture(descriptor: nn.Module, n_outputs: int = 3) -> Tensor:
    """Return (F, n_outputs) random columns: a few numbers that depend on every feature."""
    generator = torch.Generator().manual_seed(7)
    columns = torch.randn(descriptor.n_features, n_outputs, generator=generator, dtype=torch.float64)
    return columns / descriptor.n_features**0.5


class DescriptorContract:
    """Inherit and provide the fixture `descriptor`."""

    noise = 1e-11  # of the largest feature: what sums in another order may change

    @pytest.fixture(scope="class")
    @classmethod
    def descriptor(cls) -> nn.Module:
        raise NotImplementedError("a descriptor's test class provides its instance")

    def assert_same(self, actual: Tensor, expected: Tensor) -> None:
        assert_close(actual, expected, rtol=0.0, atol=self.noise * float(expected.abs().max()))

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_rotation_and_inversion(self, descriptor: nn.Module, seed: int) -> None:
        atoms, turned = structures.skewed(), structures.skewed()
        matrix = ortho_group.rvs(3, random_state=seed)
        matrix *= (-1.0) ** seed * np.linalg.det(matrix)  # rotations for even seeds, with inversion for odd ones
        turned.set_cell(atoms.cell.array @ matrix.T, scale_atoms=True)
        self.assert_same(features(descriptor, turned), features(descriptor, atoms))

    def test_features_tell_environments_apart(self, descriptor: nn.Module) -> None:
        values = features(descriptor, structures.skewed())
        assert values.shape == (len(structures.skewed()), descriptor.n_features)
        assert float((values[0] - values[1]).abs().max()) > 1e-3 * float(values.abs().max())
        assert float((values != 0).any(dim=0).double().mean()) > 0.9

    def test_translation_and_wrapping(self, descriptor: nn.Module) -> None:
        atoms, moved = structures.skewed(), structures.skewed()
        moved.positions += (1.7, -0.4, 9.1)
        moved.wrap()
        self.assert_same(features(descriptor, moved), features(descriptor, atoms))

    def test_permutation(self, descriptor: nn.Module) -> None:
        atoms = structures.skewed()
        order = np.random.default_rng(4).permutation(len(atoms))
        self.assert_same(features(descriptor, atoms[order]), features(descriptor, atoms)[order])

    def test_supercell_is_made_of_its_cells(self, descriptor: nn.Module) -> None:
        atoms = structures.tiny()
        self.assert_same(features(descriptor, atoms * (2, 1, 3)), features(descriptor, atoms).repeat(6, 1))

    def test_centres_may_be_any_subset(self, descriptor: nn.Module) -> None:
        vectors, first_edge, neighbour, centre, species = graph(descriptor, structures.skewed())
        start, end = int(first_edge[3]), int(first_edge[6])
        some = AtomicGraph(
            vectors[start:end], first_edge[3:7] - first_edge[3], neighbour[start:end], centre[3:6], species
        )
        self.assert_same(descriptor(some), descriptor(graph(descriptor, structures.skewed()))[3:6])

    def test_value_derivative_and_curvature_vanish_at_the_cutoff(self, descriptor: nn.Module) -> None:
        columns = mixture(descriptor, 1)

        def profile(distance: float) -> tuple[float, float, float]:
            vectors, *rest = graph(descriptor, dimer(distance))
            stretch = torch.ones(1, dtype=torch.float64, requires_grad=True)
            value = (descriptor(AtomicGraph(vectors * stretch, *rest)) @ columns).sum()
            (derivative,) = torch.autograd.grad(value, stretch, create_graph=True)
            (curvature,) = torch.autograd.grad(derivative.sum(), stretch)
            return float(value.detach()), float(derivative.detach()), float(curvature)

        alone = float((features(descriptor, dimer(1.01 * descriptor.cutoff)) @ columns).sum())
        inside, edge = profile(0.6 * descriptor.cutoff), profile((1 - 1e-6) * descriptor.cutoff)
        for order, tolerance in enumerate((1e-10, 1e-7, 1e-3)):  # fall like the third, second and first power of 1e-6
            change = [inside[order], edge[order]]
            if order == 0:
                change = [number - alone for number in change]
            assert abs(change[0]) > 1e-6, "the control inside feels nothing"
            assert abs(change[1]) < tolerance * abs(change[0])

    def test_neighbours_beyond_the_cutoff_do_not_count(self, descriptor: nn.Module) -> None:
        far, farther = features(descriptor, dimer(1.01 * descriptor.cutoff)), features(descriptor, dimer(50.0))
        assert_close(far, farther, rtol=0.0, atol=0.0)

    def test_first_and_second_derivatives_by_finite_differences(self, descriptor: nn.Module) -> None:
        vectors, *rest = few_edges(4, seed=3)
        columns = mixture(descriptor)

        def outputs(edge_vectors: Tensor) -> Tensor:
            return descriptor(AtomicGraph(edge_vectors, *rest)) @ columns

        vectors.requires_grad_(True)
        torch.autograd.gradcheck(outputs, (vectors,), fast_mode=False)
        torch.autograd.gradgradcheck(outputs, (vectors,), fast_mode=False)

    def test_jacobian_equals_autograd(self, descriptor: nn.Module) -> None:
        vectors, *rest = few_edges(6, seed=5)
        values, derivatives = descriptor.jacobian(AtomicGraph(vectors, *rest))
        columns = mixture(descriptor)
        vectors.requires_grad_(True)
        again = descriptor(AtomicGraph(vectors, *rest))
        self.assert_same(values, again.detach())
        for column in columns.T:
            (gradient,) = torch.autograd.grad((again @ column).sum(), vectors, retain_graph=True)
            self.assert_same(derivatives @ column, gradient)

    @pytest.mark.parametrize("members", [False, True])
    def test_linear_equals_features_times_weights(self, descriptor: nn.Module, members: bool) -> None:
        inputs = graph(descriptor, structures.tiny())
        weights = torch.stack([mixture(descriptor), 2.0 * mixture(descriptor) + 0.1])
        expected = torch.einsum("cf,cfk->ck", descriptor(inputs), weights[inputs[4][inputs[3]]])
        actual = descriptor.linear(inputs, weights, members)
        self.assert_same(actual, expected if members else expected[:, :1])

    def test_scripted_and_reloaded_equal_eager(self, descriptor: nn.Module, tmp_path: Path) -> None:
        inputs = graph(descriptor, structures.skewed())
        compiled = script.compile_module(copy.deepcopy(descriptor))
        (tmp_path / "descriptor.pt").write_bytes(script.serialise(compiled, {}))
        reloaded = script.deserialise(tmp_path / "descriptor.pt", torch.device("cpu"))
        for module in (compiled, reloaded):
            for _ in range(3):  # the profiling executor changes its mind after the first calls
                self.assert_same(module(inputs), descriptor(inputs))

    def test_single_precision_agrees_with_double(self, descriptor: nn.Module) -> None:
        inputs = graph(descriptor, structures.skewed())
        single = copy.deepcopy(descriptor).to(torch.float32)
        actual = single(AtomicGraph(inputs[0].to(torch.float32), *inputs[1:]))
        expected = descriptor(inputs)
        assert actual.dtype == torch.float32
        assert_close(actual.double(), expected, rtol=0.0, atol=1e-5 * float(expected.abs().max()))

    def test_atoms_without_neighbours_see_themselves(self, descriptor: nn.Module) -> None:
        atoms = ase.Atoms("LiSi", [(0.0, 0.0, 0.0), (0.0, 0.0, 60.0)])
        vectors, *rest = graph(descriptor, atoms)
        vectors.requires_grad_(True)
        values = descriptor(AtomicGraph(vectors, *rest))
        values.sum().backward()
        assert values.shape == (2, descriptor.n_features)
        assert vectors.grad is not None
        assert vectors.grad.shape == (0, 3)
        assert bool(torch.isfinite(values).all())

    def test_no_centres_give_no_features(self, descriptor: nn.Module) -> None:
        none = torch.zeros(0, dtype=torch.int64)
        inputs = (torch.zeros(0, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.int64), none, none)
        for species in (none, torch.tensor([0, 1])):
            values, derivatives = descriptor.jacobian(AtomicGraph(*inputs, species))
            assert descriptor(AtomicGraph(*inputs, species)).shape == values.shape == (0, descriptor.n_features)
            assert derivatives.shape == (0, 3, descriptor.n_features)

    def test_edges_that_point_the_same_way_have_finite_derivatives(self, descriptor: nn.Module) -> None:
        vectors = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 3.0], [0.0, 0.0, -2.0]], dtype=torch.float64)
        vectors.requires_grad_(True)
        rest = (torch.tensor([0, 3]), torch.tensor([1, 1, 2]), torch.tensor([0]), torch.tensor([0, 1, 1]))
        value = (descriptor(AtomicGraph(vectors, *rest)) @ mixture(descriptor)).sum()
        (derivative,) = torch.autograd.grad(value, vectors, create_graph=True)
        (second,) = torch.autograd.grad((derivative**2).sum(), vectors)
        assert bool(torch.isfinite(derivative).all())
        assert bool(torch.isfinite(second).all())
        assert float(derivative.detach().abs().max()) > 0
