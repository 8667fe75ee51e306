"""End points of `rhopot neb --into-void`: voids, a test atom in each, neighbors that can hop into the best one."""

from __future__ import annotations

from dataclasses import dataclass

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials.commands.property_task import PropertyTask
from rhopot.potentials.console import bar, table
from rhopot.potentials.files import write_atomically
from rhopot.potentials.properties.voids import (
    Hop,
    Voids,
    best_hop,
    find_voids,
    hop_into,
    insertion_energies,
    neighbors_of,
)
from rhopot.potentials.units import Floats


@dataclass(frozen=True)
class VoidSearch:
    """What to look for: element that hops, voids tried, A within which neighbors are, hop to take (None: the best)."""

    symbol: str
    voids: int
    reach: float
    hop: int | None


@dataclass(frozen=True)
class _Energies:
    """Energies (n,) in eV of the structure with a test atom in each void."""

    values: Floats


def ends_into_void(
    task: PropertyTask, name: str, atoms: Atoms, search: VoidSearch, fmax: float
) -> tuple[Atoms, Atoms, str]:
    """Return the structures before and after the hop with the lowest end, or the one asked for, and its name.

    All hops are listed and written.

    Raises:
        ValueError: no atom of the element near the void, none that stays in it, or no such hop.
    """
    engine = task.engine(task.engines[0], "hop")
    start = task.relaxed(name, atoms, cell="fixed", fmax=fmax, keep_symmetry=False)
    voids = find_voids(start, search.voids)
    with bar(task.console, "test atom in voids", 1) as advance:
        energies = task.kept.get(
            "test atoms",
            _Energies,
            lambda: _Energies(insertion_energies(start, voids, search.symbol, engine, fmax=fmax)),
        ).values
        advance(1)
    best = int(np.argmin(energies))
    _print_voids(task, start, voids, energies, search.symbol)
    movers = neighbors_of(start, voids.positions[best], search.symbol, search.reach)
    if not movers:
        raise ValueError(
            f"a {search.symbol} atom must be within {search.reach:g} A of void {best + 1}, got none; give a longer "
            "--reach"
        )
    hops = []
    with bar(task.console, "hops", len(movers)) as advance:
        for k, mover in enumerate(movers):

            def move(mover: int = mover) -> Hop:
                return hop_into(start, mover, voids.positions[best], engine, fmax=fmax)

            hops.append(task.kept.get(f"hop {k + 1}", Hop, move))
            advance(k + 1)
    chosen = best_hop(hops) if search.hop is None else search.hop - 1
    if not 0 <= chosen < len(hops):
        raise ValueError(f"--hop must be one of the hops listed, 1 to {len(hops)}, got {search.hop}")
    _print_hops(task, hops, chosen)
    for k, hop in enumerate(hops):
        _write(task, f"hop_{k + 1}.xyz", hop.atoms)
    _write(task, "start.xyz", start)
    return start, hops[chosen].atoms, f"hop_{chosen + 1}"


def _print_voids(task: PropertyTask, atoms: Atoms, voids: Voids, energies: Floats, symbol: str) -> None:
    fractions = np.linalg.solve(atoms.cell.array.T, voids.positions.T).T
    rows = [
        [str(k + 1), ", ".join(f"{x:.3f}" for x in place), f"{radius:.3f}", f"{energy - energies.min():.3f}"]
        for k, (place, radius, energy) in enumerate(zip(fractions, voids.radii, energies, strict=True))
    ]
    task.console.print(table(f"{symbol} in voids", ("void", "fractions", "radius A", "eV above the best"), rows))


def _print_hops(task: PropertyTask, hops: list[Hop], chosen: int) -> None:
    rows = [
        [
            f"{k + 1}{' *' if k == chosen else ''}",
            str(hop.mover),
            f"{hop.length:.3f}",
            f"{hop.energy:.3f}",
            f"{hop.others:.3f}",
            "" if hop.held else "left the void",
        ]
        for k, hop in enumerate(hops)
    ]
    columns = ("hop", "atom", "length A", "end - start eV", "others moved A", "")
    task.console.print(table("neighbors moved into the best void (*: the path that is computed)", columns, rows))


def _write(task: PropertyTask, name: str, atoms: Atoms) -> None:
    write_atomically(task.folder / name, lambda partial: ase.io.write(partial, atoms, format="extxyz"))
