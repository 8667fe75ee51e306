"""Read labelled structures from extended XYZ (plain or .gz) into a `FrameSet`.

Labels are looked for under the names in `ALIASES`, best first; one key per target is used for the whole data set
(the first alias that any frame carries), so that energies of two methods never mix silently. What was found is
counted per key. Units are eV, A, eV/A^3. A virial V is read as stress = -V / volume; six components are in ASE's
Voigt order xx yy zz yz xz xy.
"""

from __future__ import annotations

import glob
import gzip
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np
from ase.constraints import FixAtoms, FixCartesian
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rhopot.potentials.structures.frames import DataError, Floats, Frame, FrameSet
from rhopot.potentials.units import from_voigt, stress_from_virial

ALIASES: dict[str, tuple[str, ...]] = {
    "energy": (
        "REF_energy", "ref_energy", "DFT_energy", "dft_energy", "energy_dft", "QM_energy", "energy", "Energy",
        "free_energy", "potential_energy", "total_energy", "TotEnergy",
    ),
    "forces": (
        "REF_forces", "ref_forces", "DFT_forces", "dft_forces", "forces_dft", "QM_forces", "forces", "Forces",
        "REF_force", "dft_force", "force", "Force",
    ),
    "stress": ("REF_stress", "ref_stress", "DFT_stress", "dft_stress", "QM_stress", "stress", "Stress"),
    "virial": (
        "REF_virial", "ref_virial", "DFT_virial", "dft_virial", "QM_virial", "virial", "Virial",
        "REF_virials", "dft_virials", "virials",
    ),
}  # fmt: skip

AUTO_KEY = "auto"
SUFFIXES = (".xyz", ".extxyz", ".xyz.gz", ".extxyz.gz")
# A stress whose antisymmetric part exceeds this share of its largest component is not a stress.
STRESS_ASYMMETRY = 0.05


class Keys(BaseModel):
    """Names of the labels in the file; "auto" takes the first known alias, "none" leaves the target out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy: str = Field(default=AUTO_KEY, min_length=1)
    forces: str = Field(default=AUTO_KEY, min_length=1)
    stress: str = Field(default=AUTO_KEY, min_length=1)
    virial: str = Field(default=AUTO_KEY, min_length=1)
    config_type: str = Field(default="config_type", min_length=1)

    def candidates(self, target: str) -> tuple[str, ...]:
        """Keys to look for, best first."""
        key = getattr(self, target)
        if key == "none":
            return ()
        return ALIASES[target] if key == AUTO_KEY else (key,)


AUTO = Keys()


def read_frames(
    path: str | Path | Sequence[str | Path], keys: Keys = AUTO, group_key: str | None = None, finite: bool = True
) -> FrameSet:
    """Frames of a file, a folder, a pattern (`runs/*.xyz`) or a list of these, in order.

    `group_key` names the entry of the comment line whose value groups frames (a relaxation path, a trajectory).
    `finite=False` lets NaN and infinite labels through, for inspection. Raises DataError (a ValueError) for files
    that are missing, empty or unreadable, keys or groups that are absent, and labels of a wrong shape.
    """
    raw = [(str(file), index, atoms) for file in _files(path) for index, atoms in enumerate(_read_file(file))]
    labels = [_labels(atoms) for _, _, atoms in raw]
    found: Counter[str] = Counter()
    used: dict[str, str] = {}
    for target in ALIASES:
        candidates = keys.candidates(target)
        counts = {key: n for key in candidates if (n := sum(key in frame for frame in labels))}
        found.update(counts)
        if counts:
            used[target] = next(iter(counts))
        elif candidates and getattr(keys, target) != AUTO_KEY:
            raise DataError(_absent(f"data.keys.{target}", candidates[0], labels))
    if group_key is not None:
        missing = [(file, index) for (file, index, _), frame in zip(raw, labels, strict=True) if group_key not in frame]
        if len(missing) == len(raw):
            raise DataError(_absent("group key", group_key, labels))
        if missing:
            raise DataError(
                f"group key {group_key!r} must be in every frame, got {len(missing)} of {len(raw)} frames without it "
                f"(first: {missing[0][0]}, frame {missing[0][1]}); add it or choose another key"
            )
    frames = []
    for (file, index, atoms), frame_labels in zip(raw, labels, strict=True):
        try:
            frames.append(_frame(atoms, frame_labels, used, keys, group_key, finite, file, index))
        except DataError as error:
            raise DataError(f"{file}, frame {index}: {error}") from None
    return FrameSet(tuple(frames), dict(found), used)


def _files(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """Every file that `path` names; a folder stands for the structure files in it, sorted."""
    if not isinstance(path, str | Path):
        if not path:
            raise DataError("data path must name at least one file, got an empty list; give a file of structures")
        return [file for entry in path for file in _files(entry)]
    here = Path(path).expanduser()
    if here.is_dir():
        files = sorted(file for file in here.iterdir() if file.name.endswith(SUFFIXES))
        if not files:
            raise DataError(f"data folder {here} must hold structure files ({', '.join(SUFFIXES)}), got none; check it")
        return files
    if here.exists():
        return [here]
    matches = sorted(Path(match) for match in glob.glob(str(here)))
    if not matches:
        raise DataError(f"data path must name an existing file, got {str(path)!r}; check its spelling and place")
    return matches


def _read_file(file: Path) -> list[ase.Atoms]:
    """All structures of one file."""
    nothing = f"data file {file} must hold at least one structure, got none; check how it was written"
    if file.stat().st_size == 0:
        raise DataError(nothing)
    try:
        if file.name.endswith(SUFFIXES):
            # ASE seeks back and forth, which is quadratic inside a compressed stream: unpack it first.
            opened = gzip.open if file.name.endswith(".gz") else open
            with opened(file, "rt", encoding="utf-8") as stream:
                frames = ase.io.read(io.StringIO(stream.read()), index=":", format="extxyz")
        else:
            frames = ase.io.read(file, index=":")
    except Exception as error:  # ASE's readers raise whatever their parsing meets: any of it means an unreadable file
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(
            f"data file {file} must be readable as extended XYZ, got {reason}; open the file and repair or convert it"
        ) from error
    if not frames or not any(len(atoms) for atoms in frames):
        raise DataError(nothing)
    return list(frames)


def _labels(atoms: ase.Atoms) -> dict[str, Any]:
    """Everything a frame carries beside its geometry, by key."""
    results = atoms.calc.results if atoms.calc is not None else {}
    return {**atoms.arrays, **results, **atoms.info}


def _absent(what: str, key: str, labels: list[dict[str, Any]]) -> str:
    geometry = {"numbers", "positions"}
    present = sorted({name for frame in labels for name in frame} - geometry)
    return f"{what} must name an entry of the data, got {key!r}; the frames carry: {', '.join(present) or 'nothing'}"


def _frame(
    atoms: ase.Atoms,
    labels: dict[str, Any],
    used: dict[str, str],
    keys: Keys,
    group_key: str | None,
    finite: bool,
    file: str,
    index: int,
) -> Frame:
    """One frame with checked labels."""
    values = {target: labels[key] for target, key in used.items() if key in labels}
    n_atoms = len(atoms)
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise DataError("positions and cell must be finite, got NaN or infinity; remove or recompute the frame")
    energy = _array(values["energy"], used["energy"], (), finite) if "energy" in values else None
    forces = _array(values["forces"], used["forces"], (n_atoms, 3), finite) if "forces" in values else None
    stress = None
    for target in ("virial", "stress"):  # the stress, where both are given
        if target in values:
            tensor = _tensor(values[target], used[target], finite)
            stress = tensor if target == "stress" else _stress(tensor, atoms, used[target])
    return Frame(
        atoms=ase.Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc),
        energy=None if energy is None else float(energy),
        forces=forces,
        stress=stress,
        config_type=str(labels.get(keys.config_type, "default")),
        group=None if group_key is None else str(labels[group_key]),
        source=file,
        index=index,
        fixed=_fixed(atoms),
    )


def _array(value: Any, key: str, shape: tuple[int, ...], finite: bool) -> Floats:
    """A label as float64 of exactly `shape`."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{key} must be numbers, got {str(value)[:40]!r}; repair the entry") from None
    if array.shape != shape:
        wanted = "one number" if shape == () else f"of shape {shape}"
        raise DataError(f"{key} must be {wanted}, got shape {array.shape}; repair the entry or choose another key")
    if finite and not np.isfinite(array).all():
        raise DataError(f"{key} must be finite, got NaN or infinity; remove or recompute the frame")
    return array


def _tensor(value: Any, key: str, finite: bool) -> Floats:
    """A stress or virial as a symmetric (3, 3) tensor."""
    size = np.size(value)
    if size == 6:
        return from_voigt(_array(np.ravel(value), key, (6,), finite))
    if size != 9:
        raise DataError(f"{key} must have 6 or 9 components, got {size}; repair the entry or choose another key")
    tensor = _array(np.reshape(value, (3, 3)), key, (3, 3), finite)
    skew = np.abs(tensor - tensor.T).max()
    if skew > STRESS_ASYMMETRY * np.abs(tensor).max() + 1e-4:
        raise DataError(f"{key} must be symmetric, got components that differ by {skew:.3g}; check their order")
    return 0.5 * (tensor + tensor.T)


def _stress(virial: Floats, atoms: ase.Atoms, key: str) -> Floats:
    try:
        return stress_from_virial(virial, abs(float(np.linalg.det(atoms.cell.array))))
    except ValueError:
        raise DataError(f"{key} must come with a cell of positive volume, got none; drop the key") from None


def _fixed(atoms: ase.Atoms) -> NDArray[np.bool_] | None:
    """Atoms held in at least one direction, or None without such constraints."""
    fixed = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms | FixCartesian):
            fixed[constraint.get_indices()] = True
    return fixed if fixed.any() else None
