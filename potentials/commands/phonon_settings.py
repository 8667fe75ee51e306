"""Settings of `rhopot phonons`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rhopot.potentials.units import Floats


@dataclass(frozen=True)
class PhononSettings:
    """Options of the command; see their help."""

    supercell: str | None
    displacement: float
    mesh: float
    tolerance: float
    max_temperature: float
    temperature_step: float
    qha: bool
    volume_range: float
    volumes: int

    @property
    def temperatures(self) -> Floats:
        """Temperatures in K."""
        if not 0.0 < self.temperature_step <= self.max_temperature:
            raise ValueError(
                f"--temperature-step must be positive and at most --max-temperature, got {self.temperature_step:g} and "
                f"{self.max_temperature:g} K"
            )
        return np.arange(0.0, self.max_temperature + 0.5 * self.temperature_step, self.temperature_step)

    @property
    def of_forces(self) -> dict[str, Any]:
        """What forces depend on; the rest may change without their being computed again."""
        settings = {"supercell": self.supercell, "displacement": self.displacement}
        return {**settings, "volume_range": self.volume_range, "volumes": self.volumes}
