"""A nuclear repulsion that a training subtracts travels inside the model file: atoms never fuse."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.io import read, write

from rhopot.export import RhopotCalculator
from rhopot.potentials.commands import main

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
    words += ["descriptor.n_max=3", "descriptor.l_max=2", "report.learning_curve=[]"]
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
