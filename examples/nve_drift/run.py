"""Energy conservation of 1000 silicon atoms in LAMMPS: drift of the total energy in meV/atom/ps.

    python examples/nve_drift/run.py [--model model.pt] [--ranks 2] [--steps 10000]

The full length is 10 ps at 1 fs and 1000 K; a potential whose forces are its energy's derivatives drifts by less than
0.01 meV/atom/ps (a linear model with n = 8, l = 6: -0.0004). Writes the deck, its log and a plot into
the output folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ase.build import bulk

from rhopot.potentials import plots
from rhopot.potentials.console import make_console
from rhopot.potentials.lammps.input_decks import nve, write_data
from rhopot.potentials.lammps.process import run_lammps
from rhopot.potentials.properties.md import energy_drift

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print the drift."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_linear/model.pt")
    parser.add_argument("--symbol", default="Si")
    parser.add_argument("--lattice", type=float, default=5.47, help="lattice constant in A")
    parser.add_argument("--cells", type=int, default=5, help="cubic cells along each direction (8 atoms each)")
    parser.add_argument("--temperature", type=float, default=1000.0, help="K, after equipartition")
    parser.add_argument("--timestep", type=float, default=1.0, help="fs")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "runs/nve_drift")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    atoms = bulk(options.symbol, "diamond", a=options.lattice, cubic=True).repeat(options.cells)
    data = replace(write_data(options.output / "crystal.data", atoms), path=Path("crystal.data"))
    deck = nve(
        data,
        options.model.resolve(),
        timestep_fs=options.timestep,
        steps=options.steps,
        every=max(1, options.steps // 200),
        temperature=2 * options.temperature,
    )
    console.print(f"{options.steps} steps in LAMMPS on {options.ranks} rank(s); log: {options.output / 'in.nve.log'}")
    run = run_lammps(deck, options.output, ranks=options.ranks, name="in.nve", timeout=24 * 3600)
    thermo = run.thermo()
    time = thermo["Step"] * options.timestep / 1000
    settled = time >= 0.1 * time[-1]  # the perfect crystal first shares its kinetic energy out
    drift = energy_drift(time[settled], thermo["TotEng"][settled], len(atoms))
    console.print(
        f"{len(atoms)} atoms, {options.steps} steps of {options.timestep:g} fs, "
        f"{thermo['Temp'][settled].mean():.0f} K, {run.loop_time():.1f} s: drift {drift:+.5f} meV/atom/ps"
    )
    energy = 1000 * (thermo["TotEng"] - thermo["TotEng"][settled].mean()) / len(atoms)
    panels = {"total energy (meV/atom)": {"total": energy}, "temperature (K)": {"temperature": thermo["Temp"]}}
    title = f"{len(atoms)} {options.symbol} atoms, NVE: drift {drift:+.5f} meV/atom/ps"
    console.print(f"{plots.time_series(options.output / 'drift.png', time, panels, title)}")


if __name__ == "__main__":
    main()
