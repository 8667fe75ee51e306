"""The twelve sets of symmetry functions that Lei and Medford compare GMP with, by number (their SI, Table 2).

Each set is a grid of G2 functions (widths x shifts) and one of G4 functions (widths x exponents x signs), the same for
every element. Three elements (C, H, O) give the numbers of features of the table, 156 for set 1 to 48 for set 12 (for
set 9 the table says 32, its own grid makes 36).

Widths are in units of 1 / cutoff^2, the convention of the code they were run with (AMPtorch divides every eta by the
square of the cutoff), and the cutoff there is 10 A: eta = 5 is exp(-0.05 r^2 / A^2). The widths of G2 are
eight or four terms of a geometric series from 0.05 to 5, which the table rounds (0.2321 stands there as 0.2324). Shifts
are in A.

X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100
"""

from typing import Any, Literal

Sign = Literal[-1, 1]
FINE, COARSE = 8, 4


def _series(count: int) -> tuple[float, ...]:
    """Return `count` terms of a geometric series from 0.05 to 5."""
    return tuple(0.05 * 100.0 ** (k / (count - 1)) for k in range(count))


_WIDE = {"g4_etas": (0.001, 0.01, 0.03), "g4_zetas": (1, 2, 4)}
_MEDIUM = {"g4_etas": (0.01, 0.03), "g4_zetas": (1, 4)}
_SMALL = {"g4_etas": (0.01,), "g4_zetas": (1, 4)}
_SHIFTED, _CENTRED = (0.0, 1.5), (0.0,)
_ROWS: dict[int, tuple[int, tuple[float, ...], dict[str, Any]]] = {
    1: (FINE, _SHIFTED, _WIDE),
    2: (FINE, _SHIFTED, _MEDIUM),
    3: (FINE, _CENTRED, _SMALL),
    4: (FINE, _CENTRED, _WIDE),
    5: (FINE, _CENTRED, _MEDIUM),
    6: (FINE, _SHIFTED, _SMALL),
    7: (COARSE, _SHIFTED, _WIDE),
    8: (COARSE, _SHIFTED, _MEDIUM),
    9: (COARSE, _CENTRED, _SMALL),
    10: (COARSE, _CENTRED, _WIDE),
    11: (COARSE, _CENTRED, _MEDIUM),
    12: (COARSE, _SHIFTED, _SMALL),
}
PAPER_CUTOFF = 10.0  # A
NUMBERS = tuple(_ROWS)


def named_set(number: int) -> dict[str, Any]:
    """Return the grids of set `number` (1 to 12) by the names of the fields of `SymmetryFunctionSettings`."""
    count, shifts, angular = _ROWS[number]
    return {"g2_etas": _series(count), "g2_shifts": shifts, "g4_signs": (1, -1), **angular}
