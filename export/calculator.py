"""ASE calculator for exported models.

    atoms.calc = RhopotCalculator("model.pt")

Energies in eV, forces in eV/A, stress in eV/A^3 in ASE's order xx yy zz yz xz xy. Energies and virials of atoms sum
to those of the structure: `energies.sum() = energy`, `stresses.sum(0) = stress`. Where the model carries members,
`get_property("energy_uncertainty")` is the standard deviation of their totals in eV, and `energies_uncertainty` that
of the energies of each atom. One calculator may serve many structures in turn (`NEB(allow_shared_calculator=True)`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.outputs import Properties, all_outputs

from rhopot.export.load import LoadedModel, load_model
from rhopot.export.local import MAX_EDGES, evaluate_edges
from rhopot.export.skin import SkinEdges
from rhopot.potentials import units

_GRADIENTS = {"forces", "stress", "stresses"}
_UNCERTAINTIES = {"energy_uncertainty", "energies_uncertainty"}


class RhopotCalculator(Calculator):
    """Runs a model file, or a loaded model, in ASE.

    model       path of the file, or what `load_model` gave
    skin        A; neighbours are searched within cutoff + skin and searched again only when atoms have moved far
                enough (see `rhopot.export.skin`). Results do not depend on it.
    max_edges   edges worked on at once, which bounds memory

    Raises ModelFileError for files it cannot run, ValueError for elements the model does not know.
    """

    implemented_properties = ["energy", "free_energy", "energies", *sorted(_GRADIENTS)]  # noqa: RUF012  (an instance may know more)

    def __init__(self, model: str | Path | LoadedModel, *, skin: float = 0.5, max_edges: int = MAX_EDGES) -> None:
        super().__init__()
        self.model = model if isinstance(model, LoadedModel) else load_model(model)
        self.max_edges = max_edges
        self.neighbours = SkinEdges(self.model.card.cutoff, skin)
        self.parameters = {"model": self.model.name}
        if self.model.card.uncertainty.members:
            self.implemented_properties = [*type(self).implemented_properties, *sorted(_UNCERTAINTIES)]

    def _get_name(self) -> str:
        return "rhopot"

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Called by ASE: fill `results` with the properties asked for and those that come with them."""
        super().calculate(atoms, list(properties), list(system_changes))
        if self.atoms is None:
            raise ValueError("atoms must be a structure, got None; attach the calculator to one")
        wanted = set(properties)
        result = evaluate_edges(
            self.model,
            self.atoms,
            self.neighbours(self.atoms),
            gradients=bool(wanted & _GRADIENTS),
            members=bool(wanted & _UNCERTAINTIES),
            virials="stresses" in wanted,
            max_edges=self.max_edges,
        )
        self.results.update(energy=result.energy, free_energy=result.energy, energies=result.energies)
        if result.forces is not None:
            self.results["forces"] = result.forces
        if result.members is not None:
            self.results["energy_uncertainty"] = result.energy_uncertainty()
            self.results["energies_uncertainty"] = result.energies_uncertainty()
        stress = result.stress(self.atoms)
        if stress is not None:
            self.results["stress"] = units.to_voigt(stress)
            if result.virials is not None:
                stresses = units.stress_from_virial(result.virials, self.atoms.get_volume())
                self.results["stresses"] = units.to_voigt(stresses)
        elif wanted & {"stress", "stresses"}:
            raise PropertyNotImplementedError(
                f"cell must span a volume for a stress, got {self.atoms.cell.array.tolist()}; give three cell vectors"
            )

    def export_properties(self) -> Properties:
        """The results that ASE has names for."""
        return Properties({name: value for name, value in self.results.items() if name in all_outputs})

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """What ASE writes beside results: the model's name."""
        return dict(self.parameters)
