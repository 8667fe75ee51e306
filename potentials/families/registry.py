"""The list of families: ours, and those that installed packages add.

Another package adds a family by an entry point of the group `rhopot.families`, whose name is the family's and whose
value is the place of the `Family` object:

    [project.entry-points."rhopot.families"]
    my_family = "my_package.my_family:FAMILY"

Ours are listed in the same form. A family's module is imported when the family is first asked for, so names are at hand
without torch, and a package that does not work breaks nothing but its own family.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from rhopot.potentials.families.family import Family

GROUP = "rhopot.families"

OURS = {
    "soap_linear": "rhopot.potentials.families.soap_linear:FAMILY",
    "soap_gap": "rhopot.potentials.families.soap_gap:FAMILY",
    "multispectrum": "rhopot.potentials.families.multispectrum:FAMILY",
    "multispectrum_gap": "rhopot.potentials.families.multispectrum_gap:FAMILY",
    "gmp_snn": "rhopot.potentials.families.gmp_snn:FAMILY",
    "bpnn": "rhopot.potentials.families.bpnn:FAMILY",
    "angular": "rhopot.potentials.families.angular.family:FAMILY",
    "point_scattering": "rhopot.potentials.families.point_scattering.family:FAMILY",
    "pooling": "rhopot.potentials.families.pooling.family:FAMILY",
    "scattering": "rhopot.potentials.families.scattering.family:FAMILY",
}


class FamilyError(ValueError):
    """A family that cannot be used; the message says whose fault it is and what to do."""


class UnknownFamilyError(FamilyError):
    """A name that no installed package gives a family."""


def family_names() -> tuple[str, ...]:
    """Names of all families: ours, then those of other packages in alphabetical order."""
    return (*OURS, *sorted({entry.name for entry in _of_others()} - set(OURS)))


def find_family(name: str) -> Family:
    """The family of that name.

    Raises:
        UnknownFamilyError: there is none.
        FamilyError: two packages give the name, or the package's module is broken.
    """
    offers = [entry for entry in _of_others() if entry.name == name]
    if name in OURS:
        offers.insert(0, EntryPoint(name, OURS[name], GROUP))
    if not offers:
        raise UnknownFamilyError(
            f"family must be one of {', '.join(family_names())}, got {name!r}; install the package that adds it"
        )
    if len(offers) > 1:
        raise FamilyError(
            f"family {name} must be given by one package, got {' and '.join(_package(entry) for entry in offers)}; "
            "uninstall the other one, or let it take another name"
        )
    return _loaded(offers[0])


def installed_family(name: str) -> Family | None:
    """The family of that name where it is installed and works, else None: for words about models and reports."""
    try:
        return find_family(name)
    except FamilyError:
        return None


def _of_others() -> list[EntryPoint]:
    """Entry points of installed packages; looked for again, in 20 ms, when a package comes or goes."""
    return _found(tuple((folder, os.stat(folder).st_mtime_ns) for folder in sys.path if os.path.isdir(folder)))


@lru_cache(maxsize=1)
def _found(folders: tuple[tuple[str, int], ...]) -> list[EntryPoint]:
    """What importlib finds in these folders, which changed at these times."""
    return list(entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point belongs to."""
    return "rhopot itself" if entry.dist is None else f"package {entry.dist.name} {entry.dist.version}"


def _loaded(entry: EntryPoint) -> Family:
    """The object of an entry point, which runs code of its package."""
    try:
        found = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module that calls sys.exit is as broken as one that cannot be imported
        raise FamilyError(
            f"family {entry.name} of {_package(entry)} must load, got {type(error).__name__} from '{entry.value}' "
            f"({str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}); "
            "mend or uninstall that package"
        ) from error
    if not isinstance(found, Family):
        raise FamilyError(
            f"family {entry.name} of {_package(entry)} must be a rhopot.potentials.families.Family, got "
            f"{type(found).__name__} at '{entry.value}'; mend or uninstall that package"
        )
    if found.name != entry.name:
        raise FamilyError(
            f"family {entry.name} of {_package(entry)} must have the name of its entry point, got {found.name!r} at "
            f"'{entry.value}'; mend or uninstall that package"
        )
    return found
