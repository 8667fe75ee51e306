"""The accuracy-cost figure: errors from LAMMPS are those of ASE, and data and models that do not fit are refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_models
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from examples_at_hand import EXAMPLES, example
from measure import Time

from rhopot.export import TrainingData, evaluate
from rhopot.potentials.structures import read_frames

pytestmark = pytest.mark.slow

LITHIUM_SILICON = EXAMPLES / "data" / "lisi_gpaw" / "Li4Si28_0.xyz"
QUICK = ["--cells", "2", "--steps", "2", "--repeats", "1"]


def silicon(path: Path) -> Path:
    """Ten rattled, skewed crystals with the energies and forces that the small linear model has in Python."""
    random = np.random.default_rng(0)
    every = []
    for _ in range(10):
        atoms = bulk("Si", cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * random.standard_normal((3, 3))), scale_atoms=True)
        atoms.positions += random.normal(0.0, 0.1, atoms.positions.shape)
        every.append(atoms)
    for atoms, result in zip(every, evaluate(small_models.linear(), every), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=result.energy, forces=result.forces)
    write(path, every, format="extxyz")
    return path


def seconds(style: str, *size: object, kernels: str | None) -> Time:
    """Times of a step that differ by pair style: a run of a few steps may be measured as 0 s."""
    cpu = {"rhopot": 2.0, "sw": 1.0, "snap": 10.0, "pod": 5.0}[style.split()[1]]
    return Time(cpu, cpu * (3.0 if kernels == "baseline" else 1.0))


def test_errors_from_lammps_are_those_of_the_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = silicon(tmp_path / "silicon.xyz")
    frames = read_frames(str(data))
    model = small_models.linear()
    trained = TrainingData(summary={"n_frames": 8}, hash=frames.subset([k for k in range(10) if k % 5]).digest())
    (tmp_path / "small").mkdir()
    model = replace(model, card=model.card.model_copy(update={"training_data": trained}))
    small_models.write(model, tmp_path / "small" / "model.pt")
    words = [str(data), str(tmp_path / "small" / "model.pt"), "--output", str(tmp_path / "out"), *QUICK]
    main = example("benchmarks/pareto")
    monkeypatch.setitem(main.__globals__, "md", seconds)  # type: ignore[attr-defined]
    for _ in range(2):  # the second time with the fit of the first
        main([*words, "--fit", "pod, 3 bodies"])
        output = capsys.readouterr().out
        errors = {
            name.strip(): (float(energy), float(forces))
            for name, energy, forces in re.findall(r"^(\S.*?)  .* ([\d.]+) +([\d.]+)(?: +\*)? *$", output, re.MULTILINE)
        }
        assert set(errors) == {"small", "sw", "snap", "qsnap", "pod, 3 bodies"}
        assert errors.pop("small") == (0.0, 0.0)
        assert all(forces > 1.0 for _, forces in errors.values())
        assert re.findall(r"^(\w+) .*\*$", output, re.MULTILINE) == ["sw", "small"], "the front"
        assert "errors on 2 held-out frames, 8 for training" in output
    assert read_frames(str(tmp_path / "out" / "train.xyz")).digest() == trained.hash
    assert (tmp_path / "out" / "pareto.png").is_file()


def test_a_time_of_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = example("benchmarks/pareto")
    monkeypatch.setitem(main.__globals__, "md", lambda *size, **settings: Time(0.0, 0.0))  # type: ignore[attr-defined]
    words = [str(silicon(tmp_path / "silicon.xyz")), "--output", str(tmp_path / "out"), "--fit", *QUICK]
    with pytest.raises(SystemExit, match="--steps must be enough for a measurable time, got 2 and 0 s for"):
        main(words)


def test_a_model_of_other_data_is_refused(trained_run: Path, tmp_path: Path) -> None:
    data = silicon(tmp_path / "silicon.xyz")
    words = [str(data), str(trained_run / "model.pt"), "--output", str(tmp_path), *QUICK]
    with pytest.raises(SystemExit, match=r"model '.*' must be trained on .*train.xyz, got one of other data; train it"):
        example("benchmarks/pareto")(words)


def test_other_elements_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="data must hold silicon alone, got Li, Si; the other potentials know no"):
        example("benchmarks/pareto")([str(LITHIUM_SILICON), "--output", str(tmp_path), *QUICK])


def test_missing_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no\.xyz"):
        example("benchmarks/pareto")([str(tmp_path / "no.xyz"), "--output", str(tmp_path), *QUICK])
