"""Networks through the commands: what a training leaves, what the commands say of it, ranks and interruptions."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from prestarted import Template
from train_process import RUN, dying, mpirun, start, torchrun

from rhopot.export import RhopotCalculator, load_model, read_card
from rhopot.potentials.commands import main
from rhopot.potentials.fitting.gradient.checkpoint import TrainingCheckpoint

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"
UNSEEN = DATA / "Li20Si12_0.xyz"
EPOCHS, MEMBERS = 8, 3


def words(family: str, output: Path) -> list[str]:
    """Arguments of a small training."""
    return [
        "train",
        str(ROOT / f"examples/configs/{family}.yaml"),
        f"data.train={[str(DATA / f'{name}.xyz') for name in ('Li8Si24_0', 'Li16Si16_0', 'Li4Si28_0')]}",
        f"output={output}",
        "data.split={by: group, key: path, fraction: 0.3}",
        "descriptor.cutoff=4.0",
        "regressor.hidden=[12, 9]",
        f"training.epochs={EPOCHS}",
        "training.batch=4",
        "training.checkpoint_seconds=0",
        "training.device=cpu",
        f"uncertainty.members={MEMBERS}",
        *(["descriptor.n_probes=5", "descriptor.max_order=2"] if family == "gmp_snn" else []),
    ]


def predictions(model: Path) -> np.ndarray:
    """Energies and forces of unseen structures in one row."""
    calculator = RhopotCalculator(model)
    frames = read(UNSEEN, ":2")
    return np.concatenate([[calculator.get_potential_energy(a), *calculator.get_forces(a).ravel()] for a in frames])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished output folders of small committees, by family; `double` is trained in float64."""
    base = tmp_path_factory.mktemp("runs")
    for family in ("gmp_snn", "bpnn"):
        assert main(words(family, base / family)) == 0
    assert main([*words("gmp_snn", base / "double"), "training.dtype=float64"]) == 0
    return {folder.name: folder for folder in base.iterdir()}


@pytest.fixture(params=["gmp_snn", "bpnn"])
def run(request: pytest.FixtureRequest, runs: dict[str, Path]) -> Path:
    """One of the finished output folders."""
    return runs[request.param]


def test_training_leaves_a_table_and_a_plot_of_its_epochs(run: Path) -> None:
    assert sorted(file.name for file in run.iterdir()) == [
        "config.yaml", "epochs.csv", "epochs.png", "model.pt", "parity.png", "report.json", "report.md",
    ]  # fmt: skip
    header, *rows = (run / "epochs.csv").read_text().splitlines()
    assert len(rows) == EPOCHS
    table = {
        name: np.array(column, dtype=float)
        for name, *column in zip(header.split(","), *(r.split(",") for r in rows), strict=True)
    }
    np.testing.assert_array_equal(table["epoch"], np.arange(1, EPOCHS + 1))
    assert table["train_loss"][-1] < 0.8 * table["train_loss"][0]
    assert table["validation_forces_mae_mev_per_angstrom"].min() > 0.0
    report = json.loads((run / "report.json").read_text())
    assert [row["epoch"] for row in report["fit"]["epochs"]] == list(range(1, EPOCHS + 1))
    assert len(report["fit"]["best_epoch"]) == MEMBERS
    text = (run / "report.md").read_text()
    assert "### Training" in text
    assert "## Learning curve" not in text
    assert f"| {EPOCHS} |" in text


def test_the_errors_of_the_training_are_those_of_the_saved_model(run: Path) -> None:
    """The loop works on cached, standardised features in float32, the file on edges in float64."""
    report = json.loads((run / "report.json").read_text())
    for name, value in report["fit"]["validation"].items():
        assert report["errors"]["validation"][name] == pytest.approx(value, rel=1e-4), name


def test_the_card_knows_the_training(run: Path) -> None:
    card = read_card(run / "model.pt")
    assert card.uncertainty.members == MEMBERS
    assert card.fit["training"]["epochs"] == EPOCHS
    assert card.fit["regressor"]["per_element"] is (card.family == "bpnn")
    assert card.training_data.summary["fitted_to_validation"] is False
    assert len(read_card(run / "model.pt").references) >= 1


def test_commands_work_on_the_model(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(run / "model.pt")
    assert main(["evaluate", model, str(UNSEEN), "--json", str(tmp_path / "errors.json")]) == 0
    printed = capsys.readouterr().out
    assert "E <1 std" in printed
    assert "E std: predicted standard deviation of the energy" in printed
    errors = json.loads((tmp_path / "errors.json").read_text())
    loaded, frames = RhopotCalculator(model), read(UNSEEN, ":")
    deviations = [loaded.get_property("energy_uncertainty", atoms) / len(atoms) for atoms in frames]
    assert errors["energy_deviation_rms_mev_per_atom"] == pytest.approx(1000 * np.sqrt(np.mean(np.square(deviations))))
    assert main(["info", model]) == 0
    output = capsys.readouterr().out
    assert "one neural network" in output
    assert f"training.epochs = {EPOCHS}" in output
    tables = []
    for source in ("model.pt", "config.yaml"):
        assert main(["features", str(run / source), str(UNSEEN), "-o", str(tmp_path / "f.npz")]) == 0
        tables.append(np.load(tmp_path / "f.npz")["features"])
    assert tables[0].shape == (320, load_model(model).module.networks.n_features)
    np.testing.assert_array_equal(*tables)


def test_the_model_is_the_same_in_lammps(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words_ = ["check", str(run / "model.pt"), str(DATA / "Li8Si24_0.xyz"), "--ranks", "1,2,4", "--steps", "60"]
    words_ += ["--hot-ps", "0"]
    status = main(words_)
    output = capsys.readouterr().out
    assert status == 0, output
    assert "all 38 comparisons within their limits" in output


def test_the_configuration_left_behind_trains_the_same_model(runs: dict[str, Path], tmp_path: Path) -> None:
    assert main(["train", str(runs["bpnn"] / "config.yaml"), f"output={tmp_path / 'again'}"]) == 0
    np.testing.assert_array_equal(predictions(tmp_path / "again" / "model.pt"), predictions(runs["bpnn"] / "model.pt"))


def test_killed_training_is_resumed_to_the_last_bit(
    runs: dict[str, Path], commands: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, killed = runs["gmp_snn"], tmp_path / "killed"
    done = start(dying(TrainingCheckpoint, saves=3), words("gmp_snn", killed), commands)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert sorted(file.name for file in killed.iterdir()) == [".lock", "checkpoint"], "no final name"
    assert main([*words("gmp_snn", killed), "--resume"]) == 0
    assert "resumed after epoch 3" in capsys.readouterr().out
    assert len((killed / "epochs.csv").read_text().splitlines()) == 1 + EPOCHS
    np.testing.assert_array_equal(predictions(killed / "model.pt"), predictions(whole / "model.pt"))


LAUNCHERS = {"mpirun": mpirun(2), "torchrun": torchrun(2)}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_train_the_same_model(launcher: str, runs: dict[str, Path], tmp_path: Path) -> None:
    alone, both = runs["double"], tmp_path / "both"
    done = start(RUN, [*words("gmp_snn", both), "training.dtype=float64"], LAUNCHERS[launcher])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training frames (") == 1, "only the first rank speaks"
    np.testing.assert_allclose(predictions(both / "model.pt"), predictions(alone / "model.pt"), rtol=0, atol=1e-7)


def test_a_failure_under_torchrun_is_one_sentence(tmp_path: Path) -> None:
    settings = [word for word in words("gmp_snn", tmp_path / "run") if not word.startswith("data.train=")]
    done = start(RUN, [*settings, "data.train=absent.xyz"], LAUNCHERS["torchrun"])
    assert done.returncode != 0
    assert done.stderr.count("rhopot: data path must name an existing file, got 'absent.xyz'") == 1
    assert not (tmp_path / "run").exists()


def test_a_learning_curve_is_drawn_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And every training of it takes its own number of epochs where none is given; the card says which."""
    monkeypatch.setattr("rhopot.potentials.fitting.gradient.epochs.STEPS", 20)
    monkeypatch.setattr("rhopot.potentials.fitting.gradient.epochs.FEWEST", 2)
    folder = tmp_path / "run"
    settings = ["report.learning_curve=[0.5]", "uncertainty.members=0", "training.epochs=null"]
    assert main([*words("gmp_snn", folder), *settings]) == 0
    steps = len((folder / "epochs.csv").read_text().splitlines()) - 1
    assert read_card(folder / "model.pt").fit["training"]["epochs"] == steps == 4
    report = json.loads((folder / "report.json").read_text())
    assert len(report["learning_curve"]["n_frames"]) == 2
    assert (folder / "learning_curve.png").exists()
    assert read_card(folder / "model.pt").uncertainty.members == 0
    assert "E std" not in (folder / "report.md").read_text()
