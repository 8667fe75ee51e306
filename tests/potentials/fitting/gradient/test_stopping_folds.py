"""Stopping folds: groups stay whole, every labelled structure is unseen by the members that it did not stop."""

from __future__ import annotations

from dataclasses import replace

import labelled
import numpy as np
import prepared_training as prepared
import pytest

from rhopot.potentials.families.networks.trainable_networks import NetworksOnFeatures
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.errors import errors
from rhopot.potentials.fitting.gradient.loss import Loss
from rhopot.potentials.fitting.gradient.stopping_folds import make_stopping_folds, mean_of_unseen
from rhopot.potentials.fitting.gradient.training_settings import LossSettings

FRAMES = labelled.frames(12)
ALL = np.ones(12, dtype=bool)


@pytest.mark.parametrize("members", [2, 3, 4, 16])
def test_every_structure_stops_some_members_and_is_unseen_by_the_others(members: int) -> None:
    folds = make_stopping_folds(FRAMES, ALL, members, seed=0)
    assert sorted(row for part in folds.parts for row in part) == list(range(12))
    for k in range(members):
        assert (folds.unseen[k] == (folds.folds != folds.of_member[k])).all()
        assert not folds.unseen[k].all()
    assert folds.unseen.any(axis=0).all()
    assert folds.n_groups is None


def test_groups_stay_whole_where_there_are_several() -> None:
    frames = [replace(frame, group="abc"[k % 3]) for k, frame in enumerate(FRAMES)]
    folds = make_stopping_folds(frames, ALL, 4, seed=0)
    assert folds.n_groups == 3
    assert [len(set(folds.folds[k::3].tolist())) for k in range(3)] == [1, 1, 1]
    assert set(folds.folds.tolist()) == {0, 1}
    assert folds.of_member.tolist() == [0, 1, 0, 1]


def test_one_group_is_cut_into_stretches() -> None:
    folds = make_stopping_folds([replace(frame, group="a") for frame in FRAMES], ALL, 4, seed=0)
    assert folds.folds.tolist() == [0] * 6 + [1] * 6
    assert folds.n_groups == 1


def test_structures_without_labels_stop_nobody_and_count_nowhere() -> None:
    labels = ALL.copy()
    labels[5] = False
    folds = make_stopping_folds(FRAMES, labels, 4, seed=0)
    assert folds.folds[5] == -1
    assert not folds.unseen[:, 5].any()


def test_one_network_is_stopped_by_all() -> None:
    folds = make_stopping_folds(FRAMES, ALL, 0, seed=0)
    assert folds.parts == [list(range(12))]
    assert not folds.unseen.any()


def test_the_mean_is_that_of_members_that_have_not_seen_a_structure() -> None:
    values = np.arange(12.0).reshape(3, 2, 2)
    matrix = np.array([[True, False], [False, True], [True, True]])
    expected = [values[[0, 2], 0].mean(axis=0), values[[1, 2], 1].mean(axis=0)]
    np.testing.assert_allclose(mean_of_unseen(values, matrix), expected)


def test_the_loss_of_a_member_is_that_of_its_own_fold() -> None:
    frames = prepared.mixed_frames()
    networks = prepared.networks(members=3)
    held = prepared.cache(frames, networks)
    prepared.on_standardised(networks)
    folds = make_stopping_folds(frames, np.ones(len(frames), dtype=bool), 3, seed=0)
    found = errors(NetworksOnFeatures(networks), held, Loss(LossSettings()), True, True, SingleProcess(), folds)
    for k, fold in enumerate(folds.of_member):
        rows = folds.parts[fold]
        expected = prepared.loss_of(networks, held, LossSettings(), rows)[k].item() / len(rows)
        assert found.loss[k].item() == pytest.approx(expected, rel=1e-10)
