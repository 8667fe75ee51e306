"""Pooling networks against NumPy, structures side by side, empty nodes, and the penalties of assignments."""

from __future__ import annotations

import ase
import molecules
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.pooling.network import SOFT, PoolingNetworks
from rhopot.potentials.models.pooling.pooling import EMPTY, Nodes, Pooling, graph_of_nodes, open_graph
from rhopot.potentials.models.pooling.settings import PoolingNetworkSettings, most_nodes

Floats = NDArray[np.float64]


def saturated(x: Floats) -> Floats:
    """Return x, at most 8."""
    return x / np.sqrt(1.0 + (x / 8.0) ** 2)


def ssp(x: Floats) -> Floats:
    """Return log((1 + e^x) / 2)."""
    return np.log1p(np.exp(x)) - np.log(2.0)


def gaussians(x: Floats | float, places: Floats, width: float) -> Floats:
    """Return G_c(x)."""
    return np.exp(-((np.asarray(x)[..., None] - places) ** 2) / (2.0 * width**2))


def messages(
    layer: torch.nn.Module, x: Floats, r: Floats, weight: Floats, reach: float, scale: float, soft: float
) -> Floats:
    """One layer of messages of member 0, all pairs and triples one by one; weight (N, N): of edges without f_c."""
    weights = {name: parameter[0].detach().numpy() for name, parameter in layer.named_parameters()}
    bases, heads, n_angular = weights["bases"], layer.heads, layer.n_angular
    distances = np.linspace(0.0, reach, len(bases))
    cosines = np.linspace(-1.0, 1.0, n_angular)
    theta = bases.reshape(len(bases), n_angular, -1)
    found = x.copy()
    for i in range(len(x)):
        message = np.zeros(x.shape[1])
        direction, radial, w = {}, {}, {}
        for k in range(len(x)):
            d = np.sqrt(np.sum((r[k] - r[i]) ** 2) + soft**2)
            if k != i and d < reach:
                t = d / reach
                w[k] = weight[i, k] * (1 - 10 * t**3 + 15 * t**4 - 6 * t**5)
                direction[k], radial[k] = (r[k] - r[i]) / d, gaussians(d, distances, 0.5 * distances[1])
        for k in w:
            summed = np.zeros(theta.shape[2])
            for j in w:
                angular = gaussians(direction[k] @ direction[j], cosines, 0.5 * (cosines[1] - cosines[0]))
                terms = (x[j] @ weights["weight_features"]) * (radial[j] @ weights["weight_distances"])
                of_heads = w[j] * (1.0 + terms.reshape(heads, -1).sum(1))
                response = ssp(np.einsum("r,c,rcd->d", radial[k], angular, theta))
                summed += np.repeat(of_heads, len(response) // heads) * response
            edge = scale * summed
            message += (
                scale * w[k] * x[k] * (edge @ weights["filters"] + ssp(edge @ weights["inner"]) @ weights["outer"])
            )
        found[i] = x[i] + ssp(saturated(message @ weights["mix"] + x[i] @ weights["own"])) @ weights["update"]
    return found


def by_hand(networks: PoolingNetworks, atoms: ase.Atoms) -> float:
    """Energy in eV of member 0 by loops in NumPy."""
    r = atoms.positions - atoms.positions.mean(axis=0)
    x = networks.embedding[0].numpy()[molecules.species(atoms).numpy()]
    for layer in networks.layers:
        x = messages(layer, x, r, np.ones((len(r), len(r))), 3.0, float(networks.scale), 0.0)
    occupancy = np.ones(len(r))
    for level in networks.levels:
        n_nodes = min(int(np.ceil(level.pooling.fraction * len(atoms) - 1e-9)), level.pooling.most)
        logits = x @ level.pooling.columns[0].numpy()[:, :n_nodes]
        s = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        x = s.T @ x
        r = (s * occupancy[:, None]).T @ r
        occupancy = s.T @ occupancy
        r /= occupancy[:, None] + EMPTY
        q = occupancy / (1.0 + occupancy)
        for layer in level.layers:
            x = messages(layer, x, r, np.outer(q, q), 6.0, float(level.scale), SOFT)
    return float(
        networks.energy_scale * (x.sum(axis=0) @ networks.output[0].numpy()) + networks.energy_shift * len(atoms)
    )


def together(
    networks: PoolingNetworks, structures: list[ase.Atoms], penalties: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies (K, n) and penalties (K, n, 2) of structures as one batch."""
    basis, graphs, positions = molecules.model().descriptor, [], []
    for atoms in structures:
        r = torch.tensor(atoms.positions)
        positions.append(r - r.mean(0))
        graphs.append(open_graph(r, molecules.species(atoms), basis.cutoff))
    n_atoms = torch.tensor([len(atoms) for atoms in structures])
    first_atom, first_edge = (
        torch.cat([torch.zeros(1, dtype=torch.int64), n.cumsum(0)])
        for n in (n_atoms, torch.tensor([len(graph.neighbour) for graph in graphs]))
    )
    graph = AtomicGraph(
        torch.cat([g.edge_vectors for g in graphs]),
        torch.cat([first_edge[:1], *(g.first_edge[1:] + e for g, e in zip(graphs, first_edge, strict=False))]),
        torch.cat([g.neighbour + a for g, a in zip(graphs, first_atom, strict=False)]),
        torch.arange(int(n_atoms.sum())),
        torch.cat([g.species for g in graphs]),
    )  # fmt: skip
    image = torch.repeat_interleave(torch.arange(len(structures)), n_atoms)
    return networks(torch.cat(positions), image, n_atoms, *basis.edges(graph.edge_vectors), graph, penalties)


@pytest.mark.parametrize("nodes", [(), (0.5,), (0.6, 0.3)])
@pytest.mark.parametrize("name", ["CH3CH2OH", "H2O", "CO"])
def test_energies_are_those_of_loops_in_numpy(nodes: tuple[float, ...], name: str) -> None:
    atoms, networks = molecules.rattled(name), molecules.model(nodes).networks
    assert float(together(networks, [atoms])[0][0, 0]) == pytest.approx(by_hand(networks, atoms), abs=1e-10)


def test_structures_of_several_sizes_side_by_side_are_each_alone() -> None:
    """Energies, penalties and the gradients of both in the weights; 9, 3, 5, 2 and 1 atoms: 6, 2, 3, 2 and 1 nodes."""
    structures = [molecules.rattled(name) for name in ("CH3CH2OH", "H2O", "CH4", "CO")] + [ase.Atoms("O")]
    networks = molecules.model((0.6, 0.3), members=2).networks.requires_grad_(True)
    counts = networks.levels[0].pooling.counts(torch.tensor([len(atoms) for atoms in structures]))
    assert counts.tolist() == [6, 2, 3, 2, 1]

    def gradients(total: torch.Tensor) -> torch.Tensor:
        found = torch.autograd.grad(total, list(networks.parameters()))
        return torch.cat([part.flatten() for part in found])

    energies, penalties = together(networks, structures, True)
    alone = [together(networks, [atoms], True) for atoms in structures]
    torch.testing.assert_close(energies, torch.cat([each[0] for each in alone], 1), rtol=0, atol=1e-11)
    torch.testing.assert_close(penalties, torch.cat([each[1] for each in alone], 1), rtol=0, atol=1e-11)
    joint = gradients(energies.square().sum() + penalties.sum())
    separate = sum(gradients(e.square().sum() + p.sum()) for e, p in alone)
    torch.testing.assert_close(joint, separate, rtol=0, atol=1e-9 * float(joint.abs().max()))


def test_a_node_without_atoms_changes_nothing() -> None:
    """Wherever it is: it has no features, as sums over its atoms, sends nothing and receives nothing."""
    level = molecules.model((0.5,)).networks.levels[0]
    basis = molecules.model((0.5,)).networks.pooled_basis
    stream = torch.Generator().manual_seed(0)
    x, r = (torch.randn(4, m, generator=stream, dtype=torch.float64) for m in (12, 3))
    occupancy = torch.tensor([1.5, 2.0, 0.5, 0.0], dtype=torch.float64)
    x[3] = 0.0

    def refined(n: int) -> torch.Tensor:
        nodes = Nodes(x[:n], r[:n], occupancy[:n], torch.zeros(n, dtype=torch.int64))
        graph = graph_of_nodes(nodes)
        return level(nodes, graph, *basis.edges(graph.edge_vectors, SOFT), 0)

    torch.testing.assert_close(refined(4)[:3], refined(3), rtol=0, atol=1e-13)
    assert not bool(refined(4)[3].any())
    assert float((refined(3) - x[:3]).abs().max()) > 1e-4


def test_an_empty_node_stands_in_the_center() -> None:
    pooling = Pooling(1.0, 2, 3, [torch.Generator().manual_seed(0)], torch.float64)
    r = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]], dtype=torch.float64)
    nodes = Nodes(torch.ones(2, 3, dtype=torch.float64), r, torch.ones(2, dtype=torch.float64), torch.tensor([0, 0]))
    s = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    found = pooling(nodes, s, torch.tensor([2]))
    torch.testing.assert_close(found.positions[0], r.mean(0), rtol=1e-6, atol=0)
    assert found.positions[1].tolist() == [0.0, 0.0, 0.0]
    assert found.occupancy.tolist() == [2.0, 0.0]


def test_penalties_are_those_of_the_full_matrices() -> None:
    """Link by the Frobenius norm of all pairs; entropy: 0 where no atom is shared, log 4 where all are by all."""
    atoms, pooling = molecules.rattled("CH3OH"), Pooling(0.6, 6, 12, [torch.Generator()], torch.float64)
    r, n = torch.tensor(atoms.positions), len(atoms)
    graph = open_graph(r, molecules.species(atoms), 3.5)
    t = np.minimum(atoms.get_all_distances() / 3.0, 1.0)
    adjacency = torch.tensor(1 - 10 * t**3 + 15 * t**4 - 6 * t**5)
    nodes = Nodes(torch.zeros(n, 12), r, torch.ones(n), torch.zeros(n, dtype=torch.int64))
    soft = torch.softmax(torch.randn(n, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64), 1)
    hard, even = torch.eye(4, dtype=torch.float64)[torch.tensor([0, 1, 2, 3, 0, 0])], torch.full_like(soft, 0.25)
    for s, entropy in ((soft, None), (hard, 0.0), (even, np.log(4.0))):
        link, found = pooling.penalties(nodes, s, 1, graph)[0].tolist()
        assert link == pytest.approx(float(torch.linalg.norm(adjacency - s @ s.T)) / n, abs=1e-6)
        exact = float(torch.special.entr(s).sum()) / n if entropy is None else entropy
        assert found == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("fraction", "n_atoms", "nodes"), [(0.1, 30, 3), (0.5, 9, 5), (0.75, 4, 3), (0.1, 2, 1), (1.0, 7, 7)]
)
def test_nodes_are_rounded_up(fraction: float, n_atoms: int, nodes: int) -> None:
    assert most_nodes(fraction, n_atoms) == nodes
    pooling = Pooling(fraction, 40, 3, [torch.Generator()], torch.float64)
    assert pooling.counts(torch.tensor([n_atoms])).tolist() == [nodes]


@pytest.mark.parametrize("nodes", [(0.0,), (1.2,), (0.3, 0.5)])
def test_fractions_that_are_none_are_refused(nodes: tuple[float, ...]) -> None:
    with pytest.raises(
        ValidationError, match=r"nodes must be fractions of the atoms, above 0, at most 1 and not rising, got"
    ):
        PoolingNetworkSettings(nodes=nodes)


def test_the_networks_are_put_into_words() -> None:
    settings = PoolingNetworkSettings(nodes=(0.6, 0.3), pooled_layers=2)
    assert settings.describe_pooling(9, 1234) == (
        "pooling network, 2 layers between atoms, 2 between at most 6 nodes, 2 between at most 3 nodes, 64 features, "
        "64 filters, 1234 parameters"
    )
