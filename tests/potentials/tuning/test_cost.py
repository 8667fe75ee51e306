"""What models are timed on, and how times become a cost; no test asserts a time."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
from ase import Atoms
from ase.build import bulk

from rhopot.potentials.structures import Frame
from rhopot.potentials.tuning import cost
from rhopot.potentials.tuning.cost import ATOMS, measure_cost, timed_structure


def silicon(lattice: float) -> Frame:
    return Frame(bulk("Si", a=lattice, cubic=True))


def test_the_structure_is_of_all_elements_and_of_median_density() -> None:
    mixed = bulk("Si", a=5.8, cubic=True)
    mixed.symbols[0] = "Li"
    assert set(timed_structure([silicon(5.4), Frame(mixed), silicon(5.5)], "local").symbols) == {"Li", "Si"}
    frames = [silicon(a) for a in (6.0, 5.0, 5.5)]
    chosen = timed_structure(frames, "local")
    assert len(chosen) >= ATOMS["local"]
    assert len(chosen) / chosen.get_volume() == pytest.approx(8 / 5.5**3)
    again = timed_structure(frames, "local")
    np.testing.assert_array_equal(chosen.positions, again.positions)
    np.testing.assert_array_equal(frames[2].atoms.positions, silicon(5.5).atoms.positions)


def test_molecules_are_timed_as_they_are() -> None:
    molecules = [Frame(Atoms("H" * n, positions=[[k, 0.0, 0.0] for k in range(n)])) for n in (2, 3, 5)]
    assert len(timed_structure(molecules, "local")) == 3


def test_the_cost_is_the_median_ratio_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slows down by half between two samples changes both times and no ratio."""
    model = small_models.linear()
    atoms = timed_structure([silicon(5.43)], "local")
    slow = np.array([1.0, 1.5, 1.5, 2.0, 1.0])
    ours, theirs = 3.0e-6 * slow * len(atoms), 2.0e-6 * slow * 216
    monkeypatch.setattr(cost, "_interleaved", lambda *calls: (ours, theirs))
    found = measure_cost(model, atoms)
    assert found.ratio == pytest.approx(1.5)
    assert found.quartiles == pytest.approx((1.5, 1.5))
    assert found.reference_least == pytest.approx(2.0)
    assert found.measured_microseconds == pytest.approx(4.5)
    assert found.reference_microseconds == pytest.approx(3.0)


def test_a_model_is_run_with_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both calls that are timed run; the number of neighbors is that within the model's cutoff."""
    monkeypatch.setattr(cost, "SAMPLES", 2)
    monkeypatch.setattr(cost, "SAMPLE_SECONDS", 0.001)
    model = small_models.linear()
    atoms = timed_structure([silicon(5.43)], "local")
    distances = atoms.get_all_distances(mic=True)
    found = measure_cost(model, atoms)
    assert found.ratio > 0.0
    assert found.quartiles[0] <= found.ratio <= found.quartiles[1]
    assert found.n_atoms == len(atoms)
    inside = (distances < model.card.cutoff).sum() - len(atoms)
    assert found.neighbors == pytest.approx(inside / len(atoms))
