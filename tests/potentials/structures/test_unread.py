"""Forces and stresses under names that nobody knows are named where none are read, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

from rhopot.potentials.structures import DataError, Keys, inspect_frames, read_frames

Write = Callable[..., Path]
FORCES = (
    "no forces are read; per-atom arrays of three numbers that are not used: F_PBE (2 frames); where it holds forces, "
    "name it: data.keys.forces=F_PBE"
)
STRESS = (
    "no stresses are read; entries of 6 or 9 numbers that are not used: sigma_PBE (2 frames); where it holds stresses, "
    "name it: data.keys.stress=sigma_PBE (virials: data.keys.virial=sigma_PBE)"
)


def frames(**arrays: object) -> list[ase.Atoms]:
    """Two crystals with an energy, and arrays of atoms or entries of the structure."""
    made = []
    for k in range(2):
        atoms = bulk("Si", cubic=True)
        atoms.info["Etot_PBE"] = -43.0 - k
        for name, value in arrays.items():
            (atoms.arrays if np.shape(value) == (8, 3) else atoms.info)[name] = np.asarray(value)
        made.append(atoms)
    return made


def test_forces_and_stresses_under_unknown_names_are_named(write: Write) -> None:
    path = write(frames(F_PBE=np.full((8, 3), 0.1), sigma_PBE=0.1 * np.eye(3)))
    keys = Keys(energy="Etot_PBE")
    assert read_frames(path, keys).notes == (FORCES, STRESS)
    assert read_frames(path, keys, sought=("energy", "stress")).notes == (STRESS,)
    assert inspect_frames(path, keys, option="--key {}={}")[0].notes[0].endswith("name it: --key forces=F_PBE")
    assert read_frames(path, Keys(energy="Etot_PBE", forces="F_PBE", stress="sigma_PBE")).notes == ()
    assert read_frames(path, Keys(energy="Etot_PBE", forces="F_PBE", virial="sigma_PBE")).notes == ()
    assert read_frames(path, Keys(energy="Etot_PBE", forces="none", stress="none")).notes == ()
    with pytest.raises(DataError, match=r"data\.keys\.forces must name an entry of the data, got 'F'"):
        read_frames(path, Keys(forces="F"))


def test_several_candidates_are_all_named() -> None:
    given = frames(a=np.ones((8, 3)), b=np.ones((8, 3)), tau=np.ones(6))
    del given[0].arrays["a"]
    forces, stress = read_frames(given, Keys(energy="Etot_PBE")).notes
    assert "not used: b (2 frames), a (1 frames); where one of them holds forces, name it: data.keys.forces=b" in forces
    assert "tau (2 frames)" in stress


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("velocities", np.ones((8, 3))),
        ("momenta", np.ones((8, 3))),
        ("frac_coords", np.ones((8, 3))),
        ("atomic_dipoles", np.ones((8, 3))),
        ("move_mask", np.ones((8, 3), dtype=bool)),
        ("image_flags", np.ones((8, 3), dtype=int)),
        ("q", np.ones(8)),
        ("original_cell", 5.0 * np.eye(3)),
        ("h", bulk("Si", cubic=True).cell.array),
        ("kpts", np.arange(9)),
        ("dielectric_tensor", np.eye(3)),
        ("polarization", np.ones(3)),
    ],
)
def test_other_vectors_and_tensors_are_not(name: str, value: object) -> None:
    assert read_frames(frames(**{name: value}), Keys(energy="Etot_PBE")).notes == ()


def test_three_atoms_and_structures_without_a_volume() -> None:
    """A 3 x 3 entry of three atoms is a tensor, an array of them is forces; a molecule has no stress."""
    water = molecule("H2O")
    water.info |= {"E": -14.0, "tensor": np.ones((3, 3))}
    assert read_frames([water], Keys(energy="E")).notes == ()
    water.arrays["g"] = np.ones((3, 3))
    (note,) = read_frames([water], Keys(energy="E")).notes
    assert "not used: g (1 frames)" in note


def test_labels_that_are_read_say_nothing() -> None:
    """Other arrays beside forces and stresses of a known name."""
    given = frames(forces=np.ones((8, 3)), F_D3=np.ones((8, 3)), stress=np.eye(3), sigma=np.eye(3))
    assert read_frames(given, Keys(energy="Etot_PBE")).notes == ()
