"""Families: a descriptor, a regressor and their fit under one name; one module (or folder) each.

    family      what a family says of itself
    registry    the list of them, open to other packages
    contract    what a training may ask of one, checked
    described   settings in a model file, which another version of a family may have written

Every other module is one family, or what several share. Importing this package imports no torch.
"""

from rhopot.potentials.families.family import Configuration, Conflict, Family, FamilySettings
from rhopot.potentials.families.registry import (
    GROUP,
    FamilyError,
    UnknownFamilyError,
    family_names,
    find_family,
    installed_family,
)

__all__ = [
    "GROUP",
    "Configuration",
    "Conflict",
    "Family",
    "FamilyError",
    "FamilySettings",
    "UnknownFamilyError",
    "family_names",
    "find_family",
    "installed_family",
]
