"""Input of a nudged elastic band in LAMMPS, one image per partition, and reading what it leaves.

`neb` wants as many partitions of processes as images (`lmp -partition 7x1`): it interpolates them between the structure
of the data file and a file of final positions, relaxes them, then lets the highest climb.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from rhopot.potentials.lammps.input_decks import DataFile, header, number
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import read_dump
from rhopot.potentials.units import Floats

SPRING = 1.0  # eV/A^2


def write_final_image(path: str | Path, final: Atoms, data: DataFile) -> Path:
    """File with the last image's coordinates in the box of the first, `data`, as `neb ... final <file>` reads it."""
    rows = [f"{k} {' '.join(map(number, r))}" for k, r in enumerate(data.into_box(final.positions), 1)]
    Path(path).write_text("\n".join([str(len(final)), *rows]) + "\n", encoding="utf-8")
    return Path(path)


def lammps_neb(
    data: DataFile,
    model: str | Path | PairStyle,
    final: str | Path,
    *,
    steps: int = 300,
    climb_steps: int = 300,
    fmax: float = 0.02,
    spring: float = SPRING,
    timestep_fs: float = 2.0,
    every: int = 10,
    options: str = "",
    images: int | None = None,
) -> str:
    """Deck of the band in LAMMPS, one image per partition (`lmp -partition 5x1`); `final`: `write_final_image`.

    images: number of partitions; each then writes its energy to `image.K.energy` and positions to `image.K.dump`.
    """
    lines = [
        f"timestep {timestep_fs / 1000:.12g}",
        f"fix band all neb {spring:g} parallel ideal",
        "min_style fire",
        f"thermo {every}",
        f"neb 0.0 {fmax:g} {steps} {climb_steps} {every} final {final}",
    ]
    if images is not None:
        lines += [
            f"variable image world {' '.join(map(str, range(images)))}",
            "run 0",
            "variable energy equal pe",
            'print "$(v_energy:%.17g)" file image.${image}.energy',
            "write_dump all custom image.${image}.dump id xu yu zu modify sort id format float %.17g",
        ]
    return header(data, model, options) + "\n".join(lines) + "\n"


def read_images(folder: Path, data: DataFile, images: int) -> tuple[Floats, Floats]:
    """Positions (images, N, 3) in A, where the structure stands, and energies (images,) in eV; files are removed."""
    positions, energies = [], []
    for k in range(images):
        dump, energy = folder / f"image.{k}.dump", folder / f"image.{k}.energy"
        positions.append(data.out_of_box(read_dump(dump, ["xu", "yu", "zu"])))
        energies.append(float(energy.read_text(encoding="utf-8")))
        dump.unlink()
        energy.unlink()
    return np.array(positions), np.array(energies)


def read_lammps_band(log: str | Path) -> tuple[Floats, Floats]:
    """Reaction coordinate (0 ... 1) and energy relative to the first image (eV) from the universe log of a `neb` run.

    The last line of the table holds, after nine columns of forces, barriers and length, pairs of coordinate and energy.
    """
    rows = band_table(log)
    values = np.array([float(word) for word in rows[-1][9:]])
    coordinates, energies = values[0::2], values[1::2]
    return coordinates, energies - energies[0]


def band_table(log: str | Path) -> list[list[str]]:
    """Lines of the table of a universe log: step, largest force of a replica, largest force of an atom, ..."""
    rows = [line.split() for line in Path(log).read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row) > 11 and row[0].isdigit()]
    if not rows:
        raise ValueError(
            f"log must be that of a LAMMPS neb run, got '{log}' without its table; see the partitions' logs"
        )
    return rows
