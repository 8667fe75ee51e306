"""Models of kind `global`: the energy of a structure, its derivatives with respect to positions and cell.

The contract of the module, K members, everything float64 in eV and A:

    prepare(positions (N, 3), cell (3, 3), pbc (3,) bool, stretch: float) -> numbers (P,)
        what is chosen once per run and kept (on the CPU) while atoms move and the cell changes, for periodic edges up
        to `stretch` times those given; only as long as it is kept, the energy is a smooth function (see
        `rhopot.export.prepared`)
    periodic: bool (optional attribute)
        False where structures with periodic boundaries are refused
    forward(positions, species (N,) int64, cell, pbc, prepared, share: int, n_shares: int, members: bool)
        -> energies (1 + K,), or (1,) without members
        results of all shares add up, with their gradients; the first is differentiable in positions and cell
    member_gradients(positions, species, cell, pbc, prepared, share, n_shares, count: int) -> (count, N, 3)
        dE_k/dr of the first `count` members in eV/A, for the standard deviation of forces; shares add up. Files
        written before there was this method run all the same, without that deviation
    member_derivatives(positions, species, cell, pbc, prepared, share, n_shares, first: int, count: int)
        -> (count, N + 3, 3)
        dE_k/dr and, in the last three rows, dE_k/d(cell) in eV/A of `count` members from number `first` on; shares add
        up. Files written before there was this method give no stresses of members and no single member

One gradient gives

    F = -dE/dr at fixed cell,     virial = -(sum_i r_i (x) dE/dr_i + sum_a a_a (x) dE/da_a)       a_a: cell vectors

Energies, virials and members of atoms do not exist.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ase
import numpy as np
import torch

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
from rhopot.potentials.graph.neighbours import LONGEST, complete_cell, require_distinct, require_resolved
from rhopot.potentials.units import UNLIMITED_STRETCH

# A^3: a hundred thousand atoms of a solid. A grid over a larger box takes tens of gigabytes.
LARGEST_BOX = 2e6
# Atoms per A^3: a hundred times a dense solid.
MOST_DENSE = 10.0


def prepare(model: LoadedModel, atoms: ase.Atoms, stretch: float | None = None) -> torch.Tensor:
    """Grid parameters (P,) that the model chooses for a structure whose periodic edges grow by at most `stretch`
    (default: the model's).

    Raises ValueError for periodic structures where the module's attribute `periodic` is False, a stretch below 1,
    positions or cells that are not finite, positions beyond
    `neighbours.FARTHEST`, cells that are flat where periodic, and boxes beyond LARGEST_BOX.
    """
    stretch = model.card.default_stretch if stretch is None else stretch
    require_stretch(stretch)
    periodic = atoms.cell.array[atoms.pbc]
    if atoms.pbc.any() and not getattr(model.module, "periodic", True):
        raise ValueError(
            f"pbc must be F F F for model '{model.name}' of family {model.card.family}, which is for molecules, got "
            f"{' '.join('FT'[int(each)] for each in atoms.pbc)}; set atoms.pbc = False, or take a model of kind 'local'"
        )
    require_resolved(atoms.positions)
    if not (np.abs(periodic) < LONGEST).all():
        raise ValueError("cell must be finite, got NaN or infinity; look at the structure")
    if complete_cell(atoms.cell.array, atoms.pbc) is None:
        raise ValueError(
            f"cell must have independent vectors along periodic axes, got {atoms.cell.array.tolist()} with "
            f"pbc {atoms.pbc.tolist()}; set the cell"
        )
    _require_usual_box(model, atoms)
    positions, _, cell, pbc = inputs_of(model, atoms)
    with script.plain_execution(), torch.no_grad():
        method: Any = model.module.prepare
        prepared: torch.Tensor = method(positions, cell, pbc, float(stretch))
    return prepared.cpu()


def _require_usual_box(model: LoadedModel, atoms: ase.Atoms) -> None:
    """Raise ValueError where fragments flew apart (a grid that does not fit into memory), or lengths are not in A."""
    complete = complete_cell(atoms.cell.array, atoms.pbc)
    if complete is None or len(atoms) == 0 or model.card.default_stretch >= UNLIMITED_STRETCH:
        return
    extents = np.ptp(atoms.positions @ complete[~atoms.pbc].T, axis=0) + model.card.cutoff
    volume = abs(float(np.linalg.det(complete))) * float(extents.prod())
    if not volume <= LARGEST_BOX:
        raise ValueError(
            f"the box of a structure must be at most {LARGEST_BOX:.0e} A^3 for model '{model.name}' of kind 'global', "
            f"which fills it with a grid, got {volume:.2g}; bring its atoms together, or take a model of kind 'local'"
        )
    if len(atoms) > MOST_DENSE * volume:
        raise ValueError(
            f"positions and cell must be in A, got {len(atoms)} atoms in {volume:.2g} A^3; look at the units of this "
            "structure"
        )


def require_stretch(stretch: float) -> None:
    """Raise ValueError unless `stretch` is a factor of at least 1."""
    if not (np.isfinite(stretch) and stretch >= 1.0):
        raise ValueError(f"stretch must be a factor of at least 1, got {stretch}; 1.1 lets edges grow by 10 %")


def evaluate_global(
    model: LoadedModel,
    atoms: ase.Atoms,
    prepared: torch.Tensor,
    *,
    gradients: bool = True,
    members: bool = False,
    deviations: bool = False,
    member: int | None = None,
    n_shares: int = 1,
) -> Evaluation:
    """Evaluate one structure with what was prepared for it, or for one it came from.

    `gradients` asks for forces and virial, `members` for the totals of the members, `deviations` for the members'
    forces, their virials and the standard deviation of the forces, at the cost of an evaluation with gradient for each
    member, `member` for the energy and gradients of that member alone. With `n_shares` the parts are computed in turn
    and added up, as processes that share a structure do.
    Raises ValueError for elements the model does not know, naming those it knows, for two atoms in one place, and for
    members it has not.
    """
    require_distinct(atoms)
    if member is not None:
        return _evaluate_member(model, atoms, prepared, require_member(model, member), gradients, n_shares)
    n_columns = 1 + (model.card.uncertainty.members if members else 0)
    positions, species, cell, pbc = inputs_of(model, atoms)
    energies = np.zeros(n_columns)
    totals = torch.zeros_like(positions), torch.zeros_like(cell)
    if len(atoms) > 0:
        positions.requires_grad_(gradients)
        cell.requires_grad_(gradients)
        with script.plain_execution(), torch.set_grad_enabled(gradients):
            for share in range(n_shares):
                output = model.module(positions, species, cell, pbc, prepared, share, n_shares, members)
                energies += output.detach().cpu().numpy()
                if gradients:
                    _add_gradients(totals, output, positions, cell)
    require_finite(model, energies, *totals)
    forces = virial = None
    if gradients:
        by_positions, by_cell = (part.cpu().numpy() for part in totals)
        forces, virial = -by_positions, _virial(atoms, by_positions, by_cell)
    result = Evaluation(float(energies[0]), None, forces, virial, members=energies[1:] if n_columns > 1 else None)
    if deviations and n_force_members(model) > 0:
        return replace(result, **_force_deviations(model, atoms, prepared, n_shares))
    return result


def _evaluate_member(
    model: LoadedModel, atoms: ase.Atoms, prepared: torch.Tensor, member: int, gradients: bool, n_shares: int
) -> Evaluation:
    """Evaluate one member as if it were a model of its own."""
    whole = evaluate_global(model, atoms, prepared, gradients=False, members=True, n_shares=n_shares)
    energy = float(np.asarray(whole.members)[member])
    if not gradients:
        return Evaluation(energy)
    if not knows_member_stresses(model):
        raise ValueError(without_member_stresses(model))
    derivatives = _member_sum(model, atoms, prepared, "member_derivatives", (member, 1), len(atoms) + 3, n_shares)[0]
    by_positions, by_cell = derivatives[:-3], derivatives[-3:]
    return Evaluation(energy, None, -by_positions, _virial(atoms, by_positions, by_cell))


def _virial(atoms: ase.Atoms, by_positions: Floats, by_cell: Floats) -> Floats:
    """Virial (3, 3) in eV from dE/d(positions) (N, 3) at fixed cell and dE/d(cell) (3, 3) in eV/A."""
    return np.asarray(-(atoms.positions.T @ by_positions + atoms.cell.array.T @ by_cell))


def knows_member_forces(model: LoadedModel) -> bool:
    """Whether a global model has members whose forces can be evaluated; files of older versions have not."""
    return n_force_members(model) > 0 and hasattr(model.module, "member_gradients")


def knows_member_stresses(model: LoadedModel) -> bool:
    """Whether a global model has members with derivatives by the cell; files of older versions have not."""
    return knows_member_forces(model) and hasattr(model.module, "member_derivatives")


def without_member_stresses(model: LoadedModel, name: str = "gradients of a member") -> str:
    """The sentence that refuses `name` for a model that `knows_member_stresses` denies."""
    return (
        f"{name} must be asked of a model whose members have stresses, got '{model.name}', written by "
        f"rhopot {model.card.versions.rhopot} without them; train it again"
    )


def without_member_forces(model: LoadedModel, name: str = "forces_uncertainty") -> str:
    """The sentence that refuses `name` for a model that `knows_member_forces` denies."""
    return (
        f"{name} must be asked of a model whose members have forces, got '{model.name}', written by "
        f"rhopot {model.card.versions.rhopot} without them; train it again"
    )


def _force_deviations(model: LoadedModel, atoms: ase.Atoms, prepared: torch.Tensor, n_shares: int) -> dict[str, Any]:
    """The fields of an `Evaluation` that the derivatives of the first members give."""
    if not knows_member_forces(model):
        raise ValueError(without_member_forces(model))
    count, n_atoms, virials = n_force_members(model), len(atoms), None
    if knows_member_stresses(model):
        found = _member_sum(model, atoms, prepared, "member_derivatives", (0, count), n_atoms + 3, n_shares)
        virials = np.stack([_virial(atoms, each[:n_atoms], each[n_atoms:]) for each in found])
    else:
        found = _member_sum(model, atoms, prepared, "member_gradients", (count,), n_atoms, n_shares)
    forces, species = -found[:, :n_atoms], species_of(model, atoms)
    deviations = force_deviations(model, species, forces)
    return {
        "member_forces": forces,
        "member_virials": virials,
        "forces_uncertainty": deviations,
        "forces_error": force_radii(model, species, deviations),
    }


def _member_sum(
    model: LoadedModel,
    atoms: ase.Atoms,
    prepared: torch.Tensor,
    name: str,
    which: tuple[int, ...],
    n_rows: int,
    n_shares: int,
) -> Floats:
    """Derivatives (count, n_rows, 3) in eV/A of members by a method of the model, summed over shares.

    which: the method's last arguments, of which the last is the count.
    """
    total = torch.zeros((which[-1], n_rows, 3), dtype=torch.float64)
    if len(atoms) > 0:
        inputs = inputs_of(model, atoms)
        method: Any = getattr(model.module, name)
        with script.plain_execution(), torch.enable_grad():
            for share in range(n_shares):
                total += method(*inputs, prepared, share, n_shares, *which).detach().cpu()
    require_finite(model, np.zeros(1), total)
    return total.numpy()


def inputs_of(model: LoadedModel, atoms: ase.Atoms) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Positions (N, 3), species (N,), cell (3, 3) and pbc (3,) of a structure, copied to the model's device."""
    device = model.device
    species = torch.tensor(species_of(model, atoms), device=device)
    positions = torch.tensor(atoms.positions, device=device)
    cell = torch.tensor(np.array(atoms.cell.array, dtype=np.float64), device=device)
    return positions, species, cell, torch.tensor(atoms.pbc.tolist(), device=device)


def _add_gradients(
    totals: tuple[torch.Tensor, torch.Tensor], output: torch.Tensor, positions: torch.Tensor, cell: torch.Tensor
) -> None:
    """Add dE/d(positions) and dE/d(cell) of a share, zero where it depends on neither (a share without work)."""
    if output.requires_grad:
        found = torch.autograd.grad(output[0], [positions, cell], allow_unused=True)
        for total, gradient in zip(totals, found, strict=True):
            if gradient is not None:
                total += gradient
