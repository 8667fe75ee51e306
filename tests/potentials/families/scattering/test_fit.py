"""Fits from task to model: what comes out, what it is made of, budgets, translation, resumption, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scattering_problem import BOTH, ENERGIES, FEW, SMALL, energies, features, fit_problem, frames

from rhopot.potentials.descriptors.scattering import WaveletScattering, all_paths
from rhopot.potentials.families.scattering.directional_features import fewer, plan_evaluations
from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
from rhopot.potentials.families.scattering.feature_store import FeatureStore
from rhopot.potentials.families.scattering.fit import fit_scattering
from rhopot.potentials.families.scattering.members import moduli
from rhopot.potentials.fitting.problem import FitResult
from rhopot.potentials.fitting.progress import Forecast, SilentProgress
from rhopot.potentials.fitting.sparse_regression import checkpoint
from rhopot.potentials.pair.zbl import ZblPair, ZblSettings
from rhopot.potentials.structures import Frame
from rhopot.testing.spectrum import SmallSpectrum

pytestmark = pytest.mark.slow

TRAIN, UNSEEN = frames(24), frames(9, seed=1)


class Notes(SilentProgress):
    """Remembers what a fit has to say."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stages: dict[str, int] = {}

    def start(self, stage: str, total: int) -> None:
        self.stages[stage] = total

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> ScatteringFitSettings:
    """Settings of the fits here, which share their features."""
    return FEW.model_copy(update={"cache": str(tmp_path_factory.mktemp("features"))})


@pytest.fixture(scope="module")
def fitted(few: ScatteringFitSettings) -> FitResult:
    """One fit to energies and forces, with its final model fitted to both parts."""
    return fit_scattering(fit_problem(TRAIN, UNSEEN, refit_on_validation=True), few)


def test_the_model_predicts_unseen_structures(fitted: FitResult) -> None:
    labels = np.array([frame.energy for frame in UNSEEN])
    errors = (energies(fitted.model, UNSEEN) - labels) / 4
    assert np.std(labels / 4) > 3 * np.sqrt(np.mean(errors**2))
    assert fitted.report["validation"]["energy_mae_mev_per_atom"] == pytest.approx(1000 * np.abs(errors).mean())


def test_reported_forces_are_those_of_the_model(fitted: FitResult) -> None:
    errors, nets = [], []
    for frame in UNSEEN:
        positions, cell = torch.tensor(frame.atoms.positions, requires_grad=True), torch.tensor(frame.atoms.cell.array)
        pbc = torch.tensor(frame.atoms.pbc)
        species = torch.tensor([SMALL.symbols.index(symbol) for symbol in frame.atoms.symbols])
        prepared = fitted.model.prepare(positions, cell, pbc, 1.1)
        energy = fitted.model(positions, species, cell, pbc, prepared, 0, 1, False)[0]
        forces = -torch.autograd.grad(energy, positions)[0].numpy()
        errors.append(forces - frame.forces)
        nets.append(np.linalg.norm(forces.sum(axis=0)) / 4)
    assert fitted.report["validation"]["forces_mae_mev_per_angstrom"] == pytest.approx(1000 * np.abs(errors).mean())
    net = fitted.report["behaviour"]["net_force_ev_per_angstrom_and_atom"]
    assert net["max"] == pytest.approx(max(nets), rel=1e-6)
    assert net["rms"] == pytest.approx(np.sqrt(np.mean(np.square(nets))), rel=1e-6)


def test_the_model_holds_nothing_but_what_members_use(fitted: FitResult) -> None:
    report = fitted.report["ensemble"]
    scattering = fitted.model.jacobian.scattering
    assert scattering.n_features == report["features_used"] < len(all_paths(SMALL))
    assert (fitted.model.coefficients[:, 0] != 0).all()
    second = [path for path in scattering.paths if path.order == 2]
    assert report["features_by"]["order"]["2"] == len(second)
    assert sum(report["features_by"]["channel"].values()) == scattering.n_features
    assert report["wavelet_paths_used"]["second_order"] == len({path.name.rsplit(" ", 1)[0] for path in second})
    sizes = report["columns_of_a_member"]
    assert 1 <= sizes["least"] <= sizes["mean"] <= sizes["most"] <= 30


def test_members_average_to_the_prediction_and_spread_with_the_calibration(few: ScatteringFitSettings) -> None:
    found = fit_scattering(fit_problem(TRAIN, UNSEEN, members=10), few)
    assert found.model.n_members == 10
    table = energies(found.model, UNSEEN, members=True)
    np.testing.assert_allclose(table[:, 1:].mean(axis=1), table[:, 0], rtol=1e-9)
    assert found.model.calibration == found.report["calibration"]["factor"]
    assert found.report["calibration"]["n_energies"] >= len(UNSEEN)
    count = found.report["calibration"]["n_energies"]  # the ceil(0.68 (n + 1))-th of n
    assert found.report["calibration"]["within_one"] == pytest.approx(np.ceil(0.6827 * (count + 1)) / count)
    four = fit_scattering(fit_problem(TRAIN, UNSEEN, members=4), few)
    assert four.model.n_members == 4
    np.testing.assert_array_equal(energies(four.model, UNSEEN), table[:, 0])
    none = fit_scattering(fit_problem(TRAIN, UNSEEN, members=0), few)
    assert (none.model.n_members, none.report["calibration"]) == (0, None)
    np.testing.assert_array_equal(energies(none.model, UNSEEN), table[:, 0])


def test_the_final_model_is_fitted_to_both_parts(fitted: FitResult, few: ScatteringFitSettings) -> None:
    labels = np.array([frame.energy for frame in UNSEEN])
    errors = [np.abs(energies(model, UNSEEN) - labels).mean() for model in (fitted.model, fitted.final)]
    assert errors[1] < 0.8 * errors[0]
    assert fitted.final.calibration == fitted.model.calibration
    plain = fit_scattering(fit_problem(TRAIN, UNSEEN), few)
    assert plain.final is plain.model
    np.testing.assert_array_equal(plain.model.coefficients, fitted.model.coefficients)


def test_energies_alone_can_be_fitted(few: ScatteringFitSettings) -> None:
    for changes, settings in (({"targets": ENERGIES}, few), ({}, few.model_copy(update={"directions": 0}))):
        notes = Notes()
        found = fit_scattering(fit_problem(TRAIN, UNSEEN, progress=notes, **changes), settings)
        assert found.report["equations"] == {"energies": 24, "translations": 20, "groups": 8}
        assert "directions, train" not in notes.stages


def test_forces_make_a_better_model_of_few_structures(few: ScatteringFitSettings) -> None:
    """Energies too: the thesis' expectation."""
    errors = []
    for directions in (0, 4):
        found = fit_scattering(fit_problem(TRAIN, UNSEEN), few.model_copy(update={"directions": directions}))
        errors.append(found.report["validation"])
    for name in ("energy_mae_mev_per_atom", "forces_mae_mev_per_angstrom"):
        assert errors[1][name] < 0.8 * errors[0][name]


def test_rows_of_shifts_lower_the_change_of_energy_under_translation(few: ScatteringFitSettings) -> None:
    changes = []
    for sigma in (None, 1e-5):
        settings = few.model_copy(update={"translation": sigma, "directions": 0})
        found = fit_scattering(fit_problem(TRAIN, UNSEEN), settings)
        changes.append(found.report["behaviour"]["translation_mev_per_atom"]["rms"])
        scattering, w = found.model.jacobian.scattering, found.model.coefficients[:, 0].numpy()
        shift = np.array([0.3, 0.2, 0.1])
        moved = [features(scattering, f, f.atoms.positions + shift) - features(scattering, f) for f in UNSEEN]
        own = 1000 * np.sqrt(np.mean([(row.numpy() @ w) ** 2 for row in moved]))
        assert 0.2 < own / changes[-1] < 5
    assert changes[1] < 0.5 * changes[0]


@pytest.mark.parametrize("kind", ["features", "moduli"])
def test_a_budget_is_kept_and_fewer_wavelets_are_evaluated(
    kind: str, fitted: FitResult, few: ScatteringFitSettings
) -> None:
    settings = few.model_copy(update={"budget": 12, "budget_of": kind})
    notes = Notes()
    found = fit_scattering(fit_problem(TRAIN, UNSEEN, refit_on_validation=True, progress=notes), settings)
    for model in (found.model, found.final):
        paths = model.jacobian.scattering.paths
        counted = len(paths) if kind == "features" else len(set(moduli(paths)))
        assert counted <= 12
    before, after = (result.report["ensemble"]["wavelet_paths_used"] for result in (fitted, found))
    assert after["second_order"] <= 12 < before["second_order"]
    assert after["first_order"] < before["first_order"]
    assert any(f"fitted again to the best 12 {kind}" in line for line in notes.lines)


def test_powers_of_one_modulus_are_counted_once() -> None:
    paths = all_paths(SMALL)
    numbers = moduli(paths)
    assert len(set(numbers)) == 1 + (len(paths) - 1) // 2
    for k, path in enumerate(paths[1:], start=1):
        same = [paths[m] for m in np.flatnonzero(numbers == numbers[k])]
        assert sorted(p.q for p in same) == [1.0, 2.0]
        assert len({p.name.rsplit(" ", 1)[0] for p in same}) == 1
        assert path in same


def test_a_stopped_fit_is_resumed_to_the_last_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FEW.model_copy(update={"budget": 12})
    whole = fit_scattering(fit_problem(TRAIN, UNSEEN, refit_on_validation=True), settings)
    saved: list[int] = []
    for owner, method, most in ((FeatureStore, "write", 30), (checkpoint.MemberFiles, "save", 14)):
        original = getattr(owner, method)

        def stop(self, *arguments, original=original, most=most) -> None:
            original(self, *arguments)
            saved.append(1)
            if len(saved) == most:
                raise KeyboardInterrupt

        saved.clear()
        monkeypatch.setattr(owner, method, stop)
        with pytest.raises(KeyboardInterrupt):
            fit_scattering(fit_problem(TRAIN, UNSEEN, refit_on_validation=True, folder=tmp_path, resume=True), settings)
        monkeypatch.setattr(owner, method, original)
    rows, members = len(list(tmp_path.rglob("features/*.npy"))), len(list(tmp_path.rglob("member-*.npz")))
    assert rows >= 24 + 20 + 48 + 9
    assert members >= 14
    resumed = fit_scattering(
        fit_problem(TRAIN, UNSEEN, refit_on_validation=True, folder=tmp_path, resume=True), settings
    )
    for one, other in ((whole.model, resumed.model), (whole.final, resumed.final)):
        assert one.jacobian.scattering.paths == other.jacobian.scattering.paths
        assert torch.equal(one.coefficients, other.coefficients)
        assert torch.equal(one.constants, other.constants)


def test_features_can_be_kept_for_other_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit_scattering(fit_problem(TRAIN, UNSEEN), FEW.model_copy(update={"cache": str(tmp_path / "kept")}))
    assert "cache" not in first.report["regressor"], "a folder is nothing to know of a model"
    kept = len(list((tmp_path / "kept").glob("*.npy")))
    assert kept == 24 + 9 + 20 + 2 * 24
    monkeypatch.setattr(FeatureStore, "write", lambda self, sample, row: pytest.fail("computed again"))
    settings = FEW.model_copy(update={"cache": str(tmp_path / "kept"), "max_features": 8})
    assert fit_scattering(fit_problem(TRAIN, UNSEEN), settings).report["ensemble"]["columns_of_a_member"]["most"] <= 8


def test_frames_without_groups_are_drawn_one_by_one_and_said_so(few: ScatteringFitSettings) -> None:
    notes = Notes()
    alone = [replace(frame, group=None) for frame in TRAIN]
    found = fit_scattering(fit_problem(alone, UNSEEN, progress=notes), few)
    assert found.report["equations"]["groups"] == 24
    assert any("each frame is drawn by itself" in line for line in notes.lines)


def test_folds_and_single_models_have_what_spread_they_can(few: ScatteringFitSettings) -> None:
    folds = few.model_copy(update={"sampling": "folds", "n_members": 4, "candidates": "all"})
    found = fit_scattering(fit_problem(TRAIN, UNSEEN), folds)
    assert found.model.n_members == 4
    assert found.report["calibration"]["n_energies"] == len(UNSEEN), "each frame is left out by one member alone"
    one = fit_scattering(fit_problem(TRAIN, UNSEEN), few.model_copy(update={"n_members": 1}))
    assert (one.model.n_members, one.report["calibration"]) == (0, None)


def test_a_model_of_nothing_but_a_constant_is_a_model(few: ScatteringFitSettings) -> None:
    found = fit_scattering(fit_problem(TRAIN[:6], UNSEEN, members=0), few.model_copy(update={"max_features": 1}))
    assert found.report["ensemble"]["features_used"] == 0
    values = energies(found.model, UNSEEN)
    species = [[SMALL.symbols.index(s) for s in frame.atoms.symbols] for frame in UNSEEN]
    left = values - found.model.baseline.numpy()[species].sum(axis=1)
    np.testing.assert_allclose(left, left[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        (
            {"pair": ZblPair(("Li", "Si"), ZblSettings(inner=0.5, outer=1.0))},
            ValueError,
            "pair must be None for global models",
        ),
        ({"descriptor": SmallSpectrum(2, 4.0)}, TypeError, "descriptor must be a WaveletScattering, got SmallSpectrum"),
        ({"members": 1}, ValueError, "members must be 0 or at least 2, got 1"),
        ({"train": [replace(f, energy=None) for f in TRAIN], "members": 0}, ValueError, r"targets\.energy must be"),
    ],
)
def test_what_cannot_be_fitted_is_refused(changes: dict, error: type, sentence: str) -> None:
    given = {"train": TRAIN[:6], "validation": UNSEEN[:3]} | changes
    with pytest.raises(error, match=sentence):
        fit_scattering(fit_problem(**given), FEW)


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="groups must be at least 2 for bootstrap"):
        fit_scattering(fit_problem(TRAIN[:3], UNSEEN[:3], targets=BOTH), FEW)
    assert isinstance(fit_problem(TRAIN).descriptor, WaveletScattering)


def test_a_forecast_counts_passes_and_is_silent_where_features_are_kept(tmp_path: Path) -> None:
    class Forecasts(SilentProgress):
        def __init__(self) -> None:
            self.found: list[Forecast] = []

        def forecast(self, forecast: Forecast) -> None:
            self.found.append(forecast)

    progress, settings = Forecasts(), FEW.model_copy(update={"cache": str(tmp_path)})
    for _ in range(2):
        fit_scattering(fit_problem(TRAIN[:6], UNSEEN[:3], progress=progress), settings)
    (forecast,) = progress.found
    assert (forecast.columns, forecast.rows) == (len(all_paths(SMALL)), 6 + 6 + 12)
    assert forecast.seconds > 0


def test_large_frames_have_fewer_directional_derivatives_and_at_least_one() -> None:
    def repeated(frame: Frame, times: tuple[int, int, int]) -> Frame:
        return replace(frame, atoms=frame.atoms.repeat(times), forces=np.tile(frame.forces, (np.prod(times), 1)))

    together = [*TRAIN[:4], repeated(TRAIN[4], (3, 1, 1)), repeated(TRAIN[5], (3, 3, 1))]
    plan = plan_evaluations(
        fit_problem(together), FEW.model_copy(update={"directions": 6, "strains": 0}), together, perturbed=True
    )
    counts = np.bincount([owner for owner, _ in plan.forces], minlength=6)
    points = np.array([sample.points for sample in plan.still])
    assert counts[:4].tolist() == [6, 6, 6, 6]
    assert counts[4] == round(6 * np.median(points) / points[4]) < 6
    assert counts[5] == 1
    assert len(plan.passes) == plan.n_rows + len(plan.forces)
    assert plan.stress == []
    assert (fewer(4, 2.0), fewer(4, 0.5), fewer(4, 0.0), fewer(0, 0.5)) == (4, 2, 1, 0)
