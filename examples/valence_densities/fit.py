"""Valence densities of the elements: from pseudo-atoms to Gaussians.

    python fit.py                          all elements that the file does not have with the present settings
    python fit.py Si Cu --again            these, afresh
    python fit.py --table                  the errors as a table
    python fit.py --references FILE        radial densities of a few elements, for the tests

Writes `potentials/descriptors/gmp/valence_densities.json` after every element, so that it may be stopped and started
again.
Needs PySCF (`pip install pyscf`), which the package itself does not.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyscf
from gaussians import Fitting, GaussianSum, RadialDensity, fit_gaussians
from pseudo_atom import Solver, solve_atom

OUTPUT = Path(__file__).resolve().parents[2] / "potentials" / "gmp" / "valence_densities.json"
BOHR = 0.529177210903  # A, CODATA 2018

# Valence electrons, semicore shells where a harder pseudopotential would hold them.
N_ELECTRONS = {
    "H": 1, "He": 2,
    "Li": 3, "Be": 4, "B": 3, "C": 4, "N": 5, "O": 6, "F": 7, "Ne": 8,
    "Na": 9, "Mg": 10, "Al": 3, "Si": 4, "P": 5, "S": 6, "Cl": 7, "Ar": 8,
    "K": 9, "Ca": 10, "Sc": 11, "Ti": 12, "V": 13, "Cr": 14, "Mn": 15, "Fe": 16, "Co": 17, "Ni": 18, "Cu": 19,
    "Zn": 20, "Ga": 13, "Ge": 14, "As": 5, "Se": 6, "Br": 7, "Kr": 8,
    "Rb": 9, "Sr": 10, "Y": 11, "Zr": 12, "Nb": 13, "Mo": 14, "Tc": 15, "Ru": 16, "Rh": 17, "Pd": 18, "Ag": 19,
    "Cd": 20, "In": 13, "Sn": 14, "Sb": 15, "Te": 16, "I": 17, "Xe": 18,
    "Cs": 9, "Ba": 10,
    "La": 11, "Ce": 12, "Pr": 13, "Nd": 14, "Pm": 15, "Sm": 16, "Eu": 17, "Gd": 18, "Tb": 19, "Dy": 20, "Ho": 21,
    "Er": 22, "Tm": 23, "Yb": 24, "Lu": 25,
    "Hf": 12, "Ta": 13, "W": 14, "Re": 15, "Os": 16, "Ir": 17, "Pt": 18, "Au": 19, "Hg": 20,
    "Tl": 13, "Pb": 14, "Bi": 15, "Po": 16, "At": 17, "Rn": 18,
}  # fmt: skip
SOLVER = Solver()
FITTING = Fitting()
# The part of the radial grid that is fitted, in A, and every how many points of it.
FIRST_RADIUS, LAST_RADIUS, STRIDE = 1e-3, 15.0, 4
REFERENCES = ("H", "C", "Li", "Si", "Cu", "Gd", "Rn")
DIGITS = 5


def settings() -> dict[str, Any]:
    """Everything that the numbers depend on, as it is stored beside them."""
    return {
        "functional": "PBE, spin-restricted, open shells occupied evenly",
        "pseudopotentials": f"GTH-PBE as shipped with PySCF {pyscf.__version__}",
        "units": "c in e/A^3, alpha in 1/A^2; rho(r) = sum c exp(-alpha r^2)",
        "fit_error": "integral |fit - rho| 4 pi r^2 dr / n_electrons",
        "bohr": BOHR,
        "radii": [FIRST_RADIUS, LAST_RADIUS, STRIDE],
        "solver": asdict(SOLVER),
        "fitting": asdict(FITTING),
    }


def radial_density(symbol: str) -> tuple[RadialDensity, str, tuple[int, ...]]:
    """The density of an element's pseudo-atom, where it comes from, and its electrons with l = 0, 1, 2, ..."""
    potential, atom = solve_atom(symbol, N_ELECTRONS[symbol], SOLVER)
    radius = atom.radius * BOHR
    part = np.flatnonzero((radius > FIRST_RADIUS) & (radius < LAST_RADIUS))[::STRIDE]
    density = RadialDensity(radius[part], atom.density[part] / BOHR**3, potential.charge)
    return density, f"spherical PBE pseudo-atom, {potential.name}", potential.electrons


def entry(fit: GaussianSum, n_electrons: int, source: str, electrons: tuple[int, ...]) -> dict[str, Any]:
    """One element of the file."""
    return {
        "n_electrons": n_electrons,
        "gaussians": [[float(c), float(a)] for c, a in zip(fit.coefficients, fit.exponents, strict=True)],
        "fit_error": float(f"{fit.fit_error:.4g}"),
        "source": source,
        "electrons_by_l": list(electrons),
    }


def load(path: Path) -> dict[str, Any]:
    """The elements of a file made with the present settings; none if there is no such file."""
    if not path.is_file():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return dict(stored["elements"]) if stored["settings"] == settings() else {}


def save(path: Path, elements: dict[str, Any]) -> None:
    """Write the file in one step: elements by atomic number, one to a line."""
    lines = [f'  "{symbol}": {json.dumps(elements[symbol])}' for symbol in N_ELECTRONS if symbol in elements]
    text = f'{{\n"settings": {json.dumps(settings(), indent=1)},\n"elements": {{\n' + ",\n".join(lines) + "\n}\n}\n"
    temporary = path.with_suffix(".partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def fit_all(symbols: Sequence[str], path: Path, again: bool) -> None:
    """Fit what is missing and print a line for each."""
    elements = load(path)
    for symbol in symbols:
        if symbol in elements and not again:
            continue
        density, source, electrons = radial_density(symbol)
        fit = fit_gaussians(density, FITTING)
        elements[symbol] = entry(fit, density.n_electrons, source, electrons)
        save(path, elements)
        print(describe(symbol, density.n_electrons, fit), flush=True)


def describe(symbol: str, n_electrons: int, fit: GaussianSum) -> str:
    """A line about one fit."""
    narrow, wide = np.sqrt(0.5 / fit.exponents[[-1, 0]])
    return (
        f"{symbol:2} {n_electrons:2} electrons, {len(fit.exponents)} Gaussians, error {fit.fit_error:.5f}, "
        f"negative {fit.negative:.0e}, widths {narrow:.3f} to {wide:.2f} A, "
        f"sum |q| / n {np.abs(fit.charges).sum() / n_electrons:.2f}"
    )


def write_references(path: Path) -> None:
    """Radii in A and densities in e/A^3 of a few elements."""
    columns = {}
    for symbol in REFERENCES:
        density, _, _ = radial_density(symbol)
        columns[symbol] = [float(f"{value:.{DIGITS}g}") for value in density.density[::2]]
        columns["radius"] = [float(f"{value:.9g}") for value in density.radius[::2]]
    path.write_text(json.dumps(columns) + "\n", encoding="utf-8")


def table(path: Path) -> str:
    """Element, electrons, Gaussians, error in percent: six elements a line, in markdown."""
    cells = [
        f"{symbol} {item['n_electrons']} {len(item['gaussians'])} {100 * item['fit_error']:.2f}"
        for symbol, item in load(path).items()
    ]
    rows = [" | ".join(cells[k : k + 6]) for k in range(0, len(cells), 6)]
    return "\n".join(f"| {row} |" for row in rows)


def main(words: Sequence[str] | None = None) -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="elements; all where none is given")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--again", action="store_true", help="fit elements that the file already has")
    parser.add_argument("--table", action="store_true", help="print the errors of the file")
    parser.add_argument("--references", type=Path, metavar="FILE", help="write radial densities for the tests")
    chosen = parser.parse_args(words)
    unknown = [symbol for symbol in chosen.symbols if symbol not in N_ELECTRONS]
    if unknown:
        parser.error(f"symbols must be of elements H to Rn, got {', '.join(unknown)}; check their spelling")
    if chosen.table:
        print(table(chosen.output))
    elif chosen.references:
        write_references(chosen.references)
    else:
        fit_all(chosen.symbols or list(N_ELECTRONS), chosen.output, chosen.again)


if __name__ == "__main__":
    main()
