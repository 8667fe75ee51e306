"""Structures as the tensors that a training reads in every epoch: features, labels and derivatives of the features.

Everything that does not depend on the weights is computed once. Features are standardised here, in float64 (and their
derivatives with them), so that what the training's float type rounds are numbers of order one, however small the
variation of a feature is beside its mean. Rows of one structure are contiguous.

Memory: C F numbers for C atoms and, where forces or stresses are trained, 3 F more for every pair of atoms within the
cutoff (6 F for an atom with stresses). Where the latter would exceed the memory allowed, `OperatorJacobians` forms the
derivatives in every step instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhopot.potentials.descriptors.descriptor import Descriptor
from rhopot.potentials.families.networks.jacobians import (
    BatchJacobian,
    FeatureJacobians,
    OperatorJacobians,
    PairJacobians,
    ranges,
    starts,
    strain_of_edges,
)
from rhopot.potentials.fitting.gradient.labels import join_labels, labels_of
from rhopot.potentials.fitting.gradient.loss import Labels
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.fitting.remainder import remainder
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph, edge_centres, species_of
from rhopot.potentials.graph.neighbours import Edges, Search, find_edges
from rhopot.potentials.models.baseline import EnergyBaseline
from rhopot.potentials.structures import Frame, naming

# Memory for the derivatives of one batch of centres while they are computed.
BATCH_BYTES = 16 * 2**20
# Memory for derivatives that are kept until the features' statistics are known; those of further structures are
# computed again.
KEPT_BYTES = 256 * 2**20
GIB = float(2**30)


@dataclass(frozen=True)
class Structures:
    """Frames with the edges, features and labels of each.

    edges, species, features (N, F) in float64 per frame; labels of all of them in float64.
    jacobians: derivatives (E, 3, F) in batches of centres of the frames whose are kept, by their numbers.
    """

    frames: Sequence[Frame]
    edges: list[Edges]
    species: list[Tensor]
    features: list[Tensor]
    labels: Labels
    jacobians: dict[int, list[Tensor]] = field(default_factory=dict)

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each frame (n)."""
        return torch.tensor([len(frame) for frame in self.frames], dtype=torch.int64)


@dataclass(frozen=True)
class FeatureBatch:
    """Some structures: features (C, F), species (C), image (C): which structure an atom belongs to, n_atoms (n)."""

    features: Tensor
    species: Tensor
    image: Tensor
    n_atoms: Tensor
    labels: Labels
    jacobian: BatchJacobian | None


@dataclass(frozen=True)
class FeatureCache:
    """All structures of one process, in the training's float type and on its device.

    features (C, F) standardised; species (C); first_atom (n + 1); jacobians: None where only energies are trained.
    """

    features: Tensor
    species: Tensor
    first_atom: Tensor
    labels: Labels
    jacobians: FeatureJacobians | None
    nbytes: float = field(default=0.0)

    def __len__(self) -> int:
        return len(self.first_atom) - 1

    @property
    def n_atoms(self) -> Tensor:
        """Number of atoms of each structure (n)."""
        return self.first_atom.diff()

    def batch(self, frames: Sequence[int]) -> FeatureBatch:
        """Return the structures with these numbers, in rising order."""
        device = self.features.device
        which = torch.tensor(frames, dtype=torch.int64, device=device)
        atoms = ranges(self.first_atom, which)
        sizes = self.first_atom[which + 1] - self.first_atom[which]
        return FeatureBatch(
            features=self.features.index_select(0, atoms),
            species=self.species.index_select(0, atoms),
            image=torch.repeat_interleave(torch.arange(len(frames), device=device), sizes),
            n_atoms=sizes,
            labels=self.labels.select(which, atoms),
            jacobian=None if self.jacobians is None else self.jacobians.batch(which),
        )


def structures(
    frames: Sequence[Frame],
    descriptor: Descriptor,
    symbols: Sequence[str],
    baseline: EnergyBaseline,
    targets: Targets,
    loss: LossSettings,
    advance: Callable[[int], None],
    search: Search = find_edges,
    kept_bytes: float = 0.0,
) -> Structures:
    """Return edges, features and labels of frames; `advance` takes the number of those done.

    kept_bytes: memory for derivatives of the features, which are computed with them as long as they fit.
    """
    edges, species, features, found = [], [], [], []
    jacobians: dict[int, list[Tensor]] = {}
    for k, frame in enumerate(frames):
        with naming(frame):
            edges.append(search(frame.atoms, descriptor.cutoff))
        species.append(species_of(frame.atoms, symbols))
        graph = as_graph(edges[-1], species[-1])
        needed = 24.0 * edges[-1].n_edges * descriptor.n_features
        with torch.no_grad():
            if needed <= kept_bytes:
                kept_bytes -= needed
                parts = [descriptor.jacobian(part) for part in _batches(edges[-1], species[-1], descriptor)]
                features.append(torch.cat([part[0] for part in parts]))
                jacobians[k] = [part[1] for part in parts]
            else:
                features.append(descriptor(graph))
        left = remainder(frame, targets.sigmas(frame), baseline, [graph])
        found.append(labels_of(frame, left, targets, loss))
        advance(k + 1)
    return Structures(frames, edges, species, features, join_labels(found), jacobians)


def _batches(edges: Edges, species: Tensor, descriptor: Descriptor) -> Iterator[AtomicGraph]:
    """Return batches of a structure's centres whose derivatives fit into memory."""
    for part in edges.batches(max(BATCH_BYTES // (24 * descriptor.n_features), 1)):
        yield as_graph(part, species)


def make_cache(
    data: Structures,
    descriptor: Descriptor,
    standardisation: tuple[Tensor, Tensor],
    quantities: Sequence[str],
    bytes_allowed: float,
    device: torch.device,
    dtype: torch.dtype,
) -> FeatureCache:
    """Return the cache of structures whose features are standardised by mean and rate (S, F).

    quantities: what is trained, of energy, forces, stress.
    """
    mean, rate = standardisation
    kind = [one if len(mean) > 1 else torch.zeros_like(one) for one in data.species]
    n_features = mean.shape[1]
    rows = [((p - mean[a]) * rate[a]).to(dtype) for p, a in zip(data.features, kind, strict=True)]
    features = torch.cat([torch.zeros((0, n_features), dtype=dtype), *rows])
    jacobians: FeatureJacobians | None = None
    nbytes = float(features.nbytes)
    if "forces" in quantities or "stress" in quantities:
        pairs = [_pairs(edges, len(one)) for edges, one in zip(data.edges, kind, strict=True)]
        n_pairs = sum(len(one.centre) for one in pairs)
        n_rows = 3 * n_pairs + (6 * len(features) if "stress" in quantities else 0)
        needed = float(n_rows * n_features * features.itemsize)
        if nbytes + needed <= bytes_allowed:
            jacobians = _pair_jacobians(data, descriptor, pairs, rate, kind, "stress" in quantities, device, dtype)
            nbytes += needed
        else:
            jacobians = OperatorJacobians(descriptor, data.edges, data.species, rate)
    labels = data.labels.to(device, dtype)
    species = torch.cat([torch.zeros(0, dtype=torch.int64), *data.species])
    return FeatureCache(
        features.to(device), species.to(device), starts(data.n_atoms).to(device), labels, jacobians, nbytes
    )


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
        parts = _batches(data.edges[k], data.species[k], descriptor)
        _fill(jacobian[rows], into, parts, data.jacobians.pop(k, None), one.pair, rate[kind[k]], descriptor)
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
    parts: Iterable[AtomicGraph],
    kept: list[Tensor] | None,
    pair: NDArray[np.int64],
    rate: Tensor,
    descriptor: Descriptor,
) -> None:
    """Add one structure's derivatives to its pairs (P, 3, F) and atoms (N, 6, F); rate (N, F).

    kept: the derivatives of each batch of centres, where they are known already.
    """
    done = 0
    for k, graph in enumerate(parts):
        n_edges = len(graph.edge_vectors)
        centre = graph.centre[edge_centres(graph.first_edge)]
        of_edges = (descriptor.jacobian(graph)[1] if kept is None else kept[k]) * rate[centre][:, None, :]
        mine = torch.from_numpy(pair[done : done + n_edges])
        between = mine >= 0
        jacobian.index_add_(0, mine[between], of_edges[between].to(jacobian.dtype))
        if strain is not None:
            strain.index_add_(0, centre, strain_of_edges(graph.edge_vectors, of_edges).to(strain.dtype))
        done += n_edges
