"""Faults of sign and unit, recognized by the factor between energies and the work of stresses or forces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ase import units

from rhopot.potentials.structures.findings import DataFinding

UNITS = "units"  # the check whose findings blame energies or lengths
LARGEST_SCALE = 1.7  # of labels in the right unit, and its inverse; energies per atom of two atoms give 0.5
ALIKE = 1.08  # factors are measured to this ratio; causes that are closer to each other are named together
ENERGIES = {
    "energies in Hartree": 1.0 / units.Hartree,
    "energies in Rydberg": 1.0 / units.Rydberg,
    "energies in kcal/mol": units.mol / units.kcal,
    "energies in kJ/mol": units.mol / units.kJ,
}


@dataclass(frozen=True)
class Derivatives:
    """Labels that are derivatives of the energy.

    check: name of the findings; units: in eV and A, the one that they must have is `unit`
    sign: what the right sign is; power: that of the lengths in their work
    """

    check: str
    name: str
    unit: str
    units: Mapping[str, float]
    sign: str
    power: int


STRESSES = Derivatives(
    "stress",
    "stresses",
    "eV/A^3",
    {"GPa": units.GPa, "kbar": 0.1 * units.GPa, "Hartree/Bohr^3": units.Hartree / units.Bohr**3},
    "tensile must be positive",
    3,
)
FORCES = Derivatives(
    "forces",
    "forces",
    "eV/A",
    {
        "Hartree/Bohr": units.Hartree / units.Bohr,
        "Rydberg/Bohr": units.Rydberg / units.Bohr,
        "kcal/mol/A": units.kcal / units.mol,
        "kJ/mol/A": units.kJ / units.mol,
    },
    "they must point where the energy falls",
    1,
)


def is_sound(scale: float) -> bool:
    """Whether labels have the right sign and unit, where their work times `scale` is the energy."""
    return 1.0 / LARGEST_SCALE < scale < LARGEST_SCALE


def is_one(scale: float) -> bool:
    """Whether a measured factor is one."""
    return _alike(scale, 1.0)


def unit_of(labels: Derivatives, scale: float) -> str:
    """Unit of labels whose work times `scale`, or minus that, is the energy; "" where no known one fits."""
    return next((unit for unit, factor in labels.units.items() if _alike(abs(scale), factor)), "")


def wrong_unit(labels: Derivatives, config_type: str, n_atoms: int, scale: float, measured: str) -> DataFinding:
    """Finding on a scale that is not sound, with what causes it; `measured` is the scale in words."""
    where = f"{labels.name} of config_type {config_type}"
    unit = unit_of(labels, scale)
    others = {"energies per atom": 1.0 / n_atoms, **ENERGIES, "lengths in Bohr": units.Bohr**labels.power}
    others[f"energies and {labels.name} in Hartree and Bohr"] = units.Bohr**-labels.power
    causes = [cause for cause, factor in others.items() if _alike(scale, factor)]
    if causes:
        listed = " or ".join([*causes, *([f"{labels.name} in {unit}"] if unit else [])])
        return wrong_energies(config_type, listed, measured)
    if scale < 0:
        other = f" and are {f'in {unit}' if unit else f'not in {labels.unit}'}"
        sentence = f"{where} have the wrong sign{'' if is_sound(-scale) else other}, {labels.sign} {measured}"
    elif unit:
        sentence = f"{where} are in {unit}, not in {labels.unit} {measured}"
    else:
        sentence = f"{where} are not in {labels.unit}, or the energies not in eV {measured}"
    return DataFinding("error", labels.check, "", sentence)


def wrong_energies(config_type: str, causes: str, measured: str) -> DataFinding:
    """Finding on energies or lengths."""
    sentence = f"config_type {config_type} seems to have {causes} {measured}; total energies must be in eV, lengths "
    return DataFinding("error", UNITS, "", sentence + "in A")


def _alike(scale: float, factor: float) -> bool:
    return factor / ALIKE < scale < factor * ALIKE
