"""Equations kept in a file: a fit that goes on from them is one fit to all frames with the same columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled import GAP, LINEAR, fit_problem, frames, outputs, without_frames

from rhopot.potentials.fitting.least_squares.assemble import Assembly
from rhopot.potentials.fitting.least_squares.fit import fit_gap, fit_linear
from rhopot.potentials.fitting.least_squares.kept_equations import (
    NAME,
    KeptEquations,
    read_equations,
    write_equations,
)
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.structures import Frame

pytestmark = pytest.mark.slow

FITS = [(fit_linear, LINEAR.model_copy(update={"keep_equations": True})),
        (fit_gap, GAP.model_copy(update={"keep_equations": True}))]  # fmt: skip


@pytest.mark.parametrize(("fit", "settings"), FITS)
@pytest.mark.parametrize("members", [0, 4])
def test_appended_frames_give_the_fit_from_scratch(fit, settings, members: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Predictions of energies and forces agree to 1e-9 eV and eV/A, also when frames are appended twice."""
    data, validation = frames(40), frames(12, seed=8)
    files = [tmp_path / name for name in ("one", "two", "three", "scratch")]
    for file in files:
        file.mkdir()

    def run(train: list[Frame], folder: Path, start: Path | None):  # type: ignore[no-untyped-def]
        problem = fit_problem(
            train, validation, members=members, folder=folder, appended_to=start, refit_on_validation=True
        )
        return fit(problem, settings)

    run(data[:15], files[0], None)
    run(data[:25], files[1], files[0] / NAME)
    found = run(data, files[2], files[1] / NAME)
    scratch = run(data, files[3], without_frames(files[0] / NAME, tmp_path / "empty.npz"))
    test = frames(6, seed=3)
    np.testing.assert_allclose(outputs(found.model, test), outputs(scratch.model, test), rtol=0, atol=1e-9)
    np.testing.assert_allclose(outputs(found.final, test), outputs(scratch.final, test), rtol=0, atol=1e-9)
    assert found.report["equations"] == scratch.report["equations"] == 40 * (1 + 12 + 6)
    assert found.model.n_members == members
    kept = read_equations(files[2] / NAME, 20)
    assert kept.assembly.n_frames == len(kept.folds) == 40
    if members:
        assert kept.assembly.frames.tolist() == list(range(40))
        columns = {len(read_equations(one / NAME, 20).assembly.equations.squares) for one in files}
        assert columns == {10}
        assert set(np.bincount(kept.folds)) == {4}, "folds stay balanced"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    assembly = Assembly.empty(5, 3, block_rows=8)
    for group in range(3):
        assembly.equations.add(random.standard_normal((11, 6)), group)
    assembly.equations.add(1e4 * np.eye(6)[:1], 1)
    assembly.equations.flush()
    assembly.keep(random.standard_normal((1, 6)), 2, 4)
    folds = np.array([0, 1, 2, 1, 2])
    file = tmp_path / "equations.npz"
    write_equations(file, KeptEquations(assembly, folds, {"features": np.arange(5), "scale": np.ones(5)}, "a mark"))
    found = read_equations(file, 8)
    for name, array in assembly.equations.state().items():
        np.testing.assert_array_equal(found.assembly.equations.state()[name], array)
    assert found.assembly.equations.held.count == 1
    for name in ("energies", "energy_folds", "frames"):
        np.testing.assert_array_equal(getattr(found.assembly, name), getattr(assembly, name))
    assert found.mark == "a mark"
    assert list(found.columns) == ["features", "scale"]
    np.testing.assert_array_equal(found.folds, folds)


def test_equations_without_folds_give_no_members(tmp_path: Path) -> None:
    fit, settings = FITS[0]
    fit(fit_problem(frames(15), folder=tmp_path), settings)
    with pytest.raises(
        ValueError, match=r"uncertainty\.members must be 0, got 4: the fit that is appended to has none"
    ):
        fit(fit_problem(frames(20), members=4, appended_to=tmp_path / NAME), settings)


def test_equations_of_other_frames_targets_or_energies_are_refused(tmp_path: Path) -> None:
    fit, settings = FITS[0]
    fit(fit_problem(frames(15), folder=tmp_path), settings)
    others = ({"train": frames(20, seed=1)}, {"baseline": (-1.0, -4.0)}, {"targets": Targets(energy=0.1)})
    for other in others:
        problem = fit_problem(**{"train": frames(20), "appended_to": tmp_path / NAME, **other})
        with pytest.raises(ValueError, match="must hold the equations of its folder's model, got others"):
            fit(problem, settings)


def test_damaged_files_and_other_versions_are_refused(tmp_path: Path) -> None:
    fit, settings = FITS[0]
    fit(fit_problem(frames(15), folder=tmp_path), settings)
    file = tmp_path / NAME
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="must be whole, got a damaged file"):
        read_equations(file, 20)
    np.savez(file, version=99)
    with pytest.raises(ValueError, match="must hold equations of version 1"):
        read_equations(file, 20)
