"""Loading: a file that cannot be used is told apart in one sentence, before anything is deserialised."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import many_body_toy as toy
import model_archives
import numpy as np
import pytest
import torch

from rhopot.export import LoadedModel, ModelFileError, evaluate, load_model, read_card, script

CARD = json.loads(toy.card().to_json())


def written(path: Path, module: torch.nn.Module | None = None, **changes: object) -> Path:
    """An archive as `save_model` writes it, with changes to its card, unchecked."""
    compiled = script.compile_module(module or toy.ManyBody())
    path.write_bytes(script.serialise(compiled, {"rhopot.json": json.dumps(CARD | changes)}))
    return path


def flipped(path: Path, part: str) -> Path:
    """The same archive with one byte of a part changed."""
    written(path)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(part))
        content = archive.read(name)
    whole = bytearray(path.read_bytes())
    whole[whole.find(content) + len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(whole))
    return path


def without(path: Path, part: str) -> Path:
    """The same archive, intact, but with no such part."""
    return model_archives.without(written(path), part)


def bytes_at(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def folder_at(path: Path) -> Path:
    path.mkdir()
    return path


def foreign_script(path: Path) -> Path:
    path.write_bytes(script.serialise(script.compile_module(toy.ManyBody()), {"other.json": "{}"}))
    return path


def saved_objects(path: Path) -> Path:
    torch.save(toy.ManyBody().state_dict(), path)
    return path


def arrays(path: Path) -> Path:
    with path.open("wb") as stream:
        np.savez(stream, x=np.ones(3))
    return path


BROKEN: list[tuple[Callable[[Path], Path], str]] = [
    (lambda path: path, r"must exist, got no file at '.*model\.pt'; check the name"),
    (folder_at, r"must exist, got a folder at '.*model\.pt'; check the name"),
    (lambda path: bytes_at(path, b""), "which is empty; copy or export it again"),
    (lambda path: bytes_at(path, b"units metal"), "which is not a TorchScript archive; check the name"),
    (lambda path: bytes_at(path, written(path).read_bytes()[:2000]), r"which is truncated or damaged; copy or export"),
    (lambda path: flipped(path, "data.pkl"), "which is damaged in its part '.*data.pkl'; copy or export it again"),
    (lambda path: flipped(path, "rhopot.json"), "which is damaged in its part '.*rhopot.json'; copy or export"),
    (foreign_script, "a TorchScript model of another program; export the model with"),
    (saved_objects, r"which holds objects of torch\.save; export the model with"),
    (arrays, "a zip archive of another program; export the model with"),
    (
        lambda path: written(path, format_version=7),
        r"format_version of '.*model\.pt' must be at most 1 for this rhopot, got 7; install a newer rhopot",
    ),
    (
        lambda path: written(path, format_version=7, invented_in_format_7=True),
        "must be at most 1 for this rhopot, got 7; install a newer rhopot",
    ),
    (
        lambda path: written(path, format_version="one"),
        r"is wrong \(card\.format_version must be 1, got",
    ),
    (
        lambda path: written(path, cutoff=-2),
        r"whose rhopot\.json is wrong \(card\.cutoff must be a positive length in A",
    ),
    (lambda path: written(path, kind="global"), "of kind 'global' but without the method 'prepare'; export it with"),
    (lambda path: written(path, n_layers=9), "n_layers of model '.*' must be at most 8, got 9"),
    (
        lambda path: written(path, uncertainty={"members": 5}),
        r"model '.*model\.pt' must return float64 \[centres, 6\]; export it again",
    ),
    (
        lambda path: model_archives.with_card(written(path), sealed=True, cutoff=4.1),
        r"which was changed after its export \(its model and its rhopot\.json belong to each other\)",
    ),
    (
        lambda path: without(path, "constants.pkl"),
        rf"must be readable by PyTorch {torch.__version__.split('+')[0]}.*, written by PyTorch .* and rhopot",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), BROKEN)
def test_unusable_files_are_told_apart(tmp_path: Path, make: Callable[[Path], Path], sentence: str) -> None:
    path = make(tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=sentence) as refusal:
        load_model(path)
    assert "\n" not in str(refusal.value)


def test_card_without_format_version_is_refused(tmp_path: Path) -> None:
    compiled = script.compile_module(toy.ManyBody())
    path = bytes_at(tmp_path / "model.pt", script.serialise(compiled, {"rhopot.json": '{"family": "toy"}'}))
    with pytest.raises(ModelFileError, match=r"whose rhopot\.json states no format_version"):
        load_model(path)


def test_unknown_operators_are_named(tmp_path: Path) -> None:
    versions = {"rhopot": "9.1", "torch": "2.13.0", "operators": ["rhopot::no_such_operator_v9"]}
    path = written(tmp_path / "model.pt", versions=versions)
    with pytest.raises(ModelFileError, match=r"got rhopot::no_such_operator_v9; install rhopot 9\.1, which wrote it"):
        load_model(path)


def test_the_card_is_read_without_the_model(tmp_path: Path) -> None:
    path = without(tmp_path / "model.pt", "constants.pkl")
    assert read_card(path) == toy.card()


def test_loaded_parameters_ask_for_no_gradient(tmp_path: Path) -> None:
    class Scaled(toy.ManyBody):
        def __init__(self) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.ones(2))

    module = Scaled()
    assert module.factor.requires_grad
    loaded = load_model(written(tmp_path / "model.pt", module))
    assert [parameter.requires_grad for parameter in loaded.module.parameters()] == [False]


class Stronger(toy.ManyBody):
    def __init__(self) -> None:
        super().__init__()
        self.repulsion *= 2.0


def test_two_models_live_in_one_process(tmp_path: Path) -> None:
    weak, strong = load_model(written(tmp_path / "a.pt")), load_model(written(tmp_path / "b.pt", Stronger()))
    forces = [evaluate(model, [toy.cluster()])[0].forces for model in (weak, strong, weak)]
    np.testing.assert_array_equal(forces[0], forces[2])
    expected = evaluate(LoadedModel(toy.card(), Stronger()), [toy.cluster()])[0].forces
    np.testing.assert_allclose(forces[1], expected, atol=1e-12)
    assert np.abs(forces[1] - forces[0]).max() > 0.1
