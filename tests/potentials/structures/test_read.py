"""Reading: what is found is what was written, and every fault is one sentence."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.db import connect
from ase.io import write as ase_write

from rhopot.potentials.structures import AUTO, DataError, Frame, FrameSet, Keys, inspect_frames, read_frames

Make = Callable[..., ase.Atoms]
Write = Callable[..., Path]
PROJECT_DATA = Path(__file__).parents[3] / "examples" / "data" / "lisi_gpaw"


def test_labels_survive_the_file(labelled: Make, write: Write) -> None:
    atoms = labelled(seed=1, config_type="crystal", path="a7")
    frame = read_frames(write([atoms]), group_key="path")[0]
    assert frame.energy == pytest.approx(atoms.info["REF_energy"], abs=1e-12)
    assert frame.forces is not None
    assert frame.stress is not None
    np.testing.assert_allclose(frame.forces, atoms.arrays["REF_forces"], atol=1e-8)
    np.testing.assert_allclose(frame.stress, atoms.info["REF_stress"], atol=1e-12)
    assert (frame.config_type, frame.group, frame.index) == ("crystal", "a7", 0)
    assert frame.atoms.calc is None
    np.testing.assert_allclose(frame.atoms.positions, atoms.positions, atol=1e-8)


def test_gzip_folder_pattern_and_list_agree(labelled: Make, write: Write, tmp_path: Path) -> None:
    plain = write([labelled(seed) for seed in range(3)], "a.xyz")
    with gzip.open(tmp_path / "b.xyz.gz", "wt") as stream:
        stream.write(plain.read_text())
    assert read_frames(tmp_path / "b.xyz.gz").digest() == read_frames(plain).digest()
    everything = read_frames(tmp_path)
    assert len(everything) == 6
    assert everything.found == {"REF_energy": 6, "REF_forces": 6, "REF_stress": 6}
    assert read_frames(str(tmp_path / "*.xyz*")).digest() == everything.digest()
    assert read_frames([plain, tmp_path / "b.xyz.gz"]).digest() == everything.digest()


def test_calculator_results_are_labels(write: Write) -> None:
    atoms = bulk("Si")
    stress = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    atoms.calc = SinglePointCalculator(atoms, energy=-10.0, forces=np.ones((2, 3)), stress=stress)
    frame = read_frames(write([atoms]))[0]
    assert frame.energy == -10.0
    assert frame.stress is not None
    np.testing.assert_allclose(frame.stress, [[0.1, 0.6, 0.5], [0.6, 0.2, 0.4], [0.5, 0.4, 0.3]])


def twice(energy: float = -9.0, forces: float = 0.0, stress: float = 0.1) -> ase.Atoms:
    """Labels of a calculator, and others under the same names in info and arrays."""
    atoms = bulk("Si")
    atoms.calc = SinglePointCalculator(atoms, energy=-9.0, forces=np.zeros((2, 3)), stress=np.full(6, 0.1))
    atoms.info |= {"energy": energy, "stress": np.full((3, 3), stress)}
    atoms.arrays["forces"] = np.full((2, 3), forces)
    return atoms


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"energy": -5.0},
            r"^structures in memory, frame 1: energy must be the same everywhere in a frame, got -9 in the results of "
            r"its calculator and -5 in its info; remove the wrong one \(`del atoms\.info\[",
        ),
        ({"forces": 7.0}, r"forces must .*, got values in its arrays and in the results of its calculator .* up to 7;"),
        ({"stress": 0.3}, r"stress must .*, got values in the results .* and in its info .* up to 0\.2;"),
    ],
)
def test_one_name_with_two_values_is_refused(changes: dict[str, float], sentence: str) -> None:
    """The one in info was read, and nobody was told."""
    frames = [twice(), twice(**changes)]
    with pytest.raises(DataError, match=sentence):
        read_frames(frames)
    found, findings = inspect_frames(frames)
    assert (len(found), [one.check for one in findings]) == (1, ["frames"])


def test_one_name_with_equal_values_is_read() -> None:
    """Also where one of them was written with few digits, or is not what is fitted."""
    frame = read_frames([twice(energy=-9.000004, forces=4e-6)])[0]
    assert frame.energy == -9.000004
    atoms = twice(energy=-5.0)
    atoms.info["dft"] = -7.0
    assert read_frames([atoms], Keys(energy="dft"))[0].energy == -7.0


def test_virial_becomes_minus_stress_times_volume(write: Write) -> None:
    atoms = bulk("Si")
    atoms.info.update(dft_energy=1, dft_virial=atoms.get_volume() * np.diag([1.0, 2.0, 3.0]))
    frames = read_frames(write([atoms]))
    assert frames[0].stress is not None
    np.testing.assert_allclose(frames[0].stress, -np.diag([1.0, 2.0, 3.0]), atol=1e-12)
    assert frames.used == {"energy": "dft_energy", "virial": "dft_virial"}


def test_one_key_serves_the_whole_set(labelled: Make, write: Write) -> None:
    """Energies under another key are counted, not mixed in."""
    other = bulk("Si")
    other.info["dft_energy"] = 5.0
    path = write([labelled(), other])
    frames = read_frames(path, Keys(energy="REF_energy"))
    assert frames.used["energy"] == "REF_energy"
    assert frames.found["dft_energy"] == 1
    assert frames.notes == ("labels left aside: dft_energy (1 frames)",)
    assert [frame.has("energy") for frame in frames] == [True, False]
    assert read_frames(path, Keys(energy="dft_energy", forces="none")).count("energy") == 1
    assert read_frames(path, Keys(energy="REF_energy", forces="none")).count("forces") == 0


def test_constraints_are_remembered_not_kept(labelled: Make, tmp_path: Path) -> None:
    atoms = labelled()
    atoms.set_constraint(FixAtoms([0, 3]))
    ase_write(tmp_path / "c.xyz", atoms, format="extxyz", columns=["symbols", "positions", "move_mask", "REF_forces"])
    frame = read_frames(tmp_path / "c.xyz")[0]
    assert frame.fixed is not None
    np.testing.assert_array_equal(np.flatnonzero(frame.fixed), [0, 3])
    assert frame.atoms.constraints == []
    assert frame.forces is not None
    assert np.abs(frame.forces[0]).max() > 0


def test_shipped_data_read_whole() -> None:
    frames = read_frames(PROJECT_DATA, group_key="path")
    summary = frames.summary()
    paths = len(list(PROJECT_DATA.glob("*.xyz")))
    assert paths >= 9
    assert summary["targets"] == dict.fromkeys(("energy", "forces", "stress"), 10 * paths)
    assert summary["n_groups"] == paths
    assert summary["symbols"] == ["Li", "Si"]
    assert summary["config_types"] == {"relaxation": 10 * paths}


def test_digest_sees_labels_and_order_not_places(labelled: Make, write: Write) -> None:
    frames = read_frames(write([labelled(0), labelled(1)], "a.xyz"))
    again = read_frames(write([labelled(0), labelled(1)], "b.xyz"))
    assert frames.digest() == again.digest()
    assert frames.subset([1, 0]).digest() != frames.digest()
    first = frames[0]
    changed = Frame(first.atoms, energy=-1.0, forces=first.forces, stress=first.stress)
    assert FrameSet((changed, frames[1])).digest() != frames.digest()
    assert frames[:1].digest() == frames.subset([0]).digest()


def test_absent_target_is_one_sentence(write: Write) -> None:
    atoms = bulk("Si")
    atoms.info["REF_energy"] = 0.0
    frames = read_frames(write([atoms]))
    frames.require(["energy"])
    with pytest.raises(
        DataError, match=r"target forces must be present in the data, got REF_energy \(1 frames\) in 1 "
    ):
        frames.require(["energy", "forces"])
    with pytest.raises(ValueError, match="target must be one of energy, forces, stress, got 'charge'"):
        frames.require(["charge"])
    with pytest.raises(
        DataError, match=r"data\.keys\.forces must name an entry of the data, got 'f'.*carry: REF_energy"
    ):
        read_frames(frames[0].source, Keys(forces="f"))


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"REF_energy": "much"}, "frame 1: REF_energy must be numbers, got 'much'"),
        ({"REF_energy": np.ones(3)}, r"frame 1: REF_energy must be one number, got shape \(3,\)"),
        ({"REF_stress": np.ones(4)}, "frame 1: REF_stress must have 6 or 9 components, got 4"),
        ({"REF_stress": np.triu(np.ones((3, 3)))}, "frame 1: REF_stress must be symmetric"),
    ],
)
def test_bad_labels_are_named(labelled: Make, write: Write, info: dict[str, object], message: str) -> None:
    bad = labelled(1)
    bad.info.update(info)
    with pytest.raises(DataError, match=message):
        read_frames(write([labelled(0), bad]))


@pytest.mark.parametrize("value", [np.nan, np.inf, "None", "null"])
def test_labels_that_are_no_numbers_are_left_out_and_counted(labelled: Make, write: Write, value: object) -> None:
    bad = labelled(1)
    bad.info["REF_energy"] = value
    path = write([labelled(0), bad])
    frames = read_frames(path)
    assert [frame.has("energy") for frame in frames] == [True, False]
    assert frames.count("forces") == frames.count("stress") == 2
    (note,) = frames.notes
    assert note.startswith("REF_energy left out in 1 frames, where it is ")
    assert note.endswith(f"(first: {path}, frame 1)")


def test_inspection_keeps_nan_and_turns_faults_into_findings(labelled: Make, write: Write) -> None:
    bad, other = labelled(1), bulk("Si")
    bad.arrays["REF_forces"][3, 1] = np.nan
    other.info["energy"] = 5.0
    path = write([labelled(0), bad, other])
    with path.open("a") as stream:
        stream.write("0\nREF_energy=0.0\n")
    frames, findings = inspect_frames(path)
    assert len(frames) == 3
    assert frames.count("forces") == 2
    assert [(finding.check, finding.frame) for finding in findings] == [("keys", ""), ("frames", f"{path}, frame 3")]
    assert findings[1].sentence == "a frame must hold atoms, got none; remove the frame"


def test_bad_forces_and_positions_are_named(labelled: Make, write: Write) -> None:
    flat = labelled()
    flat.arrays["REF_forces"] = np.ones(8)
    with pytest.raises(DataError, match=r"REF_forces must be of shape \(8, 3\), got shape \(8,\)"):
        read_frames(write([flat]))
    lost = labelled()
    lost.positions[0] = np.nan
    with pytest.raises(DataError, match="positions and cell must be finite"):
        read_frames(write([lost]))


@pytest.mark.parametrize("key", ["stress", "virial"])
def test_a_stress_without_a_volume_is_left_out_and_counted(key: str, write: Write) -> None:
    path = write([ase.Atoms("H", info={key: np.eye(3), "energy": -1.0}), bulk("Si")])
    frames = read_frames(path)
    assert [frame.has("stress") for frame in frames] == [False, False]
    assert frames.notes == (
        f"{key} left out in 1 frames, where it comes without a cell of positive volume (first: {path}, frame 0)",
    )


def test_bad_files_are_named(labelled: Make, write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty.xyz").touch()
    (tmp_path / "words.xyz").write_text("these are\nno structures\n")
    (tmp_path / "fake.xyz.gz").write_bytes(b"not compressed")
    whole = write([labelled(0)], "whole.xyz").read_text().splitlines()
    (tmp_path / "cut.xyz").write_text("\n".join(whole[:-2]))
    with gzip.open(tmp_path / "void.xyz.gz", "wt"):
        pass
    for name in ("empty.xyz", "void.xyz.gz"):
        with pytest.raises(DataError, match="must hold at least one structure, got none"):
            read_frames(tmp_path / name)
    for name, message in (
        ("words.xyz", r"words\.xyz, frame 0: line 1 must be a number of atoms, got 'these are'"),
        ("fake.xyz.gz", "must be readable as extended XYZ, got BadGzipFile"),
        ("cut.xyz", r"cut\.xyz, frame 0: must have 8 atoms, got the end of the file before"),
    ):
        with pytest.raises(DataError, match=message):
            read_frames(tmp_path / name)
    with pytest.raises(DataError, match="must name an existing file, got"):
        read_frames(tmp_path / "absent.xyz")
    with pytest.raises(DataError, match=r"data path must name every file once, got '.*whole\.xyz' 2 times; remove one"):
        read_frames([tmp_path / "whole.xyz", str(tmp_path / "who*.xyz")])
    with pytest.raises(DataError, match="must name at least one file, got an empty list"):
        read_frames([])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="must hold structure files"):
        read_frames(tmp_path / "nothing")


def test_groups_must_be_complete(labelled: Make, write: Write) -> None:
    with pytest.raises(DataError, match="group key must name an entry of the data, got 'path'"):
        read_frames(write([labelled()]), group_key="path")
    with pytest.raises(DataError, match="group key 'path' must be in every frame, got 1 of 2 frames without it"):
        read_frames(write([labelled(0, path="a"), labelled(1)]), AUTO, "path")


def test_structures_in_memory_are_read_like_those_of_their_file(labelled: Make, write: Write) -> None:
    atoms = [labelled(seed, config_type="crystal", path=f"p{seed % 2}") for seed in range(4)]
    file = write(atoms)
    computed = [ase.io.read(PROJECT_DATA / "Li4Si28_0.xyz", index=k) for k in range(2)]
    for given, path in ((ase.io.read(file, ":"), file), (computed, None)):
        frames = read_frames(given, group_key="path")
        assert frames.count("energy") == frames.count("forces") == len(given)
        assert [frame.index for frame in frames] == list(range(len(given)))
        if path is not None:
            again = read_frames(path, group_key="path")
            assert (frames.digest(), frames.used, frames.found) == (again.digest(), again.used, again.found)
            assert [frame.group for frame in frames] == [frame.group for frame in again]
    assert read_frames(atoms[0]).count("energy") == 1
    with pytest.raises(DataError, match=r"^structures in memory must all be ase.Atoms, got str at 1"):
        read_frames([atoms[0], "b.xyz"])  # type: ignore[list-item]


def test_results_of_another_geometry_are_refused() -> None:
    atoms = bulk("Si")
    atoms.calc = SinglePointCalculator(atoms, energy=-10.0, forces=np.zeros((2, 3)))
    assert read_frames([atoms])[0].energy == -10.0
    atoms.rattle(0.01)
    with pytest.raises(DataError, match=r"^structures in memory, frame 0: results .* other positions; calculate them"):
        read_frames([atoms])


@pytest.mark.parametrize("name", ["data.db", "data.json"])
def test_key_value_pairs_of_a_database_are_entries(name: str, tmp_path: Path) -> None:
    """config_type, group and labels, also arrays in its data; as from structures that ASE has read from it."""
    rng = np.random.default_rng(3)
    forces = rng.normal(size=(2, 2, 3))
    with connect(tmp_path / name) as rows:
        for k in range(2):
            pairs = {"config_type": "bulk", "run": f"r{k}", "hse_energy": -10.0 - k}
            rows.write(bulk("Si"), key_value_pairs=pairs, data={"hse_forces": forces[k], "inputs": {"xc": "HSE"}})
    frames = read_frames(tmp_path / name, Keys(energy="hse_energy"), group_key="run")
    assert [(f.config_type, f.group, f.energy) for f in frames] == [("bulk", "r0", -10.0), ("bulk", "r1", -11.0)]
    np.testing.assert_allclose([frame.forces for frame in frames], forces)
    with connect(tmp_path / name) as rows:
        given = [row.toatoms(add_additional_information=True) for row in rows.select()]
    assert read_frames(given, Keys(energy="hse_energy")).digest() == frames.digest()
    with pytest.raises(DataError, match=r"got 'x'; the frames carry: config_type, hse_energy, hse_forces, inputs, run"):
        read_frames(tmp_path / name, group_key="x")


def test_results_and_key_value_pairs_of_a_database_must_agree(tmp_path: Path) -> None:
    atoms = bulk("Si")
    atoms.calc = SinglePointCalculator(atoms, energy=-10.0, forces=np.zeros((2, 3)))
    with connect(tmp_path / "data.db") as rows:
        rows.write(atoms, data={"energy": -9.0})
    assert read_frames(tmp_path / "data.db", Keys(energy="none")).count("forces") == 1
    with pytest.raises(DataError, match="got -10 in the results of its calculator and -9 in its data; remove"):
        read_frames(tmp_path / "data.db")
