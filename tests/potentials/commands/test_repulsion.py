"""A nuclear repulsion that a training subtracts travels inside the model file: atoms never fuse.

The ready configurations of local families take it below the shortest distances of their training data.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path

import ase
import numpy as np
import pytest
import trained_models
import yaml
from ase.io import read, write
from ase.optimize import FIRE

from rhopot.export import RhopotCalculator, read_card
from rhopot.potentials.commands import main
from rhopot.potentials.config import load_config
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.pair import ZblSettings, shortest_distances
from rhopot.potentials.structures import read_frames

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SILICON = ROOT.parent / "shared/data/public/mlearn/Si_train.xyz.gz"
DISTANCES = np.arange(0.5, 1.61, 0.05)


def lithium_silicon(folder: Path) -> str:
    return str([str(ROOT / f"examples/data/lisi_gpaw/{name}.xyz") for name in ("Li12Si20_0", "Li16Si16_0")])


def silicon(folder: Path) -> str:
    if not SILICON.exists():
        pytest.skip(f"needs the public silicon data at {SILICON.relative_to(ROOT.parent)}, beside the project")
    write(folder / "silicon.xyz", read(SILICON, "::20"), format="extxyz")
    return str(folder / "silicon.xyz")


@pytest.mark.parametrize("family", ["soap_linear", "soap_gap"])
@pytest.mark.parametrize("data", [lithium_silicon, silicon])
def test_trained_models_repel_down_to_half_an_angstrom(
    data: Callable[[Path], str], family: str, tmp_path: Path
) -> None:
    words = [f"data.train={data(tmp_path)}", f"output={tmp_path / 'run'}", "baseline.pair={kind: zbl}"]
    words += ["descriptor.n_max=3", "descriptor.l_max=2", "report.learning_curve=[]", "uncertainty.members=0"]
    words += ["regressor.n_sparse=30"] if family == "soap_gap" else []
    assert main(["train", str(ROOT / f"examples/configs/{family}.yaml"), *words]) == 0
    calculator = RhopotCalculator(tmp_path / "run" / "model.pt")
    assert calculator.model.card.fit["baseline"]["pair"]["kind"] == "zbl"
    for pair in itertools.combinations_with_replacement(calculator.model.card.symbols, 2):
        energies, forces = [], []
        for distance in DISTANCES:
            dimer = ase.Atoms(pair, [[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
            energies.append(calculator.get_potential_energy(dimer))
            forces.append(calculator.get_forces(dimer)[1, 0])
        assert (np.diff(energies) < 0).all(), pair
        assert min(forces) > 0, pair
        assert energies[0] - energies[-1] > 30.0, "the nuclei's own repulsion at 0.5 A (eV)"


def random_alloy(seed: int) -> ase.Atoms:
    """64 atoms anywhere in a cube, at the density of amorphous Li-Si; the closest are a few tenths of an A apart."""
    rng = np.random.default_rng(seed)
    length = (64 * 18.0) ** (1 / 3)
    return ase.Atoms(rng.choice(["Li", "Si"], 64), length * rng.random((64, 3)), cell=[length] * 3, pbc=True)


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_atoms_at_random_positions_relax_to_distances_of_the_data(
    family: str, trained_model: Callable[[str], Path]
) -> None:
    atoms = random_alloy(0)
    assert closest(atoms) < 0.3
    atoms.calc = RhopotCalculator(trained_model(family))
    FIRE(atoms, logfile=None, maxstep=0.1).run(fmax=0.1, steps=120)
    # products of three and four densities, or of messages, change fast where atoms overlap
    assert closest(atoms) > (1.5 if family in ("multispectrum", "multispectrum_gap", "angular") else 1.7)
    assert np.isfinite(atoms.get_forces()).all()


def closest(atoms: ase.Atoms) -> float:
    return float(np.linalg.norm(find_edges(atoms, 4.0).vectors, axis=1).min())


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_repulsion_begins_where_the_data_end(
    family: str, trained_model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Card, `info` and report name the distance of each pair; on every training structure the repulsion is zero."""
    file = trained_model(family)
    card = read_card(file)
    repulsion = ZblSettings.model_validate(card.fit["baseline"]["pair"])
    assert isinstance(repulsion.outer, dict)
    assert repulsion.outer == pytest.approx(card.training_data.summary["shortest_distances"], abs=2e-4)
    settings = yaml.safe_load((file.parent / "config.yaml").read_text())
    assert settings["baseline"]["pair"] == card.fit["baseline"]["pair"], "trains the same one on other data too"
    frames = read_frames(settings["data"]["train"])
    everywhere = shortest_distances(frames, card.symbols, 4.0)
    assert all(everywhere[pair] <= end + 2e-4 for pair, end in repulsion.outer.items()), (
        "frames held out may be shorter"
    )
    sentence = f"zbl, below {repulsion.outer['Li-Li']:.2f} Å for Li-Li (shortest distance in the training data)"
    assert sentence in (file.parent / "report.md").read_text()
    assert main(["info", str(file)]) == 0
    assert "shortest distance in the" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_repulsion_is_the_default_and_can_be_left_out(family: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(f"family: {family}\n")
    for file in (plain, ROOT / "examples" / "configs" / f"{family}.yaml"):
        assert load_config(file).baseline.pair == ZblSettings()
        assert load_config(file, ["baseline.pair=null"]).baseline.pair is None
        numbers = load_config(file, ["baseline.pair={kind: zbl, inner: 1, outer: 2}"]).baseline.pair
        assert numbers == ZblSettings(inner=1.0, outer=2.0)
        assert load_config(file, ["baseline.elements={Li: -1.9, Si: -5.4}"]).baseline.pair == ZblSettings()


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_free_atoms_without_data_are_said_to_be_extrapolations(
    family: str, trained_model: Callable[[str], Path]
) -> None:
    file = trained_model(family)
    sentence = json.loads((file.parent / "report.json").read_text())["free_atoms"]
    assert sentence.startswith("the training data hold no isolated atom of Li, Si: ")
    assert sentence.endswith("add one frame of each isolated atom (config_type=IsolatedAtom) where free atoms matter")
    assert sentence[1:] in (file.parent / "report.md").read_text()
    if family in trained_models.LOCAL:
        free = RhopotCalculator(file.parent / "model.pt").get_potential_energy(ase.Atoms("Si"))
        found = re.search(r"Si (-?[\d.]+) eV", sentence)
        assert found is not None
        assert float(found[1]) == pytest.approx(free, abs=1.0), "of the training part's model"


def test_one_isolated_atom_of_each_element_cures_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model then gives the energies of the free atoms, and neither report nor lint speak of them."""
    free = {"Li": 0.3, "Si": 0.8}
    atoms = [ase.Atoms(symbol, info={"REF_energy": energy, "path": symbol}) for symbol, energy in free.items()]
    for one in atoms:
        one.info["config_type"] = "IsolatedAtom"
    write(tmp_path / "free.xyz", atoms, format="extxyz")
    files = [str(trained_models.DATA / f"{path}.xyz") for path in trained_models.PATHS] + [str(tmp_path / "free.xyz")]
    words = trained_models.arguments("soap_linear", tmp_path / "run", "uncertainty.members=0")
    words = [f"data.train={files}" if word.startswith("data.train") else word for word in words]
    assert main(["train", *words]) == 0
    file = tmp_path / "run" / "model.pt"
    assert json.loads((file.parent / "report.json").read_text())["free_atoms"] == ""
    calculator = RhopotCalculator(file)
    for symbol, energy in free.items():
        assert calculator.get_potential_energy(ase.Atoms(symbol)) == pytest.approx(energy, abs=0.3)
    capsys.readouterr()
    main(["data", "lint", *files])
    assert "free atoms" not in capsys.readouterr().out
    main(["data", "lint", *files[:-1]])
    assert "info [free atoms] no isolated atom of Li, Si: a fit to these energies" in capsys.readouterr().out
