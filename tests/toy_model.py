"""A small model that obeys the local contract: smooth pair repulsion and attraction, with member columns."""

from __future__ import annotations

import ase
import numpy as np
import torch
from ase.build import bulk

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty

SYMBOLS = ("Li", "Si")
CUTOFF = 4.0


class ToyModel(torch.nn.Module):
    """e_i = b_i + 1/2 sum_j A_ij (exp(-2 r) - B exp(-r)) f(r); f = (1 - (r/r_c)^2)^3 is C2 at the cutoff."""

    def __init__(self, members: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.dtype = dtype
        generator = torch.Generator().manual_seed(3)
        self.register_buffer("strength", torch.tensor([[20.0, 26.0], [26.0, 40.0]], dtype=dtype))
        self.register_buffer("baseline", torch.tensor([-1.5, -4.0], dtype=torch.float64))
        self.register_buffer("scale", 1.0 + 0.1 * torch.randn(members, generator=generator, dtype=dtype))

    def forward(
        self,
        edge_vectors: torch.Tensor,
        first_edge: torch.Tensor,
        neighbour: torch.Tensor,
        centre: torch.Tensor,
        species: torch.Tensor,
        members: bool,
    ) -> torch.Tensor:
        row = torch.repeat_interleave(torch.arange(centre.shape[0]), first_edge[1:] - first_edge[:-1])
        vectors = edge_vectors.to(self.dtype)
        squared = (vectors * vectors).sum(1)
        distance = squared.sqrt()
        cut = (1.0 - squared / (4.0 * 4.0)).clamp(min=0.0) ** 3
        pair = self.strength[species[centre[row]], species[neighbour]]
        edge_energy = 0.5 * pair * (torch.exp(-2.0 * distance) - 0.2 * torch.exp(-distance)) * cut
        energy = torch.zeros(centre.shape[0], dtype=torch.float64).index_add(0, row, edge_energy.to(torch.float64))
        columns = (energy + self.baseline[species[centre]]).unsqueeze(1)
        if members:
            columns = torch.cat([columns, columns * self.scale.to(torch.float64)], 1)
        return columns


def toy_card(members: int = 0, dtype: str = "float64", **changes: object) -> ModelCard:
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


def toy_model(members: int = 0, dtype: str = "float64") -> LoadedModel:
    """The toy in memory, never exported."""
    return LoadedModel(card=toy_card(members, dtype), module=ToyModel(members, getattr(torch, dtype)), name="toy")


def rattled(repeat: tuple[int, int, int] = (2, 1, 1), seed: int = 1) -> ase.Atoms:
    """A skewed, periodic Li-Si crystal smaller than the cutoff in places, with atoms displaced by some 0.1 A."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", a=5.1) * repeat
    atoms.symbols[::3] = "Li"
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * rng.standard_normal((3, 3))), scale_atoms=True)
    atoms.positions += 0.1 * rng.standard_normal(atoms.positions.shape)
    return atoms


def cluster(seed: int = 2) -> ase.Atoms:
    """Six atoms without a cell."""
    rng = np.random.default_rng(seed)
    positions = np.array([[x, y, 0.0] for x in (0.0, 2.2, 4.4) for y in (0.0, 2.4)])
    return ase.Atoms("LiSiLiSiSiLi", positions=positions + 0.1 * rng.standard_normal((6, 3)))
