"""Channels of the Dirac densities: what an atom of charge Z weighs, c(Z).

    rho_c(u) = sum_k c(Z_k) delta(u - R_k)                                                          [1, eq. 2.2]

Defaults for any elements: one channel per element, with c = Z for it and 0 for others, named after the element, then
`valence` (electrons beyond the closed core), `ionic` (electrons of that core) and `kinetic` (sqrt Z). For Li and Si
these are the five channels of [1, chapter 3]: lithium 3, 0; silicon 0, 14; valence 1, 4; ionic 2, 10; kinetic sqrt Z.

The closed core is the last noble gas below Z, with the filled d and f shells of the same row once p electrons come
(d) or d electrons come (f): Ga has 3 valence electrons, Hf 4, Zn 12.

[1] X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapters 2-4
"""

import math
from collections.abc import Mapping, Sequence

from ase.data import atomic_names, atomic_numbers

NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86)


def valence_electrons(symbol: str) -> int:
    """Return the number of electrons of a neutral atom beyond its closed core."""
    charge = atomic_numbers[symbol]
    core = max(number for number in NOBLE_GASES if number < charge)
    electrons = charge - core
    if core in (18, 36) and electrons > 12:
        return electrons - 10
    if core in (54, 86) and electrons > 26:
        return electrons - 24
    if core in (54, 86) and electrons > 17:
        return electrons - 14
    return electrons


def default_channels(symbols: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the default channels {name: {symbol: c}} of `symbols` (see the module's docstring)."""
    charges = {symbol: float(atomic_numbers[symbol]) for symbol in symbols}
    valence = {symbol: float(valence_electrons(symbol)) for symbol in symbols}
    table = {atomic_names[atomic_numbers[symbol]].lower(): {symbol: charges[symbol]} for symbol in symbols}
    table["valence"] = valence
    table["ionic"] = {symbol: charges[symbol] - valence[symbol] for symbol in symbols}
    table["kinetic"] = {symbol: math.sqrt(charges[symbol]) for symbol in symbols}
    return table


def channel_weights(channels: Mapping[str, Mapping[str, float]], symbols: Sequence[str]) -> list[list[float]]:
    """Return c of every channel (row) and species (column); a species that a channel does not name weighs 0."""
    return [[float(weights.get(symbol, 0.0)) for symbol in symbols] for weights in channels.values()]
