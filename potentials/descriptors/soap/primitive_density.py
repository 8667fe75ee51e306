"""Density coefficients in the primitive basis, which contractions of it are learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import ase
import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.density.radial_table import RadialTable
from rhopot.potentials.descriptors.soap.soap_settings import SoapSettings
from rhopot.potentials.descriptors.soap.table import build_table
from rhopot.potentials.graph.atomic_graph import graphs

# Edges of one evaluation.
MAX_EDGES = 20000


def primitive_table(settings: SoapSettings, l_max: int) -> RadialTable:
    """Return the primitive radial functions to degree `l_max`, in a block of n_max channels for each species."""
    primitive = settings.model_copy(update={"optimal_basis": None, "species_mode": "separate"})
    soap = build_table(primitive, l_max)
    channel = torch.from_numpy(soap.species_channel)
    return RadialTable(
        torch.from_numpy(soap.table.values), settings.cutoff, channel, soap.n_channels, settings.center_weight
    )


def densities(settings: SoapSettings, table: RadialTable, atoms: ase.Atoms) -> Iterator[Tensor]:
    """Return coefficients (C, (L+1)^2, A N) of the atoms of a structure, in batches; order species > n."""
    for graph in graphs(atoms, settings.symbols, settings.cutoff, MAX_EDGES):
        yield torch.ops.rhopot.density_expansion_v1(*graph, *table)


def evenly(frames: Sequence[ase.Atoms], most: int) -> list[ase.Atoms]:
    """Return evenly spaced frames with about `most` atoms together, at least one."""
    n_atoms = sum(len(atoms) for atoms in frames)
    wanted = max(1, min(len(frames), round(len(frames) * most / max(n_atoms, 1))))
    return [frames[int(k)] for k in np.linspace(0, len(frames) - 1, wanted).round()]
