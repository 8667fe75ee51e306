"""The commands on a global model: what differs from models of atoms, in numbers and in words."""

from __future__ import annotations

import json
from pathlib import Path

import many_body_toy as toy
import numpy as np
import pytest
import small_models
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from rhopot.export import evaluate
from rhopot.export.global_models import inputs_of
from rhopot.potentials.commands import main
from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering, all_paths, choose_grid

pytestmark = pytest.mark.slow

MODEL = small_models.scattering()
STRUCTURES = [toy.skewed(), toy.tiny(), toy.slab()]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(small_models.write(MODEL, tmp_path_factory.mktemp("model") / "scattering.pt"))


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Structures labelled by the model, each 1 meV per atom and 5 meV/A too high; the second with its energy alone."""
    labelled = []
    for k, (atoms, result) in enumerate(zip(STRUCTURES, evaluate(MODEL, STRUCTURES), strict=True)):
        copy: Atoms = atoms.copy()
        values = {"energy": result.energy + 0.001 * len(atoms), "forces": result.forces + 0.005}
        copy.calc = SinglePointCalculator(copy, **({"energy": values["energy"]} if k == 1 else values))
        labelled.append(copy)
    write(tmp_path / "data.xyz", labelled)
    return str(tmp_path / "data.xyz")


def test_info_speaks_of_global_models(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", model]) == 0
    output = " ".join(capsys.readouterr().out.split())
    for words in (
        "scattering (global, 1 layer(s))",
        f"reach {small_models.SCATTERING.reach:g} A",
        "average of sparse linear models on wavelet scattering of the periodic cell",
        "note: a global model: no energies or stresses of atoms",
        "stay below 1.1 times those at the start of a run; ask for more by stretch=... (ASE) or 'pair_style rhopot",
    ):
        assert words in output
    assert "cutoff" not in output


def test_evaluate_gives_errors(model: str, data: str, tmp_path: Path) -> None:
    numbers, plot = tmp_path / "errors.json", tmp_path / "parity.png"
    assert main(["evaluate", model, data, "--json", str(numbers), "--plot", str(plot)]) == 0
    errors = json.loads(numbers.read_text())
    assert errors["n_frames"] == 3
    assert errors["energy_mae_mev_per_atom"] == pytest.approx(1.0, abs=1e-3)
    assert errors["forces_rmse_mev_per_angstrom"] == pytest.approx(5.0, abs=1e-3)
    deviations = [
        result.energy_uncertainty() / len(atoms)
        for atoms, result in zip(STRUCTURES, evaluate(MODEL, STRUCTURES, members=True), strict=True)
    ]
    expected = 1000 * np.sqrt(np.mean(np.square(deviations)))
    assert errors["energy_deviation_rms_mev_per_atom"] == pytest.approx(expected, rel=1e-4)
    assert plot.stat().st_size > 1000


def test_features_have_one_row_per_structure(
    model: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a model file and from a configuration; on the grids that the model's energies stand on."""
    config = tmp_path / "config.yaml"
    settings = small_models.SCATTERING.model_dump(mode="json")
    config.write_text(yaml.safe_dump({"family": "scattering", "descriptor": settings, "data": {"train": data}}))
    paths = all_paths(small_models.SCATTERING)
    for source in (model, str(config)):
        output = tmp_path / "features.npz"
        assert main(["features", source, data, "-o", str(output)]) == 0
        assert f"3 structures x {len(paths)} features (scattering)" in capsys.readouterr().out
        stored = np.load(output)
        assert stored["features"].shape == (3, len(paths))
        assert stored["frame"].tolist() == [0, 1, 2]
        assert stored["n_atoms"].tolist() == [len(atoms) for atoms in STRUCTURES]
        assert stored["names"].tolist() == [path.name for path in paths]
        assert stored["symbols"].tolist() == ["Li", "Si"]
        for atoms, row in zip(STRUCTURES, stored["features"], strict=True):
            positions, species, cell, pbc = inputs_of(MODEL, atoms)
            grid = choose_grid(small_models.SCATTERING, atoms, 1.1)
            with torch.no_grad():
                expected = WaveletScattering(small_models.SCATTERING)(positions, species, cell, pbc, grid)
            np.testing.assert_allclose(row, expected.numpy(), rtol=1e-6, atol=1e-9)
    assert ScatteringSettings(**json.loads(str(stored["descriptor"]))) == small_models.SCATTERING


def test_check_compares_what_the_model_knows(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", model, "--ranks", "2", "--steps", "40", "--hot-ps", "0"]) == 0
    output = capsys.readouterr().out
    assert "scattering, global, float64" in output
    assert "32 atoms" in output
    assert "per-atom" not in output
    assert "all 10 comparisons within their limits" in output
