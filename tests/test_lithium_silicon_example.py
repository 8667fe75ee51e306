"""The study of lithium-silicon: folds, tables, small runs that go on from what they kept, the rest."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import ase
import ase.io
import many_body_toy as toy
import numpy as np
import pytest
import small_models
from prestarted import Template

from rhopot.export import RhopotCalculator, evaluate
from rhopot.potentials.structures import Frame, FrameSet
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM

pytestmark = pytest.mark.slow

STUDY = Path(__file__).resolve().parents[1] / "examples" / "lithium_silicon"
# One wavelet on a coarse grid, few members.
SMALL = ["descriptor.n=[1]", "descriptor.max_scale=0", "descriptor.alias=0.3", "descriptor.powers=[2.0]",
         "descriptor.least_points=4", "regressor.n_members=4", "regressor.directions=1"]  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Iterator[dict[str, ModuleType]]:
    """The study's modules, which stand beside its program."""
    sys.path.insert(0, str(STUDY))
    names = ("peers", "smoothness", "structures", "tables")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(STUDY))
    for name in names:
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
    images = frames(atoms, np.array([-2.0, -1.4, -1.9]), "a")
    energies = [np.array([-1.0, -0.8, -1.0]), np.array([-1.0, -0.7, -0.9])]
    table, found = study["tables"].barriers(images, {"model": energies})
    assert "| a            | 0.60 | 0.50 +- 0.10 |" in table
    np.testing.assert_allclose(found["a"]["DFT"], [[0.0, 0.6, 0.1]])
    np.testing.assert_allclose(found["a"]["model"], [[0.0, 0.4, 0.0], [0.0, 0.6, 0.2]])


def test_coverage_counts_errors_within_predicted_deviations(study: dict[str, ModuleType]) -> None:
    errors = [np.array([0.001, -0.003, 0.002, 0.010]), np.array([0.001, -0.001, 0.001, 0.001])]
    predicted = [np.full(4, 0.002), np.full(4, 0.002)]
    silent = [np.full(4, np.nan)] * 2
    table = study["tables"].coverage_table(
        {"silent": {"relaxation": errors}, "model": {"relaxation": errors}},
        {"silent": {"relaxation": silent}, "model": {"relaxation": predicted}},
    )
    assert "silent" not in table
    row = table.splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[3:6]] == ["75 +- 25", "88 +- 12", "2.0 +- 0.0"]


def test_other_families_are_judged_per_atom(study: dict[str, ModuleType]) -> None:
    model = small_models.linear()
    cells = [toy.skewed(), toy.skewed() * (2, 1, 1)]
    results = evaluate(model, cells, members=True)
    labelled = [Frame(atoms, energy=0.0, forces=r.forces + 0.5) for atoms, r in zip(cells, results, strict=True)]
    energies, deviations = study["peers"].judge(model, FrameSet(tuple(labelled), {}, {}))
    np.testing.assert_allclose(energies, [r.energy / len(a) for a, r in zip(cells, results, strict=True)])
    # A doubled cell has twice the energy in every member: the same deviation per atom.
    assert deviations[0] == pytest.approx(np.std(results[0].members.sum(axis=0)) / len(cells[0]))
    assert deviations[1] == pytest.approx(deviations[0])
    errors = study["peers"].force_errors(model, FrameSet(tuple(labelled), {}, {}))
    np.testing.assert_allclose(errors, np.full(3 * sum(map(len, cells)), -0.5))


def test_small_study_prints_its_tables_and_goes_on_from_what_it_kept(commands: Template, tmp_path: Path) -> None:
    command = [sys.executable, str(STUDY / "study.py"), "--output", str(tmp_path / "study"), *SMALL]
    first = commands.run(command)
    assert first.returncode == 0, first.stderr
    for row in ("full", "first order", "not randomized", "random sampling", "forces on unseen paths"):
        assert row in first.stdout
    again = commands.run(command)
    assert again.returncode == 0, again.stderr
    assert "fold 0:" in first.stdout
    assert "fold 0:" not in again.stdout
    assert [line for line in again.stdout.splitlines() if line.startswith("| full")] == [
        line for line in first.stdout.splitlines() if line.startswith("| full")
    ]
    assert (tmp_path / "study" / "selection_full.png").stat().st_size > 0


def test_the_tables_by_commands_go_on_from_what_they_kept(
    trained_model: Callable[[str], Path], commands: Template, tmp_path: Path
) -> None:
    """Errors of `evaluate` are those of the calculator, and the second start evaluates nothing."""
    model = tmp_path / "out/soap_linear/model.pt"
    model.parent.mkdir(parents=True)
    shutil.copy(trained_model("soap_linear"), model)
    words = ["--output", str(tmp_path / "out"), "--families", "soap_linear", "--only", "evaluate"]
    command = [sys.executable, str(STUDY / "commands.py"), *words]
    pages, printed = [], []
    for _ in range(2):
        done = commands.run(command)
        assert done.returncode == 0, done.stderr
        pages.append((tmp_path / "out/properties.md").read_text())
        printed.append(done.stdout.count("$ rhopot evaluate"))
    assert printed == [4, 0]
    assert [line for line in pages[1].splitlines() if line.startswith("|")] == [
        line for line in pages[0].splitlines() if line.startswith("|")
    ]
    strained = ase.io.read(STUDY.parent / "data/lisi_gpaw_extrapolation/strained.xyz", ":")
    calculator = RhopotCalculator(model)
    errors = [1e3 * (calculator.get_potential_energy(each) - each.info["REF_energy"]) / len(each) for each in strained]
    row = next(line for line in pages[0].splitlines() if line.startswith("| Bulk modulus states"))
    rmse, mae = (float(word) for word in row.split("|")[2].split("/"))
    assert rmse == pytest.approx(np.sqrt(np.mean(np.square(errors))), abs=0.06)
    assert mae == pytest.approx(np.abs(errors).mean(), abs=0.06)


def test_published_data_are_split_judged_and_not_trained_on_twice(commands: Template, tmp_path: Path) -> None:
    frames = [ase.io.read(STUDY.parent / "data/lisi_gpaw" / name, ":") for name in ("Li8Si24_0.xyz", "Li16Si16_0.xyz")]
    ase.io.write(tmp_path / "data.xyz", [frame for path in frames for frame in path], format="extxyz")
    words = ["--data", str(tmp_path / "data.xyz"), "--output", str(tmp_path / "out"), "--families", "soap_linear"]
    small = ["descriptor.n_max=3", "descriptor.l_max=2", "descriptor.cutoff=4", "report.learning_curve=[]"]
    command = [sys.executable, str(STUDY / "published.py"), *words, "--", *small]
    first, again = (commands.run(command) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert len(ase.io.read(tmp_path / "out/train.xyz", ":")) == 17
    assert "3 test frames" in first.stdout
    assert "forecast" in first.stdout
    assert again.stdout.splitlines() == first.stdout.splitlines()[-len(again.stdout.splitlines()) :]
    other = commands.run([*command[:2], *words, "--largest", "20"])
    assert other.returncode == 1
    assert "--output must be new for other data or sizes" in other.stderr


def test_smoothness_of_a_model(commands: Template, tmp_path: Path) -> None:
    model = small_models.write(small_models.scattering(), tmp_path / "model.pt")
    words = [str(model), "--output", str(tmp_path / "out"), "--steps", "20"]
    command = [sys.executable, str(STUDY / "smoothness.py"), *words]
    done = commands.run(command)
    assert done.returncode == 0, done.stderr
    for words in ("translation: ", "net force: ", "cells: doubled ", "E(V), edges -9 % to +9 %: ", "conserved within "):
        assert words in done.stdout
    assert (tmp_path / "out/energy_volume.png").stat().st_size > 0


def test_departures_show_a_jump_in_full(study: dict[str, ModuleType]) -> None:
    x = np.linspace(0.0, 1.0, 30)
    cubic = 1.0 + x - 2 * x**2 + 3 * x**3
    assert np.abs(study["smoothness"].departures(cubic)).max() < 1e-14
    jumped = cubic + 0.1 * (np.arange(30) >= 15)
    assert np.abs(study["smoothness"].departures(jumped)).max() == pytest.approx(0.05)
