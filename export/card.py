"""The model card: everything a reader must know of a model before running it.

The card travels as `rhopot.json` inside the TorchScript archive, so that Python and C++ can read it before they
deserialise anything. Every field is required in the file; when a card is made in Python, `format_version`, `units`
and `versions` are known to the exporter and may be left out.

    format_version      int     1
    family              str     soap_linear, soap_gap, ...
    kind                str     local: energies of centres from edges;  global: total energy of a structure (the two
                                contracts: `rhopot.export.local_models`, `rhopot.export.global_models`)
    symbols             [str]   chemical symbols; `species` handed to the model are indices into this list
    cutoff              float   A; edges of this length and longer have no effect. Of global models, the reach of what
                                they are made of: no neighbour list is built from it
    n_layers            int     stages of message passing; 1 is a model that exchanges nothing between atoms
    dtype               str     float64 or float32: what the model computes in (it takes and returns float64)
    units               obj     length A, energy eV
    baseline_energies   obj     symbol -> eV, already contained in the model's energies
    uncertainty         obj     members: K columns of member energies after the energy itself, 0 for none;
                                force_factors: symbol -> factor on the standard deviation of the members' forces on
                                its atoms, from force errors of the validation set; files without it have 1,
                                uncalibrated;
                                force_radii: symbol -> multiple m and floor f (eV/A) of the radius
                                m sqrt(sigma^2 + f^2) that 90% of the errors of forces on its atoms stay within; files
                                without it know no such radius;
                                extrapolation: true where the model grades how far the environment of an atom lies
                                outside its training data (method `extrapolation_grades`); files without it do not
    descriptor, fit     obj     settings, as used
    training_data       obj     summary: what it was trained on;  hash: of the structures and labels
    metrics             obj     errors after the fit
    versions            obj     rhopot, torch, operators (the custom operators the file calls)
    references          [str]   what to cite
    stretch             float   of global models, optional: factor by which periodic edges may grow on the grid that a
                                run begins with; the model was trained with it. Files without it have
                                `units.STRETCH`
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictInt, ValidationInfo, field_validator

from rhopot.export.card_file import (
    FORMAT_VERSION,
    Card,
    Elements,
    Part,
    Settings,
    Text,
    Versions,
)
from rhopot.potentials.units import STRETCH

_RULES: dict[str, tuple[str, str]] = {
    "format_version": (f"{FORMAT_VERSION}", "leave it to the exporter"),
    "family": ("the name of a model family", "give for instance 'soap_gap'"),
    "kind": ("'local' or 'global'", "a model of atomic energies is 'local', one of the total energy 'global'"),
    "symbols": ("distinct chemical symbols", "list the elements in the order of the model's species"),
    "cutoff": ("a positive length in A", "give the longest cutoff inside the model"),
    "n_layers": ("a positive number of message-passing stages", "a model without any exchange between atoms has 1"),
    "dtype": ("'float64' or 'float32'", "give what the model computes in"),
    "units": ("length 'A' and energy 'eV'", "leave it to the exporter"),
    "baseline_energies": ("one energy in eV for each of the symbols", "give 0.0 where there is none"),
    "uncertainty": (
        "a number of members, 0 or more, positive force_factors and force_radii, one for each of the symbols, and "
        "extrapolation true or false",
        "give 0 members if the model has no uncertainty",
    ),
    "descriptor": ("a non-empty JSON object of finite values", "give the descriptor's settings"),
    "fit": ("a non-empty JSON object of finite values", "give the fit's settings"),
    "training_data": ("a summary and a hash", "describe what the model was trained on"),
    "metrics": ("a non-empty JSON object of finite values", "give at least the training errors"),
    "versions": ("versions of rhopot and torch, and a list of operators", "leave it to the exporter"),
    "references": ("at least one reference", "say what users of this model should cite"),
    "stretch": ("a factor of at least 1", "leave it out for models of kind 'local'"),
}


class Units(Part):
    """Units of the model's input and output."""

    length: Literal["A"] = "A"
    energy: Literal["eV"] = "eV"


class ForceRadii(Part):
    """Radius multiple sqrt(sigma^2 + floor^2) in eV/A of the errors of forces on atoms of one element.

    sigma: calibrated standard deviation of the members' forces on the atom (`rhopot.potentials.fitting.force_radii`)
    """

    multiple: Annotated[float, Field(gt=0, strict=True)]
    floor: Annotated[float, Field(ge=0, strict=True)]


class Uncertainty(Part):
    """Number K of member columns; 0 where the model does not know its own uncertainty.

    force_factors: calibration of the predicted uncertainty of forces, for each element; empty: 1, not calibrated.
    Member columns are calibrated for total energies; the standard deviation of the members' forces on an atom is
    multiplied by the factor of its element as well.
    force_radii: of the errors of forces, for each element; empty: not known.
    extrapolation: whether the model grades environments (`rhopot.potentials.models.extrapolation`).
    """

    members: Annotated[StrictInt, Field(ge=0)]
    force_factors: dict[str, Annotated[float, Field(gt=0, strict=True)]] = Field(default_factory=dict)
    force_radii: dict[str, ForceRadii] = Field(default_factory=dict)
    extrapolation: Annotated[bool, Field(strict=True)] = False


class TrainingData(Part):
    """Summary of the training data, and a hash that identifies it."""

    summary: Settings
    hash: Text


class ModelCard(Card):
    """The card of one model (see the module's text for the meaning of each field).

    Raises CardError, with one sentence for each field that is missing, unknown or wrong.
    """

    RULES: ClassVar = _RULES
    OPTIONAL: ClassVar = ("stretch",)

    format_version: Literal[1] = 1
    family: Text
    kind: Literal["local", "global"]
    symbols: Annotated[Elements, Field(min_length=1)]
    cutoff: Annotated[float, Field(gt=0, strict=True)]
    n_layers: Annotated[StrictInt, Field(ge=1)]
    dtype: Literal["float64", "float32"]
    units: Units = Units()
    baseline_energies: dict[str, Annotated[float, Field(strict=True)]]
    uncertainty: Uncertainty
    descriptor: Settings
    fit: Settings
    training_data: TrainingData
    metrics: Settings
    versions: Versions = Field(default_factory=Versions.installed)
    references: Annotated[tuple[Text, ...], Field(min_length=1)]
    stretch: Annotated[float, Field(ge=1, strict=True)] | None = None

    def _contradictions(self) -> list[str]:
        """One sentence for each field that the descriptor's settings contradict; the model was made with those."""
        found = []
        symbols, cutoff = self.descriptor.get("symbols", list(self.symbols)), self.descriptor.get("cutoff", 0.0)
        if symbols != list(self.symbols):
            found.append(
                f"card.symbols must be those of card.descriptor, got {list(self.symbols)} beside {symbols}; "
                "export it again"
            )
        if isinstance(cutoff, int | float) and self.cutoff < cutoff:
            found.append(
                f"card.cutoff must reach as far as that of card.descriptor, got {self.cutoff} beside {cutoff}; "
                "export it again"
            )
        return found

    @field_validator("uncertainty")
    @classmethod
    def _calibrates_the_symbols(cls, uncertainty: Uncertainty, given: ValidationInfo) -> Uncertainty:
        for values in (uncertainty.force_factors, uncertainty.force_radii):
            if values and set(values) != set(given.data.get("symbols", values)):
                raise ValueError("not one value for each symbol")
        return uncertainty

    @field_validator("baseline_energies")
    @classmethod
    def _cover_the_symbols(cls, energies: dict[str, float], given: ValidationInfo) -> dict[str, float]:
        if set(energies) != set(given.data.get("symbols", energies)):
            raise ValueError("not one energy for each symbol")
        return energies

    @property
    def default_stretch(self) -> float:
        """Factor by which periodic edges may grow, unless a run asks for another."""
        return STRETCH if self.stretch is None else self.stretch
