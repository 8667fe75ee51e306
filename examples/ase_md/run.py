"""Molecular dynamics in ASE at constant energy or temperature, and the LAMMPS input it stands for.

    python examples/ase_md/run.py [--model model.pt] [--structure file] [--ensemble nvt] [--steps 1000]

Prints the temperature and, at constant energy, the drift of the total energy; writes `<ensemble>.png`, a trajectory for
ASE and the LAMMPS deck into the output folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import ase.io

from rhopot.export import RhopotCalculator
from rhopot.potentials.console import bar, make_console
from rhopot.potentials.lammps import input_decks as lammps_input
from rhopot.potentials.properties.md import run_dynamics

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the dynamics."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=ROOT / "runs/demo/soap_gap/model.pt")
    parser.add_argument("--structure", type=Path, default=ROOT / "examples/data/lisi_gpaw/Li8Si24_0.xyz")
    parser.add_argument("--ensemble", choices=("nve", "nvt"), default="nve")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--timestep", type=float, default=1.0, help="fs")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=ROOT / "runs/ase_md")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    atoms = ase.io.read(options.structure)
    with bar(console, options.ensemble, options.steps) as advance:
        run = run_dynamics(
            atoms,
            RhopotCalculator(options.model),
            ensemble=options.ensemble,
            temperature=options.temperature,
            timestep_fs=options.timestep,
            steps=options.steps,
            every=5,
            trajectory=options.output / f"{options.ensemble}.traj",
            progress=lambda done, _: advance(done),
        )
    picture = run.plot(options.output / f"{options.ensemble}.png")
    console.print(f"mean temperature {run.temperature.mean():.0f} K; {picture}")
    if options.ensemble == "nve":
        console.print(f"drift of the total energy {run.drift:+.4f} meV/atom/ps")
    data = replace(lammps_input.write_data(options.output / "structure.data", atoms), path=Path("structure.data"))
    settings = {"temperature": options.temperature, "timestep_fs": options.timestep, "steps": options.steps}
    deck = {"nve": lammps_input.nve, "nvt": lammps_input.nvt}[options.ensemble](
        data, options.model.resolve(), **settings
    )
    (options.output / f"in.{options.ensemble}").write_text(deck, encoding="utf-8")
    console.print(f"the same in LAMMPS: cd {options.output} && lmp -in in.{options.ensemble}")


if __name__ == "__main__":
    main()
