"""Models of kind `local`: energies and their derivatives from edges.

The model returns energies e[c] of centres from edge vectors r_ij. One gradient g = dE / d r_ij for every edge gives
forces, virial and the virials of atoms by the equations of `rhopot.potentials.units`.

Edge vectors are formed in float64; a float32 model casts them itself. Structures are packed into graphs, and
graphs are worked through in batches of centres, so memory is bounded by `max_edges` and not by the structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.export import script
from rhopot.export.load import LoadedModel
from rhopot.export.results import Evaluation, Floats, force_deviations, n_force_members, require_finite, species_of
from rhopot.potentials import operators
from rhopot.potentials.graph import derivatives
from rhopot.potentials.graph.neighbours import Edges, concatenate, find_edges

operators.load()

# On the processor some 600 centres of a dense solid: what a call costs beside its atoms no longer shows, and memory
# stays bounded. A GPU needs more to be busy.
MAX_EDGES = {"cpu": 32768, "cuda": 262144}


@dataclass(frozen=True)
class _Request:
    """Quantities requested besides atomic energies, and the number of edges per batch."""

    gradients: bool
    members: bool
    virials: bool
    deviations: bool
    max_edges: int


@dataclass(frozen=True)
class _Numbers:
    """Of a graph: energies (N, 1 + K), dE/d(edge vector) (E, 3), forces of the first members (K', N, 3)."""

    energies: Floats
    gradient: torch.Tensor | None
    member_forces: Floats | None


def evaluate_local(
    model: LoadedModel,
    structures: Sequence[ase.Atoms],
    *,
    gradients: bool = True,
    members: bool = False,
    virials: bool = False,
    deviations: bool = False,
    max_edges: int | None = None,
) -> list[Evaluation]:
    """Evaluate structures, packing small ones together.

    `gradients` asks for forces and virial, `virials` for those of each atom, `members` for member energies,
    `deviations` for the standard deviation of the members' forces, at the cost of a gradient for each member;
    `max_edges` bounds memory (by default it depends on the device).
    Raises ValueError for elements the model does not know, naming those it knows.
    """
    results: list[Evaluation] = []
    request = _request(model, gradients, members, virials, deviations, max_edges)
    pack: list[tuple[ase.Atoms, Edges]] = []
    for atoms in structures:
        pack.append((atoms, find_edges(atoms, model.card.cutoff)))
        if sum(edges.n_edges for _, edges in pack) >= request.max_edges:
            results += _evaluate_pack(model, pack, request)
            pack = []
    return results + _evaluate_pack(model, pack, request)


def evaluate_edges(
    model: LoadedModel,
    atoms: ase.Atoms,
    edges: Edges,
    *,
    gradients: bool = True,
    members: bool = False,
    virials: bool = False,
    deviations: bool = False,
    max_edges: int | None = None,
) -> Evaluation:
    """Evaluate one structure whose edges, all shorter than the model's cutoff, are known (see `evaluate`)."""
    request = _request(model, gradients, members, virials, deviations, max_edges)
    return _evaluate_pack(model, [(atoms, edges)], request)[0]


def _request(
    model: LoadedModel, gradients: bool, members: bool, virials: bool, deviations: bool, max_edges: int | None
) -> _Request:
    """The request; edges worked on at once are those asked for, or what suits the device."""
    limit = MAX_EDGES[model.device.type] if max_edges is None else max_edges
    known = model.card.uncertainty.members > 0
    return _Request(gradients, members and known, virials, deviations and known, limit)


def _evaluate_pack(model: LoadedModel, pack: list[tuple[ase.Atoms, Edges]], request: _Request) -> list[Evaluation]:
    """Evaluate structures as one graph and take it apart again."""
    if not pack:
        return []
    sizes = [len(atoms) for atoms, _ in pack]
    species = np.concatenate([species_of(model, atoms) for atoms, _ in pack])
    graph = pack[0][1] if len(pack) == 1 else concatenate([edges for _, edges in pack], sizes)
    found = _run(model, graph, species, request)
    deviation = None if found.member_forces is None else force_deviations(model, species, found.member_forces)
    results = []
    first_atom, first_edge = 0, 0
    for (_, edges), size in zip(pack, sizes, strict=True):
        atoms = slice(first_atom, first_atom + size)
        of_edges = None if found.gradient is None else found.gradient[first_edge : first_edge + edges.n_edges]
        result = _assemble(edges, found.energies[atoms], of_edges, request)
        results.append(result if deviation is None else replace(result, forces_uncertainty=deviation[atoms].copy()))
        first_atom, first_edge = first_atom + size, first_edge + edges.n_edges
    return results


def _run(model: LoadedModel, graph: Edges, species: NDArray[np.int64], request: _Request) -> _Numbers:
    """Evaluate the graph's atoms, batch by batch of centres."""
    with_members = request.members or request.deviations
    columns = 1 + (model.card.uncertainty.members if with_members else 0)
    energies = np.zeros((len(species), columns))
    gradient = torch.zeros((graph.n_edges, 3), dtype=torch.float64) if request.gradients else None
    n_members = n_force_members(model) if request.deviations else 0
    forces = torch.zeros((n_members, len(species), 3), dtype=torch.float64)
    differentiate = request.gradients or n_members > 0
    all_species = torch.from_numpy(species).to(model.device)
    done = 0
    with script.plain_execution():
        for batch in graph.batches(request.max_edges):
            vectors = torch.from_numpy(batch.vectors).to(model.device).requires_grad_(differentiate)
            with torch.set_grad_enabled(differentiate):
                output = model.module(
                    vectors,
                    torch.from_numpy(batch.first_edge).to(model.device),
                    torch.from_numpy(batch.neighbour).to(model.device),
                    torch.from_numpy(batch.centre).to(model.device),
                    all_species,
                    with_members,
                )
            energies[batch.centre] = output.detach().cpu().numpy()
            # Energies that are constants (no edges, or an element without weights) have no graph and no gradient.
            if output.requires_grad:
                if gradient is not None:
                    gradient[done : done + batch.n_edges] = _edge_gradient(output, 0, vectors, keep=n_members > 0)
                ends = (torch.from_numpy(array) for array in (batch.edge_centre, batch.neighbour))
                _add_member_forces(forces, output, vectors, *ends)
            done += batch.n_edges
    require_finite(model, energies, gradient, forces)
    return _Numbers(energies, gradient, forces.numpy() if n_members else None)


def _edge_gradient(output: torch.Tensor, column: int, vectors: torch.Tensor, keep: bool) -> torch.Tensor:
    """d(sum of a column)/d(edge vector) (E, 3) on the processor; `keep` the graph for other columns."""
    (g,) = torch.autograd.grad(output[:, column].sum(), vectors, retain_graph=keep)
    return g.cpu()


def _add_member_forces(
    forces: torch.Tensor, output: torch.Tensor, vectors: torch.Tensor, centre: torch.Tensor, neighbour: torch.Tensor
) -> None:
    """Add the forces (K', N, 3) of the first members in a batch of centres: one gradient for each."""
    n_members, n_atoms = forces.shape[:2]
    for k in range(n_members):
        g = _edge_gradient(output, 1 + k, vectors, keep=k + 1 < n_members)
        forces[k] += derivatives.forces_from_edges(g, centre, neighbour, n_atoms)


def _assemble(edges: Edges, energies: Floats, gradient: torch.Tensor | None, request: _Request) -> Evaluation:
    """Results of one structure from the energies (N, 1 + K) and dE/d(edge vector) (E, 3)."""
    n_atoms = len(energies)
    forces = virial = of_atoms = None
    if gradient is not None:
        vectors, first_edge, centre, neighbour = (
            torch.from_numpy(array) for array in (edges.vectors, edges.first_edge, edges.centre, edges.neighbour)
        )
        sums = torch.ops.rhopot.edge_sums(vectors, gradient, first_edge, centre, neighbour, n_atoms)
        forces, virial = (part.numpy() for part in sums)
        if request.virials:
            of_atoms = derivatives.atom_virials_from_edges(vectors, gradient, neighbour, n_atoms).numpy()
    return Evaluation(
        energy=float(energies[:, 0].sum()),
        energies=energies[:, 0].copy(),
        forces=forces,
        virial=virial,
        virials=of_atoms,
        members=energies[:, 1:].copy() if request.members else None,
    )
