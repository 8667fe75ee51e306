"""Settings of multispectra: the density of SOAP, and how many invariants of each order are kept."""

from typing import Self

from pydantic import Field, model_validator

from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis, SoapSettings


class MultispectrumSettings(SoapSettings):
    """Invariants of one to four neighbors (nu = 1 to 4) of a density in an optimal radial basis."""

    n_max: int = Field(16, ge=1, le=24)
    """Primitive radial functions of each species."""
    optimal_basis: OptimalBasis | None = OptimalBasis(q_max=8)
    """Contraction of the primitive functions, learned from the training data; null: they are used as they are."""
    n_two: int | None = Field(None, ge=0)
    """Invariants of order 2 that are kept, those of the largest channels; null: all."""
    n_three: int = Field(1000, ge=0)
    """Invariants of order 3 that are kept, those of the largest channels."""
    l_three: int = Field(4, ge=0, le=12)
    """Highest angular degree of the channels in invariants of order 3."""
    n_four: int = Field(0, ge=0)
    """Invariants of order 4 that are kept, those of the largest channels."""
    l_four: int = Field(3, ge=0, le=6)
    """Highest angular degree of the channels in invariants of order 4."""
    sizes: tuple[tuple[float, ...], ...] | None = None
    """Root mean square of each channel (L+1, U); null: that of the training data. [1]"""

    @model_validator(mode="after")
    def _some_invariants(self) -> Self:
        if self.l_three > self.l_max or self.l_four > self.l_max:
            raise ValueError(
                f"l_three and l_four must be at most l_max ({self.l_max}), got {self.l_three} and {self.l_four}; "
                "lower them or raise l_max"
            )
        return self

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        two = "all" if self.n_two is None else f"the {self.n_two} largest"
        higher = [f"{self.n_three} of order 3 (degrees up to {self.l_three})"] if self.n_three else []
        higher += [f"{self.n_four} of order 4 (degrees up to {self.l_four})"] if self.n_four else []
        return [*super().describe(), ", ".join([f"invariants: {two} of order 2", *higher])]
