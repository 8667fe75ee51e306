"""Ziegler-Biersack-Littmark screened nuclear repulsion, switched off smoothly between two distances.

    V(r)   = k e^2 Z_a Z_b / r  phi(r / d) + S(r),    d = 0.46850 / (Z_a^0.23 + Z_b^0.23)
    phi(x) = 0.18175 exp(-3.19980 x) + 0.50986 exp(-0.94229 x) + 0.28022 exp(-0.40290 x) + 0.02817 exp(-0.20162 x)
    S(r)   = C                                                      r <= inner
             C + A/3 (r - inner)^3 + B/4 (r - inner)^4              inner < r < outer

with A, B, C such that V, V' and V'' vanish at `outer`: V is C2, and equals what LAMMPS computes as
`pair_style zbl inner outer`. Ziegler, Biersack, Littmark, The Stopping and Range of Ions in Matter (1985).
"""

import math
from collections.abc import Sequence
from typing import Literal, Self

import torch
from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from rhopot.potentials.pair.base import PairBaseline, unordered_pairs

COULOMB = 14.399645  # k e^2 in eV A, the value of LAMMPS' metal units
SCREENING_LENGTH = 0.46850  # A
SCREENING_POWER = 0.23
AMPLITUDES = (0.18175, 0.50986, 0.28022, 0.02817)
RATES = (3.19980, 0.94229, 0.40290, 0.20162)


class ZblHypers(BaseModel):
    """Distances in A between which the repulsion is switched off; `outer` should lie below the bond lengths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["zbl"] = "zbl"
    inner: float = Field(default=1.0, gt=0.0)
    outer: float = Field(default=2.0, gt=0.0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.outer <= self.inner:
            raise ValueError(f"outer must exceed inner ({self.inner} A), got {self.outer}; raise it or lower inner")
        return self


class ZblPair(PairBaseline):
    """ZBL repulsion between all pairs of `symbols`."""

    charge: Tensor
    rate: Tensor
    amplitude: Tensor
    switch: Tensor

    def __init__(self, symbols: Sequence[str], hypers: ZblHypers | None = None) -> None:
        hypers = hypers or ZblHypers()
        super().__init__(len(symbols), hypers.outer)
        self.inner = hypers.inner
        charges, rates, switches = [], [], []
        for a, b in unordered_pairs(len(symbols)):
            z_a, z_b = atomic_numbers[symbols[a]], atomic_numbers[symbols[b]]
            charge = COULOMB * z_a * z_b
            rate = [k * (z_a**SCREENING_POWER + z_b**SCREENING_POWER) / SCREENING_LENGTH for k in RATES]
            charges.append(charge)
            rates.append(rate)
            switches.append(_switch(charge, rate, hypers.inner, hypers.outer))
        self.register_buffer("charge", torch.tensor(charges, dtype=torch.float64))
        self.register_buffer("rate", torch.tensor(rates, dtype=torch.float64))
        self.register_buffer("amplitude", torch.tensor(AMPLITUDES, dtype=torch.float64))
        self.register_buffer("switch", torch.tensor(switches, dtype=torch.float64))

    def pair_energy(self, distance: Tensor, pair: Tensor) -> Tensor:
        """V (E,) in eV."""
        dtype = distance.dtype
        screened = torch.exp(-self.rate.to(dtype)[pair] * distance[:, None]) @ self.amplitude.to(dtype)
        switch = self.switch.to(dtype)[pair]
        beyond = torch.clamp(distance - self.inner, min=0.0)
        polynomial = switch[:, 0] + beyond**3 * (switch[:, 1] / 3.0 + switch[:, 2] / 4.0 * beyond)
        return self.charge.to(dtype)[pair] * screened / distance + polynomial


def _switch(charge: float, rate: list[float], inner: float, outer: float) -> tuple[float, float, float]:
    """C, A and B of the switching polynomial from V, V' and V'' of the unswitched repulsion at `outer`."""
    terms = [c * math.exp(-k * outer) for c, k in zip(AMPLITUDES, rate, strict=True)]
    phi = sum(terms)
    slope = -sum(k * t for k, t in zip(rate, terms, strict=True))
    curvature = sum(k * k * t for k, t in zip(rate, terms, strict=True))
    energy = charge * phi / outer
    first = charge * (slope / outer - phi / outer**2)
    second = charge * (curvature / outer - 2.0 * slope / outer**2 + 2.0 * phi / outer**3)
    width = outer - inner
    cubic = (-3.0 * first + width * second) / width**2
    quartic = (2.0 * first - width * second) / width**3
    return -energy + 0.5 * width * first - width**2 * second / 12.0, cubic, quartic
