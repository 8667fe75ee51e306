"""`rhopot harvest`: what it chooses of runs, what it leaves out, and that the labelled file is appended."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import trained_models
from ase import Atoms
from refusals import refusal
from trained_models import DATA

from rhopot.export import RhopotCalculator, read_card
from rhopot.potentials.api import evaluate
from rhopot.potentials.commands import main
from rhopot.potentials.lammps.dynamics_settings import pairs_of
from rhopot.potentials.structures.files import read_file

pytestmark = pytest.mark.slow

UNKNOWN = "Li24Si8_0"  # an alloy that the trained models have not seen


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of ten frames with labels and momenta, a copy of one of them, and one with atoms that touch."""
    frames = [
        Atoms(f.symbols, positions=f.positions, cell=f.cell, pbc=True) for f in read_file(DATA / f"{UNKNOWN}.xyz")
    ]
    twin = frames[0].copy()
    twin.rotate(30, "z", rotate_cell=True)
    twin.translate([1.0, 2.0, 3.0])
    touching = frames[1].copy()
    touching.positions[1] = touching.positions[0] + [0.6, 0.0, 0.0]
    for frame in frames:
        frame.info["REF_energy"] = -1.0
        frame.set_momenta(np.ones((len(frame), 3)))
    folder = tmp_path / "run"
    folder.mkdir()
    ase.io.write(folder / "trajectory_ase.extxyz", [*frames, twin, touching], format="extxyz")
    return folder


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that keeps its equations and grades environments."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    quick = ("report.stability=null", "report.train_frames=1", "data.split={by: fraction}")
    trained_models.train("soap_linear", folder, *quick, "regressor.keep_equations=true")
    return folder


def numbers(folder: Path) -> dict:
    return json.loads((folder / "harvest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", ["soap_linear", "bpnn"])
def test_least_known_frames_are_chosen(
    family: str, trained_model: Callable[[str], Path], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without copies and without atoms that touch; errors are those of the calculator; no label is left."""
    model = trained_model(family)
    folder = tmp_path / "harvest"
    assert main(["harvest", str(model), str(run), "-n", "4", "-o", str(folder)]) == 0
    found = numbers(folder)
    frames = [one["frame"] for one in found["chosen"]]
    assert len(set(frames)) == len(frames) == 4
    assert not {0, 10} <= set(frames), "one of the copies"
    assert 11 not in frames
    assert found["left_out"]["atoms too close"] == 1
    assert found["left_out"]["copies of known structures or of frames that rank higher"] == 1
    assert sum(found["left_out"].values()) + 4 == found["n_frames"] == 12
    gains = [one["gain_nats"] for one in found["chosen"]]
    assert gains == sorted(gains, reverse=True)
    written = ase.io.read(folder / "harvest.xyz", ":")
    source = ase.io.read(run / "trajectory_ase.extxyz", ":")
    name = "forces_error" if read_card(model).uncertainty.force_radii else "forces_uncertainty"
    scale = 1.0 if name == "forces_error" else 2.5
    calculator = RhopotCalculator(model)
    for one, atoms in zip(found["chosen"], written, strict=True):
        assert set(atoms.arrays) == {"numbers", "positions"}
        assert atoms.info["config_type"] == "harvest"
        assert atoms.info["harvest_frame"] == one["frame"]
        assert atoms.info["path"] == "harvest_trajectory_ase", "the group key of the model's training"
        assert atoms.calc is None
        assert "REF_energy" not in atoms.info
        errors = calculator.get_property(name, source[one["frame"]])
        assert one["largest_error_eV_A"] == pytest.approx(scale * errors.max(), rel=1e-5)
    assert (folder / "harvest.png").stat().st_size > 1000
    assert "left out: " in capsys.readouterr().out


def test_the_same_command_gives_the_same_and_evaluates_nothing_again(
    trained_model: Callable[[str], Path],
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["harvest", str(trained_model("soap_linear")), str(run), "-n", "3", "-o"]
    assert main([*words, str(tmp_path / "one")]) == 0
    before = (tmp_path / "one" / "harvest.xyz").read_text()

    def never(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("rhopot.potentials.commands.harvest.evaluate_run", never)
        assert main([*words, str(tmp_path / "one")]) == 0
    assert (tmp_path / "one" / "harvest.xyz").read_text() == before
    assert main([*words, str(tmp_path / "two")]) == 0
    assert (tmp_path / "two" / "harvest.xyz").read_text() == before
    assert main([*words, str(tmp_path / "one"), "--every", "2"]) == 1, "results of another harvest"
    assert main([*words, str(tmp_path / "one"), "--write", "vasp"]) == 0
    words = [*words, str(tmp_path / "one"), "--every", "2", "--overwrite"]
    said = f"output must be a folder without inputs of other structures, got '{tmp_path / 'one' / 'vasp'}"
    for more in ([], ["--write", "gpaw"]):
        assert said in refusal(capsys, [*words, *more])
    assert (tmp_path / "one" / "harvest.xyz").read_text() == before, "that of the inputs"
    shutil.rmtree(tmp_path / "one" / "vasp")
    assert main(words) == 0


def test_nothing_above_the_threshold_is_no_failure(
    trained_model: Callable[[str], Path], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "harvest"
    words = ["harvest", str(trained_model("soap_linear")), str(run), "-o", str(folder)]
    assert main([*words, "--threshold", "1e6", "--write", "vasp"]) == 0
    assert numbers(folder)["chosen"] == []
    assert not (folder / "harvest.xyz").exists()
    assert not (folder / "vasp").exists()
    assert "nothing is harvested; the largest predicted force error is" in capsys.readouterr().out


def test_known_structures_are_left_out(trained_model: Callable[[str], Path], run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "harvest"
    words = ["harvest", str(trained_model("soap_linear")), str(run), "--known", str(DATA / f"{UNKNOWN}.xyz")]
    assert main([*words, "--closest", "0", "-o", str(folder)]) == 0
    assert [one["frame"] for one in numbers(folder)["chosen"]] == [11], "the one that was changed, now not too close"


def test_frames_outside_of_the_training_data_come_first(first_run: Path, run: Path, tmp_path: Path) -> None:
    """Even where no predicted error is above the threshold; their number is that of the calculator."""
    model, folder = first_run / "model.pt", tmp_path / "harvest"
    stretched = ase.io.read(run / "trajectory_ase.extxyz", 0)
    stretched.set_cell(1.3 * stretched.cell, scale_atoms=True)
    ase.io.write(run / "stretched.extxyz", stretched, format="extxyz")
    outside = int((~RhopotCalculator(model).get_property("supported", stretched)).sum())
    assert outside > 0
    words = ["harvest", str(model), str(run), "--threshold", "1e6", "--unsupported-first", "-o", str(folder)]
    assert main(words) == 0
    found = numbers(folder)["chosen"]
    assert found
    assert all(one["n_unsupported"] > 0 for one in found)
    (mine,) = [one for one in found if one["file"].endswith("stretched.extxyz")]
    assert mine["n_unsupported"] == outside


def test_clusters_are_cut_from_large_cells(
    trained_model: Callable[[str], Path], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Around less known atoms; the others are held; inputs for each; what is taken whole is said, with the reason."""
    large = ase.io.read(run / "trajectory_ase.extxyz", 3).repeat(2)
    ase.io.write(tmp_path / "large.extxyz", large, format="extxyz")
    folder = tmp_path / "harvest"
    words = ["harvest", str(trained_model("soap_linear")), str(tmp_path / "large.extxyz"), "--cluster-radius", "2.8"]
    assert main([*words, "--write", "espresso", "-o", str(folder)]) == 0
    found = numbers(folder)["chosen"]
    assert found
    errors = RhopotCalculator(trained_model("soap_linear")).get_property("forces_error", large)
    for one, atoms in zip(found, ase.io.read(folder / "harvest.xyz", ":"), strict=True):
        assert one["center"] is not None
        assert errors[one["center"]] <= one["largest_error_eV_A"] * (1 + 1e-9)
        assert 0 < one["n_counted"] < one["n_atoms"] == len(atoms) < 256
        assert len(atoms.constraints[0].index) == one["n_atoms"] - one["n_counted"]
        assert not any(atoms.pbc)
    assert len(list((folder / "espresso").iterdir())) == len(found)
    assert "cells: 1 cut; taken whole: none" in capsys.readouterr().out
    options = ["--cluster-box", "periodic", "--cluster-buffer", "9", str(run), "-o", str(tmp_path / "whole")]
    assert main([*words, *options]) == 0
    assert {one["center"] for one in numbers(tmp_path / "whole")["chosen"]} == {None}
    said = " ".join(capsys.readouterr().out.split())
    why = "1 too small for a cube with edges of 23.6 A, which would hold an atom twice"
    for part in ("cells: 0 cut; taken whole: ", why, "11 of at most 200 atoms"):
        assert part in said


def test_dynamics_that_is_uncertain_is_harvested(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder of `rhopot md` as it is, its last frame among the chosen; and a dump whose types have no names."""
    model = str(trained_model("soap_linear"))
    start = ase.io.read(DATA / "Li16Si16_0.xyz", index=0)
    ase.io.write(tmp_path / "start.extxyz", Atoms(start.symbols, positions=start.positions, cell=start.cell, pbc=True))
    words = [str(tmp_path / "start.extxyz"), "--engine", "lammps", "-n", "2", "--temperature", "3000"]
    options = ["--every", "2", "--steps", "60", "--until-uncertain", "0.5", "-o", str(tmp_path / "md")]
    assert main(["md", model, *words, *options]) == 3
    assert main(["harvest", model, str(tmp_path / "md"), "-n", "2", "-o", str(tmp_path / "harvest")]) == 0
    chosen = numbers(tmp_path / "harvest")["chosen"]
    assert any(one["file"].endswith("stopped_lammps.extxyz") for one in chosen)

    symbols = sorted(set(start.symbols))
    assert [name for name, *_ in pairs_of(symbols)] == ["Li-Li", "Li-Si", "Si-Si"]
    types = [1 + symbols.index(symbol) for symbol in start.symbols]
    box = "".join(f"0 {length:.10f}\n" for length in start.cell.lengths())
    places = [" ".join(f"{x:.8f}" for x in place) for place in start.positions]
    rows = "".join(f"{k} {kind} {place}\n" for k, (kind, place) in enumerate(zip(types, places, strict=True), 1))
    head = f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(start)}\nITEM: BOX BOUNDS pp pp pp\n{box}"
    (tmp_path / "run.dump").write_text(f"{head}ITEM: ATOMS id type x y z\n{rows}")
    capsys.readouterr()
    words = ["harvest", model, str(tmp_path / "run.dump"), "-o", str(tmp_path / "dump")]
    assert main(words) == 0
    assert "types are taken as 1 = Li, 2 = Si" in capsys.readouterr().out
    largest = RhopotCalculator(model).get_property("forces_error", start).max()
    assert numbers(tmp_path / "dump")["largest_error_eV_A"] == pytest.approx(largest, rel=1e-5)


def test_a_labelled_harvest_is_appended(first_run: Path, tmp_path: Path) -> None:
    """From the harvest of an unknown alloy to the next model, whose forces there are better."""
    source = DATA / f"{UNKNOWN}.xyz"
    words = ["harvest", str(first_run / "model.pt"), str(source), "-n", "3", "-o", str(tmp_path / "harvest")]
    assert main(words) == 0
    frames, labelled = ase.io.read(tmp_path / "harvest" / "harvest.xyz", ":"), read_file(source)
    for atoms in frames:
        of_dft = labelled[atoms.info["harvest_frame"]]
        of_dft.wrap()
        assert atoms.positions == pytest.approx(of_dft.positions, abs=1e-6)
        atoms.info |= {name: of_dft.info[name] for name in ("REF_energy", "REF_stress")}
        atoms.arrays["REF_forces"] = of_dft.arrays["REF_forces"]
    ase.io.write(tmp_path / "labelled.xyz", frames, format="extxyz")
    words = [f"append={first_run}", f"data.train={tmp_path / 'labelled.xyz'}", f"output={tmp_path / 'second'}"]
    assert main(["train", str(first_run / "config.yaml"), *words]) == 0
    files = [folder / "model.pt" for folder in (first_run, tmp_path / "second")]
    before, after = (read_card(file).training_data.summary for file in files)
    assert after["n_frames"] == before["n_frames"] + 3
    assert after["config_types"]["harvest"] == 3
    known = {atoms.info["harvest_frame"] for atoms in frames}
    others = [frame for k, frame in enumerate(labelled) if k not in known]
    first, second = (evaluate(file, others)["forces_mae_mev_per_angstrom"] for file in files)
    assert second < 0.95 * first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--write", "abinit"], "--write must be one of vasp, espresso, gpaw, got 'abinit'; choose one of them"),
        (["-n", "0"], "--count must be at least 1, got 0; raise it"),
        (["--threshold", "-1"], "--threshold must not be negative, got -1 eV/A; leave it out for none"),
        (
            ["--cluster-buffer", "3", "--cluster-above", "50"],
            "--cluster-buffer, --cluster-above must be given together with --cluster-radius, got no radius; add for",
        ),
        (["--cluster-box", "vacuum"], "--cluster-box must be given together with --cluster-radius, got no radius"),
        (
            ["--cluster-radius", "3", "--cluster-box", "periodic", "--cluster-vacuum", "3"],
            "--cluster-vacuum must go with clusters in vacuum, got 3 with --cluster-box periodic",
        ),
        (["--cluster-radius", "3", "--cluster-box", "ball"], "--cluster-box must be vacuum or periodic, got 'ball'"),
    ],
)
def test_what_is_refused(
    words: list[str],
    said: str,
    trained_model: Callable[[str], Path],
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "harvest"
    assert said in refusal(capsys, ["harvest", str(trained_model("soap_linear")), str(run), *words, "-o", str(folder)])
    assert not folder.exists()


def test_models_without_members_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import small_models

    model = small_models.write(small_models.scattering(members=0), tmp_path / "model.pt")
    assert "model must have ensemble members whose forces are known, got" in refusal(
        capsys, ["harvest", str(model), str(run), "-o", str(tmp_path / "harvest")]
    )
