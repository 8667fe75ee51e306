"""`report.md` is written for a person: sections, no dictionaries, cautions that follow from numbers, lines that run."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import lammps_process
import pytest
import trained_models

from rhopot.export import RhopotCalculator
from rhopot.potentials.runs.cautions import cautions
from rhopot.potentials.runs.report import training_report

SECTIONS = ["What was fitted", "How good it is", "What to be careful about", "Next steps", "Details of the fit"]
STRUCTURE = trained_models.DATA / "Li10Si22_0.xyz"


@pytest.fixture(params=trained_models.FAMILIES)
def folder(request: pytest.FixtureRequest, trained_model: Callable[[str], Path]) -> Path:
    """Finished output folder of a small model of each family."""
    return trained_model(request.param).parent


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def code(text: str, language: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 1, language
    return str(blocks[0])


def test_the_report_is_for_a_person(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == SECTIONS
    text = "\n".join(line for line in text.splitlines() if not line.startswith("| `"))  # settings and what they mean
    assert not re.search(r"\d A\b|eV/A\b", text), "Å in reports"
    prose = re.sub(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    assert not re.search(r"[{}]|None|True|False|\w_\w", prose.replace("config_type", "")), "no values of a program"
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text):
        assert (folder / picture).exists(), picture
    rows = [line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("| ")]
    assert min(rows) >= 3
    sees = f"neighbors within {report_of(folder)['settings']['descriptor'].get('cutoff', 0):g} Å"
    for word in ("Li, Si", sees if folder.name != "scattering" else "the total energy only"):
        assert word in text


def test_settings_come_with_their_meaning(trained_model: Callable[[str], Path]) -> None:
    text = (trained_model("soap_gap").parent / "report.md").read_text()
    assert "| `regressor.delta` | 3 eV | Prior standard deviation of an atomic energy |" in text
    assert "| `regressor.n_sparse` | 60 |" in text
    text = (trained_model("gmp_snn").parent / "report.md").read_text()
    assert "| `training.loss.beta` | 50 Å | " in text
    for inactive in ("training.loss.p", "training.loss.huber", "training.schedule.every", "training.schedule.patience"):
        assert f"`{inactive}`" not in text, inactive


def test_sigmas_are_shown_where_they_weight_the_fit(trained_model: Callable[[str], Path]) -> None:
    shown = "Expected errors of the labels"
    assert shown in (trained_model("soap_gap").parent / "report.md").read_text()
    folder = trained_model("gmp_snn").parent
    assert shown not in (folder / "report.md").read_text()
    text = training_report(changed(folder, "settings", "training", "loss", "form", value="likelihood"))
    assert shown in text
    assert "`training.loss.huber`" in text
    assert "`training.loss.beta`" not in text


def test_the_lines_for_ase_and_lammps_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (folder / "report.md").read_text()
    atoms = ase.io.read(STRUCTURE, "0")
    monkeypatch.chdir(tmp_path)
    atoms.write("my_structure.xyz")
    names: dict[str, Any] = {}
    exec(code(text, "python"), names)
    energy = names["atoms"].get_potential_energy()
    atoms.calc = RhopotCalculator(folder / "model.pt")
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-11)
    names["atoms"] = atoms
    for line in re.findall(r"`(from rhopot\.potentials[^`]*|write_data\([^`]*)`", text):
        exec(line, names)
    lines = code(text, "text") + 'run 0 post no\nvariable e equal pe\nprint "value energy $e"\n'
    run = lammps_process.succeed(tmp_path, lines.replace("$e", "$(pe:%.12g)"))
    assert run.values["energy"] == pytest.approx(energy, abs=1e-5), "the data file has ten digits"
    assert f"rhopot evaluate {folder / 'model.pt'} " in code(text, "sh")


def changed(folder: Path, *path: str, value: Any) -> dict[str, Any]:
    report = copy.deepcopy(report_of(folder))
    inner = report
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return report


def titles(report: dict[str, Any]) -> list[str]:
    return [title for title, _ in cautions(report)]


def test_cautions_follow_from_the_numbers(trained_model: Callable[[str], Path]) -> None:
    folder = trained_model("soap_linear").parent
    found = titles(report_of(folder))
    for title in ("Few validation data", "No free atoms in the training set", "Short distances"):
        assert title in found, title
    assert "No uncertainty" in titles(changed(folder, "settings", "uncertainty", "members", value=0))
    assert "The predicted uncertainty of forces is not calibrated" in titles(
        changed(folder, "fit", "force_calibration", value=None)
    )
    title = "The predicted uncertainty does not correlate with the errors"
    for of_forces, of_energies, said in (
        (0.1, 0.6, ["forces"]),
        (0.6, 0.1, ["energies"]),
        (0.1, 0.1, ["forces", "energies"]),
    ):
        report = changed(folder, "fit", "force_calibration", "rank_correlation", value=of_forces)
        report["fit"]["calibration"]["rank_correlation"] = of_energies
        (text,) = [text for name, text in cautions(report) if name == title]
        assert re.findall(r"standard deviations of (\w+) and", text) == said
        assert ("all elements together" in text) is ("forces" in said)
    report["fit"]["force_calibration"]["rank_correlation"] = report["fit"]["calibration"]["rank_correlation"] = 0.6
    assert title not in titles(report)
    assert "within one element it can be near zero" in training_report(report)
    report = changed(folder, "fit", "force_calibration", value=None)
    report["settings"]["targets"]["forces"] = None
    assert any("no forces are fitted (`targets.forces` is null)" in text for _, text in cautions(report))
    size = "The predicted uncertainty of energies is not the size of their errors"
    for inside, said in ((0.1, True), (0.7, False), (1.0, True)):
        report = changed(folder, "errors", "validation", "energy_within_one_deviation", value=inside)
        assert (size in titles(report)) is said
    assert "No stresses were fitted" in titles(
        changed(folder, "training_data", "summary", "targets", value={"energy": 30, "forces": 30, "stress": 0})
    )
    report = changed(folder, "training_data", "summary", "targets", value={"energy": 30, "forces": 30, "stress": 0})
    report["training_data"]["summary"]["not_fitted"] = {"stress": 30}
    assert any(
        "30 training structures carry them, but `targets.stress` is null" in text for _, text in cautions(report)
    )
    distances = {"Li-Li": 2.4, "Si-Si": 2.2}
    report = changed(folder, "training_data", "summary", "shortest_distances", value=distances)
    assert any("Li-Si are never neighbors" in text for _, text in cautions(report))
    report = changed(folder, "errors", "validation", "per_config_type", value={"liquid": {}})
    assert any("config_type liquid, the training set does not" in text for _, text in cautions(report))
    report = changed(folder, "errors", "validation", "energy_rmse_mev_per_atom", value=1e4)
    assert any(title.startswith("Energy errors are ") for title in titles(report))
    assert "Few validation data" not in titles(
        {
            **changed(folder, "training_data", "summary", "n_validation", value=200),
            "fit": {**report["fit"], "force_calibration": None},
        }
    )


def test_a_runaway_is_said_first(trained_model: Callable[[str], Path]) -> None:
    folder = trained_model("soap_linear").parent
    run = {"fault": "atoms came as close as 0.30", "sentence": "Li4Si28, 600 K: RUNAWAY after 0.1 ps"}
    report = changed(folder, "stability", value=[run])
    assert titles(report)[0] == "RUNAWAY in hot dynamics"
    text = training_report(report)
    assert "RUNAWAY: the model is unstable in hot dynamics; do not use it for dynamics" in text.split("##")[0]
    assert f"- {run['sentence']}" in text
    assert "Dynamics were not tried" not in text
    text = training_report(changed(folder, "stability", value=[{**run, "fault": "", "sentence": "x"}]))
    assert text.count("RUNAWAY") == 1, "in the criterion alone"


def test_members_that_learn_until_the_end(trained_model: Callable[[str], Path]) -> None:
    folder = trained_model("gmp_snn").parent
    epochs = len(report_of(folder)["fit"]["epochs"])
    for best, said in (([epochs] * 3, True), ([epochs // 2] * 3, False)):
        found = titles(changed(folder, "fit", "best_epoch", value=best))
        assert ("The training may be too short" in found) is said


@pytest.mark.parametrize(
    ("energies", "forces", "said"),
    [
        ([4.0, 3.0, 2.0], [90.0, 80.0, 79.0], ["fall by more than 15%: energy MAE; more"]),
        (
            [3.0, 3.0, 3.0],
            [90.0, 80.0, 79.0],
            ["no error falls by more than 15%: more training data of this kind will"],
        ),
        (
            [2.74, 3.16, 3.25],
            [90.0, 80.0, 79.0],
            ["From 10 to 40 structures these errors rise by more than 15%: energy"],
        ),
        (
            [2.0, 3.0, 3.1],
            [90.0, 80.0, 60.0],
            ["fall by more than 15%: force MAE; more", "rise by more than 15%: energy"],
        ),
    ],
)
def test_what_the_learning_curve_says(
    folder: Path, energies: list[float], forces: list[float], said: list[str]
) -> None:
    curve = {"n_frames": [10, 20, 40], "energy_mae_mev_per_atom": energies, "forces_mae_mev_per_angstrom": forces}
    text = training_report(changed(folder, "learning_curve", value=curve))
    assert all(sentence in text for sentence in said)
    assert sum(text.count(verdict) for verdict in ("errors fall by", "no error falls", "errors rise by")) == len(said)


def test_a_report_of_a_family_that_is_not_known_here(trained_model: Callable[[str], Path]) -> None:
    """Other packages bring families: their numbers are shown without words for them."""
    report = changed(trained_model("soap_linear").parent, "family", value="toy")
    report["fit"] = {"validation": {}, "basis": {"learned": {"n_functions": 3, "loss": 0.25}}, "flag": True}
    text = training_report(report)
    assert text.startswith("# `toy` potential for Li, Si\n")
    assert "| basis, learned | number of functions: 3, loss: 0.25 |" in text
    assert "| flag | yes |" in text
