"""What the analysis of a biased run found: a free energy, its basins and barriers, their errors and convergence."""

from __future__ import annotations

from dataclasses import dataclass, field

from rhopot.potentials.free_energy.basins import Basins, barriers, barriers_within, differences
from rhopot.potentials.free_energy.block_errors import BlockErrors
from rhopot.potentials.free_energy.grid import Surface
from rhopot.potentials.units import Floats


@dataclass(frozen=True)
class Measured:
    """Numbers of the basins, eV: differences (basins,) from the lowest, barriers (passes, 2) there and back."""

    differences: Floats | None
    barriers: Floats


@dataclass(frozen=True)
class FreeEnergy:
    """A free energy and what follows from it; energies in eV.

    values: by the method that made the surface; reweighted: by weighted frames, where the surface is that of hills
    errors: standard deviations by bootstrap; blocks: error against the length of blocks, of `block_quantity`
    times: of convergence (t,); in_time: the numbers at each
    method, frames: how values and errors were made, in words
    second: the free energy of the weighted frames with its error, where `surface` is that of hills; both have the same
        integral of exp(-F / kT)
    """

    surface: Surface
    basins: Basins
    values: Measured
    reweighted: Measured | None
    errors: Measured | None
    blocks: BlockErrors | None
    block_quantity: str
    times: Floats
    in_time: tuple[Measured, ...]
    method: str
    frames: str
    notes: tuple[str, ...] = field(default=())
    second: Surface | None = None

    @property
    def of_frames(self) -> Surface | None:
        """The free energy that errors of nodes belong to; None where there are no frames."""
        return self.surface if self.surface.error is not None else self.second


def measured(basins: Basins, energy: Floats, thermal: float | None) -> Measured:
    """Numbers of a free energy (n_1, ...) in eV at the minima and passes of the basins; thermal: kT in eV."""
    return Measured(differences(basins, energy, thermal) if thermal else None, barriers(basins, energy))


def measured_within(basins: Basins, energy: Floats, thermal: float | None) -> Measured:
    """The same of an earlier free energy, with the minima and passes that it had."""
    return Measured(differences(basins, energy, thermal) if thermal else None, barriers_within(basins, energy))
