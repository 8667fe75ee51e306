"""Train, judge and use a potential from Python, with structures in memory: what would stand in a notebook.

    python examples/python_api/run.py [--output runs/python_api]

Four relaxation paths of lithium-silicon train a small linear model; a path of another composition tests it. A minute
on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials import check, evaluate, features, train

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"


def path_of(name: str) -> list[Atoms]:
    """Structures of a relaxation path, with energies, forces and stresses in `info` and `arrays`."""
    frames: list[Atoms] = ase.io.read(DATA / f"{name}.xyz", ":")
    return frames


def main(arguments: Sequence[str] | None = None) -> None:
    """Go through the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "runs/python_api")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2], help="MPI ranks on which LAMMPS is compared")
    options = parser.parse_args(arguments)

    # Train: any list of Atoms; settings by the sections of a configuration (`rhopot config soap_linear` lists them).
    frames = [atoms for name in ("Li4Si28_0", "Li12Si20_0", "Li8Si24_0", "Li16Si16_0") for atoms in path_of(name)]
    run = train(
        frames,
        family="soap_linear",
        output=options.output / "soap_linear",
        overwrite=True,
        quiet=True,
        data={"split": {"by": "group", "key": "path", "fraction": 0.25}},
        descriptor={"cutoff": 4.5, "n_max": 4, "l_max": 3},
        regressor={"prior": 0.1},
        targets={"stress": 0.05},
        report={"learning_curve": []},
    )

    # How good is it, and what to be careful about: the same as in report.md.
    errors = run.errors["validation"]
    print(f"validation: energy MAE {errors['energy_mae_mev_per_atom']:.1f} meV/atom, "
          f"force MAE {errors['forces_mae_mev_per_angstrom']:.0f} meV/Å")  # fmt: skip
    for title, _ in run.cautions:
        print(f"careful: {title}")

    # Test it on a composition that it has not seen.
    test = path_of("Li20Si12_0")
    found = evaluate(run, test)
    print(f"{test[0].get_chemical_formula()}: energy MAE {found['energy_mae_mev_per_atom']:.1f} meV/atom, "
          f"predicted standard deviation {found['energy_deviation_rms_mev_per_atom']:.1f} meV/atom")  # fmt: skip

    # Which of these atoms are unlike all training atoms? Descriptors say it without a model's opinion.
    known, new = features(run, frames)["features"], features(run, test[-1:])["features"]
    scale = known.std(axis=0)
    used = scale > 0
    nearest = [np.sqrt((((known - atom) / scale)[:, used] ** 2).mean(axis=1)).min() for atom in new]
    print(f"distance to the nearest training environment: {min(nearest):.2f} to {max(nearest):.2f} standard deviations")

    # Use it as any ASE calculator; the file run.model_file is the one for LAMMPS too.
    atoms = test[-1].copy()
    atoms.calc = run.calculator()
    energy, deviation = atoms.get_potential_energy(), atoms.calc.get_property("energy_uncertainty", atoms)
    print(
        f"energy of the last structure: {energy:.3f} ± {deviation:.3f} eV; reference {test[-1].info['REF_energy']:.3f}"
    )

    # Does the file give the same numbers in LAMMPS, and does dynamics stay where the data are?
    checked = check(run, ranks=options.ranks, steps=40, hot_ps=0.2)
    print(f"{len(checked.comparisons)} comparisons of ASE and LAMMPS: {'passed' if checked.passed else checked.failed}")


if __name__ == "__main__":
    main()
