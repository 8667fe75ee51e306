"""What a collective variable is: contributions of centers, their sum, and a function of it and of given atoms.

    S_m = sum over centers i of c_m(i),     c(i) a function of the edges r_ij of center i within the cutoff
    s   = finish(S, x_a),                   x_a the positions of given atoms

Contributions are summed over batches of centers and over MPI ranks, so an average has a column that counts its centers,
and `finish` divides. Derivatives: ds/dr_ij = sum_m ds/dS_m dc_m/dr_ij by two backward passes.

Subclasses are what TorchScript compiles; `Description` is what their file says of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

# Collective variables of one file at most.
MOST_COMPONENTS = 3
FULL_TURN = 2.0 * math.pi


@dataclass(frozen=True)
class Description:
    """What the file of a collective variable says of it.

    Attributes:
        names: 1 to 3 names, columns of HILLS and COLVAR.
        settings: what it was made from, plain values, at least one.
        units: `A`, `radian` or nothing, of each; default: numbers without a unit.
        periods: of each, or None; default: none is periodic.
        symbols: elements of centers and neighbors; `species` handed to `forward` are indices into them.
        cutoff: in A, 0 when no edges are read.
        n_sums: columns M of `forward`, 0 when no edges are read.
        atoms: numbers of given atoms from 1 (those of LAMMPS; in ASE index + 1), whose positions `finish` gets.
        lists: of a combination, how many of `atoms` each part has.
        dtype: `float64` or `float32`, what it computes in.
        references: what to cite.

    Raises:
        ValueError: no settings.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Any]
    units: tuple[str, ...] = ()
    periods: tuple[float | None, ...] = ()
    symbols: tuple[str, ...] = ()
    cutoff: float = 0.0
    n_sums: int = 0
    atoms: tuple[int, ...] = ()
    lists: tuple[int, ...] | None = None
    dtype: str = "float64"
    references: tuple[str, ...] = field(default=("rhopot",))

    def __post_init__(self) -> None:
        """Fill in the units and periods that were not given."""
        if not self.settings:
            raise ValueError(
                "settings must say what the variable was made from, got none; give for instance "
                "{'variable': 'gyration'}"
            )
        object.__setattr__(self, "units", tuple(self.units) or ("",) * len(self.names))
        object.__setattr__(self, "periods", tuple(self.periods) or (None,) * len(self.names))


class CollectiveVariable(nn.Module):
    """Base of collective variables.

    A subclass that reads edges defines `forward`, all define `finish`.

    Args:
        description: what its file says of it.
    """

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.description = description

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return contributions (C, M) of the centers, float64; the arguments are the fields of an `AtomicGraph`."""
        return edge_vectors.new_zeros([centre.shape[0], 0])

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the values (n_cv,), float64.

        sums: (M,) of the contributions of all centers
        positions: (k, 3) of the given atoms in A, each the image nearest to the one before it
        """
        raise NotImplementedError("a collective variable must define finish")
