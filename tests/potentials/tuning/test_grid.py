"""Grids: the words of the command line, the place of the starting value, and the configurations that follow."""

from __future__ import annotations

import re

import pytest

from rhopot.potentials.config import RunConfig
from rhopot.potentials.config.load import make_config
from rhopot.potentials.families import family_names, find_family
from rhopot.potentials.tuning.grid import make_grid


def configured(family: str = "soap_linear", **sections: object) -> RunConfig:
    return make_config({"family": family, **sections})


def test_the_starting_value_is_put_in_its_place() -> None:
    base = configured(descriptor={"cutoff": 4.5, "n_max": 6})
    grid = make_grid(
        base, ["descriptor.cutoff=4,5.0,6", "descriptor.n_max=4,6,8", "descriptor.optimal_basis={q_max: 3}"]
    )
    assert grid.values == {
        "descriptor.cutoff": (4, 4.5, 5.0, 6),
        "descriptor.n_max": (4, 6, 8),
        "descriptor.optimal_basis": (None, {"q_max": 3}),
    }
    assert grid.start == (1, 1, 0)
    assert grid.sizes == (4, 3, 2)


def test_values_that_make_the_same_configuration_are_one() -> None:
    """A section that is written out, and a number of another type."""
    base = configured(descriptor={"cutoff": 5, "optimal_basis": {"q_max": 3}})
    grid = make_grid(base, ["descriptor.cutoff=4,5.0,5,4.0", "descriptor.optimal_basis={q_max: 2},{q_max: 3}"])
    assert grid.values["descriptor.cutoff"] == (4, 5.0)
    assert grid.start == (1, 1)


def test_a_point_changes_what_differs_from_the_start() -> None:
    grid = make_grid(configured(), ["descriptor.n_max=4,8", "targets.energy.sigma=0.007,0.02"])
    assert grid.start == (1, 0)
    assert grid.config(grid.start) == grid.base
    changed = grid.config((0, 1))
    assert changed is not None
    assert grid.changes((0, 1)) == {"descriptor.n_max": 4, "targets.energy.sigma": 0.02}
    assert changed.descriptor.n_max == 4  # type: ignore[attr-defined]
    assert changed.targets.energy is not None
    assert changed.targets.energy.sigma == 0.02
    assert changed.targets.energy.required == grid.base.targets.energy.required  # type: ignore[union-attr]
    assert changed.baseline == grid.base.baseline


def test_settings_that_do_not_go_together_are_no_configuration() -> None:
    grid = make_grid(configured("multispectrum"), ["descriptor.l_max=2,4", "descriptor.l_three=2,4"])
    assert grid.start == (1, 1)
    assert grid.config((0, 1)) is None
    assert grid.config((0, 0)) is None  # l_four stays at 3
    assert grid.config((1, 0)) is not None


@pytest.mark.parametrize("name", [name for name in family_names() if find_family(name).tuning])
def test_the_grid_of_a_family_holds_its_defaults_and_is_valid(name: str) -> None:
    grid = make_grid(configured(name), [])
    assert set(grid.values) == set(find_family(name).tuning)
    for key, (values, start) in enumerate(zip(grid.values.values(), grid.start, strict=True)):
        assert len(values) >= 3
        for place in (start - 1, start + 1):
            if 0 <= place < len(values):
                assert grid.config((*grid.start[:key], place, *grid.start[key + 1 :])) is not None


def test_the_families_that_are_tuned_without_a_grid() -> None:
    assert {name for name in family_names() if find_family(name).tuning} >= {"soap_linear", "soap_gap", "multispectrum"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["descriptor.cutoff"], "--grid must be KEY=V1,V2,..., got 'descriptor.cutoff'"),
        (["descriptor.cutoff="], "--grid must be KEY=V1,V2,..., got 'descriptor.cutoff='"),
        (["=4,5"], "--grid must be KEY=V1,V2,..., got '=4,5'"),
        (["data.split.fraction=0.1,0.2"], "--grid must name settings of the model, got data.split.fraction"),
        (["descriptor.n_max=4", "descriptor.n_max=5"], "--grid must name each key once"),
        (["descriptor.n_mx=4,5"], "did you mean n_max?"),
        (["descriptor.cutoff=-1"], "descriptor.cutoff"),
        (["descriptor.cutoff=[4"], "--grid descriptor.cutoff"),
    ],
)
def test_bad_grids_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_grid(configured(), words)


def test_a_family_without_a_grid_asks_for_one() -> None:
    with pytest.raises(ValueError, match="family scattering, which has no grid of its own, got none; add --grid"):
        make_grid(configured("scattering"), [])
