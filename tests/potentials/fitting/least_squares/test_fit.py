"""Whole fits on tiny data: against closed forms, interrupted, uninterrupted and repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from labelled import BASELINE, CUTOFF, GAP, LINEAR, SYMBOLS, fit_problem, frames, outputs
from torch import nn

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.descriptors.dot_product import dot_product_kernel
from rhopot.potentials.fitting.least_squares.design import KernelDesign, LinearDesign
from rhopot.potentials.fitting.least_squares.equations import LinearSystem
from rhopot.potentials.fitting.least_squares.fit import fit_gap, fit_linear
from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings, LinearSettings
from rhopot.potentials.fitting.problem import FitProblem, FitResult
from rhopot.potentials.fitting.progress import Forecast, SilentProgress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres
from rhopot.potentials.graph.edge_cache import EdgeCache
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame

pytestmark = pytest.mark.slow

FULL_GAP = GapSettings(zeta=4, delta=4.0, n_sparse=80, block_rows=100)


def dense(fitted: FitProblem, design: LinearDesign | KernelDesign) -> np.ndarray:
    """Return all weighted rows [A | y] at once."""
    problem = LinearSystem(fitted.descriptor, design, EnergyBaseline(BASELINE), SYMBOLS, CUTOFF, 96.0)
    made = [problem.equations(frame, fitted.targets) for frame in fitted.train]
    return np.concatenate([one.weighted() for one in made if one is not None])


def test_linear_fit_equals_closed_form_ridge() -> None:
    fitted = fit_problem(frames(12))
    model = fit_linear(fitted, LINEAR).model
    rows = dense(fitted, LinearDesign(2, torch.arange(63)))
    a, y = rows[:, :-1], rows[:, -1]
    features = [[], []]
    for frame in fitted.train:
        for species, p in spectrum(fitted, frame):
            features[species].append(p)
    scale = 0.3 / np.concatenate([np.maximum(s := np.std(f, axis=0), 1e-6 * s.max()) ** 0.5 for f in features])
    expected = np.linalg.solve(a.T @ a + np.diag(scale**-2), a.T @ y)
    np.testing.assert_allclose(a @ model.weights[:, :, 0].numpy().ravel(), a @ expected, rtol=1e-6, atol=1e-6)


def spectrum(fitted: FitProblem, frame: Frame) -> list[tuple[int, np.ndarray]]:
    """Return species and features of the atoms of a frame."""
    from rhopot.testing.spectrum import arguments

    inputs = arguments(frame.atoms, SYMBOLS, CUTOFF)
    return list(zip(inputs[4].tolist(), fitted.descriptor(inputs).numpy(), strict=True))


def test_gap_fit_equals_subset_of_regressors_algebra() -> None:
    """c = (K^T S^-2 K + K_MM / delta^2)^-1 K^T S^-2 y in dense normal equations, with sigmas that these survive."""
    fitted = fit_problem(frames(12), targets=Targets(energy=0.5, forces=2.0, stress=1.0))
    model = fit_gap(fitted, GAP).model
    points = [model.points[: model.first_point[1]], model.points[model.first_point[1] :]]
    rows = dense(fitted, KernelDesign(points, 2, torch.arange(63)))
    a, y = rows[:, :-1], rows[:, -1]
    prior = np.zeros((24, 24))
    prior[:12, :12], prior[12:, 12:] = (dot_product_kernel(part, part, 2).numpy() for part in points)
    expected = np.linalg.solve(a.T @ a + prior / 2.0**2, a.T @ y)
    np.testing.assert_allclose(a @ model.weights[:, 0].numpy(), a @ expected, rtol=1e-6, atol=1e-7)


def test_gap_with_every_environment_is_the_exact_gaussian_process() -> None:
    """Energies only, all atoms sparse: prediction k (K + S^2)^-1 y with structure kernels K."""
    train, test = frames(8), frames(3, seed=9)
    fitted = fit_problem(train, targets=Targets(energy=0.01, forces=None))
    model = fit_gap(fitted, GapSettings(zeta=2, delta=1.5, n_sparse=1000)).model

    def structure_kernel(left: list[Frame], right: list[Frame]) -> np.ndarray:
        result = np.zeros((len(left), len(right)))
        for i, one in enumerate(left):
            for j, two in enumerate(right):
                for a, p in spectrum(fitted, one):
                    for b, q in spectrum(fitted, two):
                        result[i, j] += (a == b) * (p @ q / np.sqrt((p @ p) * (q @ q))) ** 2
        return 1.5**2 * result

    noise = np.diag([0.01**2 * len(frame) for frame in train])
    y = np.array([frame.energy - constant(frame) for frame in train])
    expected = structure_kernel(test, train) @ np.linalg.solve(structure_kernel(train, train) + noise, y)
    found = [outputs(model, [frame])[0] * len(frame) - constant(frame) for frame in test]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def constant(frame: Frame) -> float:
    """Return the baseline energy of a frame."""
    return sum(BASELINE[SYMBOLS.index(s)] for s in frame.atoms.symbols)


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "settings"), [(fit_linear, LINEAR), (fit_gap, FULL_GAP)])
def test_fit_learns_and_does_not_depend_on_blocks(fit, settings) -> None:  # type: ignore[no-untyped-def]
    train, test = frames(25), frames(6, seed=5)
    result = fit(fit_problem(train, test), settings)
    found = outputs(result.model, test)
    whole = fit(fit_problem(train), settings.model_copy(update={"block_rows": 10**6}))
    np.testing.assert_allclose(outputs(whole.model, test), found, rtol=0, atol=1e-9)
    parts = fit(fit_problem(train), settings.model_copy(update={"batch_mib": 0.05}))
    np.testing.assert_allclose(outputs(parts.model, test), found, rtol=0, atol=1e-6)
    errors = found - np.concatenate([np.append(f.energy / 4, f.forces.ravel()) for f in test])
    forces = np.concatenate([f.forces.ravel() for f in test])
    assert np.delete(errors, np.s_[::13]).std() < 0.4 * forces.std()
    assert result.report["equations"] == 25 * (1 + 12 + 6)
    assert result.report["validation"]["energy_mae_mev_per_atom"] == pytest.approx(1e3 * np.abs(errors[::13]).mean())


@pytest.mark.parametrize(("fit", "settings"), [(fit_linear, LINEAR), (fit_gap, GAP)])
def test_chosen_features_are_the_only_ones_used(fit, settings) -> None:  # type: ignore[no-untyped-def]
    train = frames(10)
    result = fit(fit_problem(train), settings.model_copy(update={"n_features": 20, "feature_method": "cur"}))
    model = result.model
    if fit is fit_linear:
        assert int((model.weights[0, :, 0] != 0).sum()) == 20
        assert result.report["columns"] == 40
    else:
        assert model.points.shape[1] == 20
        assert len(model.features) == 20


class Killed(Exception):
    """Stands for a kill signal."""


class KillAfter(SilentProgress):
    """Stops the fit after a number of assembled frames."""

    def __init__(self, frames_done: int) -> None:
        self.frames_done = frames_done
        self.stages: list[str] = []

    def start(self, stage: str, total: int) -> None:
        self.stages.append(stage)

    def advance(self, stage: str, done: int) -> None:
        if stage == "equations" and done == self.frames_done:
            raise Killed


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "settings"), [(fit_linear, LINEAR), (fit_gap, GAP)])
def test_resumed_fit_equals_uninterrupted_fit(fit, settings, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    train, test = frames(12), frames(3, seed=5)
    eager = settings.model_copy(update={"checkpoint_seconds": 0.0})
    expected = outputs(fit(fit_problem(train), eager).model, test)
    with pytest.raises(Killed):
        fit(fit_problem(train, folder=tmp_path, progress=KillAfter(7)), eager)
    assert [path.name for path in tmp_path.iterdir()] == ["assembly-0-of-1.npz"]
    steps = Steps()
    resumed = fit(fit_problem(train, folder=tmp_path, resume=True, progress=steps), eager)
    np.testing.assert_array_equal(outputs(resumed.model, test), expected)
    assert steps.done["equations"] < 12
    again = Steps()  # the state stays until the folder goes: what follows the fit may be stopped too
    finished = fit(fit_problem(train, folder=tmp_path, resume=True, progress=again), eager)
    np.testing.assert_array_equal(outputs(finished.model, test), expected)
    assert "equations" not in again.done


class Steps(SilentProgress):
    """Counts steps and keeps what was said."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.forecasts: list[Forecast] = []
        self.texts: list[str] = []

    def advance(self, stage: str, done: int) -> None:
        self.done[stage] = self.done.get(stage, 0) + 1

    def forecast(self, forecast: Forecast) -> None:
        self.forecasts.append(forecast)

    def message(self, text: str) -> None:
        self.texts.append(text)


def test_checkpoint_of_another_fit_is_refused(tmp_path: Path) -> None:
    train = frames(6)
    eager = LINEAR.model_copy(update={"checkpoint_seconds": 0.0})
    with pytest.raises(Killed):
        fit_linear(fit_problem(train, folder=tmp_path, progress=KillAfter(5)), eager)
    changed = fit_problem(train, folder=tmp_path, resume=True, targets=Targets(energy=0.5))
    with pytest.raises(ValueError, match="must belong to the fit that is resumed"):
        fit_linear(changed, eager)


def test_forecast_comes_before_the_assembly_and_counts_rightly() -> None:
    steps = Steps()
    result = fit_gap(fit_problem(frames(10), progress=steps), GAP)
    (forecast,) = steps.forecasts
    assert (forecast.columns, forecast.rows) == (24, result.report["equations"])
    assert forecast.seconds > 0
    assert forecast.peak_bytes > 8 * 24**2
    assert "24 coefficients from 190 equations" in str(forecast)


def test_too_few_environments_are_said() -> None:
    steps = Steps()
    fit_gap(fit_problem(frames(3), progress=steps), GAP.model_copy(update={"n_sparse": 500}))
    assert steps.texts[0].startswith("Li: ")
    assert "distinct environments for 500 sparse points" in steps.texts[0]


@pytest.mark.slow
def test_fit_repeats_itself_and_thins_by_seed() -> None:
    train, test = frames(10), frames(2, seed=5)
    thinned = GAP.model_copy(update={"pool": 15})
    one, two, other = (outputs(fit_gap(fit_problem(train, seed=s), thinned).model, test) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 1e-6


class Spring(nn.Module):
    """(r - r_c)^4 / 20 for each pair, half to each centre: what a pair baseline looks like."""

    def forward(self, graph: AtomicGraph) -> torch.Tensor:
        energies = (graph.edge_vectors.norm(dim=1) - CUTOFF) ** 4 / 40
        total = torch.zeros(len(graph.centre), dtype=torch.float64)
        return total.index_add(0, edge_centres(graph.first_edge), energies)


def test_pair_baseline_is_subtracted_and_carried() -> None:
    """Labels that the baseline explains wholly leave nothing to learn."""
    import many_body_toy as toy

    zero = torch.zeros(2, 63, 1, dtype=torch.float64)
    from rhopot.potentials.models import LinearModel

    bare = frames(6)
    exact = LinearModel(fit_problem(bare).descriptor, zero, BASELINE, Spring())
    loaded = LoadedModel(card=toy.card(cutoff=CUTOFF), module=exact)
    results = evaluate(loaded, [frame.atoms for frame in bare])
    labelled = [
        Frame(atoms=f.atoms, energy=r.energy, forces=r.forces, stress=r.stress(f.atoms))
        for f, r in zip(bare, results, strict=True)
    ]
    assert max(np.abs(frame.forces).max() for frame in labelled) > 0.1
    fitted = fit_linear(fit_problem(labelled, pair=Spring()), LINEAR).model
    assert float(fitted.weights.abs().max()) < 1e-9
    np.testing.assert_allclose(outputs(fitted, labelled), outputs(exact, labelled), atol=1e-9)


def test_wrong_tasks_are_refused() -> None:
    train = frames(2)
    with pytest.raises(ValueError, match="train must hold at least one frame"):
        fit_problem([])
    with pytest.raises(ValueError, match="baseline must have one energy per symbol"):
        fit_problem(train, baseline=[0.0])
    with pytest.raises(ValueError, match="members must be 0 or at least 2, got 1"):
        fit_linear(fit_problem(train, train, members=1), LINEAR)
    with pytest.raises(ValueError, match="train must hold at least 3 frames with fitted energies"):
        fit_linear(fit_problem(train, train, members=8), LINEAR)
    with pytest.raises(ValueError, match="n_sparse must name every element, got none for Si"):
        fit_gap(fit_problem(train), GAP.model_copy(update={"n_sparse": {"Li": 3}}))


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "settings"), [(fit_linear, LINEAR), (fit_gap, GAP)])
def test_final_model_has_seen_the_validation_part(
    fit: Callable[..., FitResult], settings: LinearSettings | GapSettings
) -> None:
    train, validation = frames(8)[:5], frames(8)[5:]
    result = fit(fit_problem(train, validation, refit_on_validation=True), settings)
    apart = fit(fit_problem(train, validation), settings)
    np.testing.assert_allclose(outputs(result.model, validation), outputs(apart.model, validation), rtol=0, atol=1e-10)
    assert apart.final is apart.model
    assert np.abs(outputs(result.final, validation) - outputs(result.model, validation)).max() > 1e-4


def test_final_linear_model_equals_a_fit_to_all_frames() -> None:
    train, validation = frames(8)[:5], frames(8)[5:]
    plain = LinearSettings(scaling=0.0)  # features as they are: their spread over the training part plays no role
    final = fit_linear(fit_problem(train, validation, refit_on_validation=True), plain).final
    together = fit_linear(fit_problem([*train, *validation]), plain).model
    np.testing.assert_allclose(outputs(final, validation), outputs(together, validation), rtol=0, atol=1e-8)


@pytest.mark.parametrize("fit", [fit_linear, fit_gap])
def test_neighbours_of_a_frame_are_searched_once(fit: Callable[..., FitResult]) -> None:
    settings = LINEAR if fit is fit_linear else GAP
    train, validation, search = frames(6), frames(3, seed=1), EdgeCache()
    fit(fit_problem(train, validation, members=4, refit_on_validation=True, search=search), settings)
    assert search.n_searches == 9


def test_a_small_memory_for_neighbours_changes_no_bit() -> None:
    train, validation, nothing = frames(6), frames(3, seed=1), EdgeCache(max_mib=0.0)
    kept = fit_gap(fit_problem(train, validation), GAP).model
    searched = fit_gap(fit_problem(train, validation, search=nothing), GAP).model
    assert nothing.n_searches > 2 * 6
    for one, other in zip(kept.state_dict().values(), searched.state_dict().values(), strict=True):
        assert torch.equal(one, other)
