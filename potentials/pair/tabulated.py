"""A pair potential given by numbers: interpolated by a quintic spline, evaluated by quintic Hermite pieces, C2.

The table file is plain text. Its first line names the columns, the others hold r in A and V in eV:

    r      Li-Li   Li-Si   Si-Si
    0.50   35.1    98.0    210.4
    ...

From `cutoff - switch_width` to `cutoff` the potential is multiplied by the quintic switch
1 - 10 t^3 + 15 t^4 - 6 t^5, so that it ends C2; below the first distance it continues as the parabola with the
table's value, first and second derivative there. Start the table at a distance that no atoms reach.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.interpolate import make_interp_spline
from torch import Tensor

from rhopot.potentials.density.cutoff import CutoffFunction
from rhopot.potentials.density.hermite import evaluate_hermite
from rhopot.potentials.pair.base import PairBaseline, unordered_pairs

Floats = NDArray[np.float64]
# (R,) distances in A -> (3, R): V, V', V''
PairFunction = Callable[[Floats], Floats]
SPLINE_DEGREE = 5


class TabulatedSettings(BaseModel):
    """A table file and where its potential ends; `cutoff` defaults to the last distance of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["tabulated"] = "tabulated"
    """Pair potentials from a table of distance and energy."""
    file: Path
    """File of the table."""
    cutoff: float | None = Field(default=None, gt=0.0)
    """Where the potential ends; null: at the last distance of the table. [A]"""
    switch_width: float = Field(default=0.5, gt=0.0)
    """Length before the cutoff over which it is switched off. [A]"""
    n_knots: int = Field(default=1001, ge=16)
    """Knots of its spline."""


class TabulatedPair(PairBaseline):
    """Pair potentials from their value, first and second derivative at equidistant knots.

    Args:
        table: (P, K, 3) V, V', V'' in eV, eV/A, eV/A^2 at r_k = k cutoff / (K - 1), unordered pairs a <= b in order.
        n_symbols: number of elements A, P = A (A + 1) / 2.
        cutoff: last knot in A; the table is set to zero there.
    """

    table: Tensor

    def __init__(self, table: Floats, n_symbols: int, cutoff: float) -> None:
        super().__init__(n_symbols, cutoff)
        n_pairs = len(unordered_pairs(n_symbols))
        if table.ndim != 3 or table.shape[0] != n_pairs or table.shape[1] < 2 or table.shape[2] != 3:
            raise ValueError(f"table must have shape ({n_pairs}, K, 3), got {table.shape}; reorder it")
        if not np.isfinite(table).all():
            raise ValueError("table must be finite, got NaN or infinity; start the table at a larger distance")
        values = torch.tensor(table, dtype=torch.float64)
        values[:, -1] = 0.0
        self.register_buffer("table", values[:, :, :, None, None].contiguous())

    @classmethod
    def from_functions(
        cls, functions: Sequence[PairFunction], n_symbols: int, cutoff: float, n_knots: int = 1001
    ) -> Self:
        """Sample one function per unordered pair; each must reach zero with two zero derivatives at the cutoff."""
        knots = np.linspace(0.0, cutoff, n_knots)
        return cls(np.stack([function(knots).T for function in functions]), n_symbols, cutoff)

    @classmethod
    def from_arrays(
        cls,
        distance: Floats,
        energies: Mapping[tuple[str, str], Floats],
        symbols: Sequence[str],
        cutoff: float | None = None,
        switch_width: float = 0.5,
        n_knots: int = 1001,
    ) -> Self:
        """Tables V(r) in eV by pair of symbols at `distance` (R,) in A, switched off as the module text says."""
        distance = np.asarray(distance, dtype=np.float64)
        cutoff = float(distance[-1]) if cutoff is None else cutoff
        if len(distance) <= SPLINE_DEGREE or not np.all(np.diff(distance) > 0) or distance[0] <= 0:
            raise ValueError(
                f"distance must be at least {SPLINE_DEGREE + 1} increasing positive lengths, got {len(distance)}; "
                "sort the table and drop r = 0"
            )
        if not distance[0] < cutoff <= distance[-1]:
            raise ValueError(f"cutoff must lie inside the table (at most {distance[-1]} A), got {cutoff}; lower it")
        if not 0 < switch_width <= cutoff - distance[0]:
            raise ValueError(f"switch_width must fit above {distance[0]} A, got {switch_width}; lower it")
        end = CutoffFunction("quintic", cutoff, switch_width)
        functions = []
        for a, b in unordered_pairs(len(symbols)):
            names = (symbols[a], symbols[b])
            energy = energies.get(names, energies.get((names[1], names[0])))
            if energy is None:
                raise ValueError(
                    f"table must hold every pair of elements, got none for {'-'.join(names)}; add a column"
                )
            functions.append(_switched(distance, np.asarray(energy, dtype=np.float64), end))
        return cls.from_functions(functions, len(symbols), cutoff, n_knots)

    def pair_energy(self, distance: Tensor, pair: Tensor) -> Tensor:
        """V (E,) in eV."""
        return evaluate_hermite(distance, pair, self.table.to(distance.dtype), self.cutoff)[:, 0, 0]


def tabulated_pair(settings: TabulatedSettings, symbols: Sequence[str]) -> TabulatedPair:
    """The pair baseline of a table file."""
    distance, energies = read_pair_table(settings.file)
    return TabulatedPair.from_arrays(
        distance, energies, symbols, settings.cutoff, settings.switch_width, settings.n_knots
    )


def read_pair_table(path: str | Path) -> tuple[Floats, dict[tuple[str, str], Floats]]:
    """Distances (R,) in A and energies (R,) in eV by pair of symbols, from a file as the module text shows it."""
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"pair table must name an existing file, got {str(path)!r}; check its spelling and place")
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    header = [name for name in lines[0] if name != "#"] if lines else []
    pairs = [tuple(name.split("-")) for name in header[1:]]
    if len(header) < 2 or header[0] != "r" or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"pair table {file} must begin like 'r Li-Li Li-Si Si-Si', got {' '.join(header)!r}; name the columns"
        )
    try:
        values = np.array([[float(word) for word in line] for line in lines[1:]])
    except ValueError as error:
        raise ValueError(f"pair table {file} must hold rows of numbers, got {error}; repair it") from None
    if values.ndim != 2 or values.shape[1] != len(header):
        raise ValueError(f"pair table {file} must have {len(header)} columns, got shape {values.shape}; repair it")
    return values[:, 0], {(a, b): values[:, k + 1] for k, (a, b) in enumerate(pairs)}


def _switched(distance: Floats, energy: Floats, end: CutoffFunction) -> PairFunction:
    """V, V', V'' of a table: quintic spline, parabola below its first distance, times the switch."""
    if energy.shape != distance.shape:
        raise ValueError(f"energies must have shape {distance.shape}, got {energy.shape}; give one per distance")
    spline = make_interp_spline(distance, energy, k=SPLINE_DEGREE)
    first = distance[0]
    v, dv, ddv = (float(spline(first, nu=n)) for n in range(3))

    def function(r: Floats) -> Floats:
        x = r - first
        inner = np.stack([v + x * (dv + 0.5 * x * ddv), dv + x * ddv, np.full_like(x, ddv)])
        outer = np.stack([spline(np.clip(r, first, distance[-1]), nu=n) for n in range(3)])
        f = np.where(x < 0, inner, outer)
        s = end(r)
        return np.stack([f[0] * s[0], f[1] * s[0] + f[0] * s[1], f[2] * s[0] + 2.0 * f[1] * s[1] + f[0] * s[2]])

    return function
