"""Rows of the design: equal to the derivative of models by their coefficients, in any batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from labelled import BASELINE, CUTOFF, SYMBOLS, FastSpectrum, frames
from torch.testing import assert_close

from rhopot.potentials.descriptors.dot_product import unit_rows
from rhopot.potentials.fitting.least_squares.design import Design, DesignRows, KernelDesign, LinearDesign
from rhopot.potentials.fitting.least_squares.equations import LinearSystem
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, graphs
from rhopot.potentials.graph.derivatives import energy_forces_virial
from rhopot.potentials.models import GapModel, LinearModel
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame
from rhopot.potentials.units import to_voigt
from rhopot.testing.spectrum import SmallSpectrum

DESCRIPTOR = SmallSpectrum(2, CUTOFF)
FEATURES = torch.arange(0, DESCRIPTOR.n_features, 2)


def sparse_points(counts: tuple[int, int]) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(3)
    return [unit_rows(torch.rand(n, len(FEATURES), generator=random, dtype=torch.float64))[0] for n in counts]


def linear_case() -> tuple[Design, torch.nn.Module, torch.Tensor]:
    design = LinearDesign(2, FEATURES)
    weights = torch.randn(design.n_columns, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    full = torch.zeros(2, DESCRIPTOR.n_features, 1, dtype=torch.float64)
    full[:, FEATURES, 0] = weights.reshape(2, -1)
    return design, LinearModel(DESCRIPTOR, full, [0.0, 0.0]), weights


def gap_case() -> tuple[Design, torch.nn.Module, torch.Tensor]:
    points = sparse_points((4, 3))
    design = KernelDesign(points, 3, FEATURES)
    weights = torch.randn(7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parts = [weights[:4, None], weights[4:, None]]
    return design, GapModel(DESCRIPTOR, points, parts, 3, [0.0, 0.0], features=FEATURES), weights


def problem(design: Design, batch_mib: float = 96.0, baseline: EnergyBaseline | None = None) -> LinearSystem:
    return LinearSystem(DESCRIPTOR, design, baseline or EnergyBaseline([0.0, 0.0]), SYMBOLS, CUTOFF, batch_mib)


def rows_of(system: LinearSystem, frame: Frame) -> DesignRows:
    return system.design_rows(system.graphs(frame), len(frame))


class ColumnZero(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, graph: AtomicGraph) -> torch.Tensor:
        return self.model(*graph, False)[:, 0]


@pytest.mark.parametrize("periodic", [True, False])  # many images of each neighbor, and a single edge to each
@pytest.mark.parametrize("case", [linear_case, gap_case])
def test_rows_times_coefficients_equal_autograd_of_the_model(case, periodic: bool) -> None:  # type: ignore[no-untyped-def]
    design, model, weights = case()
    frame = frames(1, seed=5)[0]
    frame.atoms.pbc = periodic
    rows = rows_of(problem(design), frame)
    parts = list(graphs(frame.atoms, SYMBOLS, CUTOFF, 10**6))
    energy, forces, virial = energy_forces_virial(ColumnZero(model), parts, len(frame.atoms))
    assert float(forces.abs().max()) > 1e-2
    assert float(rows.energy @ weights) == pytest.approx(energy, rel=1e-12)
    assert_close(rows.forces @ weights, forces, rtol=1e-10, atol=1e-12)
    assert_close(rows.strain @ weights, torch.from_numpy(to_voigt(-virial.numpy())), rtol=1e-10, atol=1e-12)


def test_fast_derivatives_of_the_tests_are_those_of_the_reference() -> None:
    (graph,) = graphs(frames(1)[0].atoms, SYMBOLS, CUTOFF, 10**6)
    for ours, theirs in zip(FastSpectrum(2, CUTOFF).jacobian(graph), DESCRIPTOR.jacobian(graph), strict=True):
        assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", [linear_case, gap_case])
def test_rows_do_not_depend_on_batches(case) -> None:  # type: ignore[no-untyped-def]
    design = case()[0]
    frame = frames(1, seed=6)[0]
    whole, parts = problem(design), problem(design, batch_mib=0.02)
    edges = whole.batch_edges, parts.batch_edges
    assert edges[0] > len(next(graphs(frame.atoms, SYMBOLS, CUTOFF, 10**6)).neighbour) > edges[1]
    one, many = rows_of(whole, frame), rows_of(parts, frame)
    for name in ("energy", "forces", "strain"):
        assert_close(getattr(one, name), getattr(many, name), rtol=1e-12, atol=1e-13)


def test_equations_subtract_the_baseline_and_scale_the_stress() -> None:
    frame = frames(1, seed=7)[0]
    made = problem(linear_case()[0], baseline=EnergyBaseline(BASELINE)).equations(
        frame, Targets(energy=1, forces=1, stress=1)
    )
    assert made is not None
    constant = sum(BASELINE[SYMBOLS.index(s)] for s in frame.atoms.symbols)
    assert made.rows["energy"][0, -1] == pytest.approx(frame.energy - constant, rel=1e-12)
    np.testing.assert_allclose(made.rows["forces"][:, -1], frame.forces.ravel())
    np.testing.assert_allclose(made.rows["stress"][:, -1], to_voigt(frame.stress) * frame.atoms.get_volume())


def test_fixed_atoms_give_no_force_equations() -> None:
    frame = frames(1, seed=8)[0]
    fixed = np.array([True, False, True, False])
    held = type(frame)(atoms=frame.atoms, energy=frame.energy, forces=frame.forces, fixed=fixed)
    made = problem(linear_case()[0]).equations(held, Targets(energy=1, forces=1))
    assert made is not None
    np.testing.assert_array_equal(made.rows["forces"][:, -1], frame.forces[~fixed].ravel())


def test_unknown_element_is_refused() -> None:
    with pytest.raises(ValueError, match="symbols must cover every element of the data, got Si without Li"):
        list(graphs(frames(1)[0].atoms, ("Si",), CUTOFF, 100))
