"""`rhopot neb`: path of least energy and barrier between two structures (the computation: `properties.neb`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from rhopot.potentials import plots
from rhopot.potentials.commands.hops import VoidSearch, ends_into_void
from rhopot.potentials.commands.property_options import PropertyOptions
from rhopot.potentials.commands.property_task import Measured, PropertyTask, Quantity
from rhopot.potentials.files import write_atomically
from rhopot.potentials.properties.engine import AseEngine
from rhopot.potentials.properties.lammps_engine import LammpsEngine
from rhopot.potentials.properties.neb import (
    MigrationPath,
    aligned_error,
    check_ends,
    common_translation,
    energies_along,
    matched,
    minimum_energy_path,
)
from rhopot.potentials.structures.prototypes import conventional, vacancy_hop
from rhopot.potentials.units import Floats

AGREEMENT = (1e-3, 1e-2)  # eV; float64, float32


def neb(
    options: PropertyOptions,
    *,
    images: int,
    fmax: float,
    end_fmax: float,
    steps: int,
    climb: bool,
    repeat: tuple[int, int, int],
    along: Path | None,
    search: VoidSearch | None = None,
) -> None:
    """Print, plot and write the barrier between two structures, of a hop into a void, or of a vacancy hop."""
    settings: dict[str, Any] = {
        "images": images,
        "fmax": fmax,
        "end_fmax": end_fmax,
        "climb": climb,
        "repeat": repeat,
    }
    settings |= {"search": None if search is None else {**asdict(search), "hop": None}}
    task = PropertyTask("neb", options, {**settings, "along": str(along)}, several=True, constraints=True)
    reference = None if along is None else _read_path(along)
    *ends, path_name = _ends(task, repeat, search, end_fmax)
    check_ends(ends[0], ends[1], images)
    with _of_end_points():
        initial, final = (
            task.relaxed(f"{path_name}_{which}", end, cell="fixed", fmax=end_fmax, keep_symmetry=False)
            for which, end in zip(("initial", "final"), ends, strict=True)
        )
    shift = float(np.linalg.norm(common_translation(initial, final)))
    if shift:
        task.console.print(f"translation of {shift:.3f} A common to the atoms taken out of the final structure")
        final = matched(initial, final)
    if task.potential.pair is not None and not initial.constraints:
        task.lammps("neb").write_band(initial, matched(initial, final), images, fmax=fmax, steps=steps)
    by_engine = {
        name: _band(task, name, path_name, initial, final, images=images, fmax=fmax, steps=steps, climb=climb)
        for name in task.engines
    }
    main = next(iter(by_engine.values()))
    band = task.folder / "band.xyz"
    write_atomically(band, lambda partial: ase.io.write(partial, main.images(initial), format="extxyz"))
    wrong = {name: each.unresolved for name, each in by_engine.items() if each.unresolved}
    title = task.potential.name + ("" if wrong else f": {main.forward_barrier:.3f} eV")
    relative = main.energies - main.energies[0]
    picture = plots.energy_path(task.folder / "neb.png", main.distances, relative, title=title)
    task.console.print(f"path: {band}; plot: {picture}")
    if wrong:
        (task.folder / "neb.json").unlink(missing_ok=True)
        raise ValueError("; ".join(f"{sentence} (by {name}; path in {band})" for name, sentence in wrong.items()))
    rows = _quantities(task, Measured(by_engine, _members(task, path_name, main, initial)))
    if reference is not None:
        rows += _along(task, *reference)
    task.evaluated |= {f"image {k}": image for k, image in enumerate(main.images(initial))}
    paths = {name: {"distances": each.distances, "energies": each.energies} for name, each in by_engine.items()}
    task.finish({"path": rows}, {"paths": paths})


@contextmanager
def _of_end_points() -> Iterator[None]:
    """Name the option that limits the forces of end points where one does not relax."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace("a larger --fmax", "a larger --end-fmax")) from error


def _band(
    task: PropertyTask,
    name: str,
    path_name: str,
    initial: Atoms,
    final: Atoms,
    *,
    images: int,
    fmax: float,
    steps: int,
    climb: bool,
) -> MigrationPath:
    """The path by one engine."""
    engine = task.engine(name, "neb")
    task.console.print(f"band of {images} images by {name}, {steps} steps at most")

    def compute() -> MigrationPath:
        return minimum_energy_path(initial, final, engine, images=images, fmax=fmax, steps=steps, climb=climb)

    return task.kept.get(f"{path_name}: {name}", MigrationPath, compute)


def _ends(
    task: PropertyTask, repeat: tuple[int, int, int], search: VoidSearch | None, fmax: float
) -> tuple[Atoms, Atoms, str]:
    """End points: two structures as given, a hop into a void of one, or a vacancy in a supercell of one; a name."""
    structures = list(task.structures.items())
    if search is not None and len(structures) > 1:
        raise ValueError(f"--into-void must be given one structure, got {', '.join(task.structures)}")
    if search is not None:
        with _of_end_points():
            return ends_into_void(task, *structures[0], search, fmax)
    if len(structures) == 2:
        return structures[0][1], structures[1][1], "path"
    if len(structures) > 2:
        raise ValueError(
            f"neb must be given two end points, or one crystal for a vacancy hop, got {len(structures)} structures; "
            "leave the others out"
        )
    name, crystal = structures[0]
    relaxed = task.relaxed(name, crystal, fmax=task.fmax)
    if task.is_prototype(name):
        relaxed = conventional(name, relaxed)
    supercell = relaxed.repeat(repeat)
    supercell.calc = None
    task.console.print(f"vacancy hop in {name}, {len(supercell)} sites ({'x'.join(map(str, repeat))} cells)")
    return (*vacancy_hop(supercell), "path")


def _members(task: PropertyTask, name: str, path: MigrationPath, atoms: Atoms) -> list[MigrationPath]:
    """The members' energies of the images; the saddle is the model's."""
    makers = task.potential.members if task.options.members else ()
    images = path.images(atoms)
    return [
        task.kept.get(
            f"{name}: member {k}",
            MigrationPath,
            lambda: MigrationPath(path.positions, energies_along(images, AseEngine(make()))),  # noqa: B023
        )
        for k, make in enumerate(makers)
    ]


def _quantities(task: PropertyTask, found: Measured[MigrationPath]) -> list[Quantity]:
    limit, saddle, last = task.limit(*AGREEMENT), found.main.saddle, len(found.main.energies) - 1

    def row(name: str, number: Callable[[MigrationPath], float], of_member: Callable[[Floats], float]) -> Quantity:
        values = {engine: float(number(path)) for engine, path in found.by_engine.items()}
        return Quantity(name, "eV", values, [float(of_member(path.energies)) for path in found.members], limit)

    lengths = {engine: float(path.distances[-1]) for engine, path in found.by_engine.items()}
    return [
        # The saddle of the members is the model's.
        row("forward barrier", lambda path: path.forward_barrier, lambda energies: energies[saddle] - energies[0]),
        row("backward barrier", lambda path: path.backward_barrier, lambda energies: energies[saddle] - energies[last]),
        row(
            "last - first energy",
            lambda path: path.energies[last] - path.energies[0],
            lambda energies: energies[last] - energies[0],
        ),
        Quantity("length of the path", "A", lengths, []),
    ]


def _read_path(file: Path) -> tuple[list[Atoms], np.ndarray]:
    """Structures of a path and their reference energies (eV)."""
    if not file.is_file():
        raise ValueError(f"--along must be a file, got '{file}'; check the name")
    images: list[Atoms] = list(ase.io.iread(file, ":"))
    energies = []
    for image in images:
        known = [image.info[key] for key in ("REF_energy", "energy") if key in image.info]
        if not known and image.calc is not None:
            known = [image.get_potential_energy()]
        if not known:
            raise ValueError(
                f"--along must hold an energy of every image, got '{file}' without; label it as REF_energy"
            )
        energies.append(float(known[0]))
    return images, np.array(energies)


def _along(task: PropertyTask, images: list[Atoms], reference: np.ndarray) -> list[Quantity]:
    """Barrier and error along a given path, without relaxation."""
    energies = {name: energies_along(images, _evaluator(task, name)) for name in task.engines}
    members = [energies_along(images, AseEngine(make())) for make in task.potential.members if task.options.members]
    top = int(np.argmax(reference))
    names = (*energies, "reference")
    curves = {name: values - values[0] for name, values in zip(names, (*energies.values(), reference), strict=True)}
    picture = plots.lines(
        task.folder / "along.png", np.arange(len(images)), curves, "image", "energy from the first image (eV)"
    )
    task.console.print(
        f"along the given path, barrier of the reference {reference[top] - reference[0]:.4f} eV: {picture}"
    )
    errors = {name: aligned_error(values, reference) for name, values in energies.items()}
    barriers = {name: float(values[top] - values[0]) for name, values in energies.items()}
    return [
        Quantity(
            "barrier along the given path",
            "eV",
            barriers,
            [float(values[top] - values[0]) for values in members],
            task.limit(*AGREEMENT),
        ),
        Quantity("error along it, shift-aligned", "meV", errors, [aligned_error(e, reference) for e in members]),
    ]


def _evaluator(task: PropertyTask, name: str) -> AseEngine | LammpsEngine:
    return task.engine(name, "along")
