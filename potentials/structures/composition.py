"""Per-element energy baseline: E ~ sum over elements of (number of atoms) x (energy per atom).

Least squares on energies per atom, minimising sum_f w_f^2 (E_f - n_f . e)^2 with w_f = 1 / N_f unless weights are
given. Where the compositions do not determine every element (one composition only, say) the solution of least norm
is taken, and the baseline says so: it is then right for those compositions and arbitrary in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ase
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from rhopot.potentials.graph.species import species_indices, unknown_symbols
from rhopot.potentials.structures.frames import DataError, Floats, Frame


@dataclass(frozen=True)
class CompositionBaseline:
    """Energies per atom in eV, in the order of `symbols`; `note` is empty unless something must be known."""

    symbols: tuple[str, ...]
    energies: tuple[float, ...]
    method: str
    note: str = ""

    def as_dict(self) -> dict[str, float]:
        """Energy per atom (eV) by symbol."""
        return dict(zip(self.symbols, self.energies, strict=True))

    def energy(self, atoms: ase.Atoms) -> float:
        """Baseline energy of a structure in eV."""
        return float(composition(atoms, self.symbols) @ np.asarray(self.energies))


def composition(atoms: ase.Atoms, symbols: Sequence[str]) -> Floats:
    """Number of atoms of each of `symbols` (A,); an element outside them is refused."""
    species = species_indices(atoms, symbols)
    if (species < 0).any():
        unknown = ", ".join(unknown_symbols(atoms, symbols))
        raise DataError(f"element must be one of {', '.join(symbols)}, got {unknown}; add it or drop the structure")
    return np.bincount(species, minlength=len(symbols)).astype(np.float64)


def fit_baseline(
    frames: Iterable[Frame],
    symbols: Sequence[str] | None = None,
    weights: NDArray[np.float64] | None = None,
    energies: NDArray[np.float64] | None = None,
) -> CompositionBaseline:
    """Least-squares baseline of the frames that carry an energy.

    `weights` (one per such frame, 1/eV) replace 1 / number of atoms; `energies` (eV, one per such frame) replace
    the frames' own, for instance by what is left after a pair baseline.
    """
    labelled = [frame for frame in frames if frame.energy is not None]
    if not labelled:
        raise DataError("energies must be present to fit an element baseline, got none; give the baseline explicitly")
    if symbols is None:
        symbols = sorted({s for frame in labelled for s in frame.atoms.symbols}, key=lambda s: ase.Atom(s).number)
    counts_fa = np.array([composition(frame.atoms, symbols) for frame in labelled])
    target_f = np.array([frame.energy for frame in labelled], dtype=float) if energies is None else np.asarray(energies)
    weight_f = 1.0 / counts_fa.sum(axis=1) if weights is None else np.asarray(weights)
    for name, array in (("weights", weight_f), ("energies", target_f)):
        if array.shape != (len(labelled),):
            raise ValueError(f"{name} must have shape ({len(labelled)},), got {array.shape}; give one per energy")
    solution, _, rank, _ = np.linalg.lstsq(counts_fa * weight_f[:, None], target_f * weight_f, rcond=1e-10)
    note = ""
    if rank < len(symbols):
        note = (
            f"the compositions determine {int(rank)} of {len(symbols)} element energies ({', '.join(symbols)}); "
            "the least-norm solution is used, so energies of other compositions share an arbitrary constant"
        )
    return CompositionBaseline(tuple(symbols), tuple(float(e) for e in solution), "least squares", note)


def explicit_baseline(energies: Mapping[str, float], symbols: Sequence[str]) -> CompositionBaseline:
    """Baseline given by the user in eV per atom; every one of `symbols` must be named."""
    unknown = [symbol for symbol in energies if atomic_numbers.get(symbol, 0) < 1]
    if unknown:
        raise ValueError(
            f"baseline.elements must give energies of chemical elements, got {', '.join(unknown)}; correct the symbol"
        )
    missing = [symbol for symbol in symbols if symbol not in energies]
    if missing:
        raise ValueError(
            f"baseline.elements must name every element of the data, got no value for {', '.join(missing)}; add it"
        )
    values = tuple(float(energies[symbol]) for symbol in symbols)
    if not np.isfinite(values).all():
        raise ValueError(f"baseline.elements must be finite energies in eV, got {dict(energies)}; correct them")
    return CompositionBaseline(tuple(symbols), values, "explicit")


def is_isolated_atom(frame: Frame) -> bool:
    """Whether a frame is one isolated atom: not periodic, or of config_type IsolatedAtom (or isolated_atom)."""
    named = frame.config_type.lower().replace("_", "") == "isolatedatom"
    return len(frame) == 1 and (named or not frame.atoms.pbc.any())


def missing_isolated_atoms(frames: Iterable[Frame], symbols: Sequence[str]) -> tuple[str, ...]:
    """Elements of `symbols` without a frame of one isolated atom with an energy."""
    found = {frame.atoms.symbols[0] for frame in frames if frame.energy is not None and is_isolated_atom(frame)}
    return tuple(symbol for symbol in symbols if symbol not in found)


def isolated_atoms_baseline(frames: Iterable[Frame], symbols: Sequence[str]) -> CompositionBaseline:
    """Baseline from the energies of frames that hold one isolated atom (`is_isolated_atom`)."""
    found: dict[str, float] = {}
    for frame in frames:
        if frame.energy is None or not is_isolated_atom(frame):
            continue
        symbol = frame.atoms.symbols[0]
        if symbol in found and abs(found[symbol] - frame.energy) > 1e-6:
            raise DataError(f"isolated {symbol} must have one energy, got {found[symbol]} and {frame.energy}; drop one")
        found[symbol] = frame.energy
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise DataError(
            f"isolated atoms must be in the data for every element, got none for {', '.join(missing)}; "
            "add one-atom frames with config_type=IsolatedAtom or choose another baseline"
        )
    return CompositionBaseline(tuple(symbols), tuple(found[symbol] for symbol in symbols), "isolated atoms")
