"""The loops around models equal their definitions in NumPy and in `units`."""

import many_body_toy as toy
import numpy as np
import pytest
import torch

from rhopot.potentials import operators
from rhopot.potentials.graph import derivatives
from rhopot.potentials.graph.neighbours import Edges, find_edges

operators.load()
OPS = torch.ops.rhopot


def tensors(edges: Edges) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(getattr(edges, name)) for name in ("first_edge", "centre", "neighbour")}


@pytest.mark.parametrize("cutoff", [2.0, 3.1, 4.5])
def test_edges_within_a_shorter_cutoff_are_those_of_a_search(cutoff: float) -> None:
    atoms = toy.skewed()
    long, short = find_edges(atoms, 4.5), find_edges(atoms, cutoff)
    offsets = torch.from_numpy(long.shift @ atoms.cell.array)
    found = OPS.edges_within(torch.from_numpy(atoms.positions), offsets, **tensors(long), cutoff=cutoff)
    vectors, first_edge, neighbour, kept = (part.numpy() for part in found)
    inside = np.linalg.norm(long.vectors, axis=1) < cutoff
    np.testing.assert_array_equal(kept, np.nonzero(inside)[0])
    np.testing.assert_allclose(vectors, long.vectors[inside], rtol=0, atol=1e-13)
    np.testing.assert_array_equal(neighbour, long.neighbour[inside])
    np.testing.assert_array_equal(first_edge, short.first_edge)


def test_a_few_centres_have_their_own_edges_only() -> None:
    atoms = toy.skewed()
    part = list(find_edges(atoms, 4.0).batches(60))[1]
    assert 0 < part.n_centres < len(atoms)
    offsets = torch.from_numpy(part.shift @ atoms.cell.array)
    found = OPS.edges_within(torch.from_numpy(atoms.positions), offsets, **tensors(part), cutoff=4.0)
    np.testing.assert_allclose(found[0].numpy(), part.vectors, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(found[1].numpy(), part.first_edge)


def test_sums_are_forces_and_virial() -> None:
    atoms = toy.skewed()
    for edges in (find_edges(atoms, 4.0), list(find_edges(atoms, 4.0).batches(60))[1]):
        gradient = torch.randn(edges.n_edges, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        vectors, neighbour = torch.from_numpy(edges.vectors), torch.from_numpy(edges.neighbour)
        forces, virial = OPS.edge_sums(vectors, gradient, **tensors(edges), n_atoms=len(atoms))
        centre = torch.from_numpy(edges.edge_centre)
        torch.testing.assert_close(forces, derivatives.forces_from_edges(gradient, centre, neighbour, len(atoms)))
        torch.testing.assert_close(virial, derivatives.virial_from_edges(vectors, gradient))


def test_no_edges_give_no_edges_and_no_forces() -> None:
    empty = {"first_edge": torch.zeros(3, dtype=torch.int64), "centre": torch.arange(2)}
    empty["neighbour"] = torch.zeros(0, dtype=torch.int64)
    rows = torch.zeros(0, 3, dtype=torch.float64)
    found = OPS.edges_within(torch.zeros(2, 3, dtype=torch.float64), rows, **empty, cutoff=1.0)
    assert [tuple(part.shape) for part in found] == [(0, 3), (3,), (0,), (0,)]
    forces, virial = OPS.edge_sums(rows, rows, **empty, n_atoms=2)
    assert not forces.any()
    assert not virial.any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"neighbour": torch.tensor([5])}, r"neighbour must lie in \[0, 2\) \(atoms\), got 5"),
        ({"first_edge": torch.tensor([0, 1])}, "first_edge must have one entry per centre and one more"),
        ({"vectors": torch.zeros(1, 3)}, "vectors must be float64 rows of 3, one per edge, got Float"),
    ],
    ids=["neighbour", "first_edge", "vectors"],
)
def test_arguments_that_do_not_fit_are_refused_in_words(change: dict, sentence: str) -> None:
    rows = torch.zeros(1, 3, dtype=torch.float64)
    arguments = {
        "vectors": rows,
        "gradient": rows,
        "first_edge": torch.tensor([0, 1, 1]),
        "centre": torch.arange(2),
        "neighbour": torch.tensor([1]),
    }
    with pytest.raises(ValueError, match=sentence):
        OPS.edge_sums(**{**arguments, **change}, n_atoms=2)
