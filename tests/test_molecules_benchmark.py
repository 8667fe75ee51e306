"""The figure of small molecules: fits and leave-one-out errors are those of explicit fits, and bases come in order."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from examples_at_hand import example
from numpy.typing import NDArray

Floats = NDArray[np.float64]

pytestmark = pytest.mark.slow

N_MOLECULES, N_TRAIN = 40, 30
BOND = {"HH": 0.9, "CH": 1.1, "HO": 1.0, "CC": 1.4, "CO": 1.3, "OO": 1.5}


def explicit(features: Floats, atoms: Floats, energies: Floats, strength: float) -> Floats:
    """Coefficients of atoms, which are free, and of features, from the normal equations."""
    columns = np.hstack([atoms, features])
    penalty = np.diag([0.0] * atoms.shape[1] + [strength] * features.shape[1])
    return np.asarray(np.linalg.solve(columns.T @ columns + penalty, columns.T @ energies))


@pytest.mark.parametrize("n_features", [7, 90])
def test_fits_are_those_of_explicit_fits(n_features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = example("benchmarks/molecules").__globals__  # type: ignore[attr-defined]
    random = np.random.default_rng(n_features)
    features = random.standard_normal((N_MOLECULES, 1, n_features)) * np.logspace(0, -2, n_features)
    atoms = random.integers(1, 6, (N_MOLECULES, 3)).astype(float)
    energies = features[:, 0] @ random.standard_normal(n_features) + atoms @ [-3.0, 1.0, 7.0]
    energies += 0.3 * random.standard_normal(N_MOLECULES)
    data = names["Molecules"](features, (n_features,), atoms, energies, N_TRAIN)
    rest = features[:N_TRAIN, 0] - atoms[:N_TRAIN] @ np.linalg.lstsq(atoms[:N_TRAIN], features[:N_TRAIN, 0])[0]
    scale = float(np.sum(rest**2)) / N_TRAIN
    kernel = features[:, 0] @ features[:N_TRAIN, 0].T
    errors, left_out = [], []
    strengths = 10.0 ** np.arange(-4.0, 3.0)
    for strength in strengths:
        monkeypatch.setitem(names, "STRENGTHS", np.array([strength]))
        found = names["held_out_error"](data, 1, kernel, N_TRAIN)
        columns = np.hstack([atoms, features[:, 0]])
        solved = explicit(features[:N_TRAIN, 0], atoms[:N_TRAIN], energies[:N_TRAIN], scale * strength)
        errors.append(1000.0 * float(np.abs(columns[N_TRAIN:] @ solved - energies[N_TRAIN:]).mean()))
        assert found == pytest.approx(errors[-1], rel=1e-6)
        without = []
        for k in range(N_TRAIN):
            others = [j for j in range(N_TRAIN) if j != k]
            solved = explicit(features[others, 0], atoms[others], energies[others], scale * strength)
            without.append(abs(columns[k] @ solved - energies[k]))
        left_out.append(np.mean(without))
    best = int(np.argmin(left_out))
    assert 0 < best < len(strengths) - 1, "the choice is between weaker and stronger ones"
    monkeypatch.setitem(names, "STRENGTHS", strengths)
    assert names["held_out_error"](data, 1, kernel, N_TRAIN) == pytest.approx(errors[best], rel=1e-6)


def molecules(path: Path, n: int) -> Path:
    """Chains of four to six atoms, whose energies are bonds of the elements' own lengths."""
    random = np.random.default_rng(0)
    every = []
    for _ in range(n):
        symbols = random.choice(["H", "C", "O"], random.integers(4, 7))
        positions = [np.zeros(3)]
        while len(positions) < len(symbols):
            step = random.standard_normal(3)
            place = positions[-1] + step * random.uniform(0.9, 1.6) / np.linalg.norm(step)
            if min(np.linalg.norm(place - other) for other in positions) > 0.8:
                positions.append(place)
        atoms = Atoms(symbols, positions)
        distances = atoms.get_all_distances()
        energy = -2.0 * len(atoms)
        for i, j in combinations(range(len(atoms)), 2):
            energy -= float(np.exp(-8.0 * (distances[i, j] - BOND["".join(sorted(symbols[[i, j]]))]) ** 2))
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        every.append(atoms)
    write(path, every, format="extxyz")
    return path


def test_optimal_bases_are_better_at_equal_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(molecules(tmp_path / "molecules.xyz", 240))
    words = ["--sizes", "1", "2", "--mixed", "4", "--primitives", "6", "--l-max", "2", "--three", "200", "--four", "20"]
    example("benchmarks/molecules")([data, *words, "--output", str(tmp_path / "out")])
    output = capsys.readouterr().out
    assert "180 molecules, 60 held out" in output
    rows = re.findall(r"^(\d+) +(\w+) +([\d +]+?) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+) *$", output, re.MULTILINE)
    errors = {(int(channels), kind): [float(e) for e in every] for channels, kind, _, *every in rows}
    assert set(errors) == {(n, kind) for n in (3, 6) for kind in ("primitive", "separate", "mixed")} | {(4, "mixed")}
    counts = {(int(channels), kind): [int(n) for n in numbers.split(" + ")] for channels, kind, numbers, *_ in rows}
    for n in (3, 6):
        assert counts[n, "primitive"] == counts[n, "separate"] == counts[n, "mixed"]
        assert counts[n, "mixed"][:2] == [n, 3 * n * (n + 1) // 2]
        for order in (2, 3):
            assert errors[n, "primitive"][order - 1] > 1.2 * errors[n, "mixed"][order - 1]
    found = re.search(r"primitive, 3 / mixed, 4 channels: ([\d.]+)  >= 2: yes$", output, re.MULTILINE)
    assert found is not None
    assert float(found[1]) == pytest.approx(errors[3, "primitive"][2] / errors[4, "mixed"][2], abs=0.01)
    assert re.search(r"primitive, 6 / mixed, 4 channels: [\d.]+$", output, re.MULTILINE)
    assert (tmp_path / "out" / "molecules.png").is_file()
    assert (tmp_path / "out" / "molecules_learning.png").is_file()
    example("benchmarks/molecules")([data, *words, "--sizes", "1", "--mixed", "--one-set", "--output", str(tmp_path)])
    output = capsys.readouterr().out
    assert "one set of coefficients" in output
    assert len(re.findall(r"^3 +(?:primitive|separate|mixed) +3 \+ 18 \+", output, re.MULTILINE)) == 3


def test_too_few_molecules_are_refused(tmp_path: Path) -> None:
    data = str(molecules(tmp_path / "molecules.xyz", 20))
    with pytest.raises(SystemExit, match="data and --molecules must give 48 molecules or more, got 20; add molecules"):
        example("benchmarks/molecules")([data, "--output", str(tmp_path)])
