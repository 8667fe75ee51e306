"""`rhopot.testing` serves the tests of other packages, and its classes fail where they must."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

OTHER_PACKAGE = '''
"""Tests of a potential that lives outside this project."""

import pytest
import torch

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty
from rhopot.testing import PotentialContract


class Springs(torch.nn.Module):
    def forward(self, edge_vectors, first_edge, neighbour, centre, species, members: bool):
        cut = (1.0 - (edge_vectors**2).sum(1) / 16.0) ** 3 * {factor}
        energy = torch.zeros(centre.shape[0], dtype=torch.float64)
        row = torch.repeat_interleave(torch.arange(centre.shape[0]), first_edge[1:] - first_edge[:-1])
        return energy.index_add(0, row, cut).unsqueeze(1)


class TestSprings(PotentialContract):
    @pytest.fixture
    def model(self):
        card = ModelCard(
            family="springs", kind="local", symbols=("Li", "Si"), cutoff=4.0, n_layers=1, dtype="float64",
            baseline_energies={{"Li": 0.0, "Si": 0.0}}, uncertainty=Uncertainty(members=0), references=["none"],
            descriptor={{"cutoff": 4.0}}, fit={{"by": "hand"}}, metrics={{"energy_mae_mev_per_atom": 0.0}},
            training_data=TrainingData(summary={{"n_frames": 0}}, hash="none"),
        )
        return LoadedModel(card=card, module=Springs(), name="springs")
'''


def run(folder: Path, factor: str) -> str:
    """Output of pytest on a folder that knows nothing of this project."""
    (folder / "test_springs.py").write_text(OTHER_PACKAGE.format(factor=factor))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "rotation or cutoff or derivatives"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_a_package_of_its_own_inherits_the_contract(tmp_path: Path) -> None:
    assert "7 passed" in run(tmp_path, "1.0")


def test_a_potential_that_is_not_invariant_fails_with_the_numbers(tmp_path: Path) -> None:
    output = run(tmp_path, "(1.0 + 0.1 * edge_vectors[:, 0])")
    assert "failed" in output
    assert "Mismatched elements" in output
