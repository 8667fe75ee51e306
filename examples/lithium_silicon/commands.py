"""Lithium-silicon by the commands: errors beyond the training data, barriers, bulk moduli, hops into voids, diffusion.

    python examples/lithium_silicon/commands.py --output runs/commands [--families soap_linear,multispectrum,scattering]
        [--only evaluate,neb,eos,voids,diffusion]

Trains the ready configurations on four of the five folds of paths (`structures`), then runs `rhopot evaluate`, `neb
--along`, `eos`, `neb --into-void` and `diffusion` with each model: tables 4.1 and 4.2 and figure 4.6 of X. Brumwell,
Wavelet scattering and graph representations for atomic structures, by commands. Prints every command and writes
properties.md with the commands and the numbers. What is finished is kept: an interrupted run continues.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from structures import DATA, RELAXATION, TASKS, TITLES, folds, load, per_atom
from tables import bulk_modulus, markdown

from rhopot.potentials.commands import main as rhopot
from rhopot.potentials.files import write_atomically, write_text

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("soap_linear", "multispectrum", "scattering")
HOSTS = ("Li4Si28_0", "Li8Si24_0", "Li12Si20_0", "Li24Si8_0")  # of which DFT has strained cells
VOIDS = "Li4Si28_0"
KELVINS = "600,700,800"
DIFFUSING = "Li12Si20_0"
LOCAL = ("soap_linear", "multispectrum")  # fast enough for thousands of steps


class Commands:
    """Models, structures, commands as they were run, and tables, in a folder."""

    def __init__(self, output: Path, families: Sequence[str]) -> None:
        self.output, self.families = output, families
        self.parts = load()
        self.held_out = sorted(folds(self.parts[RELAXATION])[0])
        self.lines: list[str] = []
        output.mkdir(parents=True, exist_ok=True)

    def run(self, *words: str | Path, show: bool = True) -> int:
        """Run `rhopot WORDS`, print it, and note it for the page where it is the first of its kind."""
        line = self.noted(words, show)
        print(f"$ {line}", flush=True)
        return rhopot([str(word) for word in words])

    def noted(self, words: Sequence[str | Path], show: bool = True) -> str:
        """The command line, which the page shows where `show`."""
        line = "rhopot " + shlex.join([self._short(str(word)) for word in words])
        self.lines += [line] if show else []
        return line

    def model(self, family: str) -> Path:
        """The trained model of a family."""
        folder = self.output / family
        if not (folder / "model.pt").exists():
            chosen = [file for file in sorted((DATA / "lisi_gpaw").glob("*.xyz")) if file.stem not in self.held_out]
            words = [
                f"data.train=[{', '.join(map(str, chosen))}]",
                "data.split={by: group, key: path, fraction: 0.1}",
                "report.learning_curve=[]",
                "report.stability=null",
                f"output={folder}",
            ]
            resume = ["--resume"] if folder.exists() else []
            status = self.run("train", ROOT / f"examples/configs/{family}.yaml", *words, *resume, show=False)
            if status != 0:
                raise SystemExit(f"rhopot train failed for {family}; see its message above")
        return folder / "model.pt"

    def last(self, path: str) -> Path:
        """Last frame of a relaxation path, as a file."""
        file = self.output / f"{path}.xyz"
        if not file.exists():
            atoms = ase.io.read(DATA / f"lisi_gpaw/{path}.xyz", index=-1)
            atoms.calc = None
            atoms.info = {}
            atoms.arrays = {key: atoms.arrays[key] for key in ("numbers", "positions")}
            write_atomically(file, lambda to: ase.io.write(to, atoms, format="extxyz"))
        return file

    def results(self, verb: str, folder: Path, *words: str | Path, show: bool) -> dict[str, Any] | None:
        """Numbers of a property command; None where it refused."""
        status = self.run(verb, *words, "-o", folder, show=show)
        file = folder / f"{verb}.json"
        return json.loads(file.read_text(encoding="utf-8")) if status == 0 and file.exists() else None

    def _short(self, word: str) -> str:
        """A word with paths as a reader would type them."""
        return word.replace(f"{self.output}/", "").replace(f"{ROOT}/", "")


def evaluate(commands: Commands) -> str:
    """Errors on the paths that were held out and on three tasks: table 4.1."""
    files = {RELAXATION: [DATA / f"lisi_gpaw/{path}.xyz" for path in commands.held_out]}
    files |= {task: [DATA / f"lisi_gpaw_extrapolation/{task}.xyz"] for task in TASKS if task in commands.parts}
    rows = []
    for k, (part, of_part) in enumerate(files.items()):
        row = [TITLES[part]]
        for family in commands.families:
            model, file = commands.model(family), commands.output / family / f"errors_{part}.json"
            words = ["evaluate", model, *of_part, "--json", file]
            commands.noted(words, k == 0 and family == commands.families[0])
            if not file.exists() and commands.run(*words, show=False) != 0:
                raise SystemExit(f"rhopot evaluate failed for {family}; see its message above")
            found = json.loads(file.read_text(encoding="utf-8"))
            row.append(f"{found['energy_rmse_mev_per_atom']:.1f} / {found['energy_mae_mev_per_atom']:.1f}")
        rows.append(row)
    return markdown(["energies (meV/atom), RMSE / MAE", *commands.families], rows)


def barriers(commands: Commands) -> str:
    """Barriers of lithium through a fixed host, along the path of the reference and relaxed: table 4.2."""
    frames = commands.parts["migration"]
    rows = []
    for path in dict.fromkeys(str(frame.group) for frame in frames):
        images = [frame for frame in frames if str(frame.group) == path]
        energies = per_atom(images) * len(images[0])
        ends, along = _migration(commands.output, path, [frame.atoms for frame in images], energies)
        rows.append([path, "DFT", f"{energies.max() - energies[0]:.3f}", "", ""])
        for family in commands.families:
            folder = commands.output / family / f"neb_{path}"
            words = [commands.model(family), *ends, "--along", along, "--fmax", "0.05"]
            found = commands.results(
                "neb", folder, *words, show=not commands.lines or "--along" not in commands.lines[-1]
            )
            rows.append(
                [
                    path,
                    family,
                    *_row(
                        found,
                        "path",
                        ("barrier along the given path", "error along it, shift-aligned", "forward barrier"),
                    ),
                ]
            )
    return markdown(["path", "", "barrier along it (eV)", "error along it (meV)", "barrier relaxed (eV)"], rows)


def moduli(commands: Commands) -> str:
    """Bulk moduli of the hosts by commands and by DFT, whose atoms keep their fractional coordinates: figure 4.6."""
    strained, relaxation = commands.parts["strained"], commands.parts[RELAXATION]
    rows = []
    for path in HOSTS:
        chosen = [frame for frame in strained if str(frame.group) == path]
        chosen.append([frame for frame in relaxation if str(frame.group) == path][-1])
        volumes = np.array([frame.atoms.get_volume() / len(frame) for frame in chosen])
        order = np.argsort(volumes)
        row = [path, f"{bulk_modulus(volumes[order], per_atom(chosen)[order]):.1f}"]
        for family in commands.families:
            folder = commands.output / family / f"eos_{path}"
            words = [
                commands.model(family),
                commands.last(path),
                "--extent",
                "0.12",
                "--fit-extent",
                "0.12",
                "--points",
                "9",
            ]
            found = commands.results("eos", folder, *words, show=not rows and family == commands.families[0])
            row += _row(found, path, ("K (parabola)",))
        rows.append(row)
    return markdown(["bulk modulus (GPa)", "DFT", *commands.families], rows)


def voids(commands: Commands) -> str:
    """The barrier of the hop of a lithium atom into a void, all atoms relaxed."""
    rows = []
    for family in [family for family in commands.families if family in LOCAL]:
        folder = commands.output / family / "voids"
        words = [commands.model(family), commands.last(VOIDS), "--into-void", "Li", "--images", "3", "--fmax", "0.05"]
        found = commands.results("neb", folder, *words, show=not rows)
        rows.append([family, *_row(found, "path", ("forward barrier", "last - first energy", "length of the path"))])
    return markdown(["", "barrier (eV)", "last - first (eV)", "length (A)"], rows)


def diffusion(commands: Commands) -> str:
    """Diffusion of lithium at constant volume."""
    rows = []
    for family in [family for family in commands.families if family in LOCAL]:
        folder = commands.output / family / "diffusion"
        words = [
            commands.model(family),
            commands.last(DIFFUSING),
            "--temperatures",
            KELVINS,
            "--steps",
            "50000",
            "--engine",
            "lammps",
        ]
        found = commands.results("diffusion", folder, *words, show=not rows)
        names = [f"D of Li at {kelvin} K" for kelvin in KELVINS.split(",")]
        rows.append(
            [
                family,
                *_row(found, next(iter(found["structures"])) if found else "", (*names, "activation energy of Li")),
            ]
        )
    heads = [f"D at {kelvin} K (cm^2/s)" for kelvin in KELVINS.split(",")]
    return markdown(["", *heads, "activation energy (eV)"], rows)


SECTIONS: dict[str, tuple[str, Callable[[Commands], str]]] = {
    "evaluate": ("Errors", evaluate),
    "neb": ("Barriers through a fixed host", barriers),
    "eos": ("Bulk moduli", moduli),
    "voids": ("Hop into a void", voids),
    "diffusion": ("Diffusion", diffusion),
}


def _migration(output: Path, path: str, images: list[Atoms], energies: np.ndarray) -> tuple[list[Path], Path]:
    """Files of both ends, in which lithium alone moves, and of the images with their energies."""
    moved = np.linalg.norm(images[-1].positions - images[0].positions, axis=1)
    ends = []
    for k, name in ((0, "first"), (-1, "last")):
        end = Atoms(images[k].numbers, images[k].positions, cell=images[k].cell, pbc=True)
        end.set_constraint(FixAtoms([i for i in range(len(end)) if i != int(np.argmax(moved))]))
        ends.append(output / f"{path}_{name}.traj")
        if not ends[-1].exists():
            write_atomically(ends[-1], lambda to, end=end: ase.io.write(to, end, format="traj"))  # type: ignore[misc]
    along = output / f"{path}_images.xyz"
    if not along.exists():
        labelled = [Atoms(each.numbers, each.positions, cell=each.cell, pbc=True) for each in images]
        for each, energy in zip(labelled, energies, strict=True):
            each.info["REF_energy"] = float(energy)
        write_atomically(along, lambda to: ase.io.write(to, labelled, format="extxyz"))
    return ends, along


def _row(found: dict[str, Any] | None, structure: str, names: Sequence[str]) -> list[str]:
    """Numbers of the first engine with their errors: of the average where it has one, else over the members."""
    cells = []
    for name in names:
        row = None if found is None else found["structures"][structure].get(name)
        if row is None:
            cells.append("none" if found is not None else "refused")
            continue
        engine = found["engines"][0]  # type: ignore[index]
        error = row["standard_errors"].get(engine, row["standard_deviation"])
        cells.append(f"{row[engine]:.3g}" + (f" +- {error:.2g}" if error else ""))
    return cells


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the commands and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of models, results and the page")
    parser.add_argument("--families", default=",".join(FAMILIES), help=f"of {', '.join(FAMILIES)}")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    options = parser.parse_args(arguments)
    families, only = options.families.split(","), options.only.split(",")
    for option, words, known in (("--families", families, FAMILIES), ("--only", only, SECTIONS)):
        unknown = [word for word in words if word not in known]
        if unknown:
            parser.error(f"{option} must be of {', '.join(known)}, got {unknown[0]}; correct it")
    commands = Commands(options.output.resolve(), families)
    page = [f"Held out: {', '.join(commands.held_out)}.", ""]
    for name in only:
        title, compute = SECTIONS[name]
        commands.lines = []
        table = compute(commands)
        page += [f"## {title}", "", *(f"    {line}" for line in dict.fromkeys(commands.lines)), "", table, ""]
        write_text(commands.output / "properties.md", "\n".join(page))
        print(table, flush=True)


if __name__ == "__main__":
    main()
