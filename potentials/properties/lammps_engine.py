"""LAMMPS as the program that evaluates structures: an input in a folder, run on MPI ranks, and what it printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from rhopot.potentials.lammps.band import band_table, lammps_neb, read_images, write_final_image
from rhopot.potentials.lammps.deformed_cells import deformed_cells_input, read_deformed_cells, stress_of
from rhopot.potentials.lammps.displaced_atoms import displaced_atoms_input, read_displaced_atoms
from rhopot.potentials.lammps.input_decks import MARGIN, DataFile, static, write_data
from rhopot.potentials.lammps.pair_style import PairStyle
from rhopot.potentials.lammps.process import LammpsRun, read_dump, run_lammps
from rhopot.potentials.lammps.relaxation import DUMP, TAG, CellRelaxation, read_relaxed, relaxation_input
from rhopot.potentials.properties.engine import Advance, Cells, History, silent
from rhopot.potentials.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, Floats, to_voigt


class LammpsEngine:
    """LAMMPS with one pair style; inputs `in.STEM`, data files and logs stand in `folder`.

    `write_...` writes the input of a method and returns it with the data file, without running it.
    """

    def __init__(self, pair: PairStyle, folder: Path, *, ranks: int = 1, stem: str = "property") -> None:
        self.name = "lammps"
        self.pair, self.folder, self.ranks, self.stem = pair, folder, ranks, stem

    def write_in_cells(
        self, atoms: Atoms, cells: Sequence[Floats], *, relax: bool, fmax: float
    ) -> tuple[str, DataFile]:
        """Write the input of `in_cells`."""
        data = self._write_data(atoms)
        return self._write(deformed_cells_input(data, self.pair, cells, relax=relax, fmax=fmax)), data

    def in_cells(
        self, atoms: Atoms, cells: Sequence[Floats], *, relax: bool, fmax: float, advance: Advance = silent
    ) -> Cells:
        """See `Engine.in_cells`."""
        text, _ = self.write_in_cells(atoms, cells, relax=relax, fmax=fmax)
        energies, stresses, largest = read_deformed_cells(self._run(text), cells)
        if relax:
            self._require_relaxed(float(largest.max()), fmax, atoms)
        advance(len(cells))
        return Cells(energies, stresses)

    def energy(self, atoms: Atoms) -> float:
        """Return the energy in eV of a structure as it is."""
        text = static(self._write_data(atoms), self.pair, f"{self.stem}.dump", energies_of_atoms=False)
        return self._run(self._write(text)).printed("rhopot_static")[0]

    def write_forces(self, atoms: Atoms, positions: Sequence[Floats]) -> tuple[str, DataFile]:
        """Write the input of `forces`."""
        data = self._write_data(atoms)
        return self._write(displaced_atoms_input(data, self.pair, atoms, positions)), data

    def forces(self, atoms: Atoms, positions: Sequence[Floats], *, advance: Advance = silent) -> list[Floats]:
        """See `Engine.forces`."""
        text, data = self.write_forces(atoms, positions)
        self._run(text)
        advance(len(positions))
        return read_displaced_atoms(self.folder, data, len(positions))

    def write_relaxed(
        self, atoms: Atoms, *, cell: CellRelaxation = "fixed", fmax: float = 1e-3, pressure: float = 0.0
    ) -> tuple[str, DataFile]:
        """Write the input of `relaxed`."""
        data = self._write_data(atoms)
        return self._write(relaxation_input(data, self.pair, cell=cell, fmax=fmax, pressure_gpa=pressure)), data

    def relaxed(
        self,
        atoms: Atoms,
        *,
        cell: CellRelaxation = "fixed",
        fmax: float = 1e-3,
        pressure: float = 0.0,
        keep_symmetry: bool = False,
        history: History | None = None,
    ) -> Atoms:
        """See `Engine.relaxed`; symmetry is kept as far as the forces have it: LAMMPS enforces none."""
        text, data = self.write_relaxed(atoms, cell=cell, fmax=fmax, pressure=pressure)
        run = self._run(text)
        energy, *pressures, largest = run.printed(TAG)
        self._require_relaxed(largest, fmax, atoms)
        relaxed, rotation = read_relaxed(run, self.folder, data, atoms)
        if cell != "fixed":
            self._require_pressure(stress_of(np.array(pressures), rotation), pressure, cell, fmax, relaxed)
        if history is not None:
            history.energies, history.forces = run.column("PotEng"), run.column("Fmax")
        forces = read_dump(self.folder / DUMP, ["fx", "fy", "fz"]) @ rotation
        results = {"energy": energy, "forces": forces}
        if all(atoms.pbc):
            results["stress"] = to_voigt(stress_of(np.array(pressures), rotation))
        relaxed.calc = SinglePointCalculator(relaxed, **results)
        return relaxed

    def write_band(self, initial: Atoms, final: Atoms, images: int, *, fmax: float, steps: int) -> tuple[str, DataFile]:
        """Write the input of `band`."""
        # Images stay between the ends: a box that holds both and the margin holds all of them.
        data = self._write_data(initial, MARGIN + float(np.abs(final.positions - initial.positions).max()))
        write_final_image(self.folder / f"{self.stem}.final", final, data)
        text = lammps_neb(
            data, self.pair, f"{self.stem}.final", steps=steps, climb_steps=steps, fmax=fmax, images=images + 2
        )
        return self._write(text), data

    def band(
        self, initial: Atoms, final: Atoms, images: int, *, fmax: float, steps: int
    ) -> tuple[Floats, Floats, float]:
        """Positions (images + 2, N, 3), energies (images + 2,) and the largest force left of a climbing band.

        Each image runs on as many ranks as the engine has.
        """
        text, data = self.write_band(initial, final, images, fmax=fmax, steps=steps)
        name, total = f"in.{self.stem}", images + 2
        partition = ["-partition", f"{total}x{self.ranks}"]
        run_lammps(text, self.folder, ranks=total * self.ranks, arguments=partition, name=name, timeout=None)
        left = float(band_table(self.folder / f"{name}.log")[-1][1])
        return (*read_images(self.folder, data, total), left)

    def _require_relaxed(self, largest: float, fmax: float, atoms: Atoms) -> None:
        if not largest <= fmax:
            raise ValueError(
                f"structure must relax to {fmax:g} eV/A in LAMMPS, got a largest force of {largest:.2g} eV/A for "
                f"{atoms.get_chemical_formula()}; start from a better structure, or give a larger --fmax"
            )

    @staticmethod
    def _require_pressure(stress: Floats, pressure: float, cell: CellRelaxation, fmax: float, atoms: Atoms) -> None:
        """Refuse a cell whose stress times the volume per atom is above `fmax`, as ASE measures it."""
        excess = stress * GPA_PER_EV_PER_CUBIC_ANGSTROM + pressure * np.eye(3)
        if cell == "isotropic":
            excess = np.eye(3) * np.trace(excess) / 3.0
        left = float(np.abs(excess).max())
        limit = fmax * len(atoms) / atoms.get_volume() * GPA_PER_EV_PER_CUBIC_ANGSTROM
        if not left <= limit:
            raise ValueError(
                f"cell must relax to {pressure:g} GPa within {limit:.2g} GPa in LAMMPS, got {left:.2g} GPa off for "
                f"{atoms.get_chemical_formula()}; start from a better structure, or give a larger --fmax"
            )

    def _write_data(self, atoms: Atoms, margin: float = MARGIN) -> DataFile:
        data = write_data(self.folder / f"{self.stem}.data", atoms, margin=margin)
        return replace(data, path=Path(f"{self.stem}.data"))

    def _write(self, text: str) -> str:
        (self.folder / f"in.{self.stem}").write_text(text, encoding="utf-8")
        return text

    def _run(self, text: str) -> LammpsRun:
        return run_lammps(text, self.folder, ranks=self.ranks, name=f"in.{self.stem}", timeout=None)
