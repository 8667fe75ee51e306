"""Folds, and errors of all held-out frames, which are those of fits made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from rhopot.export import LoadedModel
from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.load import make_config
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.runs.cross_validation import cross_validate, make_folds
from rhopot.potentials.runs.evaluation import predict_frames
from rhopot.potentials.runs.fit import fit_model
from rhopot.potentials.runs.training_set import TrainingSet, load_frames
from rhopot.potentials.structures import Frame, FrameSet

DATA = Path(__file__).resolve().parents[3] / "examples/data/lisi_gpaw"
FILES = [str(DATA / f"{name}.xyz") for name in ("Li4Si28_0", "Li12Si20_0", "Li16Si16_0")]
GROUPS = {"by": "group", "key": "path"}


def configured(**data: object) -> RunConfig:
    return make_config(
        {
            "family": "soap_linear",
            "descriptor": {"cutoff": 4.0, "n_max": 2, "l_max": 2},
            "data": {"train": FILES, **data},
        }
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_frame_is_held_out_once(count: int) -> None:
    config = configured()
    frames, _ = load_frames(config)
    folds = make_folds(config, frames, count)
    assert len(folds) == count
    assert sorted(id(frame) for _, held_out in folds for frame in held_out) == sorted(map(id, frames))
    for train, held_out in folds:
        assert len(train) + len(held_out) == len(frames)
        assert not set(map(id, train)) & set(map(id, held_out))
    again = make_folds(config, frames, count)
    assert [list(map(id, held)) for _, held in again] == [list(map(id, held)) for _, held in folds]


def test_groups_stay_whole_where_the_split_is_by_group() -> None:
    config = configured(split=GROUPS)
    frames, _ = load_frames(config)
    folds = make_folds(config, frames, 3)
    for train, held_out in folds:
        assert len({frame.group for frame in held_out}) == 1
        assert not {frame.group for frame in held_out} & {frame.group for frame in train}
    with pytest.raises(ValueError, match="groups must be at least 4"):
        make_folds(config, frames, 4)


def test_isolated_atoms_always_train() -> None:
    config = configured()
    frames, _ = load_frames(config)
    alone = Frame(Atoms("Li", cell=[20.0] * 3, pbc=True), energy=-1.0, config_type="IsolatedAtom")
    folds = make_folds(config, FrameSet((*frames, alone)), 3)
    assert all(alone in train and alone not in held_out for train, held_out in folds)


def test_folds_that_cannot_be_made_are_refused() -> None:
    config = configured()
    frames, _ = load_frames(config)
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        make_folds(config, frames, 1)
    with pytest.raises(ValueError, match=r"folds must be at most the number of frames \(30\), got 31"):
        make_folds(config, frames, 31)
    lonely = FrameSet((*frames, Frame(Atoms("Xe2", positions=[[0, 0, 0], [4, 0, 0]]), energy=0.0)))
    with pytest.raises(ValueError, match="each training part must hold all elements, got none of Xe"):
        make_folds(config, lonely, 3)


@pytest.mark.slow
def test_errors_are_those_of_fits_made_by_hand() -> None:
    """Two folds; the pooled error is that of all held-out forces together."""
    config = configured()
    frames, _ = load_frames(config)
    folds = make_folds(config, frames, 2)
    seen: list[int] = []
    found = cross_validate(config, folds, seen.append)
    assert seen == [1, 2]
    errors = []
    for train, held_out in folds:
        part = TrainingSet(train, held_out, ("Li", "Si"), "by hand", False)
        fitted = fit_model(
            make_config({**config.model_dump(mode="json"), "uncertainty": {"members": 0}}), part, SingleProcess()
        )
        predicted = predict_frames(LoadedModel(fitted.card, fitted.model.eval()), held_out)
        errors.append(np.concatenate([(p.forces - f.forces).ravel() for p, f in zip(predicted, held_out, strict=True)]))
    name = "forces_mae_mev_per_angstrom"
    assert found.errors["n_frames"] == 30
    assert found.errors[name] == pytest.approx(1000.0 * np.abs(np.concatenate(errors)).mean(), rel=1e-9)
    for table, error in zip(found.folds, errors, strict=True):
        assert table[name] == pytest.approx(1000.0 * np.abs(error).mean(), rel=1e-9)
    assert found.errors[name] > found.model.card.metrics["validation"].get(name, 0.0) * 0.5  # type: ignore[index, union-attr]
