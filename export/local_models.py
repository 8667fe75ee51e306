"""Models of kind `local`: energies and their derivatives from edges.

The model returns energies e[c] of centres from edge vectors r_ij. One gradient g = dE / d r_ij for every edge gives
forces, virial and the virials of atoms by the equations of `rhopot.potentials.units`.

Edge vectors are formed in float64; a float32 model casts them itself. Structures are packed into graphs, and
graphs are worked through in batches of centres, so memory is bounded by `max_edges` and not by the structure.

Derivatives of members are those of columns 1 to K of the output, each at the cost of all members' derivatives where
members share nothing. A module that has `members_apart` gives the energies of each, at the cost of one
(`rhopot.potentials.models.learned_features_model`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.export import script
from rhopot.export.load import LoadedModel
from rhopot.export.results import (
    Evaluation,
    Floats,
    force_deviations,
    force_radii,
    n_force_members,
    require_finite,
    require_member,
    species_of,
)
from rhopot.potentials import operators
from rhopot.potentials.graph import derivatives
from rhopot.potentials.graph.neighbours import Edges, concatenate, find_edges

operators.load()

# On the processor some 600 centres of a dense solid: what a call costs beside its atoms no longer shows, and memory
# stays bounded. A GPU needs more to be busy.
MAX_EDGES = {"cpu": 32768, "cuda": 262144}


@dataclass(frozen=True)
class _Request:
    """Quantities requested besides atomic energies, and the number of edges per batch.

    grades: extrapolation grades of the atoms;
    column: of the model's output, whose energies and gradient are those of the result: 0, or 1 + k of a single member.
    """

    gradients: bool
    members: bool
    virials: bool
    deviations: bool
    grades: bool
    max_edges: int
    column: int = 0


@dataclass(frozen=True)
class _MemberSums:
    """Of the first K' members, summed over batches of a graph of S structures: forces (K', N, 3) in eV/A and virials
    (K', S, 3, 3) in eV. structure (N,): number of each atom's structure.
    """

    forces: torch.Tensor
    virials: torch.Tensor
    structure: torch.Tensor

    def add(
        self, gradients: Iterable[torch.Tensor], vectors: torch.Tensor, centre: torch.Tensor, neighbour: torch.Tensor
    ) -> None:
        """Add a batch of centres: a gradient (E, 3) for each member. centre, neighbour (E,): atoms of the edges."""
        n_atoms = self.forces.shape[1]
        of_edges, structure = vectors.detach().cpu(), self.structure[centre]
        for k, g in enumerate(gradients):
            self.forces[k] += derivatives.forces_from_edges(g, centre, neighbour, n_atoms)
            self.virials[k].index_add_(0, structure, of_edges[:, :, None] * g[:, None, :], alpha=-1)


@dataclass(frozen=True)
class _Numbers:
    """Of a graph: energies (N, 1 + K), dE/d(edge vector) (E, 3), sums over edges of the members, grades (N,)."""

    energies: Floats
    gradient: torch.Tensor | None
    members: _MemberSums | None
    grades: Floats | None


@dataclass(frozen=True)
class _Output:
    """What the module returns: energies (C, 1 + K); from `members_apart` also those of each network (C), and g."""

    columns: torch.Tensor
    apart: list[torch.Tensor] | None = None
    calibration: float = 1.0

    def gradients(self, vectors: torch.Tensor, columns: Sequence[int]) -> list[torch.Tensor]:
        """d(sum of a column)/d(edge vector) (E, 3) on the processor, of each of these columns."""
        if self.apart is None:
            return _edge_gradients([self.columns[:, column] for column in columns], vectors)
        alone = _edge_gradients(self.apart, vectors)
        mean = torch.stack(alone).mean(0)
        return [mean + self.calibration * (alone[column - 1] - mean) if column else mean for column in columns]


def evaluate_local(
    model: LoadedModel,
    structures: Sequence[ase.Atoms],
    *,
    gradients: bool = True,
    members: bool = False,
    virials: bool = False,
    deviations: bool = False,
    grades: bool = False,
    member: int | None = None,
    max_edges: int | None = None,
) -> list[Evaluation]:
    """Evaluate structures, packing small ones together.

    `gradients` asks for forces and virial, `virials` for those of each atom, `members` for member energies,
    `deviations` for forces and virials of the members and their standard deviation, at the cost of a gradient for each
    member; `grades` for the extrapolation grades of the atoms; `member` for the energies and gradients of that member
    alone, at the cost of one; `max_edges` bounds memory (by default it depends on the device).
    Raises ValueError for elements the model does not know, naming those it knows, and for members it has not.
    """
    results: list[Evaluation] = []
    request = _request(
        model, _Request(gradients, members, virials, deviations, grades, _at_once(model, max_edges)), member
    )
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
    grades: bool = False,
    member: int | None = None,
    max_edges: int | None = None,
) -> Evaluation:
    """Evaluate one structure whose edges, all shorter than the model's cutoff, are known (see `evaluate`)."""
    request = _request(
        model, _Request(gradients, members, virials, deviations, grades, _at_once(model, max_edges)), member
    )
    return _evaluate_pack(model, [(atoms, edges)], request)[0]


def _at_once(model: LoadedModel, max_edges: int | None) -> int:
    """Edges worked on at once: those asked for, or what suits the device."""
    return MAX_EDGES[model.device.type] if max_edges is None else max_edges


def _request(model: LoadedModel, asked: _Request, member: int | None) -> _Request:
    """What is asked for, as far as the model knows it: and no members of a single member."""
    known = model.card.uncertainty.members > 0 and member is None
    return replace(
        asked,
        members=asked.members and known,
        deviations=asked.deviations and known,
        grades=asked.grades and model.card.uncertainty.extrapolation,
        column=0 if member is None else 1 + require_member(model, member),
    )


def _evaluate_pack(model: LoadedModel, pack: list[tuple[ase.Atoms, Edges]], request: _Request) -> list[Evaluation]:
    """Evaluate structures as one graph and take it apart again."""
    if not pack:
        return []
    sizes = [len(atoms) for atoms, _ in pack]
    species = np.concatenate([species_of(model, atoms) for atoms, _ in pack])
    graph = pack[0][1] if len(pack) == 1 else concatenate([edges for _, edges in pack], sizes)
    found = _run(model, graph, species, np.repeat(np.arange(len(pack)), sizes), request)
    results = []
    first_atom, first_edge = 0, 0
    for number, ((_, edges), size) in enumerate(zip(pack, sizes, strict=True)):
        atoms = slice(first_atom, first_atom + size)
        of_edges = None if found.gradient is None else found.gradient[first_edge : first_edge + edges.n_edges]
        result = _assemble(edges, found.energies[atoms], of_edges, request)
        if found.members is not None:
            of_members = found.members.forces[:, atoms].numpy().copy()
            deviations = force_deviations(model, species[atoms], of_members)
            result = replace(
                result,
                member_forces=of_members,
                member_virials=found.members.virials[:, number].numpy().copy(),
                forces_uncertainty=deviations,
                forces_error=force_radii(model, species[atoms], deviations),
            )
        if found.grades is not None:
            result = replace(result, extrapolation_grades=found.grades[atoms].copy())
        results.append(result)
        first_atom, first_edge = first_atom + size, first_edge + edges.n_edges
    return results


def _run(
    model: LoadedModel, graph: Edges, species: NDArray[np.int64], structure: NDArray[np.int64], request: _Request
) -> _Numbers:
    """Evaluate the graph's atoms, batch by batch of centres; species and structure (N,) of every atom."""
    with_members = request.members or request.deviations or request.column > 0
    columns = 1 + (model.card.uncertainty.members if with_members else 0)
    energies = np.zeros((len(species), columns))
    gradient = torch.zeros((graph.n_edges, 3), dtype=torch.float64) if request.gradients else None
    sums = _member_sums(n_force_members(model), structure) if request.deviations else None
    grades = np.zeros(len(species)) if request.grades else None
    differentiate = request.gradients or sums is not None
    all_species = torch.from_numpy(species).to(model.device)
    done = 0
    with script.plain_execution():
        # Features of atoms go from layer to layer: all atoms are centres at once.
        most = request.max_edges if model.card.n_layers == 1 else max(graph.n_edges, 1)
        for batch in graph.batches(most):
            vectors = torch.from_numpy(batch.vectors).to(model.device).requires_grad_(differentiate)
            rows = (batch.first_edge, batch.neighbour, batch.centre)
            of_batch = (*(torch.from_numpy(array).to(model.device) for array in rows), all_species)
            with torch.set_grad_enabled(differentiate):
                output = _output(model, vectors, of_batch, with_members, apart=sums is not None)
            if grades is not None:
                grades[batch.centre] = _grades(model, vectors, *of_batch)
            energies[batch.centre] = output.columns.detach().cpu().numpy()
            # Energies that are constants (no edges, or an element without weights) have no graph and no gradient.
            if output.columns.requires_grad:
                members = [] if sums is None else range(1, 1 + len(sums.forces))
                of_members = output.gradients(vectors, [*([] if gradient is None else [request.column]), *members])
                if gradient is not None:
                    gradient[done : done + batch.n_edges] = of_members.pop(0)
                if sums is not None:
                    edge_atoms = torch.from_numpy(batch.edge_centre), torch.from_numpy(batch.neighbour)
                    sums.add(of_members, vectors, *edge_atoms)
            done += batch.n_edges
    require_finite(model, energies, gradient, None if sums is None else sums.forces)
    return _Numbers(energies, gradient, sums, grades)


def _output(
    model: LoadedModel, vectors: torch.Tensor, graph: Sequence[torch.Tensor], members: bool, apart: bool
) -> _Output:
    """Energies of a graph's centres; `apart`: for derivatives of each member."""
    module: Any = model.module
    if apart and hasattr(module, "members_apart"):
        columns, of_networks, calibration = module.members_apart(vectors, *graph)
        return _Output(columns, of_networks, float(calibration))
    return _Output(module(vectors, *graph, members))


@torch.no_grad()
def _grades(model: LoadedModel, *graph: torch.Tensor) -> Floats:
    """Extrapolation grades (C,) of the centres of a graph."""
    module: Any = model.module
    found: Floats = module.extrapolation_grades(*graph).cpu().numpy()
    return found


def _member_sums(n_members: int, structure: NDArray[np.int64]) -> _MemberSums:
    """Sums that hold nothing yet."""
    n_structures = int(structure.max(initial=-1)) + 1
    forces = torch.zeros((n_members, len(structure), 3), dtype=torch.float64)
    virials = torch.zeros((n_members, max(n_structures, 1), 3, 3), dtype=torch.float64)
    return _MemberSums(forces, virials, torch.from_numpy(structure))


def _edge_gradients(energies: Sequence[torch.Tensor], vectors: torch.Tensor) -> list[torch.Tensor]:
    """d(sum of energies)/d(edge vector) (E, 3) on the processor, of each of the energies of one graph."""
    last = len(energies) - 1
    each = enumerate(energies)
    return [torch.autograd.grad(e.sum(), vectors, retain_graph=k < last)[0].cpu() for k, e in each]


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
        energy=float(energies[:, request.column].sum()),
        energies=energies[:, request.column].copy(),
        forces=forces,
        virial=virial,
        virials=of_atoms,
        members=energies[:, 1:].copy() if request.members else None,
    )
