"""Copies and pickles of calculators: the same numbers, in this process and others, with or without the model file."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import torch
import trained_models
from joblib import Parallel, delayed

from rhopot.export import LoadedModel, RhopotCalculator, load_model

COPIES: dict[str, Callable[[RhopotCalculator], RhopotCalculator]] = {
    "pickle": lambda calc: pickle.loads(pickle.dumps(calc)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def forces(atoms: ase.Atoms) -> np.ndarray:
    return np.asarray(atoms.get_forces())


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_copies_give_the_same_numbers_without_the_file(
    family: str, device: str, trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    file = shutil.copy(trained_model(family), tmp_path / "model.pt")
    atoms, other = toy.crystal((1, 1, 1)), toy.crystal((1, 1, 1), seed=8)
    atoms.calc = RhopotCalculator(file, device=device)
    right = atoms.get_forces()
    file.unlink()
    for name, copied in COPIES.items():
        twin = copied(atoms.calc)
        assert twin.model.card == atoms.calc.model.card
        assert twin.model.device == atoms.calc.model.device
        np.testing.assert_array_equal(twin.results["forces"], right, err_msg=name)
        other.calc = twin
        there = other.get_forces()
        assert np.abs(there - right).max() > 0.01
        np.testing.assert_array_equal(atoms.get_forces(), right, err_msg=f"{name} changed the original")
        atoms.calc.reset()
        np.testing.assert_allclose(atoms.get_forces(), right, atol=1e-12)
        np.testing.assert_allclose(RhopotCalculator(atoms.calc.model).get_forces(other), there, atol=1e-3)


def test_another_process_evaluates_structures(trained_model: Callable[[str], Path]) -> None:
    read, right = [], []
    for family in trained_models.FAMILIES:
        structures = [toy.crystal((1, 1, 1), seed) for seed in (1, 2, 3)]
        calculator = RhopotCalculator(trained_model(family))
        for atoms in structures:
            atoms.calc = calculator
        calculator.get_property("energy", structures[0])  # what a global model prepares for travels with it
        copies = [pickle.loads(pickle.dumps(atoms)) for atoms in structures]
        assert len({id(atoms.calc.model) for atoms in copies}) == 1
        read += copies
        right += [forces(atoms) for atoms in structures]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_allclose(pool.map(forces, read), right, atol=1e-12)


def test_joblib(trained_model: Callable[[str], Path]) -> None:
    structures = [toy.crystal((1, 1, 1), seed) for seed in (1, 2, 3)]
    for atoms in structures:
        atoms.calc = RhopotCalculator(trained_model("soap_linear"))
    found = Parallel(n_jobs=2, backend="multiprocessing")(delayed(forces)(atoms) for atoms in structures)
    np.testing.assert_allclose(found, [forces(atoms) for atoms in structures], atol=1e-12)


def test_models_that_were_never_exported_are_pickled(tmp_path: Path) -> None:
    calculator = RhopotCalculator(toy.in_memory(members=3))
    twin = pickle.loads(pickle.dumps(calculator))
    atoms = toy.skewed()
    np.testing.assert_array_equal(twin.get_forces(atoms), calculator.get_forces(atoms))


def test_a_pickle_from_a_gpu_says_what_it_needs(
    trained_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(trained_model("soap_linear"))
    text = pickle.dumps(LoadedModel(model.card, model.module, "far.pt", torch.device("cuda", 1)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match=r"got no GPU for model 'far\.pt', which was on one; load it with device='cpu'"
    ):
        pickle.loads(text)
