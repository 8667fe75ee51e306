"""Structures as the tensors that a training reads in every epoch: features, labels and derivatives of the features.

Everything that does not depend on the weights is computed once. Features are standardised here, in float64 (and their
derivatives with them), so that what the training's float type rounds are numbers of order one, however small the
variation of a feature is beside its mean. Rows of one structure are contiguous.

Memory: C F numbers for C atoms and, where forces or stresses are trained, 3 F more for every pair of atoms within the
cutoff (6 F for an atom with stresses). Where the latter would exceed the memory allowed, `OperatorJacobians` forms the
derivatives in every step instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.fitting.gradient.jacobians import (
    BatchJacobian,
    FeatureJacobians,
    OperatorJacobians,
    PairJacobians,
    ranges,
    starts,
    strain_of_edges,
)
from rhopot.potentials.fitting.gradient.loss import Labels, WeightedLabels, weights_and_scales
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.least_squares.equations import remainder
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import as_graph, edge_centres, species_of
from rhopot.potentials.graph.neighbours import Edges, find_edges
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame, naming

# Memory for the derivatives of one batch of centres while they are computed.
BATCH_BYTES = 16 * 2**20
GIB = float(2**30)


@dataclass(frozen=True)
class Structures:
    """Frames with what is computed of each before anything depends on anything else.

    edges, species, features (N, F) in float64 per frame; labels of all of them in float64.
    """

    frames: Sequence[Frame]
    edges: list[Edges]
    species: list[Tensor]
    features: list[Tensor]
    labels: Labels

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each frame (n)."""
        return torch.tensor([len(frame) for frame in self.frames], dtype=torch.int64)


@dataclass(frozen=True)
class Batch:
    """Some structures: features (C, F), species (C), image (C): which structure an atom belongs to, n_atoms (n)."""

    features: Tensor
    species: Tensor
    image: Tensor
    n_atoms: Tensor
    labels: Labels
    slopes: BatchJacobian | None


@dataclass(frozen=True)
class Cache:
    """All structures of one process, in the training's float type and on its device.

    features (C, F) standardised; species (C); first_atom (n + 1); slopes: None where only energies are trained.
    """

    features: Tensor
    species: Tensor
    first_atom: Tensor
    labels: Labels
    slopes: FeatureJacobians | None
    nbytes: float = field(default=0.0)

    def __len__(self) -> int:
        return len(self.first_atom) - 1

    def batch(self, frames: Sequence[int]) -> Batch:
        """Return the structures with these numbers, in rising order."""
        device = self.features.device
        which = torch.tensor(frames, dtype=torch.int64, device=device)
        atoms = ranges(self.first_atom, which)
        sizes = self.first_atom[which + 1] - self.first_atom[which]
        labels = Labels(
            self.labels.energy.select(which), self.labels.forces.select(atoms), self.labels.strain.select(which)
        )
        return Batch(
            features=self.features.index_select(0, atoms),
            species=self.species.index_select(0, atoms),
            image=torch.repeat_interleave(torch.arange(len(frames), device=device), sizes),
            n_atoms=sizes,
            labels=labels,
            slopes=None if self.slopes is None else self.slopes.batch(which),
        )


def structures(
    frames: Sequence[Frame],
    descriptor: Descriptor,
    symbols: Sequence[str],
    baseline: EnergyBaseline,
    targets: Targets,
    loss: LossSettings,
    advance: Callable[[int], None],
) -> Structures:
    """Return edges, features and labels of frames; `advance` takes the number of those done."""
    edges, species, features, found = [], [], [], []
    for done, frame in enumerate(frames, start=1):
        with naming(frame):
            edges.append(find_edges(frame.atoms, descriptor.cutoff))
        species.append(species_of(frame.atoms, symbols))
        with torch.no_grad():
            features.append(descriptor(as_graph(edges[-1], species[-1])))
        graph = as_graph(edges[-1], species[-1])
        left = remainder(frame, targets.sigmas(frame), baseline, [graph])
        found.append(_labels(frame, left, targets, loss))
        advance(done)
    return Structures(frames, edges, species, features, _joined(found))


def make_cache(
    data: Structures,
    descriptor: Descriptor,
    standardisation: tuple[Tensor, Tensor],
    quantities: Sequence[str],
    bytes_allowed: float,
    device: torch.device,
    dtype: torch.dtype,
) -> Cache:
    """Return the cache of structures whose features are standardised by mean and rate (S, F).

    quantities: what is trained, of energy, forces, stress.
    """
    mean, rate = standardisation
    kind = [one if len(mean) > 1 else torch.zeros_like(one) for one in data.species]
    n_features = mean.shape[1]
    rows = [((p - mean[a]) * rate[a]).to(dtype) for p, a in zip(data.features, kind, strict=True)]
    features = torch.cat([torch.zeros((0, n_features), dtype=dtype), *rows])
    slopes: FeatureJacobians | None = None
    nbytes = float(features.nbytes)
    if "forces" in quantities or "stress" in quantities:
        pairs = [_pairs(edges, len(one)) for edges, one in zip(data.edges, kind, strict=True)]
        n_pairs = sum(len(one.centre) for one in pairs)
        n_rows = 3 * n_pairs + (6 * len(features) if "stress" in quantities else 0)
        needed = float(n_rows * n_features * features.itemsize)
        if nbytes + needed <= bytes_allowed:
            slopes = _pair_jacobians(data, descriptor, pairs, rate, kind, "stress" in quantities, device, dtype)
            nbytes += needed
        else:
            slopes = OperatorJacobians(descriptor, data.edges, data.species, rate)
    labels = Labels(*(part.to(device, dtype) for part in (data.labels.energy, data.labels.forces, data.labels.strain)))
    species = torch.cat([torch.zeros(0, dtype=torch.int64), *data.species])
    return Cache(features.to(device), species.to(device), starts(data.n_atoms).to(device), labels, slopes, nbytes)


@dataclass(frozen=True)
class _Pairs:
    """Pairs i != j of one structure, sorted by i; pair (E) of each edge, -1 for an atom's own images."""

    centre: NDArray[np.int64]
    neighbour: NDArray[np.int64]
    pair: NDArray[np.int64]


def _pairs(edges: Edges, n_atoms: int) -> _Pairs:
    """Return the pairs that the edges of a structure connect."""
    centre = edges.edge_centre
    between = centre != edges.neighbour
    key, inverse = np.unique(centre[between] * n_atoms + edges.neighbour[between], return_inverse=True)
    pair = np.full(edges.n_edges, -1, dtype=np.int64)
    pair[between] = inverse
    return _Pairs(key // n_atoms, key % n_atoms, pair)


def _pair_jacobians(
    data: Structures,
    descriptor: Descriptor,
    pairs: Sequence[_Pairs],
    rate: Tensor,
    kind: Sequence[Tensor],
    stress: bool,
    device: torch.device,
    dtype: torch.dtype,
) -> PairJacobians:
    """Return the standardised derivatives of all structures, frame by frame and in batches of centres."""
    n_features = rate.shape[1]
    first_atom = starts(data.n_atoms)
    first_of_frame = starts(torch.tensor([len(one.centre) for one in pairs], dtype=torch.int64))
    n_atoms, n_pairs = int(first_atom[-1]), int(first_of_frame[-1])
    jacobian = torch.zeros((n_pairs, 3, n_features), dtype=dtype)
    strain = torch.zeros((n_atoms, 6, n_features), dtype=dtype) if stress else None
    counts = torch.zeros(n_atoms, dtype=torch.int64)
    ends = torch.zeros((2, n_pairs), dtype=torch.int64)
    for k, one in enumerate(pairs):
        rows = slice(int(first_of_frame[k]), int(first_of_frame[k + 1]))
        atoms = slice(int(first_atom[k]), int(first_atom[k + 1]))
        ends[0, rows] = torch.from_numpy(one.centre) + atoms.start
        ends[1, rows] = torch.from_numpy(one.neighbour) + atoms.start
        counts[atoms] = torch.from_numpy(np.bincount(one.centre, minlength=len(kind[k])))
        into = None if strain is None else strain[atoms]
        _fill(jacobian[rows], into, data.edges[k], data.species[k], one.pair, rate[kind[k]], descriptor)
    return PairJacobians(
        jacobian=jacobian.to(device),
        first_pair=starts(counts).to(device),
        centre=ends[0].to(device),
        neighbour=ends[1].to(device),
        first_atom=first_atom.to(device),
        strain=None if strain is None else strain.to(device),
    )


def _fill(
    jacobian: Tensor,
    strain: Tensor | None,
    edges: Edges,
    species: Tensor,
    pair: NDArray[np.int64],
    rate: Tensor,
    descriptor: Descriptor,
) -> None:
    """Add one structure's derivatives to its pairs (P, 3, F) and atoms (N, 6, F); rate (N, F)."""
    n_features = rate.shape[1]
    done = 0
    for part in edges.batches(max(BATCH_BYTES // (24 * n_features), 1)):
        graph = as_graph(part, species)
        slopes = descriptor.jacobian(graph)[1]
        centre = graph.centre[edge_centres(graph.first_edge)]
        slopes = slopes * rate[centre][:, None, :]
        mine = torch.from_numpy(pair[done : done + part.n_edges])
        between = mine >= 0
        jacobian.index_add_(0, mine[between], slopes[between].to(jacobian.dtype))
        if strain is not None:
            strain.index_add_(0, centre, strain_of_edges(graph.edge_vectors, slopes).to(strain.dtype))
        done += part.n_edges


def _labels(frame: Frame, left: dict[str, NDArray[np.float64]], targets: Targets, loss: LossSettings) -> Labels:
    """Return the labels of one frame from what the baseline leaves of them."""
    table = weights_and_scales(frame, targets, loss)
    n_atoms = len(frame)
    shapes = {"energy": (1, 1), "forces": (n_atoms, 3), "strain": (1, 6)}
    rows = {}
    for name, shape in shapes.items():
        weight, scale = table.get(name, (0.0, 1.0))
        value = left["stress" if name == "strain" else name] if name in table else np.zeros(shape)
        weights = torch.full([shape[0]], weight, dtype=torch.float64)
        if name == "forces":
            weights[torch.from_numpy(~frame.free)] = 0.0
        rows[name] = WeightedLabels(
            torch.from_numpy(value.reshape(shape).copy()), weights, torch.full_like(weights, scale)
        )
    return Labels(**rows)


def _joined(parts: Sequence[Labels]) -> Labels:
    """Return the labels of all frames as one table."""
    widths = {"energy": 1, "forces": 3, "strain": 6}
    joined = {}
    for name, width in widths.items():
        rows: list[WeightedLabels] = [getattr(part, name) for part in parts]
        empty = torch.zeros(0, dtype=torch.float64)
        joined[name] = WeightedLabels(
            torch.cat([empty.reshape(0, width), *(row.value for row in rows)]),
            torch.cat([empty, *(row.weight for row in rows)]),
            torch.cat([empty, *(row.scale for row in rows)]),
        )
    return Labels(**joined)
