"""Files of collective variables: written whole or not at all, read back, refused in one sentence."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from collective_variables_at_hand import loaded
from torch import Tensor

from rhopot.export import (
    CvCard,
    CvFileError,
    ModelFileError,
    RhopotCalculator,
    SelfCheckError,
    evaluate_cv,
    load_cv,
    load_model,
    read_cv_card,
    save_cv,
    script,
)
from rhopot.export import cv_file as export_cv_file
from rhopot.export.archive import read_records
from rhopot.potentials.collective_variables import (
    CollectiveVariable,
    Coordination,
    Description,
    Dihedral,
    Distance,
    Steinhardt,
    combine,
)
from rhopot.testing import structures

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_self_checks")]


def example() -> CollectiveVariable:
    return combine(Steinhardt(4, ["Si"], 3.0), Dihedral([4, 3, 2, 1]), Coordination(["Li"], ["Si"], 3.4))


@pytest.fixture(scope="module")
def cv_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three variables, written once with the whole self-check."""
    path, module = tmp_path_factory.mktemp("cvs") / "cv.pt", example()
    save_cv(module, CvCard.of(module), path, [structures.crystal((1, 1, 1)), structures.cluster()])
    return path


def test_a_file_gives_what_the_module_gives(cv_file: Path) -> None:
    cv, module = load_cv(cv_file), loaded(example())
    assert cv.card.names == ("Q4", "dihedral", "coordination")
    assert cv.card.versions.operators == ("rhopot::density_expansion_v1",)
    assert read_cv_card(cv_file) == cv.card
    for atoms in (structures.crystal((1, 1, 1)), structures.slab()):
        found, expected = evaluate_cv(cv, atoms), evaluate_cv(module, atoms)
        for field in ("values", "gradients", "strain_gradients"):
            np.testing.assert_allclose(getattr(found, field), getattr(expected, field), rtol=1e-12, atol=1e-13)


def test_the_identity_is_the_seal_and_tells_files_apart(
    cv_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read_records(cv_file.read_bytes())
    seal = next(data for name, data in records.items() if name.endswith("/extra/rhopot.seal"))
    assert load_cv(cv_file).identity == seal.decode()
    assert len(seal) == 8
    monkeypatch.setattr(export_cv_file, "_self_check", lambda *arguments: None)
    identities = set()
    for atoms in ([1, 2], [1, 3], [1, 2]):
        module = Distance(atoms)
        identities.add(save_cv(module, CvCard.of(module), tmp_path / "d.pt").identity)
    assert len(identities) == 2


def test_copies_and_pickles(cv_file: Path, tmp_path: Path) -> None:
    cv = load_cv(cv_file)
    assert copy.copy(cv) is copy.deepcopy(cv) is cv
    again = pickle.loads(pickle.dumps(cv))
    assert (again.card, again.identity) == (cv.card, cv.identity)
    atoms = structures.crystal((1, 1, 1))
    np.testing.assert_array_equal(evaluate_cv(again, atoms).gradients, evaluate_cv(cv, atoms).gradients)


def test_models_and_variables_are_not_taken_for_each_other(cv_file: Path, model_file: Path) -> None:
    with pytest.raises(ModelFileError) as error:
        load_model(cv_file)
    assert str(error.value) == (
        f"model file must be one exported by rhopot, got '{cv_file}', which holds collective variables; "
        "'rhopot cv' and load_cv read it"
    )
    with pytest.raises(ModelFileError, match="which holds collective variables"):
        RhopotCalculator(cv_file)
    for read in (load_cv, read_cv_card):
        with pytest.raises(CvFileError) as refused:
            read(model_file)
        assert str(refused.value) == (
            f"file of collective variables must be one written by rhopot, got '{model_file}', which holds a potential "
            "(kind local); make collective variables with 'rhopot cv' or save_cv"
        )


def test_damaged_and_missing_files_are_refused(cv_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CvFileError, match="must exist, got no file at"):
        load_cv(tmp_path / "none.pt")
    with pytest.raises(CvFileError, match="must exist, got a folder at"):
        load_cv(tmp_path)
    content, damaged = cv_file.read_bytes(), tmp_path / "damaged.pt"
    for change in (content[:-100], content[:400] + b"\x00\x01" + content[402:], b"", b"text"):
        damaged.write_bytes(change)
        with pytest.raises(CvFileError, match="file of collective variables must be one written by rhopot"):
            load_cv(damaged)


class Own(CollectiveVariable):
    """The radius of gyration of three atoms, wrong in one way or another."""

    def __init__(self, fault: str = "none") -> None:
        super().__init__(Description(names=("r",), units=("A",), atoms=(1, 2, 3), settings={"variable": "gyration"}))
        self.fault = fault

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the radius (1,) in A."""
        centered = positions - positions.mean(dim=0)
        radius = (centered * centered).sum(dim=1).mean().sqrt().reshape(1)
        if self.fault == "detached":
            radius = radius.detach()
        elif self.fault == "shape":
            radius = torch.cat([radius, radius])
        elif self.fault == "dtype":
            radius = radius.to(torch.float32)
        elif self.fault == "not finite":
            radius = radius + (0.0 * positions[0, 0]).sqrt()
        elif self.fault == "of one place":
            radius = positions[0, :1]
        elif self.fault == "scripted" and torch.jit.is_scripting():
            radius = 2.0 * radius
        return radius


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    module = Own()
    cv = save_cv(module, CvCard.of(module), tmp_path / "own.pt")
    atoms = structures.cluster()
    expected = np.sqrt((((atoms.positions[:3] - atoms.positions[:3].mean(axis=0)) ** 2).sum(axis=1)).mean())
    assert evaluate_cv(cv, atoms).values[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("detached", "'r' in '.*' must depend on positions, got derivatives that are all zero"),
        ("shape", r"finish of '.*' must return float64 of shape \(1,\), got torch.float64 of shape \(2,\)"),
        ("dtype", "finish of '.*' must return float64"),
        ("not finite", "derivatives of 'r' in '.*' must be finite"),
        ("of one place", "'r' in '.*' must not change when all atoms move together, got .*; use differences"),
    ],
)
def test_modules_that_break_the_contract_are_refused(fault: str, sentence: str, tmp_path: Path) -> None:
    module = Own(fault)
    with pytest.raises(ValueError, match=sentence):
        save_cv(module, CvCard.of(module), tmp_path / "own.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_changes_when_it_is_compiled_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    path.write_bytes(b"what was there before")
    module = Own("scripted")
    with pytest.raises(SelfCheckError, match="in a fresh process probe 0 differs in values by"):
        save_cv(module, CvCard.of(module), path)
    assert path.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_named_and_placed(tmp_path: Path) -> None:
    module = Own()
    with pytest.raises(ValueError, match=r"path must end in .pt, got '.*own'"):
        save_cv(module, CvCard.of(module), tmp_path / "own")
    with pytest.raises(ValueError, match="path must lie in an existing folder"):
        save_cv(module, CvCard.of(module), tmp_path / "none" / "own.pt")
    with pytest.raises(ValueError, match="must have a method 'finish', got none"):
        save_cv(torch.nn.Linear(2, 2), CvCard.of(module), tmp_path / "own.pt")


def test_files_of_other_formats_are_told_by_number(cv_file: Path, tmp_path: Path) -> None:
    cv = load_cv(cv_file)
    newer, old = tmp_path / "newer.pt", tmp_path / "old.pt"
    text = cv.card.to_json()
    newer.write_bytes(
        script.serialise(cv.module, {"rhopot.json": text.replace('"format_version": 1', '"format_version": 9')})
    )
    with pytest.raises(CvFileError, match=r"format_version of '.*' must be at most 1 for this rhopot, got 9"):
        load_cv(newer)
    old.write_bytes(script.serialise(cv.module, {"rhopot.json": text.replace('"n_sums"', '"sums"')}))
    with pytest.raises(CvFileError, match=r"whose rhopot.json is wrong .*got none of n_sums"):
        load_cv(old)
