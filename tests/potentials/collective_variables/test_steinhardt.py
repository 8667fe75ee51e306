"""Order parameters of crystals as published, and against SciPy's spherical harmonics."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from ase.build import bulk
from collective_variables_at_hand import loaded, values
from scipy.special import sph_harm_y

from rhopot.export import evaluate_cv
from rhopot.potentials.collective_variables import Steinhardt
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.testing import structures

HCP = {"a": 2.55, "c": 2.55 * np.sqrt(8.0 / 3.0)}


@pytest.mark.parametrize(
    ("crystal", "sizes", "degree", "order"),
    [
        # Mickel et al., J. Chem. Phys. 138, 044501 (2013), doi:10.1063/1.4774084, table I; bcc with 8 neighbors
        ("fcc", {"a": 3.6}, 4, 0.19094),
        ("fcc", {"a": 3.6}, 6, 0.57452),
        ("hcp", HCP, 4, 0.09722),
        ("hcp", HCP, 6, 0.48476),
        ("bcc", {"a": 2.9}, 4, 0.50918),
        ("bcc", {"a": 2.9}, 6, 0.62854),
        ("sc", {"a": 2.5}, 4, 0.76376),
        ("sc", {"a": 2.5}, 6, 0.35355),
    ],
)
@pytest.mark.parametrize("local", [False, True])
def test_crystals_have_the_published_order(
    crystal: str, sizes: dict[str, float], degree: int, order: float, local: bool
) -> None:
    module = Steinhardt(degree, ["Cu"], 2.85, width=0.2, local=local)
    found = evaluate_cv(loaded(module), bulk("Cu", crystal, **sizes))
    assert found.values[0] == pytest.approx(order, abs=2e-5)
    assert np.isfinite(found.gradients).all()


def test_diamond_has_odd_local_order_that_cancels_over_all_bonds() -> None:
    atoms = bulk("Si", "diamond", a=5.43)
    assert values(Steinhardt(3, ["Si"], 2.9, width=0.4, local=True), atoms)[0] == pytest.approx(
        np.sqrt(5) / 3, abs=1e-6
    )
    vanishing = evaluate_cv(loaded(Steinhardt(3, ["Si"], 2.9, width=0.4)), atoms)
    assert vanishing.values[0] == pytest.approx(1e-3, abs=1e-9), "the rounding of the norm"
    np.testing.assert_allclose(vanishing.gradients, 0.0, atol=1e-9)


def complex_order(atoms: ase.Atoms, degree: int, cutoff: float, width: float, local: bool) -> float:
    """The definition, with complex spherical harmonics and a loop over atoms."""
    edges = find_edges(atoms, cutoff)
    r = np.linalg.norm(edges.vectors, axis=1)
    t = np.clip((r - cutoff + width) / width, 0.0, 1.0)
    weights = 1.0 - 10.0 * t**3 + 15.0 * t**4 - 6.0 * t**5
    x, y, z = edges.vectors.T
    orders = np.arange(-degree, degree + 1)
    harmonics = sph_harm_y(degree, orders[:, None], np.arccos(z / r), np.arctan2(y, x))

    def norm(chosen: np.ndarray) -> float:
        mean = (harmonics[:, chosen] * weights[chosen]).sum(axis=1) / weights[chosen].sum()
        return float(np.sqrt(4 * np.pi / (2 * degree + 1) * (np.abs(mean) ** 2).sum()))

    if local:
        return float(np.mean([norm(edges.edge_centre == atom) for atom in range(len(atoms))]))
    return norm(np.ones(len(r), dtype=bool))


@pytest.mark.parametrize("degree", [1, 2, 5, 6])
@pytest.mark.parametrize("local", [False, True])
def test_the_definition_with_complex_harmonics(degree: int, local: bool) -> None:
    atoms = structures.crystal((1, 1, 1), rattle=0.2)
    expected = complex_order(atoms, degree, 3.4, 1.0, local)
    found = values(Steinhardt(degree, ["Li", "Si"], 3.4, local=local), atoms)
    assert found[0] == pytest.approx(np.hypot(expected, 0.0 if local else 1e-3), abs=2e-5 if local else 1e-7)


def test_an_atom_that_loses_its_last_neighbor_loses_its_order_smoothly() -> None:
    """One neighbor alone has q_l = 1 however far away it is, but for the smooth division."""
    module = Steinhardt(6, ["Si"], 3.0, local=True)
    at = {r: values(module, ase.Atoms("Si2", [(0, 0, 0), (0, 0, r)]))[0] for r in (1.9, 2.9, 2.999, 3.1)}
    assert at[1.9] == pytest.approx(1.0, abs=1e-6)
    assert 1e-2 < at[2.9] < 0.1
    assert at[2.999] == pytest.approx(at[3.1], abs=1e-6)
    assert at[3.1] == pytest.approx(1e-3)


def test_degrees_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="degree must be from 1 to 12, got 13"):
        Steinhardt(13, ["Si"], 3.0)
