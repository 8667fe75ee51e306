"""Every example runs, at a size of seconds, and leaves what it promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
import small_models
import torch
from examples_at_hand import EXAMPLES, example

from rhopot.export import read_card
from rhopot.potentials.lammps.process import run_lammps

pytestmark = pytest.mark.slow

RUNS = {
    "ase_md/run": (["--steps", "20"], {"nve.png", "in.nve"}, "drift of the total energy"),
    "elastic_constants/run": (["--strains", "1e-3", "1e-2", "--displacements", "0.01"], {"constants.csv"}, "C44"),
    "nve_drift/run": (["--steps", "100", "--cells", "2"], {"drift.png", "in.nve"}, "meV/atom/ps"),
}


@pytest.mark.parametrize("name", RUNS)
def test_example_runs(name: str, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, files, promised = RUNS[name]
    example(name)([*words, "--model", str(trained_run / "model.pt"), "--output", str(tmp_path)])
    assert files <= {file.name for file in tmp_path.iterdir()}
    assert promised in capsys.readouterr().out


def test_double_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error falls with the length of the runs."""
    example("metadynamics/double_well")(["--steps", "20000", "--runs", "2", "--output", str(tmp_path)])
    output = capsys.readouterr().out
    errors = [float(mean) for mean in re.findall(r"^ *[\d.]+ +([\d.]+) +[\d.]+ to", output, flags=re.MULTILINE)]
    assert len(errors) == 5
    assert errors[-1] < 0.5 * errors[0]
    assert re.search(r"2 walkers: error [\d.]+ kT in \d+ s, .* share nothing \d+ s", output)
    assert {"free_energy.png", "error.png"} <= {file.name for file in tmp_path.iterdir()}
    hills = (tmp_path / "one_1/HILLS").stat().st_mtime_ns
    example("metadynamics/double_well")(["--steps", "20000", "--runs", "2", "--output", str(tmp_path)])
    assert (tmp_path / "one_1/HILLS").stat().st_mtime_ns == hills  # runs that are there are used again
    assert [
        float(mean) for mean in re.findall(r"^ *[\d.]+ +([\d.]+) +[\d.]+ to", capsys.readouterr().out, re.M)
    ] == errors


def test_lithium_in_silicon(trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Band, biased runs that are continued, barriers."""
    words = [str(trained_run / "model.pt"), "--temperatures", "100", "200", "--output", str(tmp_path)]
    for steps in ("1000", "2000"):
        example("metadynamics/lithium_in_silicon")([*words, "--steps", steps])
        output = capsys.readouterr().out
        assert "nudged elastic band:" in output
        assert "at 0 K, by a line" in output
        hills = [line for line in (tmp_path / "100K/HILLS").read_text().splitlines() if not line.startswith("#")]
        assert len(hills) == int(steps) // 200
    assert {"profiles.png", "barriers.png", "results.json"} <= {file.name for file in tmp_path.iterdir()}


def test_benchmark_prints_ratios(trained_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("benchmarks/speed")([str(trained_run / "model.pt"), "--cells", "2", "--steps", "2", "--repeats", "1"])
    output = capsys.readouterr().out
    assert "pair_style snap" in output
    assert "ratio to snap" in output
    assert "machine:" in output


def test_benchmark_of_the_radial_basis_orders_the_bases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--sizes", "2", "4", "--every", "10", "--cells", "1", "--steps", "2", "--repeats", "1"]
    words += ["--output", str(tmp_path)]
    main = example("benchmarks/radial_basis")
    train = main.__globals__["train"]
    small = "descriptor.l_max=2", "uncertainty.members=0"  # of the two models whose steps are timed
    monkeypatch.setitem(main.__globals__, "train", lambda *given: train(*given, *small))
    main(words)
    output = capsys.readouterr().out
    rows = re.findall(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+) *$", output, flags=re.MULTILINE)
    numbers = {int(size): tuple(float(number) for number in row) for size, *row in rows}
    assert set(numbers) == {4, 8}
    assert all(primitive > separate > mixed for primitive, separate, mixed in numbers.values())
    assert "lithium_silicon: mixed <= separate <= primitive at every size: yes" in output
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "residual_variance_lithium_silicon.png",
        *(f"optimal_functions_lithium_silicon_{q}.png" for q in (1, 2, 3)),
    }
    assert "4 of 16" in output


def test_benchmark_of_the_basis_size_compares_bases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A two-body model on one function of each element has smaller errors with PCovR than with a primitive basis."""
    files = sorted((EXAMPLES / "data/lisi_gpaw").glob("*.xyz"))
    few = [frame for file in files for frame in ase.io.read(file, "::3")]
    ase.io.write(tmp_path / "few.xyz", few, format="extxyz")
    words = ["--data", str(tmp_path / "few.xyz"), "--gap", "--two-body", "1", "--folds", "1"]
    example("benchmarks/basis_size")([*words, "--output", str(tmp_path)])
    output = capsys.readouterr().out
    rows = re.findall(rf"^1 +{' +'.join([r'([0-9.]+), [0-9.]+'] * 4)}", output, flags=re.MULTILINE)
    assert len(rows) == 2, "linear and kernel"
    gto, _, _, supervised = map(float, rows[0])
    assert supervised < 0.9 * gto
    assert len(list(tmp_path.glob("basis_size_two_body_*.png"))) == 4


def test_benchmark_of_the_elements_counts_features(capsys: pytest.CaptureFixture[str]) -> None:
    example("benchmarks/elements")(["--elements", "1", "2", "4", "--cells", "1", "--repeats", "1"])
    found = re.findall(r"^(.*?) +([124]) +(\d+) +[\d.]+ ", capsys.readouterr().out, flags=re.MULTILINE)
    features = {(name, int(n)): int(count) for name, n, count in found}
    width = [8 * n for n in (1, 2, 4)]
    separate = [features["power spectrum, separate", n] for n in (1, 2, 4)]
    assert separate == [u * (u + 1) // 2 * 9 for u in width], "radial functions of all elements in pairs, 9 degrees"
    assert len({features["multispectrum", n] for n in (1, 2, 4)}) == 1
    assert features["power spectrum, 2 pseudo-species", 4] == separate[1]


def test_benchmark_of_the_measures_orders_the_bases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--sizes", "2", "4", "--full", "10", "--l-max", "2", "--environments", "600", "--output", str(tmp_path)]
    example("benchmarks/measures")(words)
    output = capsys.readouterr().out
    rows = re.findall(r"^([24]) +(\d+) +([\d.]+) +([\d.]+) +(\d+)", output, flags=re.MULTILINE)
    assert [int(row[1]) for row in rows] == [30, 108]
    assert all(float(optimal) < float(primitive) for _, _, primitive, optimal, _ in rows)
    assert "lithium_silicon: optimal <= primitive at every size: yes" in output
    assert (tmp_path / "gfre_lithium_silicon.png").is_file()


def test_benchmark_of_the_tuned_cost_prints_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("benchmarks/tuned_cost")(["--output", str(tmp_path), "--repeats", "1", "--steps", "60", "--small"])
    output = capsys.readouterr().out
    assert re.search(
        r"^soap_linear, cutoff=3.5 n_max=2 l_max=2 +\d+ +[\d.]+ +[\d.]+ +[\d.]+", output, flags=re.MULTILINE
    )
    assert "machine:" in output


def test_benchmark_of_layers_prints_times_beside_snap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(EXAMPLES / "data/lisi_gpaw/Li4Si28_0.xyz")
    shape = ["--layers", "1", "--cutoffs", "3.5", "--width", "8", "--filters", "8", "--heads", "1"]
    main = example("benchmarks/layers")
    measure = main.__globals__["measure"]
    train = measure.train
    monkeypatch.setattr(measure, "train", lambda *given: train(*given, "uncertainty.members=0"))  # for a step's time
    main(["--data", data, "--output", str(tmp_path), *shape, "--repeats", "1", "--steps", "1"])
    output = capsys.readouterr().out
    assert re.search(r"^2 +3\.5 +[\d.]+ +[\d.]+ to [\d.]+ +[\d.]+ +<= 250", output, flags=re.MULTILINE)
    assert re.search(r"8000 atoms, two layers, 3.5 A: \d+ ms/step on one rank, \d+ on two, efficiency [\d.]+", output)
    assert re.search(r"two ranks: 2 layers of messages; in a step 1 exchange\(s\) of 32", output)


def test_benchmark_of_network_training_compares_with_plain_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    data = str(EXAMPLES / "data/lisi_gpaw/Li4Si28_0.xyz")
    example("benchmarks/network_training")(["--data", data, "--repeats", "1"])
    assert re.search(
        r"^Li4Si28_0 +9 +9 +[\d.]+ +\d+ +[\d.]+ +[\d.]+ +>= 3: (?:yes|NO)( +\d+ %){4}",
        capsys.readouterr().out,
        flags=re.MULTILINE,
    )


def test_study_of_message_passing_trains_its_cases_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, small = str(EXAMPLES / "data/lisi_gpaw/Li4Si28_0.xyz"), ["regressor.channels=2", "regressor.combined=4"]
    words = ["channels", "--data", data, "--output", str(tmp_path), "training.epochs=2", *small]
    for _ in range(2):
        example("message_passing/study")(words)
    output = capsys.readouterr().out
    assert output.count("model.pt: point_scattering") == 2
    assert len(re.findall(r"^(?:learned|fixed) channels +\d+ +[\d.]+ +[\d.]+", output, flags=re.MULTILINE)) == 16
    assert (tmp_path / "Li4Si28_0" / "channels.png").exists()
    with pytest.raises(SystemExit, match="must hold a training of these settings, got another one"):
        example("message_passing/study")([*words, "seed=1"])


def test_benchmark_of_global_models_prints_speed_ups(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_models.write(small_models.scattering(), tmp_path / "scattering.pt")
    words = ["--repeat", "1,1,1", "--steps", "1", "--repeats", "1"]
    example("benchmarks/global_model")([str(model), *words])
    output = capsys.readouterr().out
    assert "32 Li-Si atoms" in output
    assert "speed-up" in output
    assert "machine:" in output
    with pytest.raises(SystemExit, match=r"model must be of kind 'global', got '.*' of kind 'local'; measure it with"):
        example("benchmarks/global_model")([str(trained_run / "model.pt"), *words])


def test_equal_and_other_models_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, other = small_models.linear(), small_models.linear()
    with torch.no_grad():
        other.module.weights[0, 3] *= 1 + 1e-9
    for name, made in (("before", model), ("same", model), ("after", other)):
        (tmp_path / name).mkdir()
        small_models.write(made, tmp_path / name / "model.pt")
        report = {"errors": {"energy": 1.0 if made is model else 1.1}, "seconds": len(name)}
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    compare = example("benchmarks/equal_models")
    assert compare([str(tmp_path / "before"), str(tmp_path / "same")]) == 0
    output = capsys.readouterr().out
    assert "all equal to the last bit" in output
    assert "report: equal" in output
    assert compare([str(tmp_path / "before"), str(tmp_path / "after")]) == 1
    assert "report: errors.energy: 1 -> 1.1 (9.1e-02)" in capsys.readouterr().out
    assert compare([str(tmp_path / "before"), str(tmp_path / "after"), "--tolerance", "1e-8"]) == 0


@pytest.mark.parametrize("name", ["in.nvt", "in.npt"])
def test_deck_runs(name: str, trained_run: Path, tmp_path: Path) -> None:
    deck = (EXAMPLES / "lammps_md" / name).read_text(encoding="utf-8")
    words = ["-var", "model", str(trained_run / "model.pt"), "-var", "cells", "2", "-var", "steps", "20"]
    thermo = run_lammps(deck, tmp_path, ranks=2, arguments=words).thermo()
    assert thermo["Step"].tolist() == [0, 10, 20]


def test_stability_study_judges_what_runs_did(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run too short for its mean temperature is printed and logged; runs that ran away have every fault named."""
    main = example("md_stability/run")
    log = tmp_path / "log.txt"
    words = ["--alloys", "Li8Si24_0", "--temperatures", "300", "--ps", "0.4", "--repeat", "1", "--log", str(log)]
    assert main([str(trained_run / "model.pt"), *words]) in (0, 1)
    line = capsys.readouterr().out.strip()
    assert line == log.read_text().strip()
    assert line.startswith("run (soap_linear), Li8Si24, 300 K, 0.4 ps: ")
    card = read_card(trained_run / "model.pt")
    low, high = card.training_data.summary["energy_range"]
    steady, still = np.full(10, 300.0), {"Si": np.zeros(10), "Li": np.arange(10.0)}
    made = main.__globals__["Run"]
    assert made(steady, np.full(10, low), 0.9, still).faults(card, 300.0) == []
    moved = {"Si": np.linspace(0, 9, 10)}
    faults = made(np.full(10, 500.0), np.linspace(low - 1, high + 1, 10), 0.5, moved).faults(card, 300.0)
    assert [fault.split()[0] for fault in faults] == ["temperature", "mean", "energy", "energy", "closest", "silicon"]


def test_demonstration_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A smaller model reaches the goal too; the exit status says so, and also when the goal is missed."""
    main = example("demo")
    assert main(["--quick", "--output", str(tmp_path)]) == 0
    assert "MISSED" not in capsys.readouterr().out
    assert (tmp_path / "parity.png").exists()
    assert (tmp_path / "soap_gap" / "model.pt").exists()
    monkeypatch.setitem(main.__globals__, "GOAL", 0.01)
    monkeypatch.setitem(main.__globals__, "train_into", lambda *arguments: None)  # the models are there
    assert main(["--quick", "--output", str(tmp_path)]) == 1
    assert "MISSED: the force error must be below 1%" in capsys.readouterr().out


def test_uncertainty_study_prints_coverage_ranking_and_left_out_phases(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(EXAMPLES / "configs" / "soap_linear.yaml")
    small = ["descriptor.cutoff=4", "descriptor.n_max=3", "descriptor.l_max=2", "uncertainty.members=8"]
    example("uncertainty/run")(["--config", config, "--folds", "2", *small])
    output = capsys.readouterr().out
    assert "within one sigma" in output
    assert "rank correlation" in output
    assert "rich in Li" in output


def test_study_of_force_errors_prints_their_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    config = str(EXAMPLES / "configs" / "soap_linear.yaml")
    small = ["descriptor.cutoff=4", "descriptor.n_max=3", "descriptor.l_max=2", "uncertainty.members=8"]
    example("uncertainty/force_error")(["--config", config, "--folds", "3", *small])
    output = capsys.readouterr().out
    found = re.search(r"^all +(\d+) +[\d.]+ +[\d.]+ +(\d+) %", output, flags=re.MULTILINE)
    frames = re.search(r"soap_linear, (\d+) frames of Li, Si", output)
    assert found is not None
    assert frames is not None
    assert int(found[1]) == 32 * int(frames[1])
    assert 75 <= int(found[2]) <= 100
    for row in ("large forces", "small standard deviations", "rich in Li"):
        assert row in output
