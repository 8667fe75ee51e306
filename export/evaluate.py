"""Energies and their derivatives of structures, whatever the kind of the model.

local    `rhopot.export.local_models`: energies of atoms from edges; small structures are packed together
global   `rhopot.export.global_models`: one energy per structure, each with its own preparation
"""

from __future__ import annotations

from collections.abc import Sequence

import ase

from rhopot.export.global_models import evaluate_global, prepare
from rhopot.export.load import LoadedModel
from rhopot.export.local_models import evaluate_local
from rhopot.export.results import Evaluation


def evaluate(
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
    n_shares: int = 1,
) -> list[Evaluation]:
    """Evaluate structures.

    `gradients` asks for forces and virial, `virials` for those of each atom, `members` for member energies,
    `deviations` for forces and virials of the first members, 16 at most, and the standard deviation of the forces on
    each atom (a gradient for each member); `grades` for the extrapolation grades of the atoms of local models; `member`
    (from 0) for the energies and gradients of that member alone;
    `max_edges` bounds the memory of local models, `n_shares` divides the work on global models (the same numbers).
    Raises ValueError for elements the model does not know, for members it has not, and for `virials` of global models.
    """
    if model.card.kind == "local":
        return evaluate_local(
            model,
            structures,
            gradients=gradients,
            members=members,
            virials=virials,
            deviations=deviations,
            grades=grades,
            member=member,
            max_edges=max_edges,
        )
    if virials:
        raise ValueError(
            f"virials of atoms must be asked of a model of kind 'local', got '{model.name}' of kind 'global', which "
            "gives total energies only; ask for the virial of the structure"
        )
    return [
        evaluate_global(
            model,
            atoms,
            prepare(model, atoms),
            gradients=gradients,
            members=members,
            deviations=deviations,
            member=member,
            n_shares=n_shares,
        )
        for atoms in structures
    ]
