"""`rhopot analyse`: what it prints and writes on the shipped data, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from refusals import refusal

from rhopot.potentials.commands import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
DATA = [str(ROOT / f"examples/data/lisi_gpaw/{name}.xyz") for name in ("Li10Si22_0", "Li12Si20_0", "Li4Si28_0")]
SMALL = ["descriptor.cutoff=4", "--environments", "120"]
SIZES = [word for n in (2, 3, 4) for word in ("soap_linear", "descriptor.l_max=2", f"descriptor.n_max={n}")]
OPTIMAL = ["radial_spectrum", "descriptor.optimal_basis={q_max: 2}"]
PNG = b"\x89PNG"


def analysed(folder: Path, *words: str) -> dict[str, object]:
    """What is in the file after a run."""
    assert main(["analyse", *words, "--output", str(folder)]) == 0
    found: dict[str, object] = json.loads((folder / "analysis.json").read_text())
    return found


def test_families_bases_and_body_orders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A larger basis knows the smaller one better than the other way round; two-body features know least."""
    found = analysed(tmp_path, SMALL[0], *SIZES, *OPTIMAL, "sorted_distances", *DATA, *SMALL[1:])
    sets = found["sets"]
    assert [one["n_features"] for one in sets[:3]] == [30, 63, 108]
    assert [one["name"] for one in sets[3:]] == ["radial_spectrum optimal_basis={q_max: 2}", "sorted_distances"]
    assert 0.0 < sets[3]["residual_variance"] < 1.0
    assert [one["residual_variance"] for one in sets[:3]] == [None] * 3
    assert found["n_train"] + found["n_test"] == 120
    gfre = found["gfre"]
    assert all(gfre[k][k] == 0.0 for k in range(5))
    assert gfre[2][0] < gfre[0][2]
    assert gfre[0][2] < gfre[3][2], "three-body features know more of three-body features than two-body ones do"
    assert gfre[1][2] < gfre[0][2], "and more, the larger the basis"
    assert all(math.isfinite(value) for name in ("gfrd", "lfre") for row in found[name] for value in row)
    for name in ("gfre.png", "gfre_size.png"):
        assert (tmp_path / name).read_bytes()[:4] == PNG
    output = capsys.readouterr().out
    for words in (
        "3 soap_linear l_max=2 n_max=4",
        "GFRE, global",
        "GFRD, distortion",
        "LFRE, the same",
        "variance lost",
    ):
        assert words in output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["analysis.json", "gfre.png", "gfre_size.png"]


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    words = ["descriptor.cutoff=4", "sorted_distances", "radial_spectrum", *DATA, *SMALL[1:], "--no-lfre"]
    first, again = (analysed(tmp_path / name, *words) for name in ("a", "b"))
    other = analysed(tmp_path / "c", *words, "--seed", "1")
    assert first == again
    assert first["gfre"] != other["gfre"]
    assert first["lfre"] == [[0.0, None], [None, 0.0]]


@pytest.mark.parametrize("method", ["fps", "pcov-cur"])
def test_selected_features_know_the_more_the_more_they_are(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = ["--select", method, "--keep", "5", "--keep", "60", "--no-lfre"]
    found = analysed(tmp_path, SMALL[0], *SIZES[6:], *DATA, *SMALL[1:], *keep)
    few, many = found["selections"]
    assert (few["n_features"], many["n_features"]) == (5, 60)
    assert many["gfre"] < few["gfre"]
    assert set(few["columns"]) < set(many["columns"])
    assert (tmp_path / "gfre_selected.png").read_bytes()[:4] == PNG
    assert "what selected features know" in capsys.readouterr().out


def test_a_configuration_and_a_model(trained_run: Path, tmp_path: Path) -> None:
    """The model's own descriptor is that of its configuration: everything of one is had from the other."""
    folder = tmp_path / "analysis"
    words = [str(trained_run / "config.yaml"), str(trained_run / "model.pt"), *DATA, *SMALL[1:], "--no-lfre"]
    found = analysed(folder, *words)
    assert [one["name"] for one in found["sets"]] == ["config.yaml", "model.pt"]
    assert found["gfre"][0][1] < 1e-3
    assert found["gfrd"][0][1] < 1e-3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([DATA[0]], "the first word must name a feature set"),
        (["soap_linaer", *DATA], "the first word must name a feature set"),
        (["soap_linear", "radial_spectrum"], "DATA must stand behind the feature sets, got none"),
        (["soap_linear", DATA[0]], "feature sets must be at least two, got one"),
        (["soap_linear", DATA[0], "radial_spectrum"], "DATA must stand behind all feature sets, got 'radial_spectrum'"),
        (["soap_linear", DATA[0], "seed=1"], "KEY=VALUE must stand behind a feature set, got 'seed=1'"),
        (["soap_linear", "soap_linear", DATA[0]], "feature sets must differ, got 'soap_linear' 2 times"),
        (["soap_linear", "descriptor.n_mx=2", "radial_spectrum", DATA[0]], "did you mean n_max?"),
        (["sorted_distances", "descriptor.cutof=2", "soap_linear", DATA[0]], "did you mean cutoff?"),
        (["sorted_distances", "seed=2", "soap_linear", DATA[0]], "seed is not a known section of sorted_distances"),
        (["absent.yaml", "soap_linear", DATA[0]], "absent.yaml: cannot be read"),
        (["absent.pt", "soap_linear", DATA[0]], "model file must exist"),
        (["absent.pt", "seed=1", "soap_linear", DATA[0]], "KEY=VALUE must change a configuration, got 'seed=1'"),
        (["scattering", "soap_linear", DATA[0]], "must describe atoms, got scattering, whose family scattering"),
        (["soap_linear", "radial_spectrum", "absent.xyz"], "absent.xyz"),
        (["soap_linear", DATA[0], "--select", "pca", "--keep", "2"], "selection method must be one of fps, cur"),
        (["soap_linear", DATA[0], "--select", "fps"], "--select and --keep must be given together, got --select alone"),
        (["radial_spectrum", DATA[0], "--select", "fps", "--keep", "99"], "(16), got 99; lower it"),
        (["soap_linear", "radial_spectrum", DATA[0], "--environments", "2"], "environments must be at least 10, got 2"),
        (["soap_linear", "radial_spectrum", DATA[0], "-o", DATA[0]], "--output must name a folder, got the file"),
        (["soap_linear", "radial_spectrum", DATA[0], "-o", "absent/a"], "--output must lie in an existing folder"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, ["analyse", *words])
    assert list(tmp_path.iterdir()) == []
