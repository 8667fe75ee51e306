"""Every fault is found where it was planted, and sound data raise none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from rhopot.potentials.structures import DataFinding, Frame, FrameSet, lint, read_frames
from rhopot.potentials.structures.stress_consistency import contradiction, find_pairs, fit_line

PROJECT_DATA = Path(__file__).parents[3] / "examples" / "data" / "lisi_gpaw"


def emt_frame(atoms: ase.Atoms, index: int = 0) -> Frame:
    atoms = atoms.copy()
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)
    bare = ase.Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    return Frame(bare, energy, forces, stress, "strained", source="emt", index=index)


@pytest.fixture(scope="module")
def sound() -> FrameSet:
    """Strained, slightly rattled copper with a consistent energy, forces and stress."""
    rng = np.random.default_rng(5)
    frames = []
    for index in range(24):
        atoms = bulk("Cu", cubic=True)
        strain = rng.uniform(-0.008, 0.008, (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain + strain.T), scale_atoms=True)
        atoms.rattle(0.005, rng=rng)
        frames.append(emt_frame(atoms, index))
    return FrameSet(tuple(frames))


def changed(frames: FrameSet, indices: list[int], **fields: object) -> FrameSet:
    return FrameSet(
        tuple(replace(f, **fields) if i in indices else f for i, f in enumerate(frames))  # type: ignore[arg-type]
    )


def stressed(frames: FrameSet, indices: list[int], scale: float, offset: float = 0.0) -> FrameSet:
    new = [
        replace(f, stress=scale * f.stress + offset * np.eye(3)) if i in indices and f.stress is not None else f
        for i, f in enumerate(frames)
    ]
    return FrameSet(tuple(new))


def faults(frames: FrameSet, test: FrameSet | None = None) -> list[DataFinding]:
    return [finding for finding in lint(frames, test) if finding.severity != "info"]


def test_sound_data_have_no_faults(sound: FrameSet) -> None:
    assert faults(sound) == []
    assert faults(read_frames(PROJECT_DATA, group_key="path")) == []


def test_work_of_the_stresses_is_the_energy(sound: FrameSet) -> None:
    """The line's scale is one and its offset zero to the accuracy of the trapezoid rule."""
    scale, offset, residual = fit_line(find_pairs(sound))
    assert scale == pytest.approx(1.0, abs=0.03)
    assert offset == pytest.approx(0.0, abs=1e-3)
    assert residual < 0.05


@pytest.mark.parametrize(
    ("scale", "offset", "message"),
    [
        (-1.0, 0.0, "have the wrong sign, tensile must be positive"),
        (160.2, 0.0, r"are in GPa, not in eV/A\^3"),
        (-1602.0, 0.0, "have the wrong sign and are in kbar, tensile must be positive"),
        (0.1, 0.0, r"are not in eV/A\^3"),
        (1.0, 0.02, r"are 3\.[123] GPa too tensile against the energies"),
        (1.0, -0.02, r"are 3\.[123] GPa too compressive against the energies"),
    ],
)
def test_stress_faults_of_a_whole_set(sound: FrameSet, scale: float, offset: float, message: str) -> None:
    (finding,) = faults(stressed(sound, list(range(len(sound))), scale, offset))
    assert finding.check == "stress"
    with pytest.raises(ValueError, match=message):
        raise ValueError(finding.sentence)


@pytest.mark.parametrize(
    ("scale", "length", "cause"),
    [
        (1 / 4, 1.0, "energies per atom"),
        (1 / 27.21, 1.0, "energies in Hartree"),
        (23.06, 1.0, "energies in kcal/mol"),
        (96.49, 1.0, "energies in kJ/mol"),
        (1.0, 1 / 0.5292, "lengths in Bohr"),
    ],
)
def test_energies_and_lengths_in_other_units_are_named(scale: float, length: float, cause: str) -> None:
    """The stresses are right, so that a training does not leave them out."""
    frames = []
    for frame in strained("Cu", 0.0, 0.02, "all components"):
        atoms = frame.atoms.copy()
        atoms.set_cell(length * atoms.cell.array, scale_atoms=True)
        frames.append(replace(frame, atoms=atoms, energy=scale * (frame.energy or 0.0)))
    found = [finding.sentence for finding in faults(FrameSet(tuple(frames))) if finding.check == "units"]
    assert len(found) == 1
    assert found[0].startswith(f"config_type strained seems to have {cause} (energy = ")
    assert contradiction(FrameSet(tuple(frames))) == ""


@pytest.mark.parametrize(
    ("energy", "forces", "message"),
    [
        (1.0, 1.0, ""),
        (1.0, -1.0, "forces of config_type strained have the wrong sign, they must point where the energy falls"),
        (1.0, 1 / 51.42, "forces of config_type strained are in Hartree/Bohr, not in eV/A"),
        (1 / 27.21, 1 / 51.42, "config_type strained seems to have energies and forces in Hartree and Bohr"),
        (1 / 4, 1.0, "config_type strained seems to have energies per atom"),
    ],
)
def test_forces_against_energies(energy: float, forces: float, message: str) -> None:
    """Frames of one cell, across its faces too; of two of them there are too few pairs."""
    rng = np.random.default_rng(1)
    frames = []
    for index in range(6):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, rng=rng)
        atoms.wrap()
        frame = emt_frame(atoms, index)
        frames.append(replace(frame, energy=energy * (frame.energy or 0.0), forces=forces * np.asarray(frame.forces)))
    (said,) = (f for f in lint(FrameSet(tuple(frames))) if f.check == "forces" or "work of the forces" in f.sentence)
    assert said.sentence.startswith(message or "forces of config_type strained agree with the energies")
    assert said.severity == ("error" if message else "info")
    (few,) = (finding for finding in lint(FrameSet(tuple(frames[:2]))) if finding.check == "forces")
    assert "cannot be tested against energies: 1 pairs" in few.sentence


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shape", ["volumes", "all components"])
def test_virials_given_as_stresses_are_named(sign: float, shape: str) -> None:
    frames = FrameSet(
        tuple(
            replace(frame, stress=sign * frame.atoms.get_volume() * np.asarray(frame.stress))
            for frame in strained("Cu", 0.0, 0.02, shape)
        )
    )
    kind = "virials, minus stress times volume: name their key data.keys.virial" if sign < 0 else "stresses times the"
    (finding,) = faults(frames)
    assert (finding.severity, finding.check) == ("error", "stress")
    assert finding.sentence.startswith(f"stresses of config_type strained are {kind}")
    assert contradiction(frames) == finding.sentence


def moved(count: int, size: float) -> list[Frame]:
    """Frames of one cell with random displacements of this standard deviation in A."""
    rng = np.random.default_rng(2)
    frames = []
    for index in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(size, rng=rng)
        frames.append(emt_frame(atoms, index))
    return frames


def test_single_forces_of_the_wrong_sign() -> None:
    frames = FrameSet(tuple(moved(20, 0.05)))
    planted = [3, 8, 15, 19]
    assert [f for f in faults(frames) if f.check == "forces"] == []
    turned = FrameSet(tuple(replace(f, forces=-f.forces) if i in planted else f for i, f in enumerate(frames)))  # type: ignore[operator]
    found = faults(turned)
    assert [finding.frame for finding in found] == [f"emt, frame {i}" for i in planted]
    assert {(finding.severity, finding.check) for finding in found} == {("error", "forces")}


def test_forces_of_zero_that_symmetry_does_not_ask_for() -> None:
    """A perfect crystal has none; those of moved atoms are missing labels, and those of a molecule."""
    crystals = [emt_frame(bulk("Cu", a=a, cubic=True), i) for i, a in enumerate((3.5, 3.6, 3.7, 3.8))]
    crystals = [replace(frame, forces=np.zeros((4, 3)), config_type="crystal") for frame in crystals]
    displaced = [replace(frame, forces=np.zeros((4, 3))) for frame in moved(5, 0.05)]
    molecule = Frame(ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]), -30.0, np.zeros((2, 3)), None, "pair", source="h")
    found = [f for f in faults(FrameSet((*crystals, *displaced, molecule))) if f.check == "forces"]
    said = {finding.sentence.split(" whose")[0]: finding.severity for finding in found}
    assert said == {
        "forces of config_type strained are zero on all atoms of 5 frame(s)": "error",
        "forces of config_type pair are zero on all atoms of 1 frame(s)": "warning",
    }


def test_an_offset_that_is_not_determined_is_none() -> None:
    """Near one pressure an offset does the work of the stresses; rounded energies had them called wrong in sign."""
    rng = np.random.default_rng(0)
    frames = []
    for index, a in enumerate(np.linspace(4.1, 4.2, 60)):
        frame = emt_frame(bulk("Cu", a=a, cubic=True), index)
        frames.append(replace(frame, energy=(frame.energy or 0.0) + rng.normal(0.0, 1e-3)))
    scale, offset, _ = fit_line(find_pairs(FrameSet(tuple(frames))))
    assert (scale, offset) == (pytest.approx(1.0, abs=0.03), 0.0)
    assert contradiction(FrameSet(tuple(frames))) == ""


@pytest.mark.parametrize(
    ("sizes", "per_atom", "reverse", "severity", "message"),
    [
        ((1, 2, 4), True, False, "error", "config_type strained seems to have energies per atom"),
        ((2,), False, True, "warning", "do not follow the energies"),
    ],
)
def test_forces_that_no_factor_makes_fit(
    sizes: tuple[int, ...], per_atom: bool, reverse: bool, severity: str, message: str
) -> None:
    """Energies per atom of several sizes, and forces of atoms in another order."""
    rng = np.random.default_rng(1)
    frames = []
    for index in range(18):
        atoms = bulk("Cu", cubic=True).repeat((sizes[index % len(sizes)], 1, 1))
        atoms.rattle(0.03, rng=rng)
        frame = emt_frame(atoms, index)
        energy, forces = (frame.energy or 0.0) / (len(atoms) if per_atom else 1), np.asarray(frame.forces)
        frames.append(replace(frame, energy=energy, forces=forces[::-1] if reverse else forces))
    (said,) = (f for f in lint(FrameSet(tuple(frames))) if "work of the forces" in f.sentence)
    assert said.severity == severity
    assert message in said.sentence


def test_single_stresses_of_the_wrong_sign(sound: FrameSet) -> None:
    traces = [abs(float(np.trace(f.stress))) for f in sound if f.stress is not None]
    planted = sorted(np.argsort(traces)[-3:].tolist())
    found = faults(stressed(sound, planted, -1.0))
    assert [finding.frame for finding in found] == [f"emt, frame {i}" for i in planted]
    assert {finding.severity for finding in found} == {"error"}


def test_untestable_stresses_are_admitted(sound: FrameSet) -> None:
    (finding,) = (found for found in lint(sound[:2]) if found.check == "stress")
    assert finding.severity == "info"
    assert "cannot be tested against energies" in finding.sentence


def test_nan_labels(sound: FrameSet) -> None:
    (finding,) = faults(changed(sound, [4], energy=float("nan")))
    assert (finding.severity, finding.check, finding.frame) == ("error", "finite", "emt, frame 4")


def test_missing_labels_and_second_keys(sound: FrameSet) -> None:
    partial = changed(sound, [3], forces=None)
    assert "1 of 24 frames lack forces (first: emt, frame 3)" in [finding.sentence for finding in faults(partial)]
    keyed = replace(sound, found={"REF_energy": 24, "energy": 24}, used={"energy": "REF_energy"})
    (finding,) = faults(keyed)
    assert finding.sentence == "energy is read from REF_energy; energy (24 frames) is not used"


def test_close_and_coincident_atoms(sound: FrameSet) -> None:
    close, same = sound[0].atoms.copy(), sound[1].atoms.copy()
    close.positions[1] = close.positions[0] + [0.3, 0, 0]
    same.positions[1] = same.positions[0]
    planted = changed(changed(sound, [0], atoms=close), [1], atoms=same)
    found = [finding for finding in faults(planted) if finding.check == "distances"]
    assert "0.300 A apart" in found[0].sentence
    assert "in one place" in found[1].sentence


def test_constraints(sound: FrameSet) -> None:
    assert sound[0].forces is not None
    held = sound[0].forces.copy()
    held[[0, 2]] = 0.0
    mask = np.array([True, False, True, False])
    (declared,) = [f for f in faults(changed(sound, [0], forces=held, fixed=mask)) if f.check == "fixed"]
    assert declared.severity == "error"
    assert "constraints zeroed the forces of 2 atoms" in declared.sentence
    (guessed,) = [f for f in faults(changed(sound, [0], forces=held)) if f.check == "fixed"]
    assert guessed.severity == "warning"
    crystal = emt_frame(bulk("Cu", cubic=True))
    assert [f for f in faults(FrameSet((crystal,))) if f.check == "fixed"] == []


def test_duplicates(sound: FrameSet) -> None:
    twice = FrameSet((*sound.frames, replace(sound[2], index=77)))
    (finding,) = faults(twice)
    assert (finding.severity, finding.check, finding.frame) == ("warning", "duplicates", "emt, frame 77")
    two_methods = FrameSet((*sound.frames, replace(sound[2], index=77, energy=9.0)))
    assert any(f.severity == "error" and "energies differ by" in f.sentence for f in faults(two_methods))


def test_leakage(sound: FrameSet) -> None:
    train, test = sound[:20], sound[20:]
    assert faults(train, test) == []
    (copied,) = faults(train, FrameSet((*test.frames, replace(sound[1], index=99))))
    assert (copied.check, copied.frame) == ("leakage", "emt, frame 99")
    (grouped,) = faults(changed(train, [0], group="p"), changed(test, [0], group="p"))
    assert "group 'p' lies in training and test data" in grouped.sentence


def test_energy_outlier_and_second_source(sound: FrameSet) -> None:
    outlier = changed(sound, [6], energy=float(sound[6].energy or 0) + 8.0)
    assert [f.frame for f in faults(outlier) if f.check == "energies"] == ["emt, frame 6"]
    other = FrameSet(tuple(replace(f, energy=(f.energy or 0.0) - 4e3, config_type="other") for f in sound[:8]))
    mixed = [f for f in faults(FrameSet(sound[8:].frames + other.frames)) if f.check == "sources"]
    assert len(mixed) == 1
    assert "Cu: energies of config_types other and strained lie 1000.0 eV/atom apart" in mixed[0].sentence


def shifted(frames: FrameSet, indices: range, shift: float) -> FrameSet:
    """Energies of some frames moved by a number of eV/atom."""
    return FrameSet(
        tuple(
            replace(f, energy=(f.energy or 0.0) + shift * len(f)) if i in indices else f for i, f in enumerate(frames)
        )
    )


@pytest.mark.parametrize("indices", [range(0, 24, 2), range(5, 8)])
@pytest.mark.parametrize("shift", [-2.0, 1.5])
def test_two_sources_under_one_config_type(indices: range, shift: float, sound: FrameSet) -> None:
    (found,) = [f for f in faults(shifted(sound, indices, shift)) if f.check == "sources"]
    n, first = len(indices), f"emt, frame {indices[0]}"
    other = next(k for k in range(24) if k not in indices)
    parts = [(n, indices[0]), (24 - n, other)][:: 1 if shift < 0 else -1]
    assert found.sentence.startswith(f"config_type strained, Cu4: energies fall into two groups, {parts[0][0]} frames")
    assert f"(first: emt, frame {parts[0][1]}) and {parts[1][0]} around" in found.sentence
    assert f"(first: emt, frame {parts[1][1]}), with none between; they seem to come from two" in found.sentence
    assert first in found.sentence


def test_what_is_no_second_source(sound: FrameSet) -> None:
    """Two outliers, a small gap, a wide range, another size, another config_type."""
    wide = FrameSet(tuple(replace(f, energy=(f.energy or 0.0) + i * len(f)) for i, f in enumerate(sound)))
    large = [replace(f, atoms=f.atoms * (2, 1, 1), energy=2.0 * (f.energy or 0.0) - 16.0) for f in sound]
    for frames in (
        shifted(sound, range(2), -2.0),
        shifted(sound, range(0, 24, 2), -0.9),
        shifted(wide, range(12), -2.0),
        FrameSet((*sound, *(replace(f, forces=None, stress=None) for f in large))),
        changed(shifted(sound, range(12), -2.0), list(range(12)), config_type="other"),
    ):
        assert [f for f in faults(frames) if f.check == "sources"] == []


def strained(element: str, rattle: float, strain: float, shape: str) -> FrameSet:
    """Exact energies, forces and stresses of 16 strained cells by effective medium theory."""
    rng = np.random.default_rng(5)
    frames = []
    for index in range(16):
        atoms = bulk(element, cubic=True)
        if shape == "volumes":
            deformation = np.eye(3) * (1.0 + strain * (index / 7.5 - 1.0))
        else:
            deformation = rng.uniform(-strain, strain, (3, 3))
            deformation = np.eye(3) + 0.5 * (deformation + deformation.T)
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        atoms.rattle(rattle, rng=rng)
        frames.append(emt_frame(atoms, index))
    return FrameSet(tuple(frames))


@pytest.mark.parametrize("element", ["Cu", "Ni", "Pt", "Al"])
@pytest.mark.parametrize("shape", ["volumes", "all components"])
@pytest.mark.parametrize("strain", [0.01, 0.03, 0.05, 0.06])
@pytest.mark.parametrize("rattle", [0.0, 0.01, 0.05])
def test_exact_stresses_are_never_said_to_contradict(element: str, shape: str, strain: float, rattle: float) -> None:
    """The third order that the comparison of two frames neglects is no fault of the stresses."""
    assert contradiction(strained(element, rattle, strain, shape)) == ""


@pytest.mark.parametrize("element", ["Cu", "Al"])
@pytest.mark.parametrize("shape", ["volumes", "all components"])
@pytest.mark.parametrize(
    ("scale", "offset", "message"),
    [
        (1.0, 0.02, r"are 3\.[123] GPa too tensile"),
        (1.0, -0.02, r"are 3\.[123] GPa too compressive"),
        (-1.0, 0.0, "wrong sign"),
        (160.2, 0.0, "in GPa"),
        (0.0, 0.0, "are all zero, which no calculation gives"),
    ],
)
def test_contradictions_are_certain(element: str, shape: str, scale: float, offset: float, message: str) -> None:
    frames = stressed(strained(element, 0.0, 0.02, shape), list(range(16)), scale, offset)
    assert re.search(message, contradiction(frames))
    assert any(re.search(message, finding.sentence) for finding in faults(frames))
