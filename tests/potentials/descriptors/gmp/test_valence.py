"""Valence densities: exact norms, recorded errors, and the sizes that atoms have."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase.data import chemical_symbols

from rhopot.potentials.descriptors.gmp.valence import (
    FILE,
    ValenceDensity,
    read_valence_densities,
    valence_densities,
    valence_density,
)

ROOT = Path(__file__).resolve().parents[4]
SYMBOLS = chemical_symbols[1:87]
LARGEST_ERROR = 0.01
# Lei & Medford's norms, semicore shells included.
NORMS = {"H": 1, "C": 4, "N": 5, "O": 6, "Li": 3, "Si": 4, "Ti": 12, "Ni": 18, "Cu": 19, "Ba": 10}
# Equal shells along each line, one more electron (a d or f shell that fills changes its s shell here and there).
ROWS = ["B C N O F Ne", "Al Si P S Cl Ar", "As Se Br Kr", "Sn Sb Te I Xe", "Pb Bi Po At Rn", "Na Mg", "K Ca Sc Ti V"]
ROWS += ["Mn Fe Co Ni", "Pr Nd Pm Sm Eu", "Tb Dy Ho Er Tm Yb"]
# Equal numbers of electrons down each line.
GROUPS = ["C Si", "N P As", "O S Se", "F Cl Br", "Ne Ar Kr", "Na K Rb Cs", "Mg Ca Sr Ba", "Ge Sn", "Sc Y La"]
BOHR = 0.529177210903
RADIUS = np.geomspace(1e-3, 20.0, 4001)


def shell_sum(values: np.ndarray, radius: np.ndarray = RADIUS) -> float:
    """Integral of a radial function over space, by the trapezoidal rule in log r."""
    return float(np.trapezoid(4.0 * np.pi * radius**3 * values, np.log(radius)))


def program(name: str) -> ModuleType:
    """A file of examples/valence_densities as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / "valence_densities" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_elements_are_hydrogen_to_radon_in_order() -> None:
    assert list(valence_densities()) == SYMBOLS


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_density(symbol: str) -> None:
    density = valence_density(symbol)
    widths = np.sqrt(0.5 / np.array(density.exponents))
    assert 2 <= len(density.exponents) <= 7
    assert list(density.exponents) == sorted(set(density.exponents))
    assert 0.0 < density.fit_error <= LARGEST_ERROR
    assert sum(density.charges) == pytest.approx(density.n_electrons, rel=1e-13)
    assert shell_sum(density(RADIUS)) == pytest.approx(density.n_electrons, rel=1e-6)
    assert widths.min() >= 0.049
    assert widths.max() <= 2.5
    assert np.abs(density.charges).sum() <= 6.0 * density.n_electrons


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_density_is_positive_where_electrons_are(symbol: str) -> None:
    density = valence_density(symbol)
    assert -shell_sum(np.minimum(density(RADIUS), 0.0)) <= 2e-4 * density.n_electrons
    assert density(np.linspace(0.4, 4.0, 200)).min() > 0.0


def test_median_error() -> None:
    assert np.median([density.fit_error for density in valence_densities().values()]) <= 0.004


@pytest.mark.parametrize("symbol", NORMS)
def test_norm_is_that_of_the_paper(symbol: str) -> None:
    assert valence_density(symbol).n_electrons == NORMS[symbol]


def test_norm_grows_by_one_along_a_row_but_where_a_shell_closes_into_the_core() -> None:
    counts = np.array([valence_density(symbol).n_electrons for symbol in SYMBOLS])
    closed = [SYMBOLS[k + 1] for k in np.flatnonzero(np.diff(counts) != 1)]
    assert closed == ["B", "Al", "Ga", "As", "In", "Cs", "Hf", "Tl"]


@pytest.mark.parametrize("row", ROWS)
def test_atoms_shrink_along_a_row(row: str) -> None:
    sizes = [valence_density(symbol).mean_square_radius for symbol in row.split()]
    assert np.all(np.diff(sizes) < 0.0)


@pytest.mark.parametrize("group", GROUPS)
def test_atoms_grow_down_a_group(group: str) -> None:
    sizes = [valence_density(symbol).mean_square_radius for symbol in group.split()]
    assert np.all(np.diff(sizes) > 0.0)


def test_mean_square_radius_is_the_second_moment() -> None:
    density = valence_density("Cu")
    moment = shell_sum(RADIUS**2 * density(RADIUS)) / density.n_electrons
    assert density.mean_square_radius == pytest.approx(moment, rel=1e-8)


@pytest.mark.parametrize(("symbol", "moment"), [("He", 1.185), ("Ne", 9.372 / 8)])
def test_size_is_near_the_hartree_fock_one(symbol: str, moment: float) -> None:
    assert valence_density(symbol).mean_square_radius / BOHR**2 == pytest.approx(moment, rel=0.1)


def references() -> dict[str, np.ndarray]:
    """Radii in A and densities in e/A^3, written by `fit.py --references`."""
    text = (ROOT / "tests" / "data" / "valence_references.json").read_text(encoding="utf-8")
    return {name: np.array(column) for name, column in json.loads(text).items()}


@pytest.mark.parametrize("symbol", ["H", "C", "Li", "Si", "Cu", "Gd", "Rn"])
def test_recorded_error_is_that_of_the_reference_density(symbol: str) -> None:
    columns, density = references(), valence_density(symbol)
    radius, reference = columns["radius"], columns[symbol]
    assert shell_sum(reference, radius) == pytest.approx(density.n_electrons, rel=1e-3)
    error = shell_sum(np.abs(density(radius) - reference), radius) / density.n_electrons
    assert error == pytest.approx(density.fit_error, rel=0.05)


def test_fit_finds_a_sum_of_gaussians_again() -> None:
    gaussians = program("gaussians")
    radius = np.geomspace(1e-3, 15.0, 400)
    wanted = ValenceDensity(4, (0.5 * (0.4 / np.pi) ** 1.5, 3.5 * (2.0 / np.pi) ** 1.5), (0.4, 2.0), 0.0, "")
    settings = gaussians.Fitting(target_error=1e-4, n_starts=3, ridge=0.0)
    found = gaussians.fit_gaussians(gaussians.RadialDensity(radius, wanted(radius), 4), settings)
    np.testing.assert_allclose(found.exponents, wanted.exponents, rtol=1e-5)
    np.testing.assert_allclose(found.charges, wanted.charges, rtol=1e-5)
    assert found.fit_error < 1e-6


def test_fit_takes_more_gaussians_for_a_smaller_error() -> None:
    gaussians = program("gaussians")
    radius = np.geomspace(1e-3, 15.0, 400)
    slater = gaussians.RadialDensity(radius, np.exp(-2.0 * radius) / np.pi, 1)
    fits = [gaussians.fit_fixed_number(slater, n, gaussians.Fitting(n_starts=2)) for n in (2, 4, 6)]
    errors = [fit.fit_error for fit in fits]
    assert errors[0] > 3.0 * errors[1] > 9.0 * errors[2]
    assert [float(fit.charges.sum()) for fit in fits] == pytest.approx([1.0] * 3, abs=1e-12)


@pytest.mark.parametrize("symbol", ["si", "Fr", "X", ""])
def test_unknown_element(symbol: str) -> None:
    with pytest.raises(ValueError, match=f"symbol must be an element from H to Rn, got '{symbol}'; check"):
        valence_density(symbol)


@pytest.mark.parametrize("gaussian", [[0.5, 1.0], [0.5, -1.0]])
def test_file_whose_integral_is_wrong(gaussian: list[float], tmp_path: Path) -> None:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    content["elements"]["C"]["gaussians"][0] = gaussian
    (tmp_path / "densities.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"gaussians of C must integrate to its 4 electrons, got .*; fit them again"):
        read_valence_densities(tmp_path / "densities.json")
