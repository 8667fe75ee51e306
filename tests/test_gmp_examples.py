"""The studies of multipoles with one network run on a few structures, leave what they promise, and go on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import many_body_toy as toy
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from examples_at_hand import example

from rhopot.export import evaluate

pytestmark = pytest.mark.slow

SMALL = ["descriptor.cutoff=4", "regressor.hidden=[4]", "training.batch=4", "training.device=cpu"]


def labelled(structures: Sequence[ase.Atoms], names: Mapping[str, Sequence[str]], seed: int) -> list[ase.Atoms]:
    """Structures of Li and Si labelled by the toy potential, each atom then called by one of its symbol's `names`."""
    random = np.random.default_rng(seed)
    for atoms, result in zip(structures, evaluate(toy.in_memory(), list(structures)), strict=True):
        atoms.symbols = [str(random.choice(names[symbol])) for symbol in atoms.symbols]
        atoms.calc = SinglePointCalculator(atoms, energy=result.energy, forces=result.forces)
    return list(structures)


def molecules(count: int, heavy: Sequence[str], file: Path) -> Path:
    """Five atoms of a rattled crystal in empty space."""
    made = [toy.crystal((1, 1, 1), seed)[:5] for seed in range(count)]
    for atoms in made:
        atoms.set_cell(None)
        atoms.pbc = False
    write(file, labelled(made, {"Li": ["H"], "Si": heavy}, seed=0))
    return file


def crystals(symbol: str, count: int, file: Path) -> None:
    """Rattled crystals of one element."""
    made = [toy.crystal((1, 1, 1), seed)[:4] for seed in range(count)]
    for atoms in made:
        atoms.symbols = "Li" if symbol == "Li" else "Si"
    write(file, labelled(made, {"Li": [symbol], "Si": [symbol]}, seed=0))


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run a study twice, the second time without anything to train: (what it prints, its cases)."""

    def run(
        name: str, words: Sequence[str], settings: Sequence[str], **constants: object
    ) -> tuple[str, dict[str, Any]]:
        main = example(f"gmp/{name}")
        for constant, value in constants.items():
            assert constant in main.__globals__
            monkeypatch.setitem(main.__globals__, constant, value)
        arguments = [*words, "--output", str(tmp_path / "out"), "--epochs", "2", *SMALL, *settings]
        plot = f"{name}.png"
        main(arguments)
        printed = capsys.readouterr().out
        results = tmp_path / "out" / "results.json"
        written = results.read_bytes()
        (tmp_path / "out" / plot).unlink()
        monkeypatch.setattr("study.fit_model", None)
        main(arguments)
        again = capsys.readouterr().out
        assert results.read_bytes() == written, "finished cases are kept"
        assert (tmp_path / "out" / plot).exists()
        assert again.strip() in printed, "the same tables once more"
        return printed, json.loads(written)

    return run


def test_aspirin_features(run: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    file = molecules(14, ["C", "O"], tmp_path / "frames.xyz")
    words = ["--data", str(file), "--seeds", "2", "--probes", "2", "--orders", "0", "1", "--sets", "9"]
    constants = {"TRAIN": 8, "VALIDATION": 3, "TEST": 3, "CURVE": (4,), "CURVE_ORDERS": (0,)}
    printed, cases = run("aspirin_features", words, [], **constants)
    assert list(cases) == ["GMP(2,0)", "GMP(2,1)", "BP set 9", "GMP(10,0), 4 frames"]
    assert [case["features"] for case in cases.values()] == [2, 4, 36, 10]
    assert all(len(case["test"]) == 2 and case["ms_per_image"] > 0 for case in cases.values())
    assert "aspirin, 8 training frames" in printed
    for column in ("MAE train (meV)", "MAE test (meV)", "ms per image"):
        assert column in printed
    assert f"{np.mean(cases['BP set 9']['test']):.1f} +- " in printed


def test_aspirin_forces(run: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    file = molecules(14, ["C", "O"], tmp_path / "frames.xyz")
    words = ["--data", str(file), "--seeds", "1", "--betas", "0", "5"]
    constants = {"TRAIN": 8, "VALIDATION": 3, "SETS": ((2, 1), (3, 0))}
    printed, cases = run("aspirin_forces", words, [], **constants)
    assert list(cases) == [f"GMP({p},{n}), beta {beta}" for p, n in constants["SETS"] for beta in (0, 5)]
    assert all(case["forces"] > 0 and len(case["energy"]) == 1 for case in cases.values())
    assert "force MAE (meV/A)" in printed


def test_molecules(run: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    file = molecules(26, ["C", "N", "O", "C", "O", "C", "O"], tmp_path / "frames.xyz")
    small = "GMP(2,1)+SNN(4,4)"
    words = ["--data", str(file), "--seeds", "2", "--unseen-seeds", "2"]
    constants = {
        "MODELS": {small: (2, 1, "[4, 4]")}, "SIZES": (4, 8), "VALIDATION": 4, "TEST": 5, "BESIDE": 3, "BATCH": 4,
        "UNSEEN_MODEL": small,
    }  # fmt: skip
    printed, cases = run("molecules", words, [], **constants)
    assert list(cases) == [f"{small}, 4 molecules", f"{small}, 8 molecules", "without N"]
    unseen = cases["without N"]
    assert unseen["train"] + 6 + unseen["with the element"] == 26
    assert [len(row) for row in unseen["errors per atom"]] == [unseen["with the element"]] * 2
    for title in ("atomization energies, meV per molecule", f"{small} trained without N", "|error| per N atom"):
        assert title in printed


def test_metals(run: Callable[..., tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    for symbol in ("Li", "Si", "Cu"):
        crystals(symbol, 14, tmp_path / f"{symbol}_train.xyz.gz")
    tiny = ["descriptor.cutoff_width=2", "descriptor.n_probes=2", "descriptor.max_order=1"]
    words = ["--data", str(tmp_path), "--seeds", "1"]
    printed, cases = run("metals", words, tiny, ELEMENTS=("Li", "Si", "Cu"))
    assert list(cases) == ["Li alone", "Si alone", "Cu alone", "all six", "without Cu"]
    assert {(case["features"], case["parameters"]) for case in cases.values()} == {(4, 4 * 4 + 4 + 4 + 1)}
    assert all(len(cases["all six"][symbol]) == 2 for symbol in ("Li", "Si", "Cu"))
    assert set(cases["Li alone"]) == {"features", "parameters", "Li", "seconds"}
    for title in ("energy meV/atom, forces meV/A", "all six together", "Cu, never seen: |error| meV/atom"):
        assert title in printed


def test_a_study_names_the_data_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"--data must be a file of labelled structures, got '.*absent\.xyz'"):
        example("gmp/aspirin_forces")(["--data", str(tmp_path / "absent.xyz"), "--output", str(tmp_path / "out")])


def test_benchmark_prints_times_and_the_slope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main = example("benchmarks/gmp")
    monkeypatch.setitem(main.__globals__, "FRAME", {"GMP(10,1)": (1, 1000.0)})
    monkeypatch.setitem(main.__globals__, "SIZES", ((1, 1), (2, 1)))
    main(["--aspirin", str(molecules(3, ["C", "O"], tmp_path / "frames.xyz")), "--repeats", "1"])
    printed = capsys.readouterr().out
    assert "<= 1000: yes" in printed
    assert "peak memory" in printed
    assert [line.split()[0] for line in printed.splitlines() if "|" not in line and line[:1].isdigit()] == ["35", "70"]
    assert "exponent of time against number of atoms" in printed
    assert "machine:" in printed
