"""Fast features equal the published integrals, monomial by monomial: values and derivatives, orders 0 to 8."""

import ase
import many_body_toy as structures
import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor
from torch.testing import assert_close
from valence_models import COMPACT, HOLLOW, SOFT

from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings, direct_features, valence_density
from rhopot.potentials.descriptors.gmp.direct import moment_integral
from rhopot.potentials.descriptors.gmp.radial import AtomDensity
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.testing.spectrum import arguments

SYMBOLS = ("Li", "Si")
MADE_UP: tuple[AtomDensity, AtomDensity] = (SOFT, HOLLOW)
REAL: tuple[AtomDensity, AtomDensity] = (valence_density("Li"), valence_density("Si"))
CASES: dict[str, tuple[GmpSettings, tuple[AtomDensity, AtomDensity]]] = {
    "order_8": (GmpSettings(cutoff=4.5, n_probes=4, max_order=8), MADE_UP),
    "order_8_solid": (GmpSettings(cutoff=4.5, n_probes=4, max_order=8, harmonics="solid"), MADE_UP),
    "defaults_real": (GmpSettings(cutoff=4.5), REAL),
    "narrow_and_wide_real": (GmpSettings(cutoff=5.0, widths=(0.02, 0.3, 2.0), max_order=6), REAL),
    "narrow_solid_real": (  # without the centre: of its order 4, integrals keep more rounding than neighbours give
        GmpSettings(cutoff=4.0, widths=(0.02, 1.0), max_order=4, harmonics="solid", center_weight=0.0),
        REAL,
    ),
    "no_centre": (GmpSettings(cutoff=4.0, n_probes=3, max_order=5, center_weight=0.0), (COMPACT, HOLLOW)),
    "heavy_centre_fade_all_along": (
        GmpSettings(cutoff=5.0, cutoff_width=5.0, n_probes=2, max_order=3, center_weight=2.5),
        REAL,
    ),
    "order_0": (GmpSettings(cutoff=3.5, max_order=0, n_probes=1, max_width=0.4), REAL),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[GmpSettings, tuple[AtomDensity, AtomDensity], AtomicGraph]:
    settings, densities = CASES[request.param]
    return settings.with_symbols(SYMBOLS), densities, arguments(structures.skewed(), SYMBOLS, settings.cutoff)


def assert_columns_agree(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compare each feature with its own largest magnitude."""
    largest = expected.detach().abs().reshape(-1, expected.shape[-1]).max(dim=0).values
    assert bool((largest > 0).all())
    assert_close(actual / largest, expected / largest, rtol=0.0, atol=tolerance)


def test_values_equal_the_direct_integrals(
    case: tuple[GmpSettings, tuple[AtomDensity, AtomDensity], AtomicGraph],
) -> None:
    settings, densities, inputs = case
    fast = GmpFeatures(settings, densities)
    assert_columns_agree(fast(inputs), direct_features(settings, densities, inputs, floor=fast.floor), 1e-8)


@pytest.mark.parametrize("distance", [0.52, 0.7414, 1.1])
def test_tables_hold_from_half_an_angstrom_on(distance: float) -> None:
    settings = GmpSettings(symbols=("H", "F"), cutoff=6.0, widths=(0.02, 0.5), max_order=4)
    densities = (valence_density("H"), valence_density("F"))
    for pair in ("H2", "HF", "F2"):
        atoms = ase.Atoms(pair, [(0.0, 0.0, 0.0), (0.0, 0.6 * distance, 0.8 * distance)])
        inputs = arguments(atoms, ("H", "F"), settings.cutoff)
        fast = GmpFeatures(settings, densities)
        assert_columns_agree(fast(inputs), direct_features(settings, densities, inputs, floor=fast.floor), 1e-9)


def test_derivatives_equal_those_of_the_direct_integrals(
    case: tuple[GmpSettings, tuple[AtomDensity, AtomDensity], AtomicGraph],
) -> None:
    settings, densities, inputs = case
    vectors, *rest = inputs
    fast = GmpFeatures(settings, densities)
    _, derivatives = fast.jacobian(AtomicGraph(vectors, *rest))
    vectors = vectors.clone().requires_grad_(True)
    features = direct_features(settings, densities, AtomicGraph(vectors, *rest), floor=fast.floor)
    columns = range(0, settings.n_features, max(1, settings.n_features // 6))
    gradients = [torch.autograd.grad(features[:, f].sum(), vectors, retain_graph=True)[0] for f in columns]
    assert_columns_agree(derivatives[:, :, list(columns)], torch.stack(gradients, dim=-1), 1e-6)


def test_default_regularisation_is_invisible_next_to_the_published_norm() -> None:
    settings = GmpSettings(cutoff=4.5, n_probes=4, max_order=4).with_symbols(SYMBOLS)
    inputs = arguments(structures.skewed(), SYMBOLS, settings.cutoff)
    published = direct_features(settings, REAL, inputs)
    assert_columns_agree(GmpFeatures(settings)(inputs), published, 1e-6)


@pytest.mark.parametrize("power", range(9))
def test_moment_integrals_by_quadrature(power: int) -> None:
    gamma, position = 1.7, -0.4
    expected, _ = quad(lambda x: x**power * np.exp(-gamma * (x - position) ** 2), -12.0, 12.0, epsabs=1e-13, limit=200)
    found = moment_integral(
        power, torch.tensor(position, dtype=torch.float64), torch.tensor(gamma, dtype=torch.float64)
    )
    assert float(found) == pytest.approx(expected, rel=1e-11, abs=1e-13)
