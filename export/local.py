"""Models of kind `local`: energies and their derivatives from edges.

The model returns energies e[c] of centres from edge vectors r_ij. One gradient g = dE / d r_ij for every edge gives
forces, virial and the virials of atoms by the equations of `rhopot.potentials.units`.

Edge vectors are formed in float64; a float32 model casts them itself. Structures are packed into graphs, and
graphs are worked through in batches of centres, so memory is bounded by `max_edges` and not by the structure.
"""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.export import script
from rhopot.export.load import LoadedModel
from rhopot.export.results import Evaluation, Floats, require_finite, species_of
from rhopot.potentials import units
from rhopot.potentials.density import operators
from rhopot.potentials.neighbours import Edges, concatenate, find_edges

operators.load()

# On the processor some 600 centres of a dense solid: what a call costs beside its atoms no longer shows, and memory
# stays bounded. A GPU needs more to be busy.
MAX_EDGES = {"cpu": 32768, "cuda": 262144}


def evaluate_local(
    model: LoadedModel,
    structures: Sequence[ase.Atoms],
    *,
    gradients: bool = True,
    members: bool = False,
    virials: bool = False,
    max_edges: int | None = None,
) -> list[Evaluation]:
    """Evaluate structures, packing small ones together.

    `gradients` asks for forces and virial, `virials` for those of each atom, `members` for member energies; `max_edges`
    bounds memory (by default it depends on the device).
    Raises ValueError for elements the model does not know, naming those it knows.
    """
    results: list[Evaluation] = []
    limit = _limit(model, max_edges)
    pack: list[tuple[ase.Atoms, Edges]] = []
    for atoms in structures:
        pack.append((atoms, find_edges(atoms, model.card.cutoff)))
        if sum(edges.n_edges for _, edges in pack) >= limit:
            results += _evaluate_pack(model, pack, gradients, members, virials, limit)
            pack = []
    return results + _evaluate_pack(model, pack, gradients, members, virials, limit)


def evaluate_edges(
    model: LoadedModel,
    atoms: ase.Atoms,
    edges: Edges,
    *,
    gradients: bool = True,
    members: bool = False,
    virials: bool = False,
    max_edges: int | None = None,
) -> Evaluation:
    """Evaluate one structure whose edges, all shorter than the model's cutoff, are known (see `evaluate`)."""
    return _evaluate_pack(model, [(atoms, edges)], gradients, members, virials, _limit(model, max_edges))[0]


def _limit(model: LoadedModel, max_edges: int | None) -> int:
    """Edges worked on at once: those asked for, or what suits the device."""
    return MAX_EDGES[model.device.type] if max_edges is None else max_edges


def _evaluate_pack(
    model: LoadedModel,
    pack: list[tuple[ase.Atoms, Edges]],
    gradients: bool,
    members: bool,
    virials: bool,
    max_edges: int,
) -> list[Evaluation]:
    """Evaluate structures as one graph and take it apart again."""
    if not pack:
        return []
    sizes = [len(atoms) for atoms, _ in pack]
    species = np.concatenate([species_of(model, atoms) for atoms, _ in pack])
    graph = pack[0][1] if len(pack) == 1 else concatenate([edges for _, edges in pack], sizes)
    energies, gradient = _run(model, graph, species, gradients, members, max_edges)
    results = []
    first_atom, first_edge = 0, 0
    for (_, edges), size in zip(pack, sizes, strict=True):
        of_atoms = energies[first_atom : first_atom + size]
        of_edges = None if gradient is None else gradient[first_edge : first_edge + edges.n_edges]
        results.append(_assemble(edges, of_atoms, of_edges, members, virials))
        first_atom, first_edge = first_atom + size, first_edge + edges.n_edges
    return results


def _run(
    model: LoadedModel, graph: Edges, species: NDArray[np.int64], gradients: bool, members: bool, max_edges: int
) -> tuple[Floats, torch.Tensor | None]:
    """Energies (N, 1 + K) of the graph's atoms and dE/d(edge vector) (E, 3), batch by batch of centres."""
    columns = 1 + (model.card.uncertainty.members if members else 0)
    energies = np.zeros((len(species), columns))
    gradient = torch.zeros((graph.n_edges, 3), dtype=torch.float64) if gradients else None
    all_species = torch.from_numpy(species).to(model.device)
    done = 0
    with script.plain_execution():
        for batch in graph.batches(max_edges):
            vectors = torch.from_numpy(batch.vectors).to(model.device).requires_grad_(gradients)
            with torch.set_grad_enabled(gradients):
                output = model.module(
                    vectors,
                    torch.from_numpy(batch.first_edge).to(model.device),
                    torch.from_numpy(batch.neighbour).to(model.device),
                    torch.from_numpy(batch.centre).to(model.device),
                    all_species,
                    members,
                )
            energies[batch.centre] = output.detach().cpu().numpy()
            # Energies that are constants (no edges, or an element without weights) have no graph and no gradient.
            if gradient is not None and output.requires_grad:
                (g,) = torch.autograd.grad(output[:, 0].sum(), vectors)
                gradient[done : done + batch.n_edges] = g
            done += batch.n_edges
    require_finite(model, energies, gradient)
    return energies, gradient


def _assemble(
    edges: Edges, energies: Floats, gradient: torch.Tensor | None, members: bool, virials: bool
) -> Evaluation:
    """Results of one structure from the energies (N, 1 + K) and dE/d(edge vector) (E, 3)."""
    n_atoms = len(energies)
    forces = virial = of_atoms = None
    if gradient is not None:
        vectors, first_edge, centre, neighbour = (
            torch.from_numpy(array) for array in (edges.vectors, edges.first_edge, edges.centre, edges.neighbour)
        )
        sums = torch.ops.rhopot.edge_sums(vectors, gradient, first_edge, centre, neighbour, n_atoms)
        forces, virial = (part.numpy() for part in sums)
        if virials:
            of_atoms = units.atom_virials_from_edges(vectors, gradient, neighbour, n_atoms).numpy()
    return Evaluation(
        energy=float(energies[:, 0].sum()),
        energies=energies[:, 0].copy(),
        forces=forces,
        virial=virial,
        virials=of_atoms,
        members=energies[:, 1:].copy() if members and energies.shape[1] > 1 else None,
    )
