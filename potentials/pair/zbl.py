"""Ziegler-Biersack-Littmark screened nuclear repulsion, switched off smoothly between two distances.

    V(r)   = k e^2 Z_a Z_b / r  phi(r / d) + S(r),    d = 0.46850 / (Z_a^0.23 + Z_b^0.23)
    phi(x) = 0.18175 exp(-3.19980 x) + 0.50986 exp(-0.94229 x) + 0.28022 exp(-0.40290 x) + 0.02817 exp(-0.20162 x)
    S(r)   = C                                                      r <= inner
             C + A/3 (r - inner)^3 + B/4 (r - inner)^4              inner < r < outer

with A, B, C such that V, V' and V'' vanish at `outer`: V is C2, and equals what LAMMPS computes as
`pair_style zbl inner outer`. Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Matter (1985).

inner and outer may differ from pair to pair of elements. Those that are not given come from the training data
(`ZblSettings.completed`): outer is the shortest distance of the pair that occurs there, so that the repulsion is zero
on every training structure and changes neither the fit nor its errors.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import torch
from ase.data import atomic_numbers, covalent_radii
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from rhopot.potentials.pair.base import PairBaseline, unordered_pairs

COULOMB = 14.399645  # k e^2 in eV A, the value of LAMMPS' metal units
SCREENING_LENGTH = 0.46850  # A
SCREENING_POWER = 0.23
AMPLITUDES = (0.18175, 0.50986, 0.28022, 0.02817)
RATES = (3.19980, 0.94229, 0.40290, 0.20162)


# Shares of the sum of two covalent radii: longest outer distance of a pair that occurs in the data (atoms of a molecule
# that are never bonded meet at larger ones), and outer distance of a pair that does not (below a triple bond).
LONGEST_SHARE = 1.0
ABSENT_SHARE = 0.8
INNER_SHARE = 0.75  # of the outer distance

Length = Annotated[float, Field(gt=0.0)]


class ZblSettings(BaseModel):
    """Distances in A between which the repulsion is switched off.

    Each is one number for all pairs of elements, a number for every pair (`{Li-Li: 2.1, Li-Si: 2.0, ...}`), or null:
    then `outer` is the shortest distance of the pair in the training data and `inner` three quarters of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["zbl"] = "zbl"
    """Screened nuclear repulsion (Ziegler, Biersack, Littmark), switched off between two distances."""
    inner: Length | dict[str, Length] | None = None
    """Full repulsion below, a number or {A-B: number}; null: three quarters of `outer`. [A]"""
    outer: Length | dict[str, Length] | None = None
    """No repulsion above, a number or {A-B: number}; null: shortest distance of the pair in the training data. [A]"""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if isinstance(self.inner, float) and isinstance(self.outer, float) and self.outer <= self.inner:
            raise ValueError(f"outer must exceed inner ({self.inner} A), got {self.outer}; raise it or lower inner")
        return self

    def completed(
        self, symbols: Sequence[str], shortest: Mapping[str, float] | None = None, limit: float | None = None
    ) -> "ZblSettings":
        """Both distances (A) of every pair of `symbols`, named like `Li-Si` in the order of `symbols`.

        shortest: shortest distance of each pair that occurs in the training data; a longer one than the sum of the
        covalent radii counts as that sum, and a pair that is missing gets 0.8 times that sum.
        limit: upper bound in A of distances that are not given, the cutoff of the model.

        Raises ValueError for pairs without a given distance and for an inner distance that is not below the outer one.
        """
        inner, outer = {}, {}
        for a, b in unordered_pairs(len(symbols)):
            name = pair_name(symbols[a], symbols[b])
            found = _distance_from_data(symbols[a], symbols[b], (shortest or {}).get(name))
            given = _given(self.outer, name, "outer")
            outer[name] = (found if limit is None else min(found, limit)) if given is None else given
            given = _given(self.inner, name, "inner")
            inner[name] = round(INNER_SHARE * outer[name], 4) if given is None else given
            if inner[name] >= outer[name]:
                raise ValueError(
                    f"baseline.pair.inner must lie below outer ({outer[name]} A for {name}), got {inner[name]}; "
                    "lower it or give outer"
                )
        return ZblSettings(inner=inner, outer=outer)


def pair_name(first: str, second: str) -> str:
    """Name of a pair of elements in settings and reports; the elements stand in the order of the model's symbols."""
    return f"{first}-{second}"


def _given(distances: float | Mapping[str, float] | None, name: str, key: str) -> float | None:
    """Setting of one pair of elements; a mapping must name every pair, in either order."""
    if distances is None or isinstance(distances, float):
        return distances
    reverse = "-".join(reversed(name.split("-")))
    if name not in distances and reverse not in distances:
        raise ValueError(
            f"baseline.pair.{key} must name every pair of elements, got {', '.join(distances)} without {name}; "
            "add it, or write null to take it from the data"
        )
    return float(distances[name] if name in distances else distances[reverse])


def _distance_from_data(first: str, second: str, shortest: float | None) -> float:
    """Outer distance (A) of a pair of elements whose shortest distance in the data is `shortest`."""
    radii = float(sum(covalent_radii[atomic_numbers[symbol]] for symbol in (first, second)))
    if shortest is None:
        return round(ABSENT_SHARE * radii, 4)
    return math.floor(1e4 * min(shortest, LONGEST_SHARE * radii)) / 1e4


class ZblPair(PairBaseline):
    """ZBL repulsion between all pairs of `symbols`; distances that `settings` leave open come from covalent radii."""

    inner: Tensor
    outer: Tensor
    charge: Tensor
    rate: Tensor
    amplitude: Tensor
    switch: Tensor

    def __init__(self, symbols: Sequence[str], settings: ZblSettings | None = None) -> None:
        complete = (settings or ZblSettings()).completed(symbols)
        names = [pair_name(symbols[a], symbols[b]) for a, b in unordered_pairs(len(symbols))]
        inner, outer = ([_given(each, name, "") or 0.0 for name in names] for each in (complete.inner, complete.outer))
        super().__init__(len(symbols), max(outer))
        charges, rates, switches = [], [], []
        for (a, b), begin, end in zip(unordered_pairs(len(symbols)), inner, outer, strict=True):
            z_a, z_b = atomic_numbers[symbols[a]], atomic_numbers[symbols[b]]
            charge = COULOMB * z_a * z_b
            rate = [k * (z_a**SCREENING_POWER + z_b**SCREENING_POWER) / SCREENING_LENGTH for k in RATES]
            charges.append(charge)
            rates.append(rate)
            switches.append(_switch(charge, rate, begin, end))
        self.register_buffer("inner", torch.tensor(inner, dtype=torch.float64))
        self.register_buffer("outer", torch.tensor(outer, dtype=torch.float64))
        self.register_buffer("charge", torch.tensor(charges, dtype=torch.float64))
        self.register_buffer("rate", torch.tensor(rates, dtype=torch.float64))
        self.register_buffer("amplitude", torch.tensor(AMPLITUDES, dtype=torch.float64))
        self.register_buffer("switch", torch.tensor(switches, dtype=torch.float64))

    def pair_energy(self, distance: Tensor, pair: Tensor) -> Tensor:
        """V (E,) in eV."""
        dtype = distance.dtype
        screened = torch.exp(-self.rate.to(dtype)[pair] * distance[:, None]) @ self.amplitude.to(dtype)
        switch = self.switch.to(dtype)[pair]
        beyond = torch.clamp(distance - self.inner.to(dtype)[pair], min=0.0)
        polynomial = switch[:, 0] + beyond**3 * (switch[:, 1] / 3.0 + switch[:, 2] / 4.0 * beyond)
        energy = self.charge.to(dtype)[pair] * screened / distance + polynomial
        return torch.where(distance < self.outer.to(dtype)[pair], energy, torch.zeros_like(energy))


def _switch(charge: float, rate: list[float], inner: float, outer: float) -> tuple[float, float, float]:
    """C, A and B of the switching polynomial from V, V' and V'' of the unswitched repulsion at `outer`."""
    terms = [c * math.exp(-k * outer) for c, k in zip(AMPLITUDES, rate, strict=True)]
    phi = sum(terms)
    derivative = -sum(k * t for k, t in zip(rate, terms, strict=True))
    curvature = sum(k * k * t for k, t in zip(rate, terms, strict=True))
    energy = charge * phi / outer
    first = charge * (derivative / outer - phi / outer**2)
    second = charge * (curvature / outer - 2.0 * derivative / outer**2 + 2.0 * phi / outer**3)
    width = outer - inner
    cubic = (-3.0 * first + width * second) / width**2
    quartic = (2.0 * first - width * second) / width**3
    return -energy + 0.5 * width * first - width**2 * second / 12.0, cubic, quartic
