"""`rhopot plot filters` as typed: a picture with a panel for each filter, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_models
from matplotlib.image import imread

from rhopot.potentials.commands import main


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_models.write(small_models.angular(layers=3), tmp_path / "model.pt")


def test_filters_of_all_layers_are_drawn(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {}
    for most in (2, 5):
        picture = model.parent / f"{most}.png"
        words = ["plot", "filters", str(model), "--output", str(picture), "--most", str(most), "--member", "2"]
        assert main(words) == 0
        assert f"filters of 3 layer(s) ({most} of 6, {most} of 6, {most} of 6): {picture}" in " ".join(
            capsys.readouterr().out.split()
        )
        pixels = imread(picture)[..., :3]
        red, blue = pixels[..., 0] - pixels[..., 2] > 0.2, pixels[..., 2] - pixels[..., 0] > 0.2
        assert red.mean() > 0.01
        assert blue.mean() > 0.01
        sizes[most] = pixels.shape
    assert sizes[5][0] == sizes[2][0], "a row for each layer"
    assert sizes[5][1] > sizes[2][1], "a panel for each filter"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--output", "filters"], "--output must end in the format of a picture, got 'filters'"),
        (["--member", "3"], "--member must be a number from 1 to 2, got 3"),
    ],
)
def test_what_is_refused(words: list[str], sentence: str, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "filters", str(model), *words]) != 0
    assert sentence in capsys.readouterr().err


def test_models_without_filters_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_models.write(small_models.network(), tmp_path / "model.pt")
    assert main(["plot", "filters", str(model), "--output", str(tmp_path / "filters.png")]) != 0
    assert capsys.readouterr().err == (
        "rhopot: model must have learned filters of distance and angle, got family soap_network "
        f"({model}); train one of family angular\n"
    )
    assert not (tmp_path / "filters.png").exists()
