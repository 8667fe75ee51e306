"""ASE calculator for exported models.

    atoms.calc = RhopotCalculator("model.pt")

Energies in eV, forces in eV/A, stress in eV/A^3 in ASE's order xx yy zz yz xz xy. One calculator may serve many
structures in turn (`NEB(allow_shared_calculator=True)`). It may be copied and pickled (`multiprocessing`, `joblib`):
the model travels with it, whatever has become of the file. What it was made with does not change: other settings are
another calculator.

Where the model carries members, `calc.get_property(name, atoms)` gives

    energy_uncertainty  eV                  standard deviation of the members' total energies
    forces_uncertainty  eV/A (N,)           calibrated standard deviation of the members' forces on each atom, per
                                            Cartesian component
    forces_error        eV/A (N,)           radius that the error of the force vector on an atom stays within for 90%
                                            of the atoms in validation data (`rhopot.potentials.fitting.force_radii`)
    energy_members      eV (K,)             total energies of the members
    forces_members      eV/A (K', N, 3)     forces of the first K' members
    stress_members      eV/A^3 (K', 6)      stresses of the same members

Forces and stresses of members cost a gradient each; K' is 16 at most (`results.FORCE_MEMBERS`).

Whether the environments of the atoms are like those of the training data is known to most models of kind `local`, with
members and without:

    extrapolation_grade (N,)                Hotelling's T of the environment's features, in units of what 99.9% of the
                                            training atoms stay within (`rhopot.potentials.models.extrapolation`)
    supported           (N,) bool           whether the grade is at most 1; predicted errors hold for such atoms only

The standard deviation of a difference of energies follows from those of the members, whose errors are largely the same
in similar structures: `np.std(saddle - minimum)` of two `energy_members`, not from two `energy_uncertainty`. The same
holds for every other property: compute it with `RhopotCalculator(model, member=k)` for each k, and take the standard
deviation. Members are calibrated in the file so that the standard deviation of their total energies is of the size of
the errors of total energies (`rhopot.potentials.fitting.calibration`). Their forces and stresses are the derivatives of
these energies, as they are: the factors that calibrate `forces_uncertainty` for each element are not applied to them.

Threads may share a calculator, but they take turns, and its attributes (`results`, `atoms`) are those of the thread
that came last: let each thread ask by methods (`atoms.get_forces()`). Threads that are to compute at the same time have
a calculator each, of the same loaded model, which takes no more memory: `RhopotCalculator(calc.model)` or
`copy.copy(calc)`.

Models of kind `local` know energies and virials of atoms, with `energies.sum() = energy` and
`stresses.sum(0) = stress`. How members share a total among atoms is arbitrary, so there is no uncertainty of an atom's
energy.

Models of kind `global` give no energies of atoms. They prepare for the structure they see first (for scattering,
they choose grids) and keep that while it moves and its cell changes, so that energies are smooth (see
`rhopot.export.prepared`). After the cell has changed, a fresh calculator chooses grids for the cell as it is then, so
that its energies may differ slightly from those of the run; the same holds for threads and copies that have seen other
structures first. `prepare` chooses the structure and the cells: give the same to both for the same numbers.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import ase
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes, all_properties
from ase.outputs import Properties, all_outputs

from rhopot.export.global_models import (
    evaluate_global,
    knows_member_forces,
    knows_member_stresses,
    without_member_forces,
    without_member_stresses,
)
from rhopot.export.load import LoadedModel, load_model
from rhopot.export.local_models import evaluate_edges
from rhopot.export.prepared import Prepared
from rhopot.export.results import Evaluation, Floats, require_member
from rhopot.potentials import units
from rhopot.potentials.graph.verlet import VerletList

_GRADIENTS = {"forces", "stress", "stresses"}
_OF_MEMBER_FORCES = {"forces_error", "forces_uncertainty", "forces_members"}
_OF_MEMBERS = {"energy_uncertainty", "energy_members", "stress_members", *_OF_MEMBER_FORCES}
_GRADES = {"extrapolation_grade", "supported"}
_OF_ATOMS = {"energies", "stresses"}


class RhopotCalculator(Calculator):
    """Runs a model file, or a loaded model, in ASE.

    model       path of the file, or what `load_model` gave
    skin        A; neighbours are searched within cutoff + skin and searched again only when atoms have moved far
                enough (see `rhopot.potentials.graph.verlet`). Results do not depend on it. For local models.
    device      of a model given as a file: `cpu`, `cuda`, or `auto`, which is the GPU where torch finds one
    max_edges   edges worked on at once, which bounds memory (default: 32768, on a GPU 262144). For local models.
    member      number (from 0) of an ensemble member: energy, forces and stress, and for local models those of atoms,
                are those of this member alone, at the cost of one gradient (default: the model's prediction)
    stretch     factor by which periodic edges may grow before the model prepares again. For global models, whose
                numbers depend on it slightly: the default is the value they were trained with, which their file states.

    Raises ModelFileError for files it cannot run, ValueError for elements the model does not know and for members
    it has not.
    """

    implemented_properties = ["energy", "free_energy", "energies", *sorted(_GRADIENTS)]  # noqa: RUF012  (of local models without members)

    def __init__(
        self,
        model: str | Path | LoadedModel,
        *,
        device: str = "cpu",
        skin: float = 0.5,
        max_edges: int | None = None,
        stretch: float | None = None,
        member: int | None = None,
    ) -> None:
        super().__init__()
        self._turn = threading.RLock()
        self._model = model if isinstance(model, LoadedModel) else load_model(model, device)
        self.max_edges = max_edges
        self.neighbours = VerletList(self.model.card.cutoff, skin)
        self.prepared = Prepared(self.model, stretch)
        self._member = None if member is None else require_member(self.model, member)
        self.parameters = {"model": self.model.name} if member is None else {"model": self.model.name, "member": member}
        self.implemented_properties = [
            name
            for name in (*type(self).implemented_properties, *sorted(_OF_MEMBERS | _GRADES))
            if self._refusal({name}) is None
        ]

    @property
    def model(self) -> LoadedModel:
        """The model it runs."""
        return self._model

    @property
    def _is_global(self) -> bool:
        return self.model.card.kind == "global"

    def _get_name(self) -> str:
        return "rhopot"

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Part of ASE's protocol, without settings to change: the model and what is kept for it were chosen at first.

        Raises ValueError for any argument.
        """
        if kwargs:
            raise ValueError(
                f"settings of a RhopotCalculator must be given when it is made, got set({', '.join(kwargs)}); make a "
                "new one, RhopotCalculator(model, device=..., skin=..., max_edges=..., stretch=..., member=...)"
            )
        return {}

    def reset(self) -> None:
        """Called by ASE: forget the results; the neighbours and what was prepared stay."""
        with self._turn:
            super().reset()

    def prepare(self, atoms: ase.Atoms, stretch: float | None = None) -> None:
        """Prepare a global model for `atoms` and cells whose edges reach `stretch` times theirs.

        Call it before a run or a curve of energies with the largest cell that will occur, or with a larger `stretch`
        than the calculator's. Local models prepare nothing.
        """
        if self._is_global:
            with self._turn:
                self.prepared.prepare(atoms, stretch)
                self.reset()

    def get_property(self, name: str, atoms: ase.Atoms | None = None, allow_calculation: bool = True) -> Any:
        """Called by ASE: one result; what the model does not know is refused by name."""
        self._refuse({name})
        near = [] if name in all_properties else get_close_matches(name, self.implemented_properties, 1)
        if near and near != [name]:
            raise PropertyNotImplementedError(
                f"property must be one of the model's, got '{name}'; did you mean {near[0]}?"
            )
        with self._turn:
            return super().get_property(name, atoms, allow_calculation)

    def calculate_properties(self, atoms: ase.Atoms, properties: Sequence[str]) -> Properties:
        """Called by `atoms.get_properties`: copies of several results of one structure."""
        with self._turn:
            return super().calculate_properties(atoms, properties)

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Called by ASE: fill `results` with the properties asked for and those that come with them.

        Results of another structure are dropped first, whatever `system_changes` says: ASE clears them in
        `get_property` only, and not where it calls this method itself.
        """
        with self._turn:
            if atoms is None or self.check_state(atoms):
                self.results = {}
            super().calculate(atoms, list(properties), list(system_changes))
            if self.atoms is None:
                raise ValueError("atoms must be a structure, got None; attach the calculator to one")
            self._fill_results(self.atoms, set(properties))

    def _fill_results(self, atoms: ase.Atoms, wanted: AbstractSet[str]) -> None:
        """Add what is wanted of `atoms`, and what comes with it, to the results."""
        self._refuse(wanted)
        result = self._evaluate(atoms, wanted)
        found = {
            "energy": result.energy,
            "free_energy": result.energy,
            "energies": result.energies,
            "forces": result.forces,
            "energy_uncertainty": result.energy_uncertainty(),
            "energy_members": result.energy_members(),
            "forces_uncertainty": result.forces_uncertainty,
            "forces_error": result.forces_error,
            "forces_members": result.member_forces,
            "extrapolation_grade": result.extrapolation_grades,
            "supported": None if result.extrapolation_grades is None else result.extrapolation_grades <= 1.0,
            "stress": _voigt(result.stress(atoms)),
            "stresses": _voigt(result.stresses(atoms)),
            "stress_members": _voigt(result.stress_members(atoms)),
        }
        self.results.update({name: value for name, value in found.items() if value is not None})
        if wanted & {"stress", "stresses", "stress_members"} and atoms.cell.rank < 3:
            raise PropertyNotImplementedError(
                f"cell must span a volume for a stress, got {atoms.cell.array.tolist()}; give three cell vectors"
            )

    def _evaluate(self, atoms: ase.Atoms, wanted: AbstractSet[str]) -> Evaluation:
        """Evaluate `atoms` with what is kept of the last call: neighbours, or what was prepared."""
        wishes: dict[str, Any] = {
            "gradients": bool(wanted & _GRADIENTS),
            "members": bool(wanted & _OF_MEMBERS),
            "deviations": bool(wanted & (_OF_MEMBER_FORCES | {"stress_members"})),
            "member": self._member,
        }
        if self._is_global:
            return evaluate_global(self.model, atoms, self.prepared(atoms), **wishes)
        edges = self.neighbours(atoms)
        return evaluate_edges(
            self.model,
            atoms,
            edges,
            virials="stresses" in wanted,
            grades=bool(wanted & _GRADES),
            max_edges=self.max_edges,
            **wishes,
        )

    def _refuse(self, wanted: AbstractSet[str]) -> None:
        """Refuse by name what the model does not know."""
        refusal = self._refusal(wanted)
        if refusal is not None:
            raise PropertyNotImplementedError(refusal)

    def _refusal(self, wanted: AbstractSet[str]) -> str | None:
        """Why something wanted cannot be had: uncertainty that does not exist, or what a global model does not know."""
        model, of_members = self.model, sorted(wanted & _OF_MEMBERS)
        if "energies_uncertainty" in wanted:
            return (
                "uncertainty per atom must be asked for as forces_uncertainty (standard deviation of the force on each "
                "atom, eV/A), got energies_uncertainty; members share only the total energy, so that an atom's part of "
                "it has no uncertainty"
            )
        if of_members and not model.card.uncertainty.members:
            return (
                f"{' and '.join(of_members)} must be asked of a model with members, '{model.name}' has none; train "
                "it on data with energies and uncertainty.members above 0"
            )
        if of_members and self._member is not None:
            return (
                f"{' and '.join(of_members)} must be asked of all members together, got the calculator of member "
                f"{self._member} of '{model.name}'; make one without member="
            )
        if wanted & _GRADES and not model.card.uncertainty.extrapolation:
            why = (
                "has no grades: its training data have fewer than 20 atoms of an element, uncertainty.extrapolation "
                "was false, or it is of a version before grades (it was written by rhopot "
                f"{model.card.versions.rhopot}); train it again with more atoms of each element and "
                "uncertainty.extrapolation=true"
                if model.card.kind == "local"
                else "grades none; take a model of kind 'local'"
            )
            return (
                f"{' and '.join(sorted(wanted & _GRADES))} must be asked of a model of kind 'local' that grades "
                f"environments, '{model.name}' of kind '{model.card.kind}' {why}"
            )
        refusal = self._refusal_of_global(wanted) if self._is_global else None
        if refusal is None and "forces_error" in wanted and not model.card.uncertainty.force_radii:
            return (
                f"forces_error must be asked of a model whose force errors are calibrated, '{model.name}' has no "
                "uncertainty.force_radii; train it again with this version and forces in the validation set"
            )
        return refusal

    def _refusal_of_global(self, wanted: AbstractSet[str]) -> str | None:
        """Why something wanted cannot be had of a global model with the members that are asked for."""
        model, of_atoms, of_forces = self.model, sorted(wanted & _OF_ATOMS), sorted(wanted & _OF_MEMBER_FORCES)
        if of_forces and not knows_member_forces(model):
            return without_member_forces(model, " and ".join(of_forces))
        if "stress_members" in wanted and not knows_member_stresses(model):
            return without_member_stresses(model, "stress_members")
        if wanted & {"forces", "stress"} and self._member is not None and not knows_member_stresses(model):
            return without_member_stresses(model, f"{' and '.join(sorted(wanted & {'forces', 'stress'}))} of a member")
        if of_atoms:
            return (
                f"{' and '.join(of_atoms)} must be asked of a model of kind 'local', got model "
                f"'{model.name}' of kind 'global', which gives total energies only; ask for energy, forces or "
                "stress"
            )
        return None

    def export_properties(self) -> Properties:
        """Copies of the results that ASE has names for."""
        return Properties({name: copy.copy(value) for name, value in self.results.items() if name in all_outputs})

    def __copy__(self) -> RhopotCalculator:
        """A calculator with the same model and results that shares nothing that changes."""
        twin = object.__new__(type(self))
        with self._turn:
            twin.__dict__ = self.__dict__ | {
                "parameters": dict(self.parameters),
                "results": dict(self.results),
                "neighbours": copy.copy(self.neighbours),
                "prepared": copy.copy(self.prepared),
                "_turn": threading.RLock(),
            }
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """State for pickling: everything but the lock."""
        with self._turn:
            return {name: value for name, value in self.__dict__.items() if name != "_turn"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the pickled state with a new lock."""
        self.__dict__ = state | {"_turn": threading.RLock()}

    def get_spin_polarized(self) -> bool:
        """Called by ASE: never; a method of the class, because ASE would give each calculator a reference to itself."""
        return False

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Parameters that ASE writes beside results: the model's name, and the number of a member."""
        return dict(self.parameters)


def _voigt(stress: Floats | None) -> Floats | None:
    """Components (..., 6) of stresses (..., 3, 3), where there are any."""
    return None if stress is None else units.to_voigt(stress)
