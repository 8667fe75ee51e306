"""The functions of `rhopot.potentials` do what the commands do, with structures in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import trained_models
from ase import Atoms
from ase.build import bulk
from examples_at_hand import example

from rhopot.export import read_card
from rhopot.potentials import check, evaluate, features, train
from rhopot.potentials.commands import main

pytestmark = pytest.mark.slow

UNSEEN = trained_models.DATA / "Li20Si12_0.xyz"
SMALL: dict[str, Any] = {
    "descriptor": {"cutoff": 4.0, "n_max": 3, "l_max": 2},
    "regressor": {"prior": 0.1},
    "uncertainty": {"members": 4},
    "report": {"learning_curve": [], "stability": None},
    "data": {"split": {"by": "group", "key": "path", "fraction": 0.25}},
}


def frames() -> list[Atoms]:
    return [a for name in trained_models.PATHS for a in ase.io.read(trained_models.DATA / f"{name}.xyz", "::3")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small model of structures in memory."""
    output = tmp_path_factory.mktemp("api") / "run"
    return train(frames(), family="soap_linear", output=output, quiet=True, **SMALL)


def test_training_in_memory_is_the_training_of_the_command(run: Any, tmp_path: Path) -> None:
    file, folder = tmp_path / "data.xyz", tmp_path / "from_file"
    ase.io.write(file, frames(), format="extxyz")
    again = train(str(file), family="soap_linear", output=folder, quiet=True, **SMALL)
    numbers = [{k: v for k, v in one.errors["validation"].items() if k != "per_config_type"} for one in (run, again)]
    assert numbers[1] == pytest.approx(numbers[0], abs=1e-6)
    assert read_card(again.model_file).training_data.hash == read_card(run.model_file).training_data.hash
    assert json.loads((run.folder / "report.json").read_text()) == run.report
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(path.name for path in folder.iterdir())
    assert (run.folder / "report.md").exists()
    assert "Few validation data" in [title for title, _ in run.cautions]
    atoms = ase.io.read(UNSEEN, 0)
    energies = []
    for one in (run, again):
        atoms.calc = one.calculator()
        energies.append(atoms.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], abs=1e-6)
    assert run.model.card.symbols == ("Li", "Si")


def test_evaluate_gives_the_numbers_of_the_command(run: Any, tmp_path: Path) -> None:
    numbers = tmp_path / "errors.json"
    assert main(["evaluate", str(run.model_file), str(UNSEEN), "--json", str(numbers)]) == 0
    expected = json.loads(numbers.read_text())
    for model in (run, run.model, str(run.model_file), run.calculator()):
        assert evaluate(model, ase.io.read(UNSEEN, ":")) == expected
    atoms = ase.io.read(UNSEEN, ":2")
    for one in atoms:
        one.info["dft"] = one.info.pop("REF_energy") + 1.0
    found = evaluate(run, atoms, keys={"energy": "dft", "forces": "none", "stress": "none"})
    assert "forces_mae_mev_per_angstrom" not in found
    assert found["n_frames"] == 2


def test_features_are_those_of_the_command(run: Any, tmp_path: Path) -> None:
    output = tmp_path / "f.npz"
    assert main(["features", str(run.model_file), str(UNSEEN), "-o", str(output)]) == 0
    expected = np.load(output)
    for source in (run, run.model, run.model_file):
        found = features(source, UNSEEN)
        assert set(found) == set(expected)
        np.testing.assert_array_equal(found["features"], expected["features"])
    by_name = features("soap_linear", ase.io.read(UNSEEN, ":"), descriptor=SMALL["descriptor"])
    np.testing.assert_array_equal(by_name["features"], expected["features"])


def test_check_tells_what_failed(run: Any) -> None:
    checked = check(run, bulk("Si", cubic=True), ranks=[1], steps=20, hot_ps=0.02)
    assert len(checked.comparisons) > 6
    assert checked.passed, checked.failed
    assert len(checked.dynamics) == 1
    worse = [type(one)(one.name, 1e9, one.limit, one.unit) for one in checked.comparisons]
    assert len(type(checked)(tuple(worse), ()).failed) == len(worse)


def test_a_given_validation_set_and_a_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        "family: soap_linear\nseed: 4\n" + json.dumps({k: v for k, v in SMALL.items() if k != "data"})[1:-1]
    )
    file.write_text(json.dumps({"family": "soap_linear", "seed": 4, **SMALL}))
    everything = frames()
    made = train(
        everything[:8], output=tmp_path / "run", validation=everything[8:], config=file, quiet=True, seed=5,
        data={"split": {"by": "fraction", "key": None}},
    )  # fmt: skip
    settings = made.report["settings"]
    assert (settings["seed"], settings["descriptor"]["n_max"]) == (5, 3)
    summary = made.report["training_data"]["summary"]
    assert (summary["n_frames"], summary["split"], summary["fitted_to_validation"]) == (8, "given", False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"descriptor": {"cutof": 4.0}}, r"descriptor.cutof is not a known key; did you mean cutoff\?"),
        ({"family": "soap"}, r"family must be one of soap_linear, .*, got 'soap'; did you mean soap_gap\?"),
        ({"family": None}, r"the key `family` is missing; write one of soap_linear, "),
        ({"radius": 3.0}, r"radius is not a known key"),
        ({"targets": {"energy": np.float64(-1.0)}}, r"targets.energy must be greater than 0, got -1.0"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(
    changes: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words: dict[str, Any] = {"family": "soap_linear", "output": tmp_path / "run", "quiet": True} | changes
    with pytest.raises(ValueError, match=sentence):
        train(frames(), **words)
    assert list(tmp_path.iterdir()) == []


def test_wrong_structures_and_keys_are_refused_in_a_sentence(run: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"target energy must be present in the data, got no label"):
        train([bulk("Si")], family="soap_linear", output=tmp_path / "run", quiet=True)
    with pytest.raises(ValueError, match=r"output must be a new folder, got '.*' with a finished model"):
        train(frames(), family="soap_linear", output=run.folder, quiet=True)
    with pytest.raises(ValueError, match=r"target energy must be present in the data, .* name its key with keys="):
        evaluate(run, [bulk("Si")])
    with pytest.raises(ValueError, match=r"keys must name labels of energy, .* got energie: 'dft'"):
        evaluate(run, UNSEEN, keys={"energie": "dft"})
    with pytest.raises(ValueError, match=r"elements must be among Li, Si, got Ge; use another model"):
        features(run, [bulk("Ge")])
    with pytest.raises(ValueError, match=r"settings must go with the name of a family, got descriptor"):
        features(run, UNSEEN, descriptor={"cutoff": 3.0})
    with pytest.raises(ValueError, match=r"ranks must be numbers such as \(1, 2, 4\), got \[0\]"):
        check(run, ranks=[0])
    with pytest.raises(ValueError, match=r"structure must be periodic or hold at least 2 atoms"):
        check(run, Atoms("Si"))


NO_STRUCTURES = [
    (None, r"^structures must be a list of ase\.Atoms, a path or a list of paths, got None; read them with ase\.io\.r"),
    (7, "structures must be a list .*, got 7; read them"),
    ("", "structures must be a list .*, got ''; read them"),
    ([], "^structures must hold at least one structure, got none; check where they come from$"),
    ([[bulk("Si")], [bulk("Ge")]], "structures must be a list .*, got list at 0; join the lists into one"),
    ([bulk("Si"), 3.0], "structures must be a list .*, got float at 1; remove it"),
    ({"a": bulk("Si")}, "structures must be a list .*, got {'a': Atoms"),
]


@pytest.mark.parametrize(("structures", "sentence"), NO_STRUCTURES)
def test_what_is_no_list_of_structures_is_refused_in_a_sentence(structures: Any, sentence: str, tmp_path: Path) -> None:
    words: dict[str, Any] = {"family": "soap_linear", "output": tmp_path / "run", "quiet": True}
    with pytest.raises(ValueError, match=sentence):
        train(structures, **words)
    with pytest.raises(ValueError, match=sentence):
        features("soap_linear", structures)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_validation_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^validation must hold at least one structure, got none"):
        train(frames(), family="soap_linear", output=tmp_path / "run", validation=[], quiet=True)


def test_structures_may_come_one_by_one(run: Any, tmp_path: Path) -> None:
    again = train((one for one in frames()), family="soap_linear", output=tmp_path / "run", quiet=True, **SMALL)
    assert again.errors == run.errors
    assert evaluate(run, iter(ase.io.read(UNSEEN, ":"))) == evaluate(run, UNSEEN)
    by_one = features(run, (one for one in ase.io.read(UNSEEN, ":2")))
    np.testing.assert_array_equal(by_one["features"], features(run, ase.io.read(UNSEEN, ":2"))["features"])


def test_a_training_is_shown_in_one_line(run: Any) -> None:
    errors = run.errors["validation"]
    assert repr(run) == (
        f"<Training '{run.folder}': soap_linear; validation errors (MAE): "
        f"energy {errors['energy_mae_mev_per_atom']:.3g} meV/atom, "
        f"forces {errors['forces_mae_mev_per_angstrom']:.3g} meV/A, stress {errors['stress_mae_gpa']:.3g} GPa>"
    )
    shown = repr(type(run)(run.folder, {**run.report, "errors": {"validation": {"stress_mae_gpa": 0.12345}}}))
    assert shown.endswith("validation errors (MAE): stress 0.123 GPa>")
    assert repr(type(run)(run.folder, {**run.report, "errors": {}})) == f"<Training '{run.folder}': soap_linear>"


def test_errors_speak_python(run: Any) -> None:
    words: dict[str, Any] = {"family": "soap_linear", "output": run.folder, "quiet": True}
    with pytest.raises(ValueError, match=r"with a finished model; add overwrite=True to replace it"):
        train(frames(), **words)
    with pytest.raises(ValueError, match=r"resume=True and overwrite=True must not stand together"):
        train(frames(), resume=True, overwrite=True, **words)


def test_the_page_of_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("python_api/run")(["--output", str(tmp_path), "--ranks", "1"])
    output = capsys.readouterr().out
    for words in ("validation: energy MAE", "careful: ", "Li20Si12: energy MAE", "standard deviations", "passed"):
        assert words in output, words
    assert (tmp_path / "soap_linear" / "model.pt").exists()
