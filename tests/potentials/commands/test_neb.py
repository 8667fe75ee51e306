"""`rhopot neb` on a potential known by hand: what it finds, and what it refuses to call a barrier."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from refusals import refusal

from rhopot.potentials.commands import main


def hop(folder: Path, first: float, last: float) -> list[str]:
    """Words of the command for one atom of `closed_forms.Corrugated` that goes along x."""
    for name, x in (("first", first), ("last", last)):
        ase.io.write(folder / f"{name}.xyz", Atoms("Ar", [[x, 0.0, 0.0]]))
    words = ["neb", str(folder / "first.xyz"), str(folder / "last.xyz"), "--calculator", "closed_forms:Corrugated"]
    return [*words, "-o", str(folder / "neb")]


def test_a_hop_by_hand(tmp_path: Path) -> None:
    """Between minima of equal depth, by the top of the cosine."""
    assert main([*hop(tmp_path, 2.0, 3.0), "--images", "3"]) == 0
    found = json.loads((tmp_path / "neb" / "neb.json").read_text())["structures"]["path"]
    assert found["forward barrier"]["ase"] == pytest.approx(0.2, abs=1e-4)
    assert found["backward barrier"]["ase"] == pytest.approx(0.2, abs=1e-4)
    assert found["length of the path"]["ase"] == pytest.approx(1.0, abs=1e-3)


def test_a_band_of_too_few_steps_keeps_its_end_points(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*hop(tmp_path, 2.0, 3.0), "--images", "2", "--fmax", "1e-4"]
    assert main([*words, "--steps", "1"]) != 0
    assert "give more --steps" in capsys.readouterr().err
    assert main([*words, "--steps", "1000"]) == 0


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        (0.0, 2.0, "got image 1 of 0 to 2 0.050 eV below the end points; relax this image and compute the two hops"),
        (
            2.0,
            4.0,
            "band must rise to a saddle between its ends, got no image above both end points; give more --images",
        ),
    ],
    ids=["deeper minimum between", "minimum between"],
)
def test_two_hops_are_not_one_without_barrier(
    first: float, last: float, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path is written, a barrier is not."""
    assert sentence in refusal(capsys, [*hop(tmp_path, first, last), "--images", "1"])
    assert len(ase.io.read(tmp_path / "neb" / "band.xyz", ":")) == 3
    assert not (tmp_path / "neb" / "neb.json").exists()


def test_constraints_that_differ_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of one end would hold or free atoms of the other."""
    ends = [
        Atoms("Ar2", [[x, 0.0, 0.0], [2.0, 3.0, 0.0]], constraint=FixAtoms(fixed)) for x, fixed in ((2, [1]), (3, []))
    ]
    for name, atoms in zip(("a", "b"), ends, strict=True):
        ase.io.write(tmp_path / f"{name}.traj", atoms)
    words = ["neb", str(tmp_path / "a.traj"), str(tmp_path / "b.traj"), "--calculator", "closed_forms:Corrugated"]
    said = refusal(capsys, [*words, "-o", str(tmp_path / "neb")])
    assert "final must have the constraints of initial, got none and fixed atoms 1; write the same into both" in said
    assert not (tmp_path / "neb" / "stages.json").exists()
