"""GMP features: everything a descriptor owes, closed forms, and the physics of one density for all elements."""

from typing import Any

import ase
import many_body_toy as structures
import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.stats import ortho_group
from torch import Tensor, nn
from torch.testing import assert_close
from valence_models import COMPACT, HOLLOW, SOFT, Density

from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.testing.descriptor import SYMBOLS, DescriptorContract, features, mixture
from rhopot.testing.spectrum import arguments

HYPERS = GmpSettings(symbols=SYMBOLS, cutoff=4.5, cutoff_width=2.0, n_probes=3, max_width=1.2, max_order=4)
DENSITIES = (SOFT, HOLLOW)
CASES = {
    "cartesian": (HYPERS, False),
    "cartesian_reference": (HYPERS, True),
    "solid": (HYPERS.model_copy(update={"harmonics": "solid"}), False),
    "without_centre": (HYPERS.model_copy(update={"center_weight": 0.0}), False),
}


class TestGmpFeatures(DescriptorContract):
    @pytest.fixture(scope="class", params=list(CASES))
    @classmethod
    def descriptor(cls, request: pytest.FixtureRequest) -> nn.Module:
        settings, twin = CASES[request.param]
        return GmpFeatures(settings, DENSITIES, reference=twin)


def one_width(density: Density, sigma: float, **changes: Any) -> GmpFeatures:
    """Return features of one probe for Si of a given density, with the least of a regularisation."""
    settings = {"symbols": ("Si",), "cutoff": 6.0, "cutoff_width": 1.0, "regularization": 1e-12, "max_order": 3}
    return GmpFeatures(GmpSettings(widths=(sigma,), **(settings | changes)), [density])


def environment(descriptor: GmpFeatures, *neighbours: tuple[float, float, float]) -> Tensor:
    """Return the features (F,) of an atom at the origin that sees Si atoms at `neighbours`."""
    vectors = torch.tensor(neighbours, dtype=torch.float64).reshape(-1, 3)
    n_edges = len(vectors)
    index = torch.zeros(n_edges, dtype=torch.int64)
    return descriptor(AtomicGraph(vectors, torch.tensor([0, n_edges]), index, torch.tensor([0]), torch.tensor([0])))[0]


def product_gaussians(density: Density, sigma: float, r: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return height x volume, shift k and variance v of probe x each density Gaussian at distance r."""
    c, beta = np.array(density.coefficients), np.array(density.exponents)
    alpha = 0.5 / sigma**2
    charge = c * (alpha / (alpha + beta)) ** 1.5 * np.exp(-alpha * beta / (alpha + beta) * r**2)
    return charge, beta / (alpha + beta), 0.5 / (alpha + beta)


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_an_atom_alone_has_its_own_blurred_density(weight: float) -> None:
    """Closed form: <1>, 0, sqrt(3) |<3 x^2 - 1>| and 0."""
    charge, _, variance = product_gaussians(COMPACT, 0.4, 0.0)
    expected = weight * np.array([charge.sum(), 0.0, np.sqrt(3) * abs(charge @ (3 * variance - 1)), 0.0])
    found = environment(one_width(COMPACT, 0.4, center_weight=weight))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_single_neighbour_by_hand() -> None:
    """Closed form of orders 0-2: <1>, <x>, and the tensor 3 <x x> - 1, one axis along and two across the bond."""
    sigma, r = 0.8, 2.2
    charge, shift, variance = product_gaussians(HOLLOW, sigma, r)
    along = charge @ (3.0 * ((shift * r) ** 2 + variance) - 1.0)
    across = charge @ (3.0 * variance - 1.0)
    expected = [abs(charge.sum()), abs(charge @ shift) * r, np.sqrt(along**2 + 2.0 * across**2)]
    found = environment(one_width(HOLLOW, sigma, center_weight=0.0), (r * 2 / 3, -r / 3, r * 2 / 3))
    np.testing.assert_allclose(found[:3], expected, rtol=1e-8)


def test_two_neighbours_by_hand() -> None:
    """Closed form of orders 0-2 at a right angle: moments add as vectors and tensors, not as norms."""
    sigma, a, b = 0.6, 1.9, 2.4
    near, far = product_gaussians(SOFT, sigma, a), product_gaussians(SOFT, sigma, b)
    dipole = [charge @ shift * r for (charge, shift, _), r in ((near, a), (far, b))]
    tensor = np.zeros((3, 3))
    for (charge, shift, variance), r, axis in ((near, a, 0), (far, b, 2)):
        unit = np.eye(3)[axis]
        tensor += 3.0 * (charge @ (shift * r) ** 2) * np.outer(unit, unit)
        tensor += charge @ (3.0 * variance - 1.0) * np.eye(3)
    expected = [near[0].sum() + far[0].sum(), np.hypot(*dipole), np.linalg.norm(tensor)]
    found = environment(one_width(SOFT, sigma, center_weight=0.0), (a, 0.0, 0.0), (0.0, 0.0, b))
    np.testing.assert_allclose(found[:3], expected, rtol=1e-8)


def test_solid_norms_are_those_of_the_traceless_tensor() -> None:
    sigma, r = 0.8, 2.2
    charge, shift, _ = product_gaussians(HOLLOW, sigma, r)
    found = environment(one_width(HOLLOW, sigma, center_weight=0.0, harmonics="solid"), (0.0, r, 0.0))
    assert float(found[2]) == pytest.approx(np.sqrt(6.0) * abs(charge @ (shift * r) ** 2), rel=1e-8)  # diag(2, -1, -1)
    assert float(environment(one_width(COMPACT, 0.4, harmonics="solid"))[1:].abs().max()) == 0.0


@pytest.mark.parametrize("harmonics", ["cartesian", "solid"])
def test_every_order_is_invariant_for_itself(harmonics: str) -> None:
    """Rotation, permutation and supercell to 1e-10 of each feature, orders to 8."""
    settings = GmpSettings(symbols=SYMBOLS, cutoff=4.5, n_probes=2, max_order=8, harmonics=harmonics)
    descriptor = GmpFeatures(settings)
    atoms = structures.skewed()
    values = features(descriptor, atoms)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ ortho_group.rvs(3, random_state=5).T, scale_atoms=True)
    order = np.random.default_rng(1).permutation(len(atoms))
    assert_close(features(descriptor, turned), values, rtol=1e-10, atol=0.0)
    assert_close(features(descriptor, atoms[order]), values[order], rtol=1e-10, atol=0.0)
    assert_close(features(descriptor, atoms * (2, 1, 1)), values.repeat(2, 1), rtol=1e-10, atol=0.0)


def test_regularisation_is_bounded_by_its_scale_and_the_scale_is_honest() -> None:
    published = GmpSettings(symbols=SYMBOLS, cutoff=5.0, regularization=1e-15)
    default, bare = GmpFeatures(GmpSettings(symbols=SYMBOLS, cutoff=5.0)), GmpFeatures(published)
    atoms = structures.crystal(rattle=0.08)
    change = (features(bare, atoms) - features(default, atoms)) / torch.from_numpy(default.scale)
    assert bool((change >= -1e-12).all())
    assert float(change.max()) <= 1e-6 * (1 + 1e-5)  # features of 1e4 scales, rounded
    assert float(change.max()) > 1e-8, "the bound is put to the test"
    values, scale = features(default, atoms), torch.from_numpy(default.scale)
    assert bool((values.square().mean(dim=0).sqrt() >= scale).all())
    assert bool((values.std(dim=0) >= 0.5 * scale).all())
    assert_close(default.floor, 1e-6 * scale)


def test_number_of_features_does_not_depend_on_the_elements() -> None:
    few = GmpFeatures(GmpSettings(symbols=("Li", "Si"), cutoff=4.5, n_probes=4))
    many = GmpFeatures(GmpSettings(symbols=("Cu", "Li", "O", "Rn", "Si"), cutoff=4.5, n_probes=4))
    atoms = structures.skewed()
    inputs = arguments(atoms, ("Cu", "Li", "O", "Rn", "Si"), 4.5)
    assert few.n_features == many.n_features == 16
    assert_close(many(inputs), features(few, atoms), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("between", [("C", "N", "O"), ("N", "O", "F"), ("Si", "P", "S")])
def test_an_element_lies_between_its_neighbours_in_the_table(between: tuple[str, str, str]) -> None:
    """Interpolation: the middle element's features are nearer to either end than the ends are to each other."""
    descriptor = GmpFeatures(GmpSettings(symbols=between, cutoff=5.0, n_probes=5))
    rows = []
    for symbol in between:
        pair = ase.Atoms([between[0], symbol], [(0.0, 0.0, 0.0), (0.0, 0.0, 2.1)])
        rows.append(descriptor(arguments(pair, between, 5.0))[0] / torch.from_numpy(descriptor.scale))
    first, middle, last = rows
    ends = float((last - first).norm())
    assert 0 < float((middle - first).norm()) < ends
    assert 0 < float((last - middle).norm()) < ends


CRYSTALS = {
    "diamond": bulk("Si", "diamond", a=5.43),
    "fcc": bulk("Si", "fcc", a=3.9),
    "bcc": bulk("Li", "bcc", a=3.44, cubic=True),
    "zincblende": bulk("LiSi", "zincblende", a=5.6),
}


@pytest.mark.parametrize("harmonics", ["cartesian", "solid"])
@pytest.mark.parametrize("name", list(CRYSTALS))
def test_perfect_crystals_have_no_forces_and_finite_derivatives(name: str, harmonics: str) -> None:
    descriptor = GmpFeatures(GmpSettings(symbols=SYMBOLS, cutoff=5.0, harmonics=harmonics, n_probes=4))
    vectors, first_edge, neighbour, centre, species = arguments(CRYSTALS[name], SYMBOLS, 5.0)
    vectors.requires_grad_(True)
    values = descriptor(AtomicGraph(vectors, first_edge, neighbour, centre, species)) / torch.from_numpy(
        descriptor.scale
    )
    vanishing = values.detach().abs().max(dim=0).values < 1e-8
    assert bool(vanishing.any()), "a norm vanishes by symmetry"
    energy = (values @ mixture(descriptor, 1)).sum()
    (derivative,) = torch.autograd.grad(energy, vectors, create_graph=True)
    (second,) = torch.autograd.grad((derivative * derivative.detach()).sum(), vectors)
    rows = torch.repeat_interleave(torch.arange(len(centre)), first_edge.diff())
    forces = torch.zeros(len(centre), 3, dtype=torch.float64)
    forces = forces.index_add(0, rows, derivative.detach()).index_add(0, neighbour, -derivative.detach())
    assert bool(torch.isfinite(second).all())
    assert float(derivative.detach().abs().max()) > 1e-2
    assert float(forces.abs().max()) < 1e-7 * float(derivative.detach().abs().max())


@pytest.mark.parametrize(("regularization", "quiet"), [(1e-2, True), (1e-6, False)])
def test_single_precision_needs_more_regularisation_on_perfect_sites(regularization: float, quiet: bool) -> None:
    settings = GmpSettings(symbols=SYMBOLS, cutoff=5.0, regularization=regularization)
    descriptor = GmpFeatures(settings).to(torch.float32)
    vectors, *rest = arguments(CRYSTALS["fcc"], SYMBOLS, 5.0)
    vectors = vectors.to(torch.float32).requires_grad_(True)
    energy = (descriptor(AtomicGraph(vectors, *rest)) / torch.from_numpy(descriptor.scale).float()).sum()
    (derivative,) = torch.autograd.grad(energy, vectors)
    force = float(derivative.sum(dim=0).norm() / derivative.norm(dim=1).max())
    assert (force < 1e-2) == quiet


def test_energy_is_smooth_where_a_norm_vanishes() -> None:
    """Finite differences: the tip of the cone is rounded as the second derivative says."""
    settings = GmpSettings(symbols=SYMBOLS, cutoff=5.0, n_probes=2, max_order=3, regularization=0.5)
    descriptor = GmpFeatures(settings)
    vectors, *rest = arguments(CRYSTALS["fcc"], SYMBOLS, 5.0)
    columns = mixture(descriptor, 1)
    direction = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)

    def energy(shift: Tensor) -> Tensor:
        return (descriptor(AtomicGraph(vectors + shift * direction, *rest)) @ columns).sum()

    at = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (derivative,) = torch.autograd.grad(energy(at), at, create_graph=True)
    (curvature,) = torch.autograd.grad(derivative.sum(), at)
    step = 2e-4
    values = [float(energy(torch.tensor([shift], dtype=torch.float64))) for shift in (-step, 0.0, step)]
    assert abs(float(derivative.detach())) < 1e-9
    assert float(curvature) == pytest.approx((values[0] - 2 * values[1] + values[2]) / step**2, rel=1e-3)


def test_tables_of_published_probes_stay_small() -> None:
    """The narrowest published probe sees the core of every element, fifteen Angstroms of cutoff or not."""
    settings = GmpSettings(symbols=("H", "C", "N", "O", "F"), cutoff=15.0, widths=(0.02, 0.5, 2.0), max_order=4)
    descriptor = GmpFeatures(settings)
    assert descriptor.radial.shape[1] <= 1024
    assert descriptor.table_error <= 1e-9


@pytest.mark.parametrize(
    ("symbol", "crystal", "lattice"), [("Si", "diamond", 5.47), ("Al", "fcc", 4.05), ("Li", "bcc", 3.44)]
)
def test_regularization_length_is_a_displacement(symbol: str, crystal: str, lattice: float) -> None:
    """Norms that vanish on the sites of a crystal become about eps when its atoms are displaced by that length."""
    length = 0.02
    settings: dict[str, Any] = {"cutoff_width": 3.0, "n_probes": 6, "max_order": 6, "harmonics": "solid"}
    published = GmpFeatures(GmpSettings(symbols=(symbol,), **settings))
    floor = GmpFeatures(GmpSettings(symbols=(symbol,), regularization_length=length, **settings)).floor
    perfect = bulk(symbol, crystal, a=lattice, cubic=True).repeat(3 if crystal == "bcc" else 2)
    moved = perfect.copy()
    moved.rattle(length, seed=3)
    vanishing = published(arguments(perfect, (symbol,), 6.0))[0] < 1e-3 * torch.from_numpy(published.scale)

    norms = published(arguments(moved, (symbol,), 6.0)).square().mean(0).sqrt()

    assert int(vanishing.sum()) >= 3 * 6
    ratio = (norms / floor)[vanishing]
    assert 0.7 < float(ratio.median()) < 1.5
    assert float(ratio.max()) < 3.0
