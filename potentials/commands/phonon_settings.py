"""Settings of `rhopot phonons`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rhopot.potentials.properties.quasi_harmonic import scales
from rhopot.potentials.units import Floats

MAX_DISPLACEMENT = 0.5  # A
ROOM = 300.0  # K


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

    def __post_init__(self) -> None:
        """Refuse what would be found out after the forces are computed.

        Raises:
            ValueError: temperatures, displacement or volumes out of range, a supercell without volume.
        """
        if not 0.0 < self.temperature_step <= self.max_temperature:
            raise ValueError(
                f"--temperature-step must be positive and at most --max-temperature, got "
                f"{self.temperature_step:g} and {self.max_temperature:g} K"
            )
        if not 0.0 < self.displacement <= MAX_DISPLACEMENT:
            raise ValueError(
                f"--displacement must be positive and at most {MAX_DISPLACEMENT:g} A, got {self.displacement:g}; "
                "0.01 is usual"
            )
        if self.supercell is not None:
            parse_supercell(self.supercell)
        if self.qha:
            scales(self.volume_range, self.volumes)

    @property
    def temperatures(self) -> Floats:
        """Temperatures in K: from 0 in equal steps, and that of the table."""
        steps = np.arange(0.0, self.max_temperature + 0.5 * self.temperature_step, self.temperature_step)
        return np.union1d(steps, [self.tabulated_temperature])

    @property
    def tabulated_temperature(self) -> float:
        """Temperature in K for which the table gives numbers."""
        return min(ROOM, self.max_temperature)

    @property
    def of_forces(self) -> dict[str, Any]:
        """What forces depend on; the rest may change without their being computed again."""
        settings = {"supercell": self.supercell, "displacement": self.displacement}
        return {**settings, "volume_range": self.volume_range, "volumes": self.volumes}


def parse_supercell(words: str) -> Floats:
    """Read `2,2,2`, or nine numbers, lattice vectors of the supercell as rows in those of the cell; (3, 3).

    Raises:
        ValueError: something else, or no volume.
    """
    try:
        numbers = [int(word) for word in words.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    matrix = np.diag(numbers) if len(numbers) == 3 else np.reshape(numbers, (3, 3)) if len(numbers) == 9 else None
    if matrix is None or abs(np.linalg.det(matrix)) < 0.5 or (len(numbers) == 3 and min(numbers) < 1):
        raise ValueError(
            f"--supercell must be three positive integers or nine that span a volume, got '{words}'; e.g. 2,2,2"
        )
    return np.asarray(matrix, dtype=np.float64)
