"""Forces, virial and stress from edge gradients: finite differences of a pair energy written down here."""

from __future__ import annotations

import ase
import numpy as np
import pytest
import torch

from rhopot.potentials import units
from rhopot.potentials.graph import derivatives
from rhopot.potentials.graph.neighbours import Edges, find_edges
from rhopot.testing.numerics import stress_from_energies

CUTOFF = 4.5


def energy(atoms: ase.Atoms) -> float:
    """Sum over directed edges of an asymmetric three-dimensional function, so that no sign cancels."""
    return float(edge_energy(torch.from_numpy(find_edges(atoms, CUTOFF).vectors)).sum())


def edge_energy(vectors: torch.Tensor) -> torch.Tensor:
    distance = vectors.norm(dim=1)
    direction = 1.0 + 0.3 * vectors[:, 0] / distance + 0.2 * vectors[:, 1] * vectors[:, 2]
    return direction * (CUTOFF - distance) ** 3 * 0.01


@pytest.fixture
def crystal() -> ase.Atoms:
    atoms = ase.Atoms("LiSi2", cell=[[3.1, 0, 0], [0.7, 3.3, 0], [-0.4, 0.5, 3.6]], pbc=True)
    atoms.set_scaled_positions([[0, 0, 0], [0.45, 0.55, 0.1], [0.2, 0.1, 0.6]])
    return atoms


def gradient(edges: Edges) -> torch.Tensor:
    vectors = torch.from_numpy(edges.vectors).requires_grad_()
    (g,) = torch.autograd.grad(edge_energy(vectors).sum(), vectors)
    return g


def test_forces_equal_finite_differences(crystal: ase.Atoms) -> None:
    edges = find_edges(crystal, CUTOFF)
    rows = torch.from_numpy(edges.edge_centre), torch.from_numpy(edges.neighbour)
    forces = derivatives.forces_from_edges(gradient(edges), *rows, len(crystal))
    numeric, step = np.zeros((3, 3)), 1e-4
    for n, c in np.ndindex(3, 3):
        for sign in (1, -1):
            moved = crystal.copy()
            moved.positions[n, c] += sign * step
            numeric[n, c] -= sign * energy(moved) / (2 * step)
    assert np.abs(numeric).max() > 0.1
    np.testing.assert_allclose(forces.numpy(), numeric, atol=1e-7)


def test_stress_equals_finite_differences(crystal: ase.Atoms) -> None:
    edges = find_edges(crystal, CUTOFF)
    virial = derivatives.virial_from_edges(torch.from_numpy(edges.vectors), gradient(edges)).numpy()
    stress = units.stress_from_virial(virial, crystal.get_volume())
    # The strain that takes the first index to the second: transposed, because this energy is no scalar of space.
    np.testing.assert_allclose(stress, stress_from_energies(energy, crystal).T, atol=1e-7)
    np.testing.assert_allclose(units.virial_from_stress(stress, crystal.get_volume()), virial, rtol=1e-14)


def test_atom_virials_sit_with_the_neighbour(crystal: ase.Atoms) -> None:
    edges = find_edges(crystal, CUTOFF)
    vectors, g, neighbour = torch.from_numpy(edges.vectors), gradient(edges), torch.from_numpy(edges.neighbour)
    per_atom = derivatives.atom_virials_from_edges(vectors, g, neighbour, len(crystal))
    torch.testing.assert_close(per_atom.sum(0), derivatives.virial_from_edges(vectors, g))
    mine = neighbour == 1
    torch.testing.assert_close(per_atom[1], derivatives.virial_from_edges(vectors[mine], g[mine]))


def test_trailing_dimensions_are_carried(crystal: ase.Atoms) -> None:
    edges = find_edges(crystal, CUTOFF)
    rows = torch.from_numpy(edges.edge_centre), torch.from_numpy(edges.neighbour)
    vectors, g = torch.from_numpy(edges.vectors), gradient(edges)
    scale = torch.tensor([1.0, -2.0])
    many = derivatives.forces_from_edges(g[..., None] * scale, *rows, 3)
    torch.testing.assert_close(many[..., 1], -2.0 * derivatives.forces_from_edges(g, *rows, 3))
    torch.testing.assert_close(
        derivatives.virial_from_edges(vectors, g[..., None] * scale)[..., 1],
        -2.0 * derivatives.virial_from_edges(vectors, g),
    )
