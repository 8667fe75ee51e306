"""Optimal radial basis: it keeps the variance that its eigenvalues say, and is the same from any complete basis."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

from rhopot.export import load_model
from rhopot.potentials import check, features, train
from rhopot.potentials.commands import main
from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import (
    contraction,
    density_covariance,
    learn_basis,
    residual_variances,
)
from rhopot.potentials.descriptors.soap.table import build_table
from rhopot.potentials.families import find_family
from rhopot.potentials.graph.atomic_graph import graphs

pytestmark = pytest.mark.slow

DATA = Path(__file__).resolve().parents[4] / "examples" / "data" / "lisi_gpaw"
SYMBOLS = ("Li", "Si")
FRAMES = [frame for name in ("Li10Si22_0", "Li12Si20_0") for frame in ase.io.read(DATA / f"{name}.xyz", "::3")]


def settings(**changes: object) -> SoapSettings:
    given = {"cutoff": 4.5, "n_max": 8, "l_max": 3, "density_width": 0.4, "symbols": SYMBOLS, **changes}
    return SoapSettings.model_validate(given)


def density(chosen: SoapSettings, coupling: np.ndarray | None = None) -> torch.Tensor:
    """Return the density coefficients (C, (L+1)^2, U) of all frames."""
    soap = build_table(chosen, chosen.l_max, coupling)
    channel = torch.from_numpy(soap.species_channel)
    table = RadialTable(torch.from_numpy(soap.table.values), chosen.cutoff, channel, soap.n_channels, 1.0)
    found = [
        torch.ops.rhopot.density_expansion_v1(*graph, *table)
        for frame in FRAMES
        for graph in graphs(frame, SYMBOLS, chosen.cutoff, 10**6)
    ]
    return torch.cat(found)


def norm(values: torch.Tensor) -> float:
    return float((values**2).sum())


@pytest.mark.parametrize("mode", ["separate", "mixed"])
def test_lost_variance_is_that_of_the_eigenvalues(mode: str) -> None:
    """RV by its definition [1, eq. 2.12], from densities in the large and in the contracted basis."""
    primitive = settings()
    expected = residual_variances(density_covariance(primitive, FRAMES), mode == "mixed")
    everything = norm(density(primitive))
    for q_max in (1, 3, 6):
        chosen = learn_basis(settings(species_mode=mode, optimal_basis={"q_max": q_max}), FRAMES)
        lost = 1.0 - norm(density(chosen)) / everything
        assert lost == pytest.approx(expected[q_max - 1], abs=1e-8)
        assert chosen.optimal_basis is not None
        assert chosen.optimal_basis.residual_variance == pytest.approx(lost, abs=1e-8)


def test_mixed_keeps_more_than_separate_and_separate_more_than_primitive() -> None:
    """At equal numbers of channels, as in [1, Fig. 2.2]."""
    covariance = density_covariance(settings(n_max=12), FRAMES)
    separate, mixed = residual_variances(covariance, mixed=False), residual_variances(covariance, mixed=True)
    everything = norm(density(settings(n_max=12)))
    for n in (1, 2, 3, 4, 6):
        primitive = 1.0 - norm(density(settings(n_max=n))) / everything
        assert mixed[2 * n - 1] < separate[n - 1] < primitive


def test_contraction_is_orthonormal_and_acts_on_the_density() -> None:
    covariance = density_covariance(settings(), FRAMES)
    u = contraction(covariance, 5, mixed=True)
    assert u.shape == (4, 5, 2, 8)
    for rows in u.reshape(4, 5, 16):
        np.testing.assert_allclose(rows @ rows.T, np.eye(5), rtol=0, atol=1e-12)
    primitive = density(settings()).numpy()
    degree = [lm for lm in range(4) for _ in range(2 * lm + 1)]
    expected = np.einsum("ckan,kqan->ckq", primitive.reshape(-1, 16, 2, 8), u[degree])
    found = density(settings(species_mode="mixed"), u).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


def test_a_complete_contraction_changes_no_dot_product() -> None:
    """A rotation of the channels: p . p' of power spectra stays."""
    complete = learn_basis(settings(species_mode="mixed", optimal_basis={"q_max": 16}), FRAMES)
    products = []
    for chosen in (settings(), complete):
        descriptor = SoapPowerSpectrum(chosen)
        rows = torch.cat([descriptor(graph) for graph in graphs(FRAMES[0], SYMBOLS, 4.5, 10**6)])
        products.append((rows @ rows.T).numpy())
    np.testing.assert_allclose(products[1], products[0], rtol=1e-6)


def test_gto_and_dvr_primitives_lead_to_the_same_functions() -> None:
    """[1, Fig. 2.1]: leading contracted radial functions do not depend on the primitive basis once that is complete."""
    tables = []
    for basis in ("gto", "dvr"):
        chosen = settings(n_max=20, radial_basis=basis, species_mode="mixed", optimal_basis={"q_max": 3})
        tables.append(build_table(learn_basis(chosen, FRAMES), 3).table.values[:, ::8, 0])
    gto, dvr = tables
    largest = np.abs(gto).max(axis=(0, 1))
    signs = np.sign((gto * dvr).sum(axis=(0, 1)))  # of an eigenvector there are two
    assert np.abs(gto - signs * dvr).max(axis=(0, 1)).max() < 0.02 * largest.max()


def test_residual_variance_chooses_the_size() -> None:
    chosen = learn_basis(
        settings(species_mode="mixed", optimal_basis={"residual_variance": 0.01}), FRAMES
    ).optimal_basis
    variances = residual_variances(density_covariance(settings(), FRAMES), mixed=True)
    assert chosen is not None
    assert chosen.q_max is not None
    assert variances[chosen.q_max - 1] <= 0.01 < variances[chosen.q_max - 2]


def test_few_environments_are_taken_evenly() -> None:
    few = density_covariance(settings(), FRAMES, most=64)
    two = density_covariance(settings(), [FRAMES[0], FRAMES[-1]])
    np.testing.assert_array_equal(few.values, two.values)


def test_learned_settings_make_the_same_descriptor_without_data() -> None:
    learned = learn_basis(settings(optimal_basis={"q_max": 4}), FRAMES)
    again = SoapSettings.model_validate_json(learned.model_dump_json())
    assert torch.equal(SoapPowerSpectrum(again).radial, SoapPowerSpectrum(learned).radial)
    assert learn_basis(again, ()) is again


def test_messages() -> None:
    with pytest.raises(ValueError, match=r"q_max must be at most the number of primitive functions \(8\), got 9"):
        learn_basis(settings(optimal_basis={"q_max": 9}), FRAMES)
    with pytest.raises(ValueError, match="needs structures to be learned from, got none"):
        learn_basis(settings(optimal_basis={"q_max": 4}), [])
    with pytest.raises(ValueError, match="must be learned from data first"):
        SoapPowerSpectrum(settings(optimal_basis={"q_max": 4}))
    with pytest.raises(ValueError, match="q_max or residual_variance must be given, got neither"):
        settings(optimal_basis={})


@pytest.mark.slow
@pytest.mark.parametrize("family", ["soap_linear", "soap_gap"])
@pytest.mark.parametrize("mode", ["separate", "mixed"])
def test_trained_models_carry_their_basis(
    family: str, mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file gives the features that the model was fitted on, and forces are derivatives of its energy."""
    labelled = ase.io.read(DATA / "Li10Si22_0.xyz", ":")
    words = {"cutoff": 4.5, "n_max": 12, "l_max": 3, "species_mode": mode, "optimal_basis": {"q_max": 3}}
    sparse = {"regressor": {"n_sparse": 40}} if family == "soap_gap" else {}
    run = train(
        labelled, family=family, output=tmp_path / "run", descriptor=words, report={"learning_curve": []}, **sparse
    )
    kept = find_family(family).descriptor_settings.model_validate(load_model(run.folder / "model.pt").card.descriptor)
    expected = torch.cat([SoapPowerSpectrum(kept)(graph) for graph in graphs(labelled[0], kept.symbols, 4.5, 10**6)])
    found = features(run.folder / "model.pt", labelled[:1])["features"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=0)
    atoms = labelled[0].copy()
    atoms.calc = run.calculator()
    force = atoms.get_forces()[3, 1]
    energies = []
    for step in (1e-3, -1e-3):
        atoms.positions[3, 1] += step
        energies.append(atoms.get_potential_energy())
        atoms.positions[3, 1] -= step
    assert force == pytest.approx(-(energies[0] - energies[1]) / 2e-3, abs=1e-5)
    found = check(run, labelled[0], ranks=(1, 2), temperature=100.0, hot_ps=0.0)
    assert all(one.passed for one in found.comparisons if "drift" not in one.name)
    assert any("2 rank(s)" in one.name for one in found.comparisons)
    assert main(["info", str(run.folder / "model.pt")]) == 0
    assert "optimal contraction of 12 GTO radial functions" in capsys.readouterr().out
