"""`rhopot plot pooled` as typed: a picture with a panel for each pooling, its table, and what is refused."""

from __future__ import annotations

from pathlib import Path

import ase
import ase.io
import molecules
import pytest
import small_models
from matplotlib.image import imread
from refusals import refusal

from rhopot.potentials.commands import main


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_models.write(molecules.loaded(2), tmp_path / "model.pt")


@pytest.fixture
def molecule(tmp_path: Path) -> Path:
    ase.io.write(tmp_path / "ethanol.xyz", molecules.rattled("CH3CH2OH"))
    return tmp_path / "ethanol.xyz"


def test_the_nodes_of_every_pooling_are_drawn_and_printed(
    model: Path, molecule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = model.parent / "new" / "pooled.png"
    words = ["plot", "pooled", str(model), str(molecule), "--output", str(picture), "--member", "2"]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert f"{picture}: 2 pooling(s)" in " ".join(output.split())
    rows = [line.split() for line in output.splitlines()]
    counts = [float(row[1]) for row in rows if len(row) > 4 and row[0].isdigit()]
    assert len(counts) == 6 + 3, "0.6 and 0.3 of 9 atoms"
    assert sum(counts[:6]) == pytest.approx(9.0, abs=0.05)
    assert sum(counts[6:]) == pytest.approx(9.0, abs=0.05)
    pixels = imread(picture)[..., :3]
    orange = (pixels[..., 0] - pixels[..., 2] > 0.5) & (pixels[..., 1] < 0.6)
    half = orange.shape[1] // 2
    assert orange[:, :half].mean() > 1e-3, "nodes of the first pooling"
    assert orange[:, half:].mean() > 1e-3, "and of the second"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--output", "pooled"], "--output must end in the format of a picture, got 'pooled'"),
        (["--member", "3"], "--member must be a number from 1 to 2, got 3"),
    ],
)
def test_what_is_refused(
    words: list[str], sentence: str, model: Path, molecule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refusal(capsys, ["plot", "pooled", str(model), str(molecule), *words])


def test_structures_and_models_without_nodes_are_refused(
    model: Path, molecule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = ["--output", str(tmp_path / "pooled.png")]
    atoms = molecules.in_a_box("CH3CH2OH")
    atoms.pbc = True
    ase.io.write(tmp_path / "periodic.xyz", atoms)
    sentence = refusal(capsys, ["plot", "pooled", str(model), str(tmp_path / "periodic.xyz"), *picture])
    assert "pbc must be F F F for model" in sentence
    ase.io.write(tmp_path / "same.xyz", ase.Atoms("H2", [(0, 0, 0)] * 2))
    sentence = refusal(capsys, ["plot", "pooled", str(model), str(tmp_path / "same.xyz"), *picture])
    assert "positions must be distinct, got atoms 0 and 1 in one place" in sentence
    other = small_models.write(small_models.scattering(), tmp_path / "other.pt")
    sentence = refusal(capsys, ["plot", "pooled", str(other), str(molecule), *picture])
    assert sentence == (
        f"rhopot: model must pool atoms to nodes, got family scattering ({other}); train one of family pooling"
    )
    without = molecules.loaded(2)
    without.module.networks.levels = type(without.module.networks.levels)()
    none = small_models.write(without, tmp_path / "none.pt")
    sentence = refusal(capsys, ["plot", "pooled", str(none), str(molecule), *picture])
    assert "panels must hold at least one pooling, got none; train with regressor.nodes" in sentence
    assert not (tmp_path / "pooled.png").exists()
