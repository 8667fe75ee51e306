"""Points of a learning curve from the sums of folds: fits to exactly those frames with the same columns."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import ase
import numpy as np
import pytest
from labelled import GAP, LINEAR, fit_problem, frames, without_frames
from scipy.linalg import LinAlgError

from rhopot.potentials.fitting.least_squares import learning_curve
from rhopot.potentials.fitting.least_squares.fit import fit_gap, fit_linear
from rhopot.potentials.fitting.least_squares.kept_equations import NAME
from rhopot.potentials.fitting.least_squares.learning_curve import curve_parts
from rhopot.potentials.fitting.least_squares.members import FOLDS
from rhopot.potentials.structures import Frame, fold_numbers

FITS = [(fit_linear, LINEAR.model_copy(update={"keep_equations": True})),
        (fit_gap, GAP.model_copy(update={"keep_equations": True}))]  # fmt: skip
FRACTIONS = (0.5, 0.2)


def isolated(symbol: str, energy: float) -> Frame:
    return Frame(atoms=ase.Atoms(symbol), energy=energy, forces=np.zeros((1, 3)), config_type="IsolatedAtom")


def simple(symbols: str, **labels: str) -> Frame:
    return Frame(atoms=ase.Atoms(symbols, pbc=True), energy=0.0, **labels)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "settings", "n_earlier"), [(*FITS[0], 0), (*FITS[1], 0), (*FITS[0], 12)])
def test_a_point_is_the_fit_to_its_frames(fit, settings, n_earlier: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Validation errors agree to 1e-9 eV per atom and eV/A, also where frames are appended to kept equations."""
    train = [isolated("Li", -1.4), *frames(18), isolated("Si", -4.1)]
    validation = frames(4, seed=8)
    folders = [tmp_path / name for name in ("earlier", "whole", "part")]
    for folder in folders:
        folder.mkdir()
    folds, start = fold_numbers(train, FOLDS, 0), None
    if n_earlier:
        fit(fit_problem(train[:n_earlier], validation, members=4, folder=folders[0]), settings)
        start = folders[0] / NAME
    found = fit(
        fit_problem(train, validation, members=4, folder=folders[1], appended_to=start, fractions=FRACTIONS), settings
    )
    with np.load(folders[1] / NAME) as kept:
        folds = kept["folds"]
    parts = curve_parts(train, folds, FRACTIONS, 0)
    assert list(found.report["learning_curve"]) == [repr(part.fraction) for part in parts] == ["0.2", "0.5"]
    for part in parts:
        rows = sorted({*np.flatnonzero(np.isin(folds, part.folds)).tolist(), *part.isolated.tolist()})
        assert {0, 19} < set(rows)
        point = found.report["learning_curve"][repr(part.fraction)]
        assert point["n_frames"] == part.n_frames == len(rows)
        alone = fit(
            fit_problem(
                [train[k] for k in rows],
                validation,
                folder=folders[2],
                appended_to=without_frames(folders[1] / NAME, tmp_path / "empty.npz"),
            ),
            settings,
        )
        expected = alone.report["validation"]
        assert point["errors"].keys() == expected.keys()
        for name, error in point["errors"].items():
            assert error == pytest.approx(expected[name], rel=0, abs=1e-6), name  # meV per atom, meV/A
            assert abs(error - found.report["validation"][name]) > 1e-3, "the whole fit is another one"


@pytest.mark.slow
def test_a_curve_that_cannot_be_solved_for_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LinAlgError("not positive definite")

    monkeypatch.setattr(learning_curve, "solve", fails)
    failed = fit_linear(fit_problem(frames(12), frames(4, seed=8), members=4, fractions=FRACTIONS), LINEAR)
    assert failed.report["validation"].keys() == {"energy_mae_mev_per_atom", "forces_mae_mev_per_angstrom"}
    assert "learning_curve" not in failed.report


def test_parts_are_nested_and_nearest_to_their_fractions() -> None:
    data = [simple("LiSi") for _ in range(103)]
    folds = fold_numbers(data, FOLDS, 0)
    sizes = np.bincount(folds)
    parts = curve_parts(data, folds, (0.5, 0.1, 0.31), seed=3)
    assert [len(part.folds) for part in parts] == [1, 3, 5]
    assert [part.n_frames for part in parts] == [sizes[part.folds].sum() for part in parts]
    for small, large in pairwise(parts):
        assert set(small.folds) < set(large.folds)
    assert {tuple(curve_parts(data, folds, (0.1,), seed=k)[0].folds) for k in range(20)} > {(0,), (1,)}


def test_groups_stay_whole_and_isolated_atoms_are_in_every_part() -> None:
    data = [simple("LiSi", group=f"path {k // 5}") for k in range(60)]
    data = [replace(isolated("Li", 0.0), group="Li"), *data, replace(isolated("Si", 0.0), group="Si")]
    folds = fold_numbers(data, FOLDS, 0)
    (part,) = curve_parts(data, folds, (0.25,), seed=0)
    inside = np.isin(folds, part.folds)
    groups = [{data[k].group for k in np.flatnonzero(rows)} - {"Li", "Si"} for rows in (inside, ~inside)]
    assert not groups[0] & groups[1]
    assert set(part.isolated) == {k for k in (0, 61) if not inside[k]}
    assert part.n_frames == 5 * len(groups[0]) + 2


@pytest.mark.parametrize(
    ("data", "fractions"),
    [
        ([simple("LiSi")] * 60, (0.05, 0.5)),  # half a fold
        ([simple("LiSi")] * 60, (0.2, 0.22)),  # two folds, twice
        ([simple("LiSi", group=f"path {k % 3}") for k in range(60)], (0.5,)),  # groups in several folds
        ([simple("Li2")] * 59 + [simple("LiSi")], (0.1, 0.5)),  # no silicon
        ([simple("LiSi")] * 60, ()),
    ],
)
def test_folds_that_do_not_make_up_every_part_make_none(data: list[Frame], fractions: tuple[float, ...]) -> None:
    assert curve_parts(data, fold_numbers(data, FOLDS, 0), fractions, seed=0) == []


def test_one_fold_makes_no_curve() -> None:
    assert curve_parts([simple("LiSi")] * 9, np.zeros(9, dtype=np.int64), (0.5,), seed=0) == []
