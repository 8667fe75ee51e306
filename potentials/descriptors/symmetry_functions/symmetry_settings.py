"""Hyperparameters of the symmetry functions: two grids of functions, and how they fade out at the cutoff."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.descriptors.descriptor_settings import LocalDescriptorSettings
from rhopot.potentials.descriptors.symmetry_functions.sets import Sign, named_set

GRIDS = ("g2_etas", "g2_shifts", "g4_etas", "g4_zetas", "g4_signs")
DEFAULT_SET = 3
Width = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Shift = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Exponent = Annotated[int, Field(ge=1, le=64)]


class SymmetryFunctionSettings(LocalDescriptorSettings):
    """Behler-Parrinello symmetry functions: G2 of distances, G4 of distances and angles."""

    set: int | None = Field(None, ge=1, le=12)
    """Number of one of the sets that Lei and Medford compare (`sets`); set 3 where neither it nor etas are given."""
    g2_etas: tuple[Width, ...] = ()
    """G2: widths eta, each with every shift. [eta_unit]"""
    g2_shifts: tuple[Shift, ...] = (0.0,)
    """G2: shifts R_s. [A]"""
    g4_etas: tuple[Width, ...] = ()
    """G4: widths eta, each with every exponent and sign. [eta_unit]"""
    g4_zetas: tuple[Exponent, ...] = (1,)
    """G4: exponents zeta."""
    g4_signs: tuple[Sign, ...] = (1, -1)
    """G4: signs lambda, +1 or -1."""
    eta_unit: Literal["1/cutoff^2", "1/A^2"] = "1/cutoff^2"
    """Unit of the widths: 1/cutoff^2 (AMP and AMPtorch, hence the sets) or 1/A^2 (Behler)."""
    cutoff_function: Literal["quintic", "shifted_cosine"] = "quintic"
    """Cutoff function of each distance: quintic is C2, shifted_cosine C1 and as published."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_set(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        number = data.get("set")
        if number is None and not any(key in data for key in GRIDS):
            number = DEFAULT_SET
        if not isinstance(number, int) or not 1 <= number <= 12:
            return data  # grids of one's own, or a number that the field refuses
        grids = named_set(number)
        for key in GRIDS:
            if key in data and tuple(data[key]) != grids[key]:
                raise ValueError(f"{key} must be left out beside set: {number}, got {data[key]}; drop one of the two")
        return {**data, **grids, "set": number}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.g2_etas and not self.g4_etas:
            raise ValueError("g2_etas or g4_etas must hold at least one width, got none; give one, or a set")
        for key in GRIDS:
            values = getattr(self, key)
            if len(set(values)) != len(values) or (not values and key not in ("g2_etas", "g4_etas")):
                raise ValueError(f"{key} must be a list of different numbers, got {list(values)}; name each once")
        if self.set is not None and self.eta_unit != "1/cutoff^2":
            raise ValueError(
                f"eta_unit must be 1/cutoff^2 for a named set, got {self.eta_unit}; give the widths instead of the set"
            )
        return self

    @property
    def width(self) -> float:
        """Length over which the cutoff function falls, in A."""
        return self.cutoff if self.cutoff_width is None else self.cutoff_width

    @property
    def cutoff_fn(self) -> CutoffFunction:
        """The cutoff function that these settings name."""
        return CutoffFunction(self.cutoff_function, self.cutoff, self.width)

    @property
    def eta_scale(self) -> float:
        """One unit of eta in A^-2."""
        return self.cutoff**-2 if self.eta_unit == "1/cutoff^2" else 1.0

    @property
    def n_radial(self) -> int:
        """Number of G2 functions of each neighbour species."""
        return len(self.g2_etas) * len(self.g2_shifts)

    @property
    def n_angular(self) -> int:
        """Number of G4 functions of each pair of neighbour species."""
        return len(self.g4_etas) * len(self.g4_zetas) * len(self.g4_signs)

    @property
    def n_features(self) -> int:
        """Number of features of a centre, for the elements in `symbols`."""
        n_species = len(self.symbols)
        return n_species * self.n_radial + n_species * (n_species + 1) // 2 * self.n_angular

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        origin = "" if self.set is None else f" (set {self.set} of Lei and Medford)"
        return [
            f"symmetry functions within {self.cutoff:g} A{origin}",
            f"{self.n_radial} G2 per element, {self.n_angular} G4 per pair of elements; eta in {self.eta_unit}",
            f"cutoff function: {self.cutoff_fn.describe()}",
        ]
