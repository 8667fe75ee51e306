"""Contraction of degree 0 by principal covariates regression: limits, scikit-matter on all data, trained models."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skmatter.decomposition import PCovR

from rhopot.potentials import features, train
from rhopot.potentials.commands import main
from rhopot.potentials.descriptors.energy_regression import formation_energies
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import density_covariance, learn_basis, residual_variances
from rhopot.potentials.descriptors.soap.primitive_density import densities, primitive_table
from rhopot.potentials.descriptors.soap.radial_spectrum import RadialSpectrum
from rhopot.potentials.descriptors.soap.supervised_basis import density_weights, supervised_rows
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.structures import read_frames

pytestmark = pytest.mark.slow

Floats = NDArray[np.float64]

DATA = Path(__file__).resolve().parents[4] / "examples" / "data" / "lisi_gpaw"
SYMBOLS = ("Li", "Si")
NAMES = ("Li10Si22_0", "Li12Si20_0", "Li4Si28_0", "Li24Si8_0", "Li16Si16_0")
FRAMES = [frame.labelled_atoms() for frame in read_frames([DATA / f"{name}.xyz" for name in NAMES])]


def settings(**changes: object) -> SoapSettings:
    given = {"cutoff": 4.5, "n_max": 8, "l_max": 2, "density_width": 0.4, "symbols": SYMBOLS, **changes}
    return SoapSettings.model_validate(given)


def supervised(mode: str, mixing: float | None, q_max: int = 8) -> SoapSettings:
    return settings(species_mode=mode, optimal_basis={"q_max": q_max, "pcovr_mixing": mixing})


def rows_of(chosen: SoapSettings, degree: int = 0) -> Floats:
    """Learned rows of one degree: (Q, A, N)."""
    learned = learn_basis(chosen, FRAMES).optimal_basis
    assert learned is not None
    return np.array(learned.contraction)[degree]


@pytest.fixture(scope="module")
def coefficients() -> Floats:
    """Coefficients c_an00 (atoms, A N) of all frames."""
    table = primitive_table(settings(), 0)
    return np.concatenate([part[:, 0].numpy() for atoms in FRAMES for part in densities(settings(), table, atoms)])


def means(values: Floats) -> Floats:
    """Mean over the atoms of each frame, all of one size."""
    return values.reshape(len(FRAMES), 32, -1).mean(axis=1)


@pytest.mark.parametrize("mode", ["separate", "mixed"])
def test_a_mixing_of_one_is_pca(mode: str) -> None:
    plain = rows_of(settings(species_mode=mode, optimal_basis={"q_max": 4}))
    np.testing.assert_array_equal(rows_of(supervised(mode, 1.0, 4)), plain)
    nearly = rows_of(supervised(mode, 1.0 - 1e-9, 4))
    np.testing.assert_allclose(nearly, plain, atol=1e-5)


@pytest.mark.parametrize("mode", ["separate", "mixed"])
def test_rows_are_orthonormal_and_only_degree_0_is_another(mode: str) -> None:
    rows = rows_of(supervised(mode, 0.1))
    flat = [rows.reshape(8, 16)] if mode == "mixed" else [rows[:, 0], rows[:, 1]]
    for one in flat:
        np.testing.assert_allclose(one @ one.T, np.eye(8), atol=1e-10)
    plain = settings(species_mode=mode, optimal_basis={"q_max": 8})
    assert np.abs(rows - rows_of(plain)).max() > 0.01
    for degree in (1, 2):
        np.testing.assert_array_equal(rows_of(supervised(mode, 0.1), degree), rows_of(plain, degree))


def test_pure_regression_needs_one_function(coefficients: Floats) -> None:
    """[1, sec. 2.2.3]: with a mixing of zero the first function gives the linear model on all coefficients."""
    first = rows_of(supervised("mixed", 0.0, 1)).ravel()
    model = means(coefficients) @ density_weights(settings(), FRAMES)
    assert abs(np.corrcoef(means(coefficients) @ first, model)[0, 1]) == pytest.approx(1.0, abs=1e-6)


def test_separate_species_give_the_model_by_one_function_each(coefficients: Floats) -> None:
    rows = rows_of(supervised("separate", 0.0, 1))[0]
    parts = means(coefficients).reshape(-1, 2, 8)
    inputs = np.einsum("san,an->sa", parts, rows)
    model = means(coefficients) @ density_weights(settings(), FRAMES)
    rest = model - inputs @ np.linalg.lstsq(inputs, model, rcond=None)[0]
    assert np.linalg.norm(rest) < 1e-5 * np.linalg.norm(model)


@pytest.mark.parametrize("mixing", [0.1, 0.5, 0.9])
def test_scikit_matter_finds_the_same_on_all_environments(coefficients: Floats, mixing: float) -> None:
    """Two methods: PCovR of the coefficients themselves, not of the square root of their covariance."""
    weights = density_weights(settings(), FRAMES)
    covariance = coefficients.T @ coefficients
    found = supervised_rows(covariance, weights, mixing)
    x, y = coefficients / np.linalg.norm(coefficients), (coefficients @ weights)[:, None]
    model = PCovR(mixing=mixing, n_components=4, space="sample", svd_solver="full", regressor="precomputed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(x, y / np.linalg.norm(y))
    basis = np.linalg.qr(model.pxt_)[0]
    for k in range(1, 5):  # of the spaces that the first k functions span
        singular = np.linalg.svd(found[:k] @ basis[:, :k], compute_uv=False)
        np.testing.assert_allclose(singular, 1.0, atol=1e-4)


def test_energies_are_better_known_from_few_functions_and_variance_worse(coefficients: Floats) -> None:
    """[1, Fig. 2.6]: what mixing exchanges, with two functions of all species."""
    energies = formation_energies(FRAMES, SYMBOLS)
    errors, variances = [], []
    for mixing in (1.0, 0.5, 0.01):
        chosen = learn_basis(supervised("mixed", mixing, 2), FRAMES)
        assert chosen.optimal_basis is not None
        inputs = means(coefficients) @ np.array(chosen.optimal_basis.contraction)[0].reshape(2, -1).T
        rest = energies - inputs @ np.linalg.lstsq(inputs, energies, rcond=None)[0]
        errors.append(np.sqrt((rest**2).mean()))
        variances.append(chosen.optimal_basis.residual_variance)
    assert errors[2] < errors[1] < errors[0]
    assert variances[2] > variances[1] > variances[0]


def test_residual_variance_is_that_of_the_rows(coefficients: Floats) -> None:
    """RV by its definition, at degree 0 alone [1, eq. 2.12]."""
    chosen = settings(l_max=0, species_mode="mixed", optimal_basis={"q_max": 3, "pcovr_mixing": 0.2})
    learned = learn_basis(chosen, FRAMES)
    found = np.concatenate([features_of_atoms(RadialSpectrum(learned), atoms) for atoms in FRAMES])
    lost = 1.0 - (found**2).sum() / (coefficients**2).sum()
    assert learned.optimal_basis is not None
    assert learned.optimal_basis.residual_variance == pytest.approx(lost, abs=1e-8)
    assert lost > residual_variances(density_covariance(settings(l_max=0), FRAMES), mixed=True)[2] + 1e-4


def test_directions_without_variance_complete_the_basis() -> None:
    """A covariance of rank one in three dimensions: the rows are orthonormal all the same."""
    rows = supervised_rows(np.diag([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 0.0]), 0.5)
    np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.abs(rows[0]), [1.0, 0.0, 0.0], atol=1e-12)
    no_target = supervised_rows(np.diag([1.0, 3.0]), np.zeros(2), 0.5)
    np.testing.assert_allclose(np.abs(no_target), [[0.0, 1.0], [1.0, 0.0]])


def test_messages() -> None:
    without = [atoms.copy() for atoms in FRAMES]
    with pytest.raises(ValueError, match=r"optimal_basis.pcovr_mixing must have structures with energies .*, got none"):
        learn_basis(supervised("mixed", 0.5), without)
    with pytest.raises(ValueError, match="structures with energies must be at least 4 for a supervised choice, got 2"):
        learn_basis(supervised("mixed", 0.5), FRAMES[:2])
    with pytest.raises(ValueError, match="less than or equal to 1"):
        supervised("mixed", 1.5)


@pytest.mark.slow
def test_a_trained_model_carries_its_basis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Energies of the training reach the descriptor, and the file gives the features that were fitted."""
    descriptor = {"cutoff": 4.5, "n_max": 8, "l_max": 1, "optimal_basis": {"q_max": 2, "pcovr_mixing": 0.1}}
    run = train(
        DATA / "Li10Si22_0.xyz", family="soap_linear", output=tmp_path / "run", descriptor=descriptor,
        report={"learning_curve": []}, quiet=True,
    )  # fmt: skip
    kept = SoapSettings.model_validate(run.model.card.descriptor)
    assert kept.optimal_basis is not None
    assert kept.optimal_basis.pcovr_mixing == 0.1
    expected = features_of_atoms(SoapPowerSpectrum(kept), FRAMES[0])
    np.testing.assert_allclose(features(run.model_file, [FRAMES[0]])["features"], expected, rtol=1e-12)
    assert main(["info", str(run.model_file)]) == 0
    assert "at degree 0 by PCovR with mixing 0.1" in capsys.readouterr().out
    same = features("soap_linear", DATA / "Li10Si22_0.xyz", descriptor=descriptor)["features"]
    assert same.shape[1] == expected.shape[1]
    with pytest.raises(ValueError, match="pcovr_mixing must have structures with energies"):
        features("soap_linear", [atoms.copy() for atoms in FRAMES], descriptor=descriptor)
