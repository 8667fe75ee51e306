"""`rhopot cv` as typed: files, tables, pictures, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from refusals import refusal

from rhopot.export import cv_file, evaluate_cv, load_cv
from rhopot.potentials import cv_plots
from rhopot.potentials.collective_variables import Description
from rhopot.potentials.commands import main
from rhopot.potentials.commands.cv import average, fixed
from rhopot.testing import structures


@pytest.fixture(autouse=True)
def no_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-check of files is tested with `save_cv`; here it would start Python again and again."""
    monkeypatch.setattr(cv_file, "_self_check", lambda *arguments: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frames = [structures.crystal((1, 1, 1), seed=seed, rattle=0.05) for seed in range(10)]
    ase.io.write("first.xyz", frames)
    for atoms in frames:
        atoms.symbols[[2, 3]] = atoms.symbols[[3, 2]]
        atoms.rattle(0.05, seed=9)
    ase.io.write("second.xyz", frames)
    shutil.copy("first.xyz", "third.xyz")
    return tmp_path


WRITTEN = {
    "distance 3 7": ("distance.pt", ("distance",), "distance (A); atoms 3 7"),
    "angle 1 2 3 -o a.pt --name bend": ("a.pt", ("bend",), "bend (radian); atoms 1 2 3"),
    "dihedral 1 2 3 4": ("dihedral.pt", ("dihedral",), "dihedral (radian); atoms 1 2 3 4"),
    "projection 1 2 --direction=-1,0,1": ("projection.pt", ("projection",), "projection (A); atoms 1 2"),
    "coordination --of Li --by Si --cutoff 3.5": (
        "coordination.pt",
        ("coordination",),
        "coordination; neighbors of Li, Si within 3.5 A",
    ),
    "steinhardt --degree 6 --elements Si,Li --cutoff 3.0": (
        "steinhardt.pt",
        ("Q6",),
        "Q6; neighbors of Si, Li within 3 A",
    ),
    "steinhardt --degree 4 --elements Si --by Li --cutoff 3.0 --local": (
        "steinhardt.pt",
        ("q4",),
        "q4; neighbors of Si, Li within 3 A",
    ),
    "polarization --of Li --by Si --cutoff 3.5 --direction vector --name p": (
        "polarization.pt",
        ("p_x", "p_y", "p_z"),
        "p_x, p_y, p_z; neighbors of Li, Si within 3.5 A",
    ),
}


@pytest.mark.parametrize("words", WRITTEN)
def test_variables_are_written(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, names, told = WRITTEN[words]
    assert main(["cv", *words.split()]) == 0
    assert capsys.readouterr().out.strip() == f"{name}: {told}"
    assert load_cv(name).card.names == names


def test_combined_evaluated_and_described(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cv", "distance", "3", "7", "-o", "d.pt"]) == 0
    assert main(["cv", "coordination", "--of", "Li", "--by", "Si", "--cutoff", "3.5", "-o", "n.pt"]) == 0
    assert main(["cv", "combine", "d.pt", "n.pt", "-o", "both.pt"]) == 0
    assert main(["cv", "evaluate", "both.pt", "first.xyz", "--json", "v.json", "--output", "v.txt"]) == 0
    out = capsys.readouterr().out
    cv = load_cv("both.pt")
    expected = np.array([evaluate_cv(cv, atoms).values for atoms in ase.io.read("first.xyz", ":")])
    assert f"0          {expected[0, 0]:12.6f}" in out
    written = json.loads(Path("v.json").read_text())
    assert (written["cv"], written["units"]) == (cv.identity, {"distance": "A", "coordination": ""})
    np.testing.assert_array_equal(np.array([*written["values"].values()]).T, expected)
    assert Path("v.txt").read_text().splitlines()[0] == "# frame distance coordination"
    np.testing.assert_array_equal(np.loadtxt("v.txt")[:, 1:], expected)
    assert main(["cv", "evaluate", "both.pt", "first.xyz", "second.xyz", "third.xyz"]) == 0
    out = capsys.readouterr().out
    assert "of 30 structures" in out
    assert "standard deviation" in out
    assert main(["cv", "info", "both.pt"]) == 0
    out = capsys.readouterr().out
    told = ("distance (A), coordination", "given atoms  3 7", "part 1: atoms = [3, 7]", 'part 2: of = ["Li"]')
    for words in (*told, f"identity     {cv.identity}"):
        assert words in out


@pytest.mark.parametrize("method", ["pca", "pcovr"])
def test_a_fit_says_how_well_it_separates_and_draws_it(
    method: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"cv fit first.xyz second.xyz --method {method} --cutoff 4 --n-max 3 --l-max 2 -o fit.pt"
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    assert "10 and 10 structures" in out
    assert "soap, held out" in out
    assert "mean of first.xyz" in out
    assert "* common area of two normal distributions with these means" in out
    assert "-0.0000" not in out, "the mean of the first set is 0 but for rounding"
    assert "note" not in out
    cv = load_cv("fit.pt")
    for file, mean in (("first.xyz", 0.0), ("second.xyz", 1.0)):
        values = [evaluate_cv(cv, atoms).values[0] for atoms in ase.io.read(file, ":")]
        assert np.mean(values) == pytest.approx(mean, abs=1e-5)
    assert cv.card.settings["fitted"]["method"] == method
    picture = imread("fit.png")[..., :3]
    for channel, other in ((0, 2), (2, 0)):
        assert (picture[..., channel] - picture[..., other] > 0.2).mean() > 0.002


def test_sets_that_overlap_get_a_note(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "cv fit first.xyz first.xyz --components 2 --every 2 --cutoff 4 --n-max 2 --l-max 2 --plot p.pdf"
    assert main(words.split()) == 0
    assert "note: the sets overlap by 1.00: the variable does not tell them apart" in capsys.readouterr().out
    assert load_cv("cv.pt").card.names == ("soap1", "soap2")
    assert Path("p.pdf").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("distance 3 3", "atoms of a distance must be 2 distinct numbers from 1, got 3 3"),
        ("distance 1 2 -o a.txt", "--output must end in .pt, got 'a.txt'"),
        ("distance 1 2 -o none/a.pt", "path must lie in an existing folder, got 'none/a.pt'"),
        ("distance 1 2 --name 1a", "card.names must be 1 to 3 distinct names"),
        ("coordination --of Xx --by Si --cutoff 3", "elements must be chemical symbols, got Xx"),
        ("coordination --of Li --by Si --cutoff -3", "cutoff must be a positive length in A, got -3"),
        ("polarization --of Li --by Si --cutoff 3 --direction up", "--direction must be three numbers such as 0,0,1"),
        ("steinhardt --degree 99 --elements Si --cutoff 3", "degree must be from 1 to 12, got 99"),
        ("info first.xyz", "which is not a TorchScript archive"),
        ("evaluate none.pt first.xyz", "file of collective variables must exist, got no file at 'none.pt'"),
        ("combine none.pt", "file of collective variables must exist, got no file at 'none.pt'"),
        ("fit first.xyz none.xyz", "data path must name an existing file, got 'none.xyz'"),
        ("fit first.xyz second.xyz --method lda", "--method must be pca or pcovr, got 'lda'"),
        ("fit first.xyz second.xyz --plot a.txt", "--plot must end in the format of a picture, got 'a.txt'"),
    ],
)
def test_what_is_refused(words: str, sentence: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(folder.iterdir())
    assert sentence in refusal(capsys, ["cv", *words.split()])
    assert set(folder.iterdir()) == before


def test_given_atoms_that_a_structure_has_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cv", "distance", "1", "99", "-o", "d.pt"]) == 0
    sentence = refusal(capsys, ["cv", "evaluate", "d.pt", "first.xyz"])
    assert "atoms of 'd.pt' must be in the structure, got atom 99 of 8" in sentence
    assert "first.xyz" in sentence


def test_zero_has_no_sign() -> None:
    assert [fixed(value, 4) for value in (-1e-9, 0.0, -0.00006, 1.5)] == ["0.0000", "0.0000", "-0.0001", "1.5000"]


def test_the_legend_names_the_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def keep(figure: Figure, path: Path, title: str = "") -> Path:
        names.extend(figure.axes[0].get_legend_handles_labels()[1])
        return path

    monkeypatch.setattr(cv_plots, "save_figure", keep)
    cv_plots.separation(tmp_path / "a.png", {"s": (np.zeros(3), np.ones(4))}, ("a.xyz", "b.xyz"))
    assert sorted(names) == ["a.xyz (3)", "b.xyz (4)", "mean of a.xyz", "mean of b.xyz"]


def test_a_description_without_settings_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^settings must say what the variable was made from, got none; give"):
        Description(names=("rg",), settings={}, atoms=(1, 2))


def test_average_of_a_periodic_variable() -> None:
    """Across the end of the period: 170 and -170 degrees are 180 degrees on average."""
    mean, deviation = average(np.radians([170.0, -170.0, 170.0, -170.0]), 2.0 * np.pi)
    assert abs(mean) == pytest.approx(np.pi)
    assert deviation == pytest.approx(np.radians(10.0))
    assert average(np.array([1.0, 3.0]), None) == (2.0, 1.0)
    near = np.random.default_rng(1).normal(0.3, 0.1, 50)
    assert average(near, 4.0) == pytest.approx((near.mean(), near.std()), rel=1e-2)


def test_help_of_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cv", "evaluate", "--help"]) == 0
    assert "more than 20 are summarized" in " ".join(capsys.readouterr().out.split())
