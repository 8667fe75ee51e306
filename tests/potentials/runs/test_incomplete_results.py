"""A trained model is saved before anything that may fail, and what failed is completed without another fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trained_models
from ase.io import read

from rhopot.export import RhopotCalculator
from rhopot.potentials import plots
from rhopot.potentials.commands import main
from rhopot.potentials.runs import fit as one_fit
from rhopot.potentials.runs import learning_curve
from rhopot.potentials.runs import train as train_run

pytestmark = pytest.mark.slow

CURVE = "report.learning_curve=[0.5]"
# Of nothing but the fit's own cost: what is tested comes after it.
QUICK = {
    "soap_gap": ("regressor.n_sparse=20",),
    "multispectrum_gap": ("regressor.n_sparse=20",),
    "gmp_snn": ("training.epochs=2",),
    "bpnn": ("training.epochs=2",),
    "angular": ("training.epochs=2",),
    "point_scattering": ("training.epochs=2", "training.batch=10"),
    "scattering": ("regressor.n_members=2", "regressor.directions=1", "regressor.max_features=20"),
}


def fails(*arguments: object, **named: object) -> None:
    raise ZeroDivisionError("no such number")


def forces(folder: Path) -> np.ndarray:
    atoms = read(trained_models.DATA / "Li20Si12_0.xyz")
    atoms.calc = RhopotCalculator(folder / "model.pt")
    return np.asarray(atoms.get_forces())


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_failing_plots_and_curves_lose_no_model(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    quick = ("uncertainty.members=0", "report.train_frames=3", *QUICK.get(family, ()))
    words = trained_models.arguments(family, folder, *quick, CURVE)
    with monkeypatch.context() as broken:
        for plot in ("parity", "epochs", "bands"):
            broken.setattr(plots, plot, fails)
        broken.setattr(learning_curve, "_subset", fails)
        assert main(["train", *words]) == 3
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith(f"rhopot: {folder / 'model.pt'} is complete, but the parity plot failed (no such number); ")
    assert "the learning curve failed (no such number); mend the cause and complete the results with --resume" in error
    expected = forces(folder)
    assert json.loads((folder / "report.json").read_text())["errors"]["validation"]["n_frames"] > 0
    assert not list(folder.glob("*.png"))

    assert main(["train", *words]) == 1, "the folder is not finished"
    assert "continue it with --resume" in capsys.readouterr().err
    changed = [CURVE.replace("0.5", "") if word == CURVE else word for word in words]
    with monkeypatch.context() as unused:
        unused.setattr(train_run, "fit_model", fails)
        assert main(["train", *changed, "--resume"]) == 0, "no other fit, and settings of the report may change"
    assert "is fitted already: its results are completed" in capsys.readouterr().out
    assert (folder / "parity.png").exists()
    assert not (folder / "checkpoint").exists()
    np.testing.assert_array_equal(forces(folder), expected)
    report = json.loads((folder / "report.json").read_text())
    assert report["settings"]["report"]["learning_curve"] == []
    assert (folder / "epochs.png").exists() == (folder / "epochs.csv").exists() == ("epochs" in report["fit"])


def test_points_of_a_learning_curve_are_kept_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    quick = ("descriptor.n_max=2", "descriptor.l_max=1", "uncertainty.members=0")
    words = ["train", *trained_models.arguments("soap_linear", folder, *quick, "report.learning_curve=[0.3, 0.6]")]
    fit, calls = learning_curve.fit_model, []

    def interrupted(*arguments: object, **named: object) -> one_fit.TrainedModel:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as stopped:
        stopped.setattr(learning_curve, "fit_model", interrupted)
        assert main(words) == 130
    error = capsys.readouterr().err
    assert error == f"rhopot: interrupted; continue the training in '{folder}' with --resume\n"
    assert json.loads((folder / "report.json").read_text())["learning_curve"] == {}
    calls.clear()
    monkeypatch.setattr(learning_curve, "fit_model", lambda *a, **k: (calls.append(a), fit(*a, **k))[1])
    assert main([*words, "--resume"]) == 0
    assert len(calls) == 1, "the first point is not fitted again"
    assert len(json.loads((folder / "report.json").read_text())["learning_curve"]["n_frames"]) == 3


def test_a_failed_training_leaves_an_earlier_model_with_its_own_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --overwrite, until the new fit is saved; from then on no file describes the old model."""
    folder = tmp_path / "run"
    quick = ("descriptor.n_max=2", "descriptor.l_max=1", "uncertainty.members=0")
    words = ["train", *trained_models.arguments("soap_linear", folder, *quick)]
    assert main(words) == 0
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with monkeypatch.context() as broken:
        broken.setattr(train_run, "fit_model", fails)
        assert main([*words, "seed=1", "--overwrite"]) == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
    with monkeypatch.context() as broken:
        broken.setattr(train_run, "make_results", fails)
        assert main([*words, "seed=1", "--overwrite"]) == 1
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoint", "model.pt"]
    assert (folder / "model.pt").read_bytes() != before["model.pt"]
