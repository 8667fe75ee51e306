"""`check` is green on the installed plugin and red on every broken build, for the right reason."""

from __future__ import annotations

from pathlib import Path

import broken_plugins
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes

from rhopot.export import ModelCard, RhopotCalculator, TrainingData
from rhopot.potentials.structures.prototypes import sample_structure, vacancy_hop
from rhopot.potentials.verification.check import CheckResult, check_model, structure_for
from rhopot.potentials.verification.finite_differences import derivative, numerical_forces, numerical_stress

pytestmark = pytest.mark.slow

SYMBOLS = ("Li", "Si")


@pytest.fixture(scope="session")
def variants(plugin_sources: broken_plugins.Sources, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return broken_plugins.build(plugin_sources, tmp_path_factory.mktemp("plugins"))


def run_check(model: Path, lmp: list[str] | None = None, ranks: tuple[int, ...] = (2,)) -> list[CheckResult]:
    atoms = sample_structure(SYMBOLS, min_atoms=32)
    return check_model(model, atoms, RhopotCalculator(model), symbols=SYMBOLS, ranks=ranks, steps=60, lmp=lmp)


@pytest.mark.parametrize("kind", ["local", "global"])
def test_models_of_molecules_are_checked_on_a_molecule(kind: str) -> None:
    """The largest of those that the file carries; a crystal where some of them are periodic."""
    water, ethanol, cell = molecule("H2O"), molecule("CH3CH2OH"), bulk("Si")

    def chosen(structures: list[Atoms]) -> Atoms:
        examples = [
            {
                "symbols": str(atoms.symbols),
                "positions": atoms.positions.tolist(),
                "cell": atoms.cell.array.tolist(),
                "pbc": atoms.pbc.tolist(),
            }
            for atoms in structures
        ]
        data = TrainingData.model_construct(summary={"examples": examples}, hash="")
        card = ModelCard.model_construct(kind=kind, symbols=("C", "H", "O"), training_data=data)
        return structure_for(card)

    assert str(chosen([water, ethanol]).symbols) == str(ethanol.symbols)
    for others in ([], [water, cell]):
        assert all(chosen(others).pbc)


def test_check_is_green_on_the_installed_plugin(model_file: Path) -> None:
    findings = run_check(model_file, ranks=(1, 2, 4))
    assert [finding for finding in findings if not finding.passed] == []
    assert len(findings) == 3 + 3 * 8


def test_check_is_green_on_an_unchanged_build(model_file: Path, variants: dict[str, Path], tmp_path: Path) -> None:
    """The builds below differ from this one by one line only."""
    findings = run_check(model_file, broken_plugins.command(variants["sound"], tmp_path))
    assert [finding for finding in findings if not finding.passed] == []


# What each fault must at least disturb, and what it must leave alone.
SEEN = {
    "virial sign": ({"virial"}, {"energy", "forces", "after NVE: forces"}),
    "dropped ghost force": ({"forces"}, {"energy", "per-atom energies"}),
    "swapped types": ({"energy", "forces", "virial"}, set()),
    "float32 edge vectors": ({"forces"}, set()),
    "stale neighbour list": ({"after NVE: forces"}, {"energy", "forces", "virial"}),
}


@pytest.mark.parametrize("fault", SEEN)
def test_check_is_red_on_a_broken_build(
    model_file: Path, variants: dict[str, Path], tmp_path: Path, fault: str
) -> None:
    findings = run_check(model_file, broken_plugins.command(variants[fault], tmp_path))
    failed = {f.name.split("rank(s)")[-1].lstrip(":, ") for f in findings if not f.passed}
    disturbed, untouched = SEEN[fault]
    assert disturbed <= failed
    assert not untouched & failed


class Spring(Calculator):
    """Two atoms on a spring; `force_factor` and `stress_factor` other than 1 are faults in the derivatives."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, force_factor: float = 1.0) -> None:
        super().__init__()
        self.force_factor = force_factor

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str] = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        vector = atoms.get_distance(0, 1, mic=True, vector=True)
        length = np.linalg.norm(vector)
        force = 3.0 * (length - 2.0) * vector / length
        tensor = np.outer(force, vector) / atoms.get_volume()
        self.results = {
            "energy": 1.5 * (length - 2.0) ** 2,
            "forces": self.force_factor * np.array([force, -force]),
            "stress": tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }


def test_finite_differences_of_a_spring() -> None:
    atoms = Atoms("Ar2", positions=[(0.2, 0.1, 0.0), (1.5, 1.4, 0.9)], cell=[9, 10, 11], pbc=True, calculator=Spring())
    np.testing.assert_allclose(numerical_forces(atoms, [0, 1]), atoms.get_forces(), atol=1e-9)
    np.testing.assert_allclose(numerical_stress(atoms), atoms.get_stress(voigt=False), atol=1e-9)
    assert derivative(np.exp, 1e-3) == pytest.approx(1.0, abs=1e-12)


def test_a_finding_without_a_number_is_a_failure() -> None:
    assert not CheckResult("x", float("nan"), 1.0, "eV").passed
    assert not CheckResult("x", 2.0, 1.0, "eV").passed
    assert CheckResult("x", 0.5, 1.0, "eV").passed


def test_sample_structures_keep_their_distance() -> None:
    for symbols in (("Si",), ("Li", "Si"), ("H", "C", "O"), ("Ba", "Ti", "O")):
        atoms = sample_structure(symbols)
        assert len(atoms) >= 64
        assert set(atoms.get_chemical_symbols()) == set(symbols)
        distances = atoms.get_all_distances(mic=True)
        assert distances[~np.eye(len(atoms), dtype=bool)].min() > 1.0


def test_vacancy_hop_moves_one_atom_into_the_empty_site() -> None:
    crystal = sample_structure(("Si",), min_atoms=64)
    initial, final = vacancy_hop(crystal)
    assert len(initial) == len(final) == len(crystal) - 1
    moved = np.linalg.norm(final.positions - initial.positions, axis=1)
    assert (moved > 0.1).sum() == 1
    assert 2.0 < moved.max() < 3.0
