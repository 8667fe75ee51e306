"""Settings of the bases of angular networks."""

from pydantic import Field

from rhopot.potentials.descriptors.descriptor_settings import LocalDescriptorSettings


class AngularSettings(LocalDescriptorSettings):
    """Gaussians of the distance to a neighbor, and of the cosine of the angle to another one."""

    cutoff: float = Field(5.0, gt=0, le=20)
    """Radius of an atomic environment. [A]"""
    n_radial: int = Field(10, ge=2, le=64)
    """Gaussians of the distance, from 0 to the cutoff."""
    n_angular: int = Field(10, ge=2, le=64)
    """Gaussians of the cosine, from -1 to 1."""

    @property
    def width(self) -> float:
        """Length over which neighbors are switched off, in A."""
        return self.cutoff if self.cutoff_width is None else self.cutoff_width

    def describe(self) -> list[str]:
        """Say in a few lines what the settings mean."""
        return [
            f"{self.n_radial} Gaussians of the distance up to the cutoff of {self.cutoff:g} A times {self.n_angular} "
            f"of the cosine; neighbors are switched off over {self.width:g} A (quintic polynomial)"
        ]
