"""Hyperparameters of the SOAP descriptors: what defines the density and its invariants, and nothing else."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rhopot.potentials.density.cutoff import CutoffFunction, CutoffKind
from rhopot.potentials.density.scaling import WillattScaling
from rhopot.potentials.descriptors.descriptor_settings import LocalDescriptorSettings

Contraction = tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]


class OptimalBasis(BaseModel):
    """Contraction of the primitive radial functions that keeps most of the variance of the density in the data."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    q_max: int | None = Field(default=None, ge=1)
    """Radial functions that are kept: of each species, or with species_mode mixed of all species together."""
    residual_variance: float | None = Field(default=None, ge=0, lt=1)
    """Share of the density's variance that may be lost: it chooses q_max where that is null. [1]"""
    pcovr_mixing: float | None = Field(default=None, ge=0, le=1)
    """Weight of variance at degree 0, the rest is that of the energies (`supervised_basis`); null or 1: PCA. [1]"""
    contraction: Contraction | None = None
    """U (L+1, Q, A, N) of the primitive functions; null: learned from the training data. [1]"""

    @model_validator(mode="after")
    def _some_size(self) -> Self:
        if self.q_max is None and self.residual_variance is None:
            raise ValueError("q_max or residual_variance must be given, got neither; write q_max: 5, for instance")
        return self


class SoapSettings(LocalDescriptorSettings):
    """SOAP power spectrum of a density expanded in radial functions and spherical harmonics."""

    cutoff: float = Field(5.0, gt=0, le=20)
    """Radius of an atomic environment. [A]"""
    n_max: int = Field(8, ge=1, le=24)
    """Radial functions of each species channel."""
    l_max: int = Field(6, ge=0, le=12)
    """Highest angular degree."""
    density: Literal["gaussian", "delta"] = "gaussian"
    """Density of a neighbor: a Gaussian, or a Dirac delta."""
    density_width: float = Field(0.5, gt=0)
    """Standard deviation of the Gaussian density. [A]"""
    radial_basis: Literal["gto", "dvr"] = "gto"
    """Primitive radial functions: Gaussian-type orbitals or a discrete variable representation (`density.basis`)."""
    cutoff_function: CutoffKind = "quintic"
    """Cutoff function: quintic is C2, shifted_cosine C1, step is for comparison with other codes."""
    cutoff_width: float = Field(1.0, gt=0)
    """Length before the cutoff over which neighbors are switched off smoothly. [A]"""
    scaling: WillattScaling | None = None
    """Radial scaling, a weight of neighbors by distance; null: none."""
    center_weight: float = Field(1.0, ge=0)
    """Weight of the central atom's own density. [1]"""
    species_mode: Literal["separate", "mixed"] = "separate"
    """separate: radial functions of each species; mixed: those of pseudo-species, or of an optimal basis for all."""
    n_pseudo: int = Field(2, ge=1)
    """Pseudo-species of the mixed mode; not used with an optimal basis, which mixes the species itself."""
    pseudo_species: Literal["radii", "learned"] = "radii"
    """Pseudo-species join elements of like covalent radius, or keep most of the variance of the training data."""
    pseudo_weights: tuple[tuple[float, ...], ...] | None = None
    """Weights (B, A) of the elements in learned pseudo-species; null: from the training data. [1]"""
    optimal_basis: OptimalBasis | None = None
    """Contraction of the n_max primitive functions, learned from the training data; null: they are used as they are."""
    tolerance: float = Field(1e-9, gt=0, lt=1e-2)
    """Largest error of the tabulated radial functions, relative to each function's maximum. [1]"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.density == "gaussian" and self.density_width < 0.01 * self.cutoff:
            raise ValueError(
                f"density_width must be at least a hundredth of the cutoff ({self.cutoff:g} A), got "
                f"{self.density_width:g}; use density: delta for points"
            )
        if self.pseudo_species == "learned" and (self.species_mode == "separate" or self.optimal_basis is not None):
            found = "species_mode: separate" if self.species_mode == "separate" else "an optimal basis"
            raise ValueError(
                f"pseudo_species must be radii where no pseudo-species are used, got learned with {found}; write "
                "species_mode: mixed and optimal_basis: null"
            )
        return self

    @property
    def cutoff_fn(self) -> CutoffFunction:
        """The cutoff function that these settings name."""
        return CutoffFunction(self.cutoff_function, self.cutoff, self.cutoff_width)

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        density = (
            f"Gaussian density of width {self.density_width:g} A" if self.density == "gaussian" else "Dirac density"
        )
        functions = f"{self.n_max} {self.radial_basis.upper()} radial functions"
        if self.optimal_basis is not None:
            functions = self._describe_contraction(self.optimal_basis, functions)
        channels = "" if self.species_mode == "separate" or self.optimal_basis is not None else self._describe_pseudo()
        lines = [
            f"{density} within {self.cutoff:g} A, central-atom weight {self.center_weight:g}",
            f"{functions}, angular degrees up to {self.l_max}",
            f"cutoff function: {self.cutoff_fn.describe()}",
            f"{self.species_mode} species channels{channels}",
        ]
        return lines if self.scaling is None else [*lines, self.scaling.describe()]

    def _describe_pseudo(self) -> str:
        """Say what the pseudo-species are."""
        count = f": {self.n_pseudo} pseudo-species"
        if self.pseudo_species == "radii":
            return f"{count} by covalent radii"
        if self.pseudo_weights is None:
            return f"{count} learned from the training data"
        rows = (
            " ".join(f"{weight:+.2f} {symbol}" for weight, symbol in zip(row, self.symbols, strict=True))
            for row in self.pseudo_weights
        )
        return f": learned pseudo-species {', '.join(rows)}"

    def _describe_contraction(self, basis: OptimalBasis, primitive: str) -> str:
        """Say how the primitive functions are contracted."""
        each = "of all species together" if self.species_mode == "mixed" else "for each species"
        if basis.q_max is None:
            return f"optimal contraction of {primitive} {each} to a residual variance of {basis.residual_variance:g}"
        lost = "" if basis.residual_variance is None else f" (residual variance {basis.residual_variance:.2g})"
        if basis.pcovr_mixing is not None:
            lost += f", at degree 0 by PCovR with mixing {basis.pcovr_mixing:g}"
        return f"optimal contraction of {primitive} {each} to {basis.q_max}{lost}"
