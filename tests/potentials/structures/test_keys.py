"""One choice of keys for a whole data set, from one family; anything else is a sentence with the setting to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from pydantic import ValidationError

from rhopot.potentials.structures import DataError, Keys, read_frames

Write = Callable[..., Path]


def silicon(index: int = 0, calculator: bool = False, **labels: object) -> ase.Atoms:
    """A cell whose labels are given by key: forces as arrays, the rest as info, or as a calculator's results."""
    atoms = bulk("Si", a=5.4 + 0.01 * index)
    if calculator:
        atoms.calc = SinglePointCalculator(atoms, **labels)
        return atoms
    for key, value in labels.items():
        (atoms.arrays if "force" in key else atoms.info)[key] = value
    return atoms


ONES = np.ones((2, 3))


def test_labels_of_another_family_are_left_aside(write: Write) -> None:
    """A file of REF_ labels that was written with a calculator attached: neither its energy nor its stress is read."""
    atoms = silicon(REF_energy=-1.0, REF_forces=ONES)
    atoms.calc = SinglePointCalculator(atoms, energy=-7.0, forces=2 * ONES, stress=np.eye(3)[[0, 1, 2, 0, 0, 0], 0])
    frames = read_frames(write([atoms]))
    assert frames.used == {"energy": "REF_energy", "forces": "REF_forces"}
    assert (frames[0].energy, frames[0].stress) == (-1.0, None)
    assert frames.notes == ("labels left aside: energy (1 frames), forces (1 frames), stress (1 frames)",)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            [silicon(REF_energy=-1.0), silicon(1, energy=-2.0), silicon(2, energy=-2.0)],
            r"energy must be under one key in the whole data set, got REF_energy \(1 frames\) and energy alone "
            r"\(2 frames, first: .*frame 1\); write data\.keys\.energy=REF_energy or data\.keys\.energy=energy to take "
            r"one of them, data\.keys\.energy=\[REF_energy,energy\] if all are of the same method",
        ),
        (
            [silicon(REF_energy=-1.0, forces=ONES)],
            r"forces must be of the same family of keys as the other labels, got forces alone \(1 frames, .*\); "
            r"write data\.keys\.forces=forces or data\.keys\.forces=none",
        ),
        (
            [silicon(energy=-1.0, stress=np.eye(3)), silicon(1, energy=-1.0, dft_virial=np.eye(3))],
            r"virial must be under one key in the whole data set, got stress \(1 frames\) and dft_virial alone",
        ),
        (
            [silicon(energy=-1.0), silicon(1, total_energy=-1.0)],
            r"got energy \(1 frames\) and total_energy alone \(1 frames",
        ),
    ],
)
def test_labels_under_another_key_alone_stop(frames: list[ase.Atoms], message: str, write: Write) -> None:
    with pytest.raises(DataError, match=message):
        read_frames(write(frames))


def test_several_keys_of_one_method(write: Write) -> None:
    """The line that the sentence says to write reads every frame, forces of both families included."""
    free = silicon(REF_energy=-1.0)
    path = write([free, silicon(1, energy=-2.0, forces=ONES), silicon(2, REF_energy=-3.0, REF_forces=2 * ONES)])
    frames = read_frames(path, Keys.model_validate({"energy": ["REF_energy", "energy"]}))
    assert [frame.energy for frame in frames] == [-1.0, -2.0, -3.0]
    assert [None if f.forces is None else float(f.forces[0, 0]) for f in frames] == [None, 1.0, 2.0]
    assert frames.used == {"energy": ("REF_energy", "energy"), "forces": ("REF_forces", "forces")}
    assert frames.summary()["keys"]["energy"] == ["REF_energy", "energy"]


def test_the_energy_that_the_user_names_leads_the_other_labels(write: Write) -> None:
    path = write([silicon(REF_energy=-1.0, REF_forces=ONES), silicon(1, energy=-2.0, forces=2 * ONES)])
    frames = read_frames(path, Keys(energy="energy"))
    assert frames.used == {"energy": "energy", "forces": "forces"}
    assert (frames.count("energy"), frames.count("forces")) == (1, 1)


def test_a_key_of_the_users_own_has_a_family(write: Write) -> None:
    atoms = silicon(hse_energy=-1.0, hse_forces=ONES, energy=-2.0, forces=2 * ONES, stress=np.eye(3))
    frames = read_frames(write([atoms]), Keys(energy="hse_energy"))
    assert frames.used == {"energy": "hse_energy", "forces": "hse_forces"}
    suffixed = silicon(energy_pbe0=-1.0, forces_pbe0=ONES, forces=2 * ONES)
    assert read_frames(write([suffixed]), Keys(energy="energy_pbe0")).used["forces"] == "forces_pbe0"
    with pytest.raises(DataError, match="forces must be of the same family of keys as the other labels, got forces"):
        read_frames(write([silicon(hse_energy=-1.0, forces=ONES)]), Keys(energy="hse_energy"))


def test_data_are_read_by_the_keys_of_the_data_they_belong_to(write: Write) -> None:
    both = silicon(energy=-1.0, dft_energy=-9.0)
    assert read_frames(write([both]))[0].energy == -9.0
    assert read_frames(write([both]), preferred={"energy": "energy"})[0].energy == -1.0
    with pytest.raises(
        DataError, match=r"energy must be under hse_energy, got energy alone \(1 frames.*write --key energy=energy or"
    ):
        read_frames(write([silicon(energy=-1.0)]), preferred={"energy": "hse_energy"}, option="--key {}={}")


def test_forces_go_with_the_free_energy(write: Write) -> None:
    """Of smeared occupations, as VASP's and GPAW's files hold them: forces are derivatives of the free energy."""
    smeared = silicon(calculator=True, energy=-1.0, free_energy=-1.25, forces=ONES)
    frames = read_frames(write([smeared]))
    assert (frames.used["energy"], frames[0].energy) == ("free_energy", -1.25)
    assert frames.notes[-1] == (
        "energy is read from free_energy, whose derivatives the forces are, not from energy; "
        "the two differ by up to 250 meV in a frame"
    )
    equal = silicon(calculator=True, energy=-1.0, free_energy=-1.0, forces=ONES)
    assert read_frames(write([equal, silicon(1, calculator=True, energy=-2.0, forces=ONES)])).count("energy") == 2
    alone = silicon(calculator=True, energy=-1.0, free_energy=-1.25)
    assert read_frames(write([alone])).used["energy"] == "energy"
    assert read_frames(write([smeared]), Keys(energy="energy"))[0].energy == -1.0
    with pytest.raises(
        DataError,
        match=r"got free_energy in 1 of 2 frames with energy \(the two differ by up to 250 meV in a frame\); "
        r"write data\.keys\.energy=energy, or data\.keys\.energy=\[free_energy,energy\]",
    ):
        read_frames(write([smeared, silicon(1, energy=-2.0)]))


def test_vasp_outputs_give_the_free_energy(tmp_path: Path) -> None:
    """Through another reader of ASE: results with both energies, as those of vasprun.xml and OUTCAR hold."""
    atoms = silicon(calculator=True, energy=-10.0, free_energy=-10.5, forces=ONES, stress=np.zeros(6))
    ase.io.write(tmp_path / "vasp.traj", [atoms])
    frames = read_frames(tmp_path / "vasp.traj")
    assert (frames[0].energy, frames.used["energy"]) == (-10.5, "free_energy")


def test_entries_that_no_frame_carries(write: Write) -> None:
    path = write([silicon(MACE_energy=-1.0)])
    assert read_frames(path).notes == ("no label under a known key; the frames carry: MACE_energy",)
    with pytest.raises(DataError, match=r"target energy must be present in the data, got .* the frames carry: MACE_e"):
        read_frames(path).require(["energy"])
    with pytest.raises(DataError, match=r"data\.keys\.config_type must name an entry of the data, got 'kind'"):
        read_frames(path, Keys(config_type="kind"))


@pytest.mark.parametrize("value", [5, [], [""], {"a": 1}])
def test_keys_are_names(value: object) -> None:
    with pytest.raises(ValidationError, match="must be the name of an entry of the data or a list of names, got"):
        Keys.model_validate({"energy": value})
