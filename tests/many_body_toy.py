"""Two small models in plain PyTorch, and the structures of `rhopot.testing` for them.

`ManyBody` has energies of atoms that are not shared evenly between the two ends of a bond, so that it tells a wrong
sign, end or transpose apart where a pair potential could not. `Fingerprint` is a number per centre that is the same
only if all edges, with their species, are the same.
"""

import torch

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.local_model import LocalModel
from rhopot.testing.structures import cluster, crystal, skewed, slab, tiny, tiny_ordered

__all__ = [
    "CUTOFF", "SYMBOLS", "Constant", "Fingerprint", "ManyBody", "NotANumber", "OutOfMemory", "Raising", "card",
    "cluster", "crystal", "in_memory", "rows", "skewed", "slab", "tiny", "tiny_ordered", "totals",
]  # fmt: skip

SYMBOLS = ("Li", "Si")
CUTOFF = 4.0


def rows(first_edge: torch.Tensor) -> torch.Tensor:
    """Position of the centre of every edge."""
    return torch.repeat_interleave(torch.arange(first_edge.shape[0] - 1), first_edge[1:] - first_edge[:-1])


def totals(values: torch.Tensor, row: torch.Tensor, n: int) -> torch.Tensor:
    """Sums (n, ...) of the edges' values over the edges of each centre."""
    return torch.zeros([n] + list(values.shape[1:]), dtype=values.dtype).index_add(0, row, values)


class ManyBody(LocalModel):
    """e_i = b + sum_j A exp(-3 r) f - sqrt(1 + sum_j B f) + 0.05 |sum_j C r_ij f|^2, f = (1 - (r/r_c)^2)^3 (C2)."""

    baseline: torch.Tensor
    repulsion: torch.Tensor
    attraction: torch.Tensor
    charge: torch.Tensor
    spread: torch.Tensor

    def __init__(self, members: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.dtype = dtype
        generator = torch.Generator().manual_seed(5)
        self.register_buffer("baseline", torch.tensor([-1.5, -4.0], dtype=torch.float64))
        self.register_buffer("repulsion", torch.tensor([[600.0, 700.0], [700.0, 1200.0]], dtype=dtype))
        self.register_buffer("attraction", torch.tensor([[2.0, 3.0], [4.0, 6.0]], dtype=dtype))
        self.register_buffer("charge", torch.tensor([[0.5, 1.0], [-0.7, 0.9]], dtype=dtype))
        self.register_buffer("spread", 0.1 * torch.randn(2, members, generator=generator, dtype=torch.float64))

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        row, n = rows(graph.first_edge), graph.centre.shape[0]
        r = graph.edge_vectors.to(self.dtype)
        squared = (r * r).sum(1)
        cut = (1.0 - squared / (4.0 * 4.0)) ** 3
        i, j = graph.species[graph.centre[row]], graph.species[graph.neighbour]
        pair = totals(self.repulsion[i, j] * torch.exp(-3.0 * squared.sqrt()) * cut, row, n)
        density = totals(self.attraction[i, j] * cut, row, n)
        dipole = totals((self.charge[i, j] * cut).unsqueeze(1) * r, row, n)
        energy = pair - torch.sqrt(1.0 + density) + 0.05 * (dipole * dipole).sum(1)
        columns = (energy.to(torch.float64) + self.baseline[graph.species[graph.centre]]).unsqueeze(1)
        if members:
            noise = self.spread[0] + density.to(torch.float64).unsqueeze(1) * self.spread[1]
            columns = torch.cat([columns, columns + noise], 1)
        return columns


class Fingerprint(LocalModel):
    """e_i = sum_j sin(k . r_ij + 3 a_i + a_j) + 2: neither invariant nor smooth, but telling."""

    wave: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("wave", torch.tensor([1.3, 2.1, -0.7], dtype=torch.float64))

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        row = rows(graph.first_edge)
        phase = graph.edge_vectors @ self.wave + 3.0 * graph.species[graph.centre[row]] + graph.species[graph.neighbour]
        return totals(torch.sin(phase) + 2.0, row, graph.centre.shape[0]).unsqueeze(1)


def card(members: int = 0, dtype: str = "float64", **changes: object) -> ModelCard:
    fields: dict[str, object] = {
        "family": "toy",
        "kind": "local",
        "symbols": SYMBOLS,
        "cutoff": CUTOFF,
        "n_layers": 1,
        "dtype": dtype,
        "baseline_energies": {"Li": -1.5, "Si": -4.0},
        "uncertainty": Uncertainty(members=members),
        "descriptor": {"cutoff": CUTOFF},
        "fit": {"method": "by hand"},
        "training_data": TrainingData(summary={"frames": 0}, hash="none"),
        "metrics": {"energy_mae_mev_per_atom": 0.0},
        "references": ["tests"],
    }
    return ModelCard(**(fields | changes))


def in_memory(members: int = 0, dtype: str = "float64") -> LoadedModel:
    """The many-body toy, never exported."""
    return LoadedModel(card=card(members, dtype), module=ManyBody(members, getattr(torch, dtype)), name="toy")


class Constant(LocalModel):
    """Energies that do not depend on the edges: not a potential."""

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        return torch.ones([graph.centre.shape[0], 1], dtype=torch.float64)


class Raising(LocalModel):
    """A model that refuses every structure of more than one atom."""

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        if graph.edge_vectors.shape[0] > 0:
            raise ValueError("the model says no")
        return graph.edge_vectors.sum() + torch.zeros([graph.centre.shape[0], 1], dtype=torch.float64)


class OutOfMemory(LocalModel):
    """A model on a device without memory for more than the two atoms that a file is tried out with."""

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        if graph.edge_vectors.shape[0] > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return graph.edge_vectors.sum() + torch.zeros([graph.centre.shape[0], 1], dtype=torch.float64)


class NotANumber(LocalModel):
    """Energies that are NaN."""

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        return (graph.edge_vectors.sum() * float("nan")).expand(graph.centre.shape[0], 1)
