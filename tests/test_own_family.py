"""A family in a package of its own: installed beside ours, it trains, exports and runs in ASE and LAMMPS.

Nothing of ours knows its name. The package is installed by pip into a folder that only these processes have on their
path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lammps_process as lmp
import numpy as np
import pytest
from ase.io import read
from many_body_toy import skewed
from prestarted import Template
from trained_models import DATA, PATHS, ROOT

from rhopot.export import evaluate, load_model, read_card

PACKAGE = ROOT / "examples" / "own_family"
VOIGT = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])  # LAMMPS: xx yy zz xy xz yz

pytestmark = pytest.mark.slow

Rhopot = Callable[..., str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the installed package."""
    folder = tmp_path_factory.mktemp("own_family")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "radial_linear.py", "README.md"):
        (source / name).write_bytes((PACKAGE / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    words = ["--no-build-isolation", "--no-index", "--target", str(folder / "site"), str(source)]
    done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def rhopot(site: Path, commands: Template, tmp_path_factory: pytest.TempPathFactory) -> Rhopot:
    """Runs the `rhopot` command with the package on the path; what it prints."""
    folder = tmp_path_factory.mktemp("commands")

    def command(*words: str, status: int = 0) -> str:
        program = [sys.executable, "-m", "rhopot.potentials.commands", *words]
        variables = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
        done = commands.run(program, cwd=folder, env=variables)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return command


@pytest.fixture(scope="module")
def model(rhopot: Rhopot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the family, trained by the command from the package's own configuration."""
    run = tmp_path_factory.mktemp("radial") / "run"
    files = [str(DATA / f"{name}.xyz") for name in PATHS]
    words = [f"data.train={files}", f"output={run}", "descriptor.n_centers=8", "report.learning_curve=[0.5]"]
    printed = rhopot("train", str(PACKAGE / "radial_linear.yaml"), *words)
    assert "radial_linear: Li, Si" in printed
    return run / "model.pt"


def test_the_card_says_what_the_family_says(model: Path) -> None:
    card = read_card(model)
    assert (card.family, card.kind, card.n_layers, card.cutoff) == ("radial_linear", "local", 1, 5.0)
    assert card.uncertainty.members == 8
    centers = card.descriptor["centers"]
    assert isinstance(centers, list)
    assert len(centers) == 8
    report = json.loads((model.parent / "report.json").read_text(encoding="utf-8"))
    assert report["errors"]["validation"]["forces_mae_mev_per_angstrom"] < 600
    assert report["settings"]["descriptor"]["centers"] == centers, "the finished settings give the same model again"
    assert len(report["learning_curve"]["n_frames"]) == 2
    assert "Ridge regression on Gaussians of the distances" in (model.parent / "report.md").read_text(encoding="utf-8")


def test_commands_know_the_family(rhopot: Rhopot, model: Path, tmp_path: Path) -> None:
    words = rhopot("info", str(model))
    assert "ridge regression on Gaussians of the distances" in words
    assert "  n_centers: 12\n" in rhopot("config", "radial_linear")
    assert "note: energies depend on distances only: angles between bonds are not seen" in words
    assert "forces" in rhopot("evaluate", str(model), str(DATA / "Li10Si22_0.xyz"), "--json", str(tmp_path / "e.json"))
    assert json.loads((tmp_path / "e.json").read_text())["n_frames"] > 0
    checked = rhopot("check", str(model), "--ranks", "1,2", "--steps", "100", "--hot-ps", "0")
    assert "FAILED" not in checked


def test_features_are_those_of_the_model(rhopot: Rhopot, model: Path, tmp_path: Path) -> None:
    """Its centers were learned from the training data, not from the structures asked for."""
    other = DATA / "Li10Si22_0.xyz"
    rhopot("features", str(model), str(other), "--output", str(tmp_path / "features.npz"))
    found = np.load(tmp_path / "features.npz")
    settings = json.loads(str(found["descriptor"]))
    assert settings == read_card(model).descriptor
    centers = np.array(settings["centers"])
    atoms = read(other, 0)
    distances = atoms.repeat((3, 3, 3)).get_distances(13 * len(atoms), range(27 * len(atoms)), mic=False)
    expected = np.zeros((2, len(centers)))
    for distance, symbol in zip(distances, list(atoms.symbols) * 27, strict=True):
        if 0.0 < distance < 5.0:
            gaussians = np.exp(-((distance - centers) ** 2) / (2 * 0.4**2)) * (1 - (distance / 5.0) ** 2) ** 3
            expected[("Li", "Si").index(symbol)] += gaussians
    np.testing.assert_allclose(found["features"][0], expected.ravel(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps_without_the_package_computes_what_ase_does(model: Path, tmp_path: Path, ranks: int) -> None:
    """Neither this process nor LAMMPS has the package on its path: the model file holds all it needs."""
    atoms = lmp.in_lammps_frame(skewed())
    truth = evaluate(load_model(model), [atoms], virials=True)[0]
    assert truth.forces is not None
    assert truth.virial is not None
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"]) + lmp.STATIC
    run = lmp.succeed(tmp_path, script, ranks)
    frame = run.dump()[0]
    assert np.abs(truth.forces).max() > 0.1
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-9 * len(atoms))
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=1e-8)
    np.testing.assert_allclose(lmp.pressures(run) * run.values["vol"], truth.virial[VOIGT], rtol=1e-9, atol=1e-8)


def test_without_the_package_commands_say_what_is_missing(model: Path, tmp_path: Path) -> None:
    from rhopot.potentials.commands import main

    assert main(["info", str(model)]) == 0
    assert main(["features", str(model), str(DATA / "Li10Si22_0.xyz"), "--output", str(tmp_path / "f.npz")]) == 1
    assert main(["train", str(PACKAGE / "radial_linear.yaml"), "data.train=x.xyz"]) == 1


def test_the_package_tests_its_family_by_the_contracts(site: Path) -> None:
    words = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={PACKAGE}", "--import-mode=importlib"]
    program = [sys.executable, "-m", "pytest", *words, str(PACKAGE)]
    variables = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(program, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
