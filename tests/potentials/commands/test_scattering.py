"""Global models through the commands: what a training leaves, budgets, ranks, interruptions, refusals."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.io import read, write
from prestarted import Template
from train_process import RUN, dying, mpirun, start

from rhopot.export import RhopotCalculator, load_model, read_card
from rhopot.potentials.commands import main
from rhopot.potentials.families.scattering.feature_store import FeatureStore
from rhopot.potentials.fitting.sparse_regression.checkpoint import MemberFiles

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"
CONFIG = str(ROOT / "examples/configs/scattering.yaml")
MEMBERS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of four paths, three frames each, and of two frames of a fifth."""
    folder = tmp_path_factory.mktemp("data")
    names = ("Li8Si24_0", "Li16Si16_0", "Li4Si28_0", "Li12Si20_0")
    write(folder / "train.xyz", [atoms for name in names for atoms in read(DATA / f"{name}.xyz", "::4")])
    write(folder / "unseen.xyz", read(DATA / "Li20Si12_0.xyz", "::6"))
    return {"train": folder / "train.xyz", "unseen": folder / "unseen.xyz"}


def words(data: dict[str, Path], output: Path, *more: str) -> list[str]:
    """Arguments of a small training."""
    return [
        "train",
        CONFIG,
        f"data.train={data['train']}",
        f"output={output}",
        "data.split={by: group, key: path, fraction: 0.25}",
        "descriptor={n: [2], beta: null, overlap: 0.3, max_scale: 0, powers: [1.0, 2.0], alias: 0.01, least_points: 8}",
        f"regressor={{n_members: {MEMBERS}, directions: 1, strains: 1, translated: 4}}",
        *more,
    ]


def predictions(model: Path, structures: Path) -> np.ndarray:
    """Energies and forces of structures in one row."""
    calculator = RhopotCalculator(model)
    frames = read(structures, ":")
    return np.concatenate([[calculator.get_potential_energy(a), *calculator.get_forces(a).ravel()] for a in frames])


@pytest.fixture(scope="module")
def run(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished output folder."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main(words(data, folder)) == 0
    return folder


def test_training_leaves_a_global_model(run: Path) -> None:
    assert sorted(file.name for file in run.iterdir()) == [
        "config.yaml", "model.pt", "parity.png", "report.json", "report.md", "selection.png",
    ]  # fmt: skip
    card = read_card(run / "model.pt")
    assert (card.family, card.kind, card.symbols) == ("scattering", "global", ("Li", "Si"))
    assert card.uncertainty.members == MEMBERS
    assert card.training_data.summary["fitted_to_validation"] is True
    assert 0.6 < card.descriptor["beta"] < 0.8, "2.2 A between atoms, overlap 0.3"
    assert card.cutoff == pytest.approx(6 * card.descriptor["beta"])
    assert "cache" not in card.fit["regressor"]
    report = json.loads((run / "report.json").read_text())
    assert report["fit"]["equations"] == {
        "energies": 9, "forces": 9, "stresses": 9, "translations": 4, "groups": 3,
    }  # fmt: skip
    assert report["fit"]["ensemble"]["members"] == MEMBERS
    assert set(report["fit"]["behaviour"]) == {"translation_mev_per_atom", "net_force_ev_per_angstrom_and_atom"}
    text = (run / "report.md").read_text()
    assert "### Feature selection" in text
    assert "selection.png" in text


def test_the_errors_of_the_fit_are_those_of_the_model(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    for name, value in report["fit"]["validation"].items():
        assert report["errors"]["validation"][name] == pytest.approx(value, rel=1e-6), name


def test_commands_work_on_the_model(
    run: Path, data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, unseen = str(run / "model.pt"), str(data["unseen"])
    assert main(["evaluate", model, unseen, "--json", str(tmp_path / "errors.json")]) == 0
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert errors["energy_rmse_mev_per_atom"] < 300
    assert errors["energy_deviation_rms_mev_per_atom"] > 0
    assert main(["info", model]) == 0
    assert "sparse linear models" in capsys.readouterr().out
    tables = []
    for source in ("model.pt", "config.yaml"):
        assert main(["features", str(run / source), unseen, "-o", str(tmp_path / "f.npz")]) == 0
        tables.append(np.load(tmp_path / "f.npz")["features"])
    assert len(tables[0]) == 2
    np.testing.assert_array_equal(*tables)


def test_settings_from_the_data_are_left_behind_and_train_the_same_model(
    run: Path, data: dict[str, Path], tmp_path: Path
) -> None:
    left = yaml.safe_load((run / "config.yaml").read_text())
    assert left["descriptor"]["beta"] == read_card(run / "model.pt").descriptor["beta"]
    assert main(["train", str(run / "config.yaml"), f"output={tmp_path / 'again'}"]) == 0
    one, other = (predictions(folder / "model.pt", data["unseen"]) for folder in (run, tmp_path / "again"))
    np.testing.assert_array_equal(one, other)


def test_a_budget_on_the_command_line(data: dict[str, Path], tmp_path: Path, run: Path) -> None:
    assert main(words(data, tmp_path / "small", "budget=9", "uncertainty.members=0")) == 0
    counts = [len(load_model(folder / "model.pt").module.coefficients) for folder in (tmp_path / "small", run)]
    assert counts[0] <= 9 < counts[1]
    assert read_card(tmp_path / "small" / "model.pt").fit["regressor"]["budget"] == 9


@pytest.mark.parametrize(("owner", "saves"), [(FeatureStore, 10), (MemberFiles, 5)])
def test_killed_training_is_resumed_to_the_last_bit(
    owner: type, saves: int, run: Path, data: dict[str, Path], commands: Template, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    done = start(dying(owner, saves, "write" if owner is FeatureStore else "save"), words(data, killed), commands)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sorted(file.name for file in killed.iterdir()) == [".lock", "checkpoint"], "no final name"
    assert main([*words(data, killed), "--resume"]) == 0
    one, other = (predictions(folder / "model.pt", data["unseen"]) for folder in (run, killed))
    np.testing.assert_array_equal(one, other)


def test_two_processes_train_the_same_model(run: Path, data: dict[str, Path], tmp_path: Path) -> None:
    both = tmp_path / "both"
    done = start(RUN, words(data, both), mpirun(2))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training frames") == 1, "only the first rank speaks"
    one, other = (predictions(folder / "model.pt", data["unseen"]) for folder in (run, both))
    np.testing.assert_array_equal(one, other)


def test_a_learning_curve_where_it_is_asked_for(data: dict[str, Path], tmp_path: Path) -> None:
    more = ["report.learning_curve=[0.9]", "uncertainty.members=0", "report.train_frames=3"]
    assert main(words(data, tmp_path / "run", *more)) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["learning_curve"]["n_frames"] == [8, 9]
    assert report["errors"]["train"]["n_frames"] == 3
    assert (tmp_path / "run" / "learning_curve.png").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["dtype=float32"], "dtype must be float64 for scattering, got float32"),
        (["baseline.pair={kind: zbl}"], "baseline.pair must be null for scattering, got zbl"),
        (["data.split.fraction=0.7"], "groups must be at least 2 for bootstrap (12 members), got 1"),
        (["descriptor.n=[9]"], "n must be different whole numbers from 1 to 8"),
    ],
)
def test_refusals_are_one_sentence(
    more: list[str], sentence: str, data: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(data, tmp_path / "run", *more)) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
