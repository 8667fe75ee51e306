"""Steinhardt's bond-orientational order: how alike the directions of all bonds are, or of those of each atom.

With the density of neighbors c_lm(i) of `neighbor_density` and n(i) = sqrt(4 pi) c_00(i) neighbors of atom i,

    global   Q_l = sqrt(4 pi / (2l+1) sum_m |sum_i c_lm(i) / sum_i n(i)|^2)                               [1, eq. 1.3]
    local    q_l = mean over i of sqrt(4 pi / (2l+1) sum_m |c_lm(i) / n(i)|^2)

Q_l tells crystals (fcc Q_6 = 0.575, hcp 0.485, bcc of 8 neighbors 0.629, diamond 0.629) from liquids and glasses, where
it falls with the number of bonds as 1/sqrt(N); q_l is high in liquids too. Degrees that symmetry forbids are zero (odd
ones where every bond has an opposite one).

Both roots are rounded off below 1e-3 (`norms.rounded_norm`), so that derivatives are finite in perfect crystals too,
and numbers of neighbors below 1 are replaced (`norms.at_least_half`): q_l is C2 when an atom loses its last one.

In : edges within r_c. Contributions: global (C, 2 l + 2), n(i) and c_lm(i); local (C, 2), whether the center counts and
its q_l. Out: (1,), a number. Range: r_c. Cost: O(E l^2).

[1] P. J. Steinhardt, D. R. Nelson, M. Ronchetti, Phys. Rev. B 28, 784 (1983), doi:10.1103/PhysRevB.28.784
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rhopot.potentials.collective_variables.collective_variable import CollectiveVariable, Description
from rhopot.potentials.collective_variables.coordination import WIDTH
from rhopot.potentials.collective_variables.elements import checked_cutoff, member_mask, union
from rhopot.potentials.collective_variables.neighbor_density import NeighborDensity
from rhopot.potentials.collective_variables.norms import ROUNDING, at_least_half, rounded_norm
from rhopot.potentials.graph.atomic_graph import AtomicGraph

STEINHARDT = "P. J. Steinhardt, D. R. Nelson, M. Ronchetti, Phys. Rev. B 28, 784 (1983), doi:10.1103/PhysRevB.28.784"
HIGHEST_DEGREE = 12


class Steinhardt(CollectiveVariable):
    """Order parameter Q_l of all bonds, or the mean of the atoms' q_l.

    Args:
        degree: l, from 1.
        elements: of the atoms whose neighbors count.
        cutoff: r_c in A.
        width: w in A, over which neighbors are switched off, 0 < w <= r_c.
        by: elements of the neighbors; default: `elements`.
        local: the mean of q_l instead of Q_l.
        name: of the variable; default: Q and the degree, or q and the degree.

    Raises:
        ValueError: a degree out of range, no or unknown elements, a cutoff or width out of range.
    """

    counted: Tensor

    def __init__(
        self,
        degree: int,
        elements: Sequence[str],
        cutoff: float,
        width: float = WIDTH,
        by: Sequence[str] | None = None,
        local: bool = False,
        name: str | None = None,
    ) -> None:
        by = elements if by is None else by
        symbols = union(elements, by)
        checked_cutoff(cutoff, width)
        if not 1 <= degree <= HIGHEST_DEGREE:
            raise ValueError(f"degree must be from 1 to {HIGHEST_DEGREE}, got {degree}; 4 and 6 suit most crystals")
        settings = {
            "variable": "steinhardt",
            "degree": degree,
            "of": list(elements),
            "by": list(by),
            "cutoff": cutoff,
            "width": width,
            "local": local,
        }
        super().__init__(
            Description(
                names=(name or f"{'q' if local else 'Q'}{degree}",),
                symbols=symbols,
                cutoff=cutoff,
                n_sums=2 if local else 2 * degree + 2,
                settings=settings,
                references=(STEINHARDT,),
            )
        )
        self.density = NeighborDensity(symbols, by, cutoff, width, degree)
        self.degree: int = degree
        self.local: bool = local
        self.rounding: float = ROUNDING
        self.per_neighbor: float = math.sqrt(4.0 * math.pi)
        self.factor: float = 4.0 * math.pi / (2.0 * degree + 1.0)
        self.register_buffer("counted", member_mask(symbols, elements))

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return the contributions (C, M) of the centers of `elements`; those of others are zero."""
        coefficients = self.density(AtomicGraph(edge_vectors, first_edge, neighbour, centre, species))
        number = self.per_neighbor * coefficients[:, :1]
        of_degree = coefficients[:, self.degree * self.degree :]
        own = torch.index_select(self.counted, 0, torch.index_select(species, 0, centre))[:, None]
        if self.local:
            values = self.order(of_degree / at_least_half(number))
            return torch.cat([own, own * values[:, None]], dim=1)
        return own * torch.cat([number, of_degree], dim=1)

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return Q_l or the mean of q_l: (1,)."""
        if self.local:
            return sums[1:] / sums[0]
        return self.order((sums[1:] / at_least_half(sums[0]))[None])

    def order(self, coefficients: Tensor) -> Tensor:
        """Return the order parameters (C,) of coefficients (C, 2 l + 1) per neighbor."""
        return rounded_norm(self.factor * (coefficients * coefficients).sum(dim=1), self.rounding)
