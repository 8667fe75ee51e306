"""Folds of the validation part: groups stay whole, every labelled structure is judged, none by whom it stopped."""

from __future__ import annotations

from dataclasses import replace

import labelled
import numpy as np
import prepared_training as prepared
import pytest

from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.errors import errors
from rhopot.potentials.fitting.gradient.loss import Loss
from rhopot.potentials.fitting.gradient.stopping_folds import make_stopping_folds, mean_of_unseen
from rhopot.potentials.fitting.gradient.training_settings import LossSettings

FRAMES = labelled.frames(12)
ALL = np.ones(12, dtype=bool)


@pytest.mark.parametrize("members", [2, 3, 4, 16])
def test_every_structure_stops_somebody_and_is_judged_by_the_others(members: int) -> None:
    judges = make_stopping_folds(FRAMES, ALL, members, seed=0)
    assert sorted(row for part in judges.parts for row in part) == list(range(12))
    for k in range(members):
        assert (judges.matrix[k] == (judges.folds != judges.of_member[k])).all()
        assert not judges.matrix[k].all()
    assert judges.matrix.any(axis=0).all()
    assert judges.n_groups is None


def test_groups_stay_whole_where_there_are_several() -> None:
    frames = [replace(frame, group="abc"[k % 3]) for k, frame in enumerate(FRAMES)]
    judges = make_stopping_folds(frames, ALL, 4, seed=0)
    assert judges.n_groups == 3
    assert [len(set(judges.folds[k::3].tolist())) for k in range(3)] == [1, 1, 1]
    assert set(judges.folds.tolist()) == {0, 1}
    assert judges.of_member.tolist() == [0, 1, 0, 1]


def test_one_group_is_cut_into_stretches() -> None:
    judges = make_stopping_folds([replace(frame, group="a") for frame in FRAMES], ALL, 4, seed=0)
    assert judges.folds.tolist() == [0] * 6 + [1] * 6
    assert judges.n_groups == 1


def test_structures_without_labels_stop_and_judge_nobody() -> None:
    labels = ALL.copy()
    labels[5] = False
    judges = make_stopping_folds(FRAMES, labels, 4, seed=0)
    assert judges.folds[5] == -1
    assert not judges.matrix[:, 5].any()


def test_one_network_is_stopped_by_all() -> None:
    judges = make_stopping_folds(FRAMES, ALL, 0, seed=0)
    assert judges.parts == [list(range(12))]
    assert not judges.matrix.any()


def test_the_mean_is_that_of_the_judges() -> None:
    values = np.arange(12.0).reshape(3, 2, 2)
    matrix = np.array([[True, False], [False, True], [True, True]])
    expected = [values[[0, 2], 0].mean(axis=0), values[[1, 2], 1].mean(axis=0)]
    np.testing.assert_allclose(mean_of_unseen(values, matrix), expected)


def test_the_loss_of_a_member_is_that_of_its_own_fold() -> None:
    frames = prepared.mixed_frames()
    networks = prepared.networks(members=3)
    held = prepared.cache(frames, networks)
    prepared.on_standardised(networks)
    judges = make_stopping_folds(frames, np.ones(len(frames), dtype=bool), 3, seed=0)
    found = errors(networks, held, Loss(LossSettings()), True, SingleProcess(), judges)
    for k, fold in enumerate(judges.of_member):
        rows = judges.parts[fold]
        expected = prepared.loss_of(networks, held, LossSettings(), rows)[k].item() / len(rows)
        assert found.loss[k].item() == pytest.approx(expected, rel=1e-10)
