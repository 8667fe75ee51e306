"""Whole trainings: they learn, repeat, treat members alone, calibrate, and describe themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import labelled
import many_body_toy as toy
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_problem import ENERGIES, NETWORK, fit_problem, training_settings, weights

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.families.networks.fit import train_networks
from rhopot.potentials.fitting.gradient.stopping_folds import make_stopping_folds
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.progress import SilentProgress
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.edge_cache import EdgeCache
from rhopot.potentials.models.network_settings import NetworkSettings

pytestmark = pytest.mark.slow

TRAIN, VALIDATION = labelled.frames(24, seed=0), labelled.frames(8, seed=1)


class Listening(SilentProgress):
    """Keeps what a training says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.described: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    def describe(self, stage: str, text: str) -> None:
        self.described.append(f"{stage}: {text}")


@pytest.mark.slow
def test_learns_the_forces_of_a_toy_potential() -> None:
    """From 60 strained and rattled crystals of four atoms, forces of new ones to 10% of their root mean square."""
    train, test = labelled.frames(60, seed=2), labelled.frames(20, seed=3)
    network = NetworkSettings(hidden=(24, 24))
    result = train_networks(
        fit_problem(train, test), network, training_settings(100, dtype="float32", learning_rate=0.01)
    )
    reference = np.concatenate([frame.forces for frame in test])
    spread = 1000 * float(np.sqrt(np.mean(reference**2)))
    assert result.report["validation"]["forces_mae_mev_per_angstrom"] < 0.1 * spread
    loaded = LoadedModel(card=toy.card(0, cutoff=labelled.CUTOFF), module=result.model)
    found = evaluate(loaded, [frame.atoms for frame in test])
    forces = np.concatenate([one.forces for one in found])
    mae = 1000 * np.mean(np.abs(forces - reference))
    assert mae == pytest.approx(result.report["validation"]["forces_mae_mev_per_angstrom"], rel=1e-3)
    energies = [(one.energy - f.energy) / len(f) for one, f in zip(found, test, strict=True) if f.energy is not None]
    mae = 1000 * np.mean(np.abs(energies))
    assert mae == pytest.approx(result.report["validation"]["energy_mae_mev_per_atom"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["balanced", "likelihood"])
def test_other_losses_learn_too(form: str) -> None:
    loss = LossSettings(form=form, p=0.1)  # type: ignore[arg-type]
    rows = train_networks(
        fit_problem(TRAIN, VALIDATION), NETWORK, training_settings(25, loss=loss, learning_rate=0.01)
    ).report["epochs"]
    assert rows[-1]["validation_loss"] < 0.3 * rows[0]["validation_loss"]
    for name in ("train_energy_rmse_mev_per_atom", "train_forces_rmse_mev_per_angstrom"):
        assert rows[-1][name] < 0.7 * rows[0][name]


@pytest.mark.slow
def test_stress_in_the_loss_lowers_the_error_of_the_stress() -> None:
    errors = []
    for stress in (0.0, 1.0):
        given = fit_problem(TRAIN, VALIDATION, targets=Targets(energy=0.002, forces=0.05, stress=0.01))
        result = train_networks(
            given, NETWORK, training_settings(60, learning_rate=0.01, loss=LossSettings(beta=3.0, stress=stress))
        )
        loaded = LoadedModel(card=toy.card(0, cutoff=labelled.CUTOFF), module=result.model)
        found = evaluate(loaded, [frame.atoms for frame in TRAIN])
        left = [one.stress(f.atoms) - f.stress for one, f in zip(found, TRAIN, strict=True)]
        errors.append(np.abs(left).mean())
    assert errors[1] < 0.75 * errors[0]


@pytest.mark.slow
def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    settings = training_settings(3, dtype="float32")
    first, again, other = (
        train_networks(fit_problem(TRAIN, VALIDATION, seed=s), NETWORK, settings).model for s in (1, 1, 2)
    )
    assert torch.equal(weights(first), weights(again))
    assert not torch.allclose(weights(first), weights(other))


@pytest.mark.slow
def test_a_member_is_the_network_it_would_be_alone() -> None:
    settings = training_settings(6, learning_rate=0.02)
    committee = train_networks(fit_problem(TRAIN, members=2), NETWORK, settings)
    alone = train_networks(fit_problem(TRAIN), NETWORK, settings)
    for mine, others in zip(alone.model.networks.parameters(), committee.model.networks.parameters(), strict=True):
        torch.testing.assert_close(mine[0], others[0], rtol=1e-9, atol=1e-11)
        assert not torch.allclose(others[0], others[1])


def test_early_stopping_ends_the_training_and_keeps_the_best_epoch() -> None:
    settings = training_settings(200, patience=4, learning_rate=0.1, ema=0.0)
    report = train_networks(fit_problem(TRAIN[:6], VALIDATION), NETWORK, settings).report
    rows, best = report["epochs"], report["best_epoch"][0]
    assert len(rows) == best + 4 < 200
    losses = [row["validation_loss"] for row in rows]
    assert losses[best - 1] == min(losses)
    name = "energy_mae_mev_per_atom"
    assert report["validation"][name] == pytest.approx(rows[best - 1][f"validation_{name}"], rel=1e-12)


def test_members_that_were_not_stopped_on_a_structure_calibrate() -> None:
    """Errors are of these members' mean; the seventh of eight ratios to the deviation is one: 0.6827 x (8 + 1)."""
    result = train_networks(fit_problem(TRAIN, VALIDATION, members=4), NETWORK, training_settings(10))
    calibration = result.report["calibration"]
    assert (calibration["n_energies"], calibration["n_groups"]) == (8, None)
    loaded = LoadedModel(card=toy.card(4, cutoff=labelled.CUTOFF), module=result.model)
    found = evaluate(loaded, [frame.atoms for frame in VALIDATION], members=True, deviations=True)
    unseen = make_stopping_folds(VALIDATION, np.ones(8, dtype=bool), 4, seed=0).unseen
    assert (unseen.sum(axis=0) == 2).all()
    ratios, of_forces = [], []
    assert result.force_calibration is not None
    for k, (one, frame) in enumerate(zip(found, VALIDATION, strict=True)):
        departures = (one.members.sum(axis=0) - one.energy) / calibration["factor"]
        ratios.append(abs(one.energy + departures[unseen[:, k]].mean() - frame.energy) / one.energy_uncertainty())
        factors = [result.force_calibration.factors[symbol] for symbol in frame.atoms.symbols]
        of_forces.append(np.abs(one.forces - frame.forces) / (factors * one.forces_uncertainty)[:, None])
    assert sorted(ratios)[6] == pytest.approx(1.0, rel=1e-6)
    # Errors of all members' mean beside those of the members that have not seen it, which the factors are for.
    assert (result.force_calibration.n_frames, result.force_calibration.n_components) == (
        8,
        3 * sum(len(frame) for frame in VALIDATION),
    )
    assert np.mean(np.concatenate(of_forces) <= 1.0) == pytest.approx(0.77, abs=0.08)


@pytest.mark.parametrize("per_element", [False, True])
def test_energies_with_batch_normalisation(per_element: bool) -> None:
    """Statistics of minibatches while training, those of all training data in what is kept."""
    network = NetworkSettings(hidden=(12, 8), normalization="batch_norm", per_element=per_element)
    result = train_networks(
        fit_problem(TRAIN, VALIDATION, targets=ENERGIES), network, training_settings(60, learning_rate=0.01, batch=12)
    )
    rows = result.report["epochs"]
    assert rows[-1]["train_loss"] < 0.3 * rows[0]["train_loss"]
    assert rows[-1]["validation_loss"] < 0.7 * rows[0]["validation_loss"]
    assert "validation_forces_mae_mev_per_angstrom" not in rows[-1]
    loaded = LoadedModel(card=toy.card(0, cutoff=labelled.CUTOFF), module=result.model)
    found = evaluate(loaded, [frame.atoms for frame in VALIDATION], gradients=False)
    errors = [(one.energy - (f.energy or 0.0)) / len(f) for one, f in zip(found, VALIDATION, strict=True)]
    expected = result.report["validation"]["energy_mae_mev_per_atom"]
    assert 1000 * np.mean(np.abs(errors)) == pytest.approx(expected, rel=1e-9)


def test_without_validation_data_the_last_weights_are_kept() -> None:
    report = train_networks(fit_problem(TRAIN), NETWORK, training_settings(3, patience=1)).report
    assert report["best_epoch"] == [3]
    assert report["validation"] == {}


def test_derivatives_that_do_not_fit_are_evaluated_in_every_step() -> None:
    said = Listening()
    kept = train_networks(fit_problem(TRAIN[:8], VALIDATION), NETWORK, training_settings(3))
    streamed = train_networks(
        fit_problem(TRAIN[:8], VALIDATION, progress=said), NETWORK, training_settings(3, cache_gib=0.0)
    )
    torch.testing.assert_close(weights(kept.model), weights(streamed.model), rtol=1e-7, atol=1e-9)
    assert any("evaluated in every step" in line for line in said.lines)


def test_progress_tells_the_errors_of_an_epoch() -> None:
    said = Listening()
    train_networks(fit_problem(TRAIN[:8], VALIDATION, progress=said), NETWORK, training_settings(2))
    assert len(said.described) == 2
    assert said.described[-1].startswith("epochs: validation MAE / RMSE: energy ")
    assert said.described[-1].endswith(" meV/A")
    assert " meV/atom, forces " in said.described[-1]


@pytest.mark.slow
def test_a_training_without_a_number_of_epochs_makes_enough_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rhopot.potentials.fitting.gradient.epochs.STEPS", 14)
    monkeypatch.setattr("rhopot.potentials.fitting.gradient.epochs.FEWEST", 3)
    for count, expected in ((8, "7 epochs of 2 steps"), (24, "3 epochs of 6 steps")):
        said = Listening()
        report = train_networks(
            fit_problem(TRAIN[:count], VALIDATION, progress=said), NETWORK, training_settings(None)
        ).report
        assert expected in said.lines
        assert report["training"]["epochs"] == len(report["epochs"]) == int(expected.split()[0])


def test_one_member_is_no_committee() -> None:
    with pytest.raises(ValueError, match=r"members must be 0 \(one network\) or at least 2, got 1; 4 is customary"):
        train_networks(fit_problem(TRAIN, members=1), NETWORK, training_settings(1))


def test_the_validation_part_is_not_learned() -> None:
    with pytest.raises(ValueError, match=r"data\.split\.refit must be false for networks, got true"):
        train_networks(fit_problem(TRAIN, VALIDATION, refit_on_validation=True), NETWORK, training_settings(1))


def test_a_loss_without_weights_is_refused() -> None:
    given = fit_problem(TRAIN, targets=Targets(energy=None, forces=0.05))
    with pytest.raises(
        ValueError, match="loss must weigh a quantity that the training data carry, got weights of zero"
    ):
        train_networks(given, NETWORK, training_settings(1, loss=LossSettings(beta=0.0)))


def test_forces_that_weigh_nothing_cost_nothing() -> None:
    rows = train_networks(
        fit_problem(TRAIN, VALIDATION), NETWORK, training_settings(1, loss=LossSettings(beta=0.0))
    ).report["epochs"]
    assert "train_energy_mae_mev_per_atom" in rows[0]
    assert "train_forces_mae_mev_per_angstrom" not in rows[0]


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    settings = training_settings(5, learning_rate=1e38, clip=None, dtype="float32")
    with pytest.raises(ValueError, match="learning_rate must keep the loss finite, got 1e\\+38"):
        train_networks(fit_problem(TRAIN), NETWORK, settings)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="device must be cpu or auto where torch finds no GPU, got cuda"):
        train_networks(fit_problem(TRAIN), NETWORK, training_settings(1, device="cuda"))


def test_tensorboard_gets_every_number_of_the_table(tmp_path: Path) -> None:
    """The event file holds the epochs' rows, in single precision."""
    given = fit_problem(TRAIN[:8], VALIDATION, folder=tmp_path)
    report = train_networks(given, NETWORK, training_settings(3, tensorboard=True)).report
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    names = {"train/loss", "validation/loss", "validation/forces_mae_mev_per_angstrom", "learning/rate"}
    assert names <= set(events.Tags()["scalars"])
    for name in names:
        found = [(event.step, event.value) for event in events.Scalars(name)]
        expected = [(row["epoch"], row[name.replace("/", "_")]) for row in report["epochs"]]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_tensorboard_that_is_not_installed_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="must be false unless tensorboard is installed, got true"):
        train_networks(fit_problem(TRAIN, folder=tmp_path), NETWORK, training_settings(1, tensorboard=True))


def test_neighbours_of_a_frame_are_searched_once() -> None:
    search = EdgeCache()
    train_networks(fit_problem(TRAIN, VALIDATION, search=search), NETWORK, training_settings(2))
    assert search.n_searches == len(TRAIN) + len(VALIDATION)
