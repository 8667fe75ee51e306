"""Sigmas: per atom for energy and stress, as they are for forces, by config_type."""

from __future__ import annotations

import pytest
from labelled import frames
from pydantic import ValidationError

from rhopot.potentials.fitting.least_squares.forecast import count_rows
from rhopot.potentials.fitting.targets import Targets


def test_sigmas_scale_as_in_gap_fit() -> None:
    frame = frames(2)[1]
    sigmas = Targets(energy=0.001, forces=0.1, stress=0.02).sigmas(frame)
    assert sigmas == pytest.approx({"energy": 0.001 * 2, "forces": 0.1, "stress": 0.02 * 2})  # sqrt(4 atoms) = 2


def test_config_type_overrides_or_leaves_out() -> None:
    hot, cold = frames(2)
    targets = Targets.model_validate(
        {"energy": {"sigma": 0.01, "config_type": {"hot": 0.05}}, "forces": {"sigma": 1, "config_type": {"hot": None}}}
    )
    assert targets.sigmas(hot) == pytest.approx({"energy": 0.1})
    assert targets.sigmas(cold) == pytest.approx({"energy": 0.02, "forces": 1.0})
    assert (count_rows(hot, targets), count_rows(cold, targets)) == (1, 13)


def test_absent_labels_are_no_targets() -> None:
    frame = frames(1)[0]
    bare = type(frame)(atoms=frame.atoms, energy=frame.energy)
    assert list(Targets(stress=0.1).sigmas(bare)) == ["energy"]


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one of energy, forces and stress"):
        Targets(energy=None, forces=None)
    with pytest.raises(ValidationError, match="greater than 0"):
        Targets(energy=0.0)


def test_only_required_quantities_must_be_there() -> None:
    targets = Targets.model_validate({"energy": 0.01, "forces": {"sigma": 0.1, "required": False}})
    assert targets.required == ("energy",)
    assert set(targets.sigmas(frames(1)[0])) == {"energy", "forces"}  # fitted where present all the same
    optional = Targets.model_validate({"energy": None, "forces": {"sigma": 1, "required": False}})
    assert optional.required == ()
    assert optional.fitted == ("forces",)
