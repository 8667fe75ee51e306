"""Neighbour edges of structures that are asked for again: searched once, within a stated memory."""

from __future__ import annotations

import ase

from rhopot.potentials.graph.neighbours import Edges, find_edges

MIB = float(2**20)


class EdgeCache:
    """`find_edges`, whose results are kept.

    A structure is told by its object, which must not change as long as the cache lives. Edges within a smaller cutoff
    are chosen from those that are kept (`Edges.within`); edges of structures that no longer fit into the memory are
    searched whenever they are asked for.

    Args:
        cutoff: least radius (A) of a search; a fit gives the largest that it will ask for.
        max_mib: memory for edges in MiB, some 64 bytes for each.

    Attributes:
        n_searches: number of neighbour searches made.
    """

    def __init__(self, cutoff: float = 0.0, max_mib: float = 256.0) -> None:
        self.n_searches = 0
        self._cutoff = cutoff
        self._left = max_mib * MIB
        self._kept: dict[int, tuple[ase.Atoms, float, Edges]] = {}

    def __call__(self, atoms: ase.Atoms, cutoff: float) -> Edges:
        """Return all edges shorter than `cutoff` (A); see `find_edges`."""
        kept = self._kept.get(id(atoms))
        if kept is None or kept[1] < cutoff:
            radius = max(cutoff, self._cutoff)
            self.n_searches += 1
            kept = atoms, radius, find_edges(atoms, radius)
            self._keep(*kept)
        _, radius, edges = kept
        return edges if cutoff == radius else edges.within(cutoff)

    def _keep(self, atoms: ase.Atoms, radius: float, edges: Edges) -> None:
        """Remember edges where there is room for them; the structure is kept too, so that no other takes its place."""
        before = self._kept.pop(id(atoms), None)
        if before is not None:
            self._left += before[2].nbytes
        if edges.nbytes <= self._left:
            self._left -= edges.nbytes
            self._kept[id(atoms)] = atoms, radius, edges
