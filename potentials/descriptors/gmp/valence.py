"""Valence densities of the elements H to Rn: a few Gaussians on each atom.

    rho(r) = sum_k c_k exp(-a_k r^2),       integral rho d^3r = n_electrons exactly             [1, SI 0.2]

with c_k in e/A^3, a_k in 1/A^2 and 2 to 7 terms, read from `valence_densities.json`. The densities are those of
spherical Kohn-Sham pseudo-atoms, semicore shells included where the pseudopotential holds them;
`examples/valence_densities` made them and tells how well the Gaussians fit:

    fit_error = integral |sum_k c_k exp(-a_k r^2) - rho(r)| 4 pi r^2 dr / n_electrons.

Pseudo-densities vanish or dip at the nucleus, so some c_k are negative.

[1] Lei, Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

FILE = Path(__file__).with_name("valence_densities.json")


@dataclass(frozen=True)
class ValenceDensity:
    """The valence density of one element.

    Attributes:
        n_electrons: its integral.
        coefficients: c_k in e/A^3.
        exponents: a_k in 1/A^2, ascending: the widest Gaussian first.
        fit_error: as the module text defines it.
        source: the pseudo-atom that it was fitted to.
    """

    n_electrons: int
    coefficients: tuple[float, ...]
    exponents: tuple[float, ...]
    fit_error: float
    source: str

    @property
    def charges(self) -> tuple[float, ...]:
        """The electrons that each Gaussian holds, c_k (pi / a_k)^(3/2); their sum is n_electrons."""
        return tuple(c * (np.pi / a) ** 1.5 for c, a in zip(self.coefficients, self.exponents, strict=True))

    @property
    def mean_square_radius(self) -> float:
        """<r^2> in A^2: a Gaussian of exponent a has 3 / (2 a)."""
        moments = [1.5 * q / a for q, a in zip(self.charges, self.exponents, strict=True)]
        return float(sum(moments)) / self.n_electrons

    def __call__(self, radius: ArrayLike) -> Floats:
        """rho in e/A^3 at distances from the nucleus in A, any shape."""
        square = np.asarray(radius, dtype=np.float64)[..., None] ** 2
        return np.exp(-square * np.array(self.exponents)) @ np.array(self.coefficients)


def valence_density(symbol: str) -> ValenceDensity:
    """The valence density of an element by its chemical symbol; ValueError beyond H to Rn."""
    densities = valence_densities()
    if symbol not in densities:
        raise ValueError(f"symbol must be an element from H to Rn, got {symbol!r}; check its spelling")
    return densities[symbol]


@cache
def valence_densities() -> dict[str, ValenceDensity]:
    """All elements by atomic number; do not change the dictionary."""
    return read_valence_densities(FILE)


def read_valence_densities(path: Path) -> dict[str, ValenceDensity]:
    """The elements of a file like `valence_densities.json`.

    Raises:
        ValueError: naming the element whose Gaussians do not integrate to its electrons.
    """
    elements = json.loads(path.read_text(encoding="utf-8"))["elements"]
    return {symbol: _density(symbol, item) for symbol, item in elements.items()}


def _density(symbol: str, item: dict[str, Any]) -> ValenceDensity:
    gaussians = sorted(item["gaussians"], key=lambda pair: float(pair[1]))
    density = ValenceDensity(
        n_electrons=int(item["n_electrons"]),
        coefficients=tuple(float(c) for c, _ in gaussians),
        exponents=tuple(float(a) for _, a in gaussians),
        fit_error=float(item["fit_error"]),
        source=str(item["source"]),
    )
    total = sum(density.charges) if all(a > 0.0 for a in density.exponents) else float("nan")
    if not abs(total - density.n_electrons) < 1e-9 * density.n_electrons:
        raise ValueError(
            f"gaussians of {symbol} must integrate to its {density.n_electrons} electrons, got {total}; "
            "fit them again with examples/valence_densities/fit.py"
        )
    return density
