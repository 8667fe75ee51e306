"""Several collective variables in one file, each of which sees what it would see alone.

Part p gets the edges shorter than its own cutoff between atoms of its own elements, the centers of its elements, and
its own given atoms; sums and values stand one after the other. Given atoms are a chain of nearest images, so those of a
later part may be images in another cell; every part depends on differences of positions only, as variables of a
periodic structure must. One atom may be given to several parts.

In : edges within the longest cutoff. Contributions (C, sum of M_p). Out: (sum of n_p,), at most 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.collective_variables.collective_variable import (
    MOST_COMPONENTS,
    CollectiveVariable,
    Description,
)
from rhopot.potentials.graph.atomic_graph import edge_centres


class Combined(CollectiveVariable):
    """Collective variables side by side.

    Args:
        parts: modules, compiled or not.
        descriptions: of each part (`combine` takes those that the parts have).

    Raises:
        ValueError: no part, or more than 3 variables in all.

    Names that stand for several variables get a number.
    """

    species_maps: Tensor
    cutoffs: list[float]
    first_sum: list[int]
    first_atom: list[int]

    def __init__(self, parts: Sequence[nn.Module], descriptions: Sequence[Description]) -> None:
        n_components = sum(len(each.names) for each in descriptions)
        if not 1 <= n_components <= MOST_COMPONENTS:
            raise ValueError(
                f"parts must have 1 to {MOST_COMPONENTS} collective variables in all, got {n_components}; "
                "combine fewer of them"
            )
        joined = _joined(descriptions)
        super().__init__(joined)
        maps = [[_index(each.symbols, symbol) for symbol in joined.symbols] for each in descriptions]
        self.register_buffer("species_maps", torch.tensor(maps, dtype=torch.int64).reshape(len(maps), -1))
        self.parts = nn.ModuleList(parts)
        self.cutoffs = [each.cutoff for each in descriptions]
        self.first_sum = _offsets([each.n_sums for each in descriptions])
        self.first_atom = _offsets([len(each.atoms) for each in descriptions])

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """Return the contributions of all parts (C, sum of M_p)."""
        columns: list[Tensor] = []
        square = (edge_vectors * edge_vectors).sum(dim=1)
        of_edge = edge_centres(first_edge)
        for k, part in enumerate(self.parts):
            cutoff = self.cutoffs[k]
            if cutoff > 0.0:
                own = torch.index_select(self.species_maps[k], 0, species)
                known = torch.index_select(own, 0, centre) >= 0
                kept = (square < cutoff * cutoff) & (torch.index_select(own, 0, neighbour) >= 0)
                kept = kept & torch.index_select(known, 0, of_edge)
                centers = torch.nonzero(known)[:, 0]
                counts = torch.zeros_like(centre).index_add(0, of_edge, kept.to(torch.int64))
                ends = torch.cumsum(torch.index_select(counts, 0, centers), 0)
                edges = torch.nonzero(kept)[:, 0]
                found = part(
                    torch.index_select(edge_vectors, 0, edges),
                    torch.cat([torch.zeros_like(first_edge[:1]), ends]),
                    torch.index_select(neighbour, 0, edges),
                    torch.index_select(centre, 0, centers),
                    own.clamp(min=0),  # of atoms that no edge leads to
                )
                columns.append(found.new_zeros([centre.shape[0], found.shape[1]]).index_add(0, centers, found))
        return torch.cat(columns, dim=1)

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """Return the values of all parts, one after the other."""
        values: list[Tensor] = []
        for k, part in enumerate(self.parts):
            of_part = sums[self.first_sum[k] : self.first_sum[k + 1]]
            given = positions[self.first_atom[k] : self.first_atom[k + 1]]
            values.append(part.finish(of_part, given))  # type: ignore[operator]
        return torch.cat(values)


def combine(*parts: CollectiveVariable) -> Combined:
    """Return several collective variables as one module, at most 3 in all."""
    return Combined(parts, [part.description for part in parts])


def _index(symbols: Sequence[str], symbol: str) -> int:
    """Index of a symbol, -1 where it is not there."""
    return list(symbols).index(symbol) if symbol in symbols else -1


def _joined(told: Sequence[Description]) -> Description:
    """The description of all parts together."""
    return Description(
        names=_distinct([name for each in told for name in each.names]),
        units=tuple(unit for each in told for unit in each.units),
        periods=tuple(period for each in told for period in each.periods),
        symbols=tuple(dict.fromkeys(symbol for each in told for symbol in each.symbols)),
        cutoff=max(each.cutoff for each in told),
        n_sums=sum(each.n_sums for each in told),
        atoms=tuple(atom for each in told for atom in each.atoms),
        lists=tuple(size for each in told for size in each.lists or (len(each.atoms),)),
        dtype="float32" if any(each.dtype == "float32" for each in told) else "float64",
        settings={"variable": "combined", "parts": [dict(each.settings) for each in told]},
        references=tuple(dict.fromkeys(reference for each in told for reference in each.references)),
    )


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names with numbers behind those that stand there more than once."""
    found: list[str] = []
    for k, name in enumerate(names):
        number, candidate = names[:k].count(name) + 1, name
        if list(names).count(name) > 1:
            candidate = f"{name}_{number}"
        while candidate in found or (candidate != name and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        found.append(candidate)
    return tuple(found)


def _offsets(sizes: Sequence[int]) -> list[int]:
    """Where each part begins, and the end of all."""
    offsets = [0]
    for size in sizes:
        offsets.append(offsets[-1] + size)
    return offsets
