"""Silicon by the property commands: models beside Stillinger-Weber, SNAP and quadratic SNAP, all of them in LAMMPS.

    python examples/silicon/run.py soap_gap=run1/model.pt multispectrum=run2/model.pt [--output runs/silicon]

Runs `rhopot eos`, `elastic`, `defects` (a vacancy in 64 sites) and `neb` (its hop) for each potential and prints a
table: lattice constant, bulk modulus of Birch and Murnaghan, elastic constants, formation and migration energy of the
vacancy, with the standard deviation over the ensemble members. Beside them stand
the values of density-functional theory (PBE) of the data that SNAP is fitted to (Y. Zuo et al., J. Phys. Chem. A 124,
731 (2020), doi:10.1021/acs.jpca.9b08723: lattice constant and bulk modulus as published there, constants from the
elastic frames of those data). Draws energies.png and constants.png. A second start takes finished results.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rhopot.potentials import property_plots
from rhopot.potentials.commands import main as rhopot
from rhopot.potentials.console import make_console, table

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {
    "Stillinger-Weber": ("sw", "* * Si.sw {elements}"),
    "SNAP": ("snap", "* * Si_Zuo_JPCA2020.snapcoeff Si_Zuo_JPCA2020.snapparam {elements}"),
    "quadratic SNAP": (
        "snap",
        "* * Si_Zuo_JPCA2020.quadratic.snapcoeff Si_Zuo_JPCA2020.quadratic.snapparam {elements}",
    ),
}
DFT = {"a0 (A)": 5.469, "K (GPa)": 88.4, "C11 (GPa)": 152.7, "C12 (GPa)": 56.2}
COMMANDS = {"eos": [], "elastic": [], "defects": ["--sizes", "2"], "neb": ["--images", "3"]}
CRYSTAL = ["--prototype", "diamond", "--symbol", "Si"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the commands, print the table, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL.PT")
    parser.add_argument("--published", nargs="*", default=list(PUBLISHED), choices=list(PUBLISHED))
    parser.add_argument("--output", type=Path, default=ROOT / "runs/silicon")
    options = parser.parse_args(arguments)
    potentials = {name: [model] for name, model in (each.split("=", 1) for each in options.models)}
    for name in options.published:
        style, *lines = PUBLISHED[name]
        potentials[name] = ["--pair-style", style, *(word for line in lines for word in ("--pair-coeff", line))]
    console = make_console()
    found = {name: _measure(words, options.output / name.replace(" ", "_")) for name, words in potentials.items()}
    rows = [
        [
            quantity,
            *(_number(each.get(quantity)) for each in found.values()),
            f"{DFT[quantity]:g}" if quantity in DFT else "",
        ]
        for quantity in next(iter(found.values()))
        if quantity != "curve"
    ]
    console.print(table("", ["", *found, "DFT"], rows))
    curves = {
        name: (np.array(each["curve"]["volumes"]), np.array(each["curve"]["energies"])) for name, each in found.items()
    }
    aligned = {name: (volumes, energies - energies.min()) for name, (volumes, energies) in curves.items()}
    console.print(str(property_plots.volume_curves(options.output / "energies.png", aligned)))
    constants = ["C11 (GPa)", "C12 (GPa)", "C44 (GPa)"]
    heights = {name: [each[constant][0] for constant in constants] for name, each in found.items()}
    errors = {name: [each[constant][1] or 0.0 for constant in constants] for name, each in found.items()}
    picture = property_plots.bars(
        options.output / "constants.png", ["C11", "C12", "C44"], heights, errors, "elastic constant (GPa)"
    )
    console.print(str(picture))


def _measure(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """Quantities of one potential: (number, standard deviation or None), and its curve."""
    read = {}
    for verb, more in COMMANDS.items():
        output = folder / verb
        status = rhopot([verb, *words, *CRYSTAL, "--engine", "lammps", *more, "-o", str(output)])
        if status != 0 and (output / "band.xyz").is_file():  # a path with a minimum between its ends: it has no barrier
            continue
        if status != 0:
            raise SystemExit(f"rhopot {verb} failed for {words[0]}; see its message above")
        read[verb] = json.loads((output / f"{verb}.json").read_text(encoding="utf-8"))
    eos, elastic = (read[verb]["structures"]["diamond"] for verb in ("eos", "elastic"))
    volume = eos["V0 (Birch-Murnaghan)"]
    lattice = (8.0 * volume["lammps"]) ** (1.0 / 3.0)
    relative = (volume["standard_deviation"] or 0.0) / volume["lammps"] / 3.0
    modulus = eos["K (Birch-Murnaghan)"]
    quantities: dict[str, Any] = {
        "a0 (A)": (lattice, lattice * relative or None),
        "K (GPa)": (modulus["lammps"], modulus["standard_deviation"]),
    }
    for name in ("C11", "C12", "C44"):
        quantities[f"{name} (GPa)"] = (elastic[name]["lammps"], elastic[name]["standard_deviation"])
    (vacancy,) = read["defects"]["structures"]["diamond"].values()
    quantities["vacancy formation (eV)"] = (vacancy["lammps"], vacancy["standard_deviation"])
    quantities["vacancy migration (eV)"] = None
    if "neb" in read:
        barrier = read["neb"]["structures"]["path"]["forward barrier"]
        quantities["vacancy migration (eV)"] = (barrier["lammps"], barrier["standard_deviation"])
    return {**quantities, "curve": read["eos"]["curves"]["diamond"]["lammps"]}


def _number(value: tuple[float, float | None] | None) -> str:
    if value is None:
        return ""
    number, deviation = value
    digits = 4 if 4 < abs(number) < 10 else 2 if abs(number) < 4 else 1
    return f"{number:.{digits}f}" + (f" +- {deviation:.{digits}f}" if deviation else "")


if __name__ == "__main__":
    main()
