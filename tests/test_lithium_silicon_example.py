"""The study of lithium-silicon: its folds, its tables, and a small run that goes on from what it kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import ase
import numpy as np
import pytest

from rhopot.potentials.structures import Frame, FrameSet
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

STUDY = Path(__file__).resolve().parents[1] / "examples" / "lithium_silicon"
# One wavelet on a coarse grid, few members.
SMALL = ["descriptor.n=[1]", "descriptor.max_scale=0", "descriptor.alias=0.3", "descriptor.powers=[2.0]",
         "descriptor.least_points=4", "regressor.n_members=4", "regressor.directions=1"]  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Iterator[dict[str, ModuleType]]:
    """The study's modules, which stand beside its program."""
    sys.path.insert(0, str(STUDY))
    import structures
    import tables

    yield {"structures": structures, "tables": tables}
    sys.path.remove(str(STUDY))
    for name in ("structures", "tables"):
        del sys.modules[name]


def frames(cells: list[ase.Atoms], energies: np.ndarray, path: str) -> FrameSet:
    made = [Frame(atoms, energy=float(e), group=path) for atoms, e in zip(cells, energies, strict=True)]
    return FrameSet(tuple(made), {}, {})


def test_folds_share_out_all_paths_and_every_fold_spans_the_compositions(study: dict[str, ModuleType]) -> None:
    relaxation = study["structures"].load()["relaxation"]
    folds = study["structures"].folds(relaxation)
    names = study["structures"].paths(relaxation)
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    assert sum(len(fold) for fold in folds) == len(names)
    # Of five paths that are neighbours in composition, no two are in one fold.
    for start in range(0, len(names) - 4, 5):
        assert all(len(fold & set(names[start : start + 5])) == 1 for fold in folds)


def test_bulk_modulus_of_a_parabola(study: dict[str, ModuleType]) -> None:
    volumes = 18.0 * (1 + np.array([-0.09, -0.04, -0.02, 0.0, 0.02, 0.04, 0.09])) ** 3
    stiffness = 0.6  # eV/A^3
    energies = 0.5 * stiffness / 18.0 * (volumes - 18.0) ** 2 - 4.0
    modulus = study["tables"].bulk_modulus(volumes, energies)
    assert modulus == pytest.approx(stiffness * GPA_PER_EV_PER_CUBIC_ANGSTROM)
    assert np.isnan(study["tables"].bulk_modulus(volumes, volumes))
    assert study["tables"].mean_and_deviation([1.0, np.nan, 3.0]) == "2.0 +- 1.0 (2 of 3)"
    assert study["tables"].mean_and_deviation([np.nan]) == "none"


def test_barriers_are_those_of_whole_cells(study: dict[str, ModuleType]) -> None:
    atoms = [ase.Atoms("Li2", cell=[3, 3, 3], pbc=True)] * 3
    way = frames(atoms, np.array([-2.0, -1.4, -1.9]), "a")
    table, ways = study["tables"].barriers(way, {"model": [np.array([-1.0, -0.8, -1.0]), np.array([-1.0, -0.7, -0.9])]})
    assert "| a            | 0.60 | 0.50 +- 0.10 |" in table
    np.testing.assert_allclose(ways["a"]["DFT"], [[0.0, 0.6, 0.1]])
    np.testing.assert_allclose(ways["a"]["model"], [[0.0, 0.4, 0.0], [0.0, 0.6, 0.2]])


def test_small_study_prints_its_tables_and_goes_on_from_what_it_kept(tmp_path: Path) -> None:
    command = [sys.executable, str(STUDY / "study.py"), "--output", str(tmp_path / "study"), *SMALL]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    for row in ("full", "first order", "not randomised", "random sampling", "forces on unseen paths"):
        assert row in first.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "fold 0:" in first.stdout
    assert "fold 0:" not in again.stdout
    assert [line for line in again.stdout.splitlines() if line.startswith("| full")] == [
        line for line in first.stdout.splitlines() if line.startswith("| full")
    ]
    assert (tmp_path / "study" / "selection_full.png").stat().st_size > 0
