"""Results of evaluating a model on a structure, and the checks that local and global models share."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from rhopot.export.load import LoadedModel
from rhopot.potentials import units
from rhopot.potentials.graph.species import species_indices, unknown_symbols

Floats = NDArray[np.float64]

# Members, the first ones, whose forces make the standard deviation of a force: each costs a gradient of its own.
FORCE_MEMBERS = 16


@dataclass(frozen=True)
class Evaluation:
    """Results for one structure of N atoms; what was not asked for is None.

    energy          eV
    energies        (N,) eV, their sum is the energy; None for global models
    forces          (N, 3) eV/A
    virial          (3, 3) eV
    virials         (N, 3, 3) eV, their sum is the virial; None for global models
    members         energies of the K members in eV: (N, K) of atoms, or (K,) of the structure; None too where
                    the model has none
    member_forces   (K', N, 3) eV/A of the first K' members, `FORCE_MEMBERS` at most, as differentiation gives them
    member_virials  (K', 3, 3) eV of the same members; None for global models written before members had them
    forces_uncertainty  (N,) eV/A, standard deviation of the members' forces on each atom (see `force_deviations`)
    forces_error    (N,) eV/A, radius that 90% of the force errors are expected within (see `force_radii`); None too
                    where the model does not know it
    extrapolation_grades  (N,) how far the environment of each atom lies outside the training data, above 1: outside
                    (`rhopot.potentials.models.extrapolation`); None too where the model does not grade environments

    Results of a single member (`member=k` of `evaluate`) have that member's energies, forces and virials alone.
    """

    energy: float
    energies: Floats | None = None
    forces: Floats | None = None
    virial: Floats | None = None
    virials: Floats | None = None
    members: Floats | None = None
    member_forces: Floats | None = None
    member_virials: Floats | None = None
    forces_uncertainty: Floats | None = None
    forces_error: Floats | None = None
    extrapolation_grades: Floats | None = None

    def stress(self, atoms: ase.Atoms) -> Floats | None:
        """Stress (3, 3) in eV/A^3; None without gradients or in a cell that spans no volume."""
        if self.virial is None or atoms.cell.rank < 3:
            return None
        return units.stress_from_virial(self.virial, atoms.get_volume())

    def stresses(self, atoms: ase.Atoms) -> Floats | None:
        """Stresses of the atoms (N, 3, 3) in eV/A^3; None without their virials or in a cell that spans no volume."""
        if self.virials is None or atoms.cell.rank < 3:
            return None
        return units.stress_from_virial(self.virials, atoms.get_volume())

    def energy_uncertainty(self) -> float | None:
        """Standard deviation (eV) of the members' totals; None where there are no members."""
        totals = self.energy_members()
        return None if totals is None else float(np.std(totals))

    def energy_members(self) -> Floats | None:
        """Total energies (K,) of the members in eV; None where there are no members."""
        return None if self.members is None else np.asarray(np.atleast_2d(self.members).sum(axis=0))

    def stress_members(self, atoms: ase.Atoms) -> Floats | None:
        """Stresses (K', 3, 3) of the members in eV/A^3; None without them or in a cell that spans no volume."""
        if self.member_virials is None or atoms.cell.rank < 3:
            return None
        return units.stress_from_virial(self.member_virials, atoms.get_volume())


def n_force_members(model: LoadedModel) -> int:
    """Number of members whose forces are evaluated for `force_deviations`."""
    return min(model.card.uncertainty.members, FORCE_MEMBERS)


def force_deviations(model: LoadedModel, species: NDArray[np.int64], member_forces: Floats) -> Floats:
    """Standard deviation (N,) in eV/A of the force on each atom, from the members' forces (K, N, 3).

    sigma_i = factor_i sqrt( 1/(3 K) sum_k |F_ki - <F_i>|^2 ): around the members' own mean, over K as that of the total
    energy, per Cartesian component, so that it compares with a force RMSE. factor_i is the card's calibration for the
    element of atom i (`species`, N).
    """
    factors = model.card.uncertainty.force_factors
    of_species = np.array([factors.get(symbol, 1.0) for symbol in model.card.symbols])
    return np.asarray(of_species[species] * np.sqrt(np.var(member_forces, axis=0).mean(axis=1)))


def force_radii(model: LoadedModel, species: NDArray[np.int64], deviations: Floats) -> Floats | None:
    """Radii (N,) in eV/A that 90% of the errors of forces on atoms stay within; None where the card has none.

    radius_i = m sqrt(sigma_i^2 + f^2), with the card's m and f of the element of atom i (`species`, N) and the
    `force_deviations` sigma (N,). It is for the length of the error vector |F - F_reference|.
    """
    known = model.card.uncertainty.force_radii
    if not known:
        return None
    multiples, floors = (
        np.array([getattr(known[symbol], name) for symbol in model.card.symbols]) for name in ("multiple", "floor")
    )
    return np.asarray(multiples[species] * np.hypot(deviations, floors[species]))


def require_member(model: LoadedModel, member: int) -> int:
    """The number of an ensemble member, counted from 0.

    Raises ValueError unless the model has a member of that number, TypeError for what is no integer.
    """
    count = model.card.uncertainty.members
    if count == 0:
        raise ValueError(
            f"member must be asked of a model with members, got {member} of '{model.name}', which has none; train it "
            "on data with energies and uncertainty.members above 0"
        )
    if not 0 <= index(member) < count:
        raise ValueError(
            f"member must be one of 0 to {count - 1}, the members of '{model.name}', got {member}; leave it out for "
            "the model's prediction"
        )
    return index(member)


def species_of(model: LoadedModel, atoms: ase.Atoms) -> NDArray[np.int64]:
    """Index (N,) of every atom's element among the model's symbols.

    Raises ValueError for elements the model does not know, naming those it knows.
    """
    species = species_indices(atoms, model.card.symbols)
    if (species < 0).any():
        unknown = unknown_symbols(atoms, model.card.symbols)
        raise ValueError(
            f"elements must be among those model '{model.name}' knows ({', '.join(model.card.symbols)}), "
            f"got {', '.join(unknown)}; train a model with them"
        )
    return species


def require_finite(model: LoadedModel, energies: Floats, *gradients: torch.Tensor | None) -> None:
    """Raise ValueError where an energy or a derivative is NaN or infinite."""
    finite = np.isfinite(energies).all() and all(bool(torch.isfinite(g).all()) for g in gradients if g is not None)
    if not finite:
        raise ValueError(
            f"energies and forces of model '{model.name}' must be finite, got NaN or infinity; "
            "look for atoms in one place or far outside what the model was trained on"
        )
