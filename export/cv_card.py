"""The card of a collective variable: what ASE and LAMMPS must know of its file before running it.

It travels as `rhopot.json` inside the TorchScript archive, as a model's card does (`rhopot.export.card`). Every field
but `lists` is required in the file; the exporter knows `format_version`, `kind` and `versions`.

    format_version  int     1
    kind            str     cv
    names           [str]   1 to 3 collective variables, columns of HILLS and COLVAR
    units           [str]   of each: A, radian, or nothing for a number without a unit
    periods         [float] of each, or null; a periodic value lies in [-period/2, period/2)
    symbols         [str]   elements of centers and neighbors; none when no edges are read
    cutoff          float   A; 0 when no edges are read
    n_sums          int     columns M of `forward`; 0 when no edges are read
    atoms           [int]   IDs of given atoms, from 1; one may stand there more than once
    lists           [int]   of a combination, how many of `atoms` each part has
    dtype           str     float64 or float32: what it computes in (it takes and returns float64)
    settings        obj     what it was made from
    versions        obj     rhopot, torch, operators (the custom operators the file calls)
    references      [str]   what to cite

The module:

    forward(edge_vectors (E, 3), first_edge (C + 1), neighbour (E), centre (C), species (N)) -> (C, M)
    finish(sums (M), positions (k, 3)) -> (n_cv)

Centers are atoms of the group that is biased whose element is among `symbols`, neighbors all atoms of those elements.
Edges r_j - r_i are sorted by center and strictly shorter than the cutoff. `centre` has one row for each center, its
atom. Edges `first_edge[i]` to `first_edge[i + 1]` are those of center i, `neighbour` is the atom at the end of each.
`species` of an atom is an index into `symbols`. `forward` gets batches of centers and its rows are summed, so a mean
has a column of ones, by which `finish` divides. `sums` are those of all centers (of all MPI ranks), `positions` those
of `atoms`, each the image nearest to the one before it.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictInt, field_validator

from rhopot.export.card_file import (
    FORMAT_VERSION,
    Card,
    Elements,
    Settings,
    Text,
    Versions,
)
from rhopot.potentials.collective_variables import MOST_COMPONENTS, CollectiveVariable, Description

KIND = "cv"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Names of columns that HILLS and COLVAR have anyway.
TAKEN = ("time", "height", "biasf")

_DESCRIBED = tuple(field.name for field in dataclasses.fields(Description))

_RULES: dict[str, tuple[str, str]] = {
    "format_version": (f"{FORMAT_VERSION}", "leave it to the exporter"),
    "kind": ("'cv'", "leave it to the exporter"),
    "names": (
        f"1 to {MOST_COMPONENTS} distinct names of letters, digits and _ that begin with no digit and are none of "
        f"{', '.join(TAKEN)}",
        "name them for instance d1 and d2",
    ),
    "units": ("'A', 'radian' or '', one for each name", "give '' for numbers without a unit"),
    "periods": ("a positive number or null, one for each name", "give null where it is not periodic"),
    "symbols": ("distinct chemical symbols", "list the elements in the order of the module's species"),
    "cutoff": ("a length of 0 A or more", "give the longest cutoff inside the module, 0 if it reads no edges"),
    "n_sums": ("a number of columns, 0 or more", "give the columns of forward, 0 if it reads no edges"),
    "atoms": ("IDs of atoms from 1", "give LAMMPS' atom IDs (in ASE the index plus 1)"),
    "lists": ("numbers of atoms, 0 or more, as many as there are atoms together", "give them for combinations only"),
    "dtype": ("'float64' or 'float32'", "give what the module computes in"),
    "settings": ("a non-empty JSON object of finite values", "say what it was made from"),
    "versions": ("versions of rhopot and torch, and a list of operators", "leave it to the exporter"),
    "references": ("at least one reference", "say what users should cite"),
}


class CvCard(Card):
    """The card of one file of collective variables (see the module's text for the meaning of each field).

    Raises CardError, with one sentence for each field that is missing, unknown or wrong.
    """

    RULES: ClassVar = _RULES
    OPTIONAL: ClassVar = ("lists",)

    format_version: Literal[1] = 1
    kind: Literal["cv"] = "cv"
    names: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_COMPONENTS)]
    units: tuple[Literal["A", "radian", ""], ...]
    periods: tuple[Annotated[float, Field(gt=0, strict=True)] | None, ...]
    symbols: Elements
    cutoff: Annotated[float, Field(ge=0, strict=True)]
    n_sums: Annotated[StrictInt, Field(ge=0)]
    atoms: tuple[Annotated[StrictInt, Field(ge=1)], ...]
    lists: tuple[Annotated[StrictInt, Field(ge=0)], ...] | None = None
    dtype: Literal["float64", "float32"]
    settings: Settings
    versions: Versions = Field(default_factory=Versions.installed)
    references: Annotated[tuple[Text, ...], Field(min_length=1)]

    @field_validator("names")
    @classmethod
    def _are_columns(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        plain = all(NAME.fullmatch(name) and name not in TAKEN for name in names)
        if not plain or len(set(names)) < len(names):
            raise ValueError("not distinct names of columns")
        return names

    def _contradictions(self) -> list[str]:
        """One sentence for each field that does not fit another."""
        found = []
        for field in ("units", "periods"):
            if len(getattr(self, field)) != len(self.names):
                rule, remedy = _RULES[field]
                found.append(f"card.{field} must be {rule}, got {len(getattr(self, field))}; {remedy}")
        if self.lists is not None and sum(self.lists) != len(self.atoms):
            rule, remedy = _RULES["lists"]
            found.append(f"card.lists must be {rule}, got {sum(self.lists)} of {len(self.atoms)}; {remedy}")
        reads = {"symbols": bool(self.symbols), "cutoff": self.cutoff > 0, "n_sums": self.n_sums > 0}
        if len(set(reads.values())) > 1:
            given = ", ".join(
                f"{name} {list(value) if isinstance(value, tuple) else value}"
                for name, value in (("symbols", self.symbols), ("cutoff", self.cutoff), ("n_sums", self.n_sums))
            )
            found.append(
                f"card.symbols, cutoff and n_sums must all be given or all be none, got {given}; a module either "
                "reads edges or does not"
            )
        if not (self.symbols or self.atoms):
            found.append(
                "card.atoms must name atoms where no edges are read, got none; "
                "give symbols, cutoff and n_sums, or atoms"
            )
        return found

    @property
    def n_components(self) -> int:
        """Number of collective variables."""
        return len(self.names)

    @property
    def reads_edges(self) -> bool:
        """Whether `forward` is called."""
        return self.cutoff > 0

    @property
    def description(self) -> Description:
        """What `of` makes the same card of."""
        return Description(**{name: getattr(self, name) for name in _DESCRIBED})

    @classmethod
    def of(cls, module: CollectiveVariable | Description) -> CvCard:
        """The card of a module, from its description.

        Raises CardError for a description that no file can have.
        """
        told = module if isinstance(module, Description) else module.description
        fields = {name: getattr(told, name) for name in _DESCRIBED}
        return cls(**fields | {"cutoff": float(told.cutoff), "settings": dict(told.settings)})
