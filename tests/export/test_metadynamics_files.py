"""HILLS and COLVAR: what is written, read back, cut at a restart, followed while another walker writes, and refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rhopot.export.metadynamics_bias import Hills
from rhopot.export.metadynamics_files import Columns, ColvarFile, HillsFile, OthersHills, backed_up
from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, read_table

KJ = EV_PER_KJ_PER_MOL
COLUMNS = Columns(("d", "phi"), ("A", "radian"), (None, 2.0 * math.pi), "0a1b2c3d")


def hill(d: float, phi: float, height: float = 0.05) -> Hills:
    return Hills(np.array([[d, phi]]), np.array([[0.2, 0.3]]), np.array([height]))


def written(path: Path, count: int = 5, biasfactor: float | None = 10.0) -> tuple[HillsFile, list[Hills]]:
    """A file with hills every 0.1 ps, from 0.1 ps on."""
    file = HillsFile(path, COLUMNS, biasfactor)
    file.begin()
    return file, [file.append(0.1 * k, hill(1.0 + 0.1 * k, 0.2 * k, 0.05 / k)) for k in range(1, count + 1)]


def test_format_and_units_of_plumed(tmp_path: Path) -> None:
    written(tmp_path / "HILLS", 1)
    assert (tmp_path / "HILLS").read_text().splitlines()[:-1] == [
        "#! FIELDS time d phi sigma_d sigma_phi height biasf",
        "#! SET multivariate false",
        "#! SET kerneltype gaussian",
        "#! SET min_phi -pi",
        "#! SET max_phi pi",
        "#! SET rhopot_unit_d A",
        "#! SET rhopot_cv 0a1b2c3d",
    ]
    row = read_table(tmp_path / "HILLS").values[0]
    assert row == pytest.approx([0.1, 0.11, 0.2, 0.02, 0.3, 0.05 / KJ * 10.0 / 9.0, 10.0], rel=1e-15)
    written(tmp_path / "plain", 1, None)
    assert read_table(tmp_path / "plain").values[0][-2:] == pytest.approx([0.05 / KJ, -1.0], rel=1e-15)


def test_times_have_as_few_digits_as_read_back(tmp_path: Path) -> None:
    file, _ = written(tmp_path / "HILLS", 0)
    file.append(290 * 0.001, hill(1.0, 0.2))
    file.append(1001 * 0.001, hill(1.0, 0.2))
    lines = [line.split()[:4] for line in file.path.read_text().splitlines()[-2:]]
    assert lines == [["0.29", "0.1", "0.2", "0.02"], ["1.001", "0.1", "0.2", "0.02"]]
    colvar = ColvarFile(tmp_path / "COLVAR", COLUMNS, walls=False, moving=False)
    colvar.begin()
    colvar.append(1001 * 0.001, np.array([0.2, 0.3]), (0.0, 0.0, 0.0, 0.0))
    assert colvar.path.read_text().splitlines()[-1] == " 1.001 0.02 0.3 0"


@pytest.mark.parametrize("biasfactor", [None, 6.0])
def test_a_restart_reads_the_hills_that_were_added_bit_by_bit(tmp_path: Path, biasfactor: float | None) -> None:
    file, added = written(tmp_path / "HILLS", 7, biasfactor)
    times, hills = file.restart(0.7)
    assert times == pytest.approx(0.1 * np.arange(1, 8), abs=1e-15)
    np.testing.assert_array_equal(hills.centers, np.concatenate([each.centers for each in added]))
    np.testing.assert_array_equal(hills.sigmas, np.concatenate([each.sigmas for each in added]))
    np.testing.assert_array_equal(hills.heights, np.concatenate([each.heights for each in added]))
    assert hills.heights == pytest.approx(0.05 / np.arange(1, 8), rel=1e-14)


def test_a_restart_drops_later_hills_and_what_was_cut_off(tmp_path: Path) -> None:
    file, _ = written(tmp_path / "HILLS")
    before = (tmp_path / "HILLS").read_text()
    with (tmp_path / "HILLS").open("a") as stream:
        stream.write(" 0.6 0.16")
    _, hills = file.restart(0.3)
    assert len(hills) == 3
    assert (tmp_path / "HILLS").read_text() == "".join(before.splitlines(keepends=True)[: 7 + 3])
    file.append(0.4, hill(9.0, 0.0))
    assert len(file.restart(10.0)[1]) == 4
    assert len(file.restart(0.0)[1]) == 0


def test_a_restart_with_another_bias_factor_is_refused(tmp_path: Path) -> None:
    """Before the file is touched: no free energy could be read from hills of two factors."""
    file, _ = written(tmp_path / "HILLS")
    before = file.path.read_text()
    for other, word in ((5.0, "5"), (None, r"none \(-1\)")):
        with pytest.raises(ValueError, match=f"biasfactor must be that of the hills in '.*HILLS', 10, got {word};"):
            HillsFile(file.path, COLUMNS, other).restart(0.2)
    assert file.path.read_text() == before


def test_a_restart_without_a_file_begins_one(tmp_path: Path) -> None:
    file = HillsFile(tmp_path / "HILLS", COLUMNS, None)
    assert len(file.restart(1.0)[1]) == 0
    assert file.path.read_text().startswith("#! FIELDS time d phi")
    (tmp_path / "HILLS").write_text("")
    assert len(file.restart(1.0)[1]) == 0


def test_a_new_run_keeps_the_old_files(tmp_path: Path) -> None:
    assert backed_up(tmp_path / "HILLS") is None
    for k in range(3):
        written(tmp_path / "HILLS", k)
    assert len(read_table(tmp_path / "bck.1.HILLS").values) == 1
    assert len(read_table(tmp_path / "HILLS").values) == 2


def test_another_walker_is_followed_line_by_line(tmp_path: Path) -> None:
    other = OthersHills(tmp_path / "HILLS.1", COLUMNS)
    assert len(other.new()[1]) == 0
    file, added = written(tmp_path / "HILLS.1", 2)
    times, hills, replaced = other.new()
    assert times == pytest.approx([0.1, 0.2])
    np.testing.assert_array_equal(hills.heights, [each.heights[0] for each in added])
    assert not replaced
    assert len(other.new()[1]) == 0
    with file.path.open("a") as stream:
        stream.write(" 0.3 0.13 0.6 0.02")  # a line that is being written
    assert len(other.new()[1]) == 0
    with file.path.open("a") as stream:
        stream.write(" 0.3 1 10\n")
    assert other.new()[0] == pytest.approx([0.3])
    file.restart(0.2)
    times, _, replaced = other.new()
    assert replaced
    assert times == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            Columns(("d", "phi"), ("A", "radian"), (None, 2.0 * math.pi), "ffffffff"),
            r"\(ffffffff\), got those of .*0a1b",
        ),
        (Columns(("d", "psi"), ("A", "radian"), (None, 2.0 * math.pi), "0a1b2c3d"), "columns time d psi sigma_d"),
        (Columns(("d",), ("A",), (None,), "0a1b2c3d"), "columns time d sigma_d height biasf, got time d phi"),
        (
            Columns(("d", "phi"), ("A", "radian"), (None, None), "0a1b2c3d"),
            "phi with no period, got it with the period",
        ),
        (Columns(("d", "phi"), ("A", "radian"), (None, math.pi), "0a1b2c3d"), r"phi with the period 3\.14"),
        (
            Columns(("d", "phi"), ("", "radian"), (None, 2.0 * math.pi), "0a1b2c3d"),
            "must not say '#! SET rhopot_unit_d",
        ),
    ],
)
def test_hills_of_other_variables(tmp_path: Path, columns: Columns, sentence: str) -> None:
    written(tmp_path / "HILLS")
    with pytest.raises(ValueError, match=sentence):
        HillsFile(tmp_path / "HILLS", columns, None).restart(1.0)
    with pytest.raises(ValueError, match=sentence):
        OthersHills(tmp_path / "HILLS", columns).new()
    assert len(read_table(tmp_path / "HILLS")) == 5, "nothing was cut"


def test_other_widths_and_kernels(tmp_path: Path) -> None:
    file, _ = written(tmp_path / "HILLS")
    text = file.path.read_text()
    for old, new, sentence in (
        (" sigma_phi", " sigma_phi extra", "must have the .* columns"),
        ("sigma_d sigma_phi height", "sigma_d_d sigma_phi_d height", "columns time d phi sigma_d sigma_phi"),
        ("multivariate false", "multivariate true", "along the variables"),
        ("gaussian", "triangular", "Gaussian hills, got kerneltype triangular"),
    ):
        file.path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=sentence):
            file.restart(1.0)


def test_colvar(tmp_path: Path) -> None:
    file = ColvarFile(tmp_path / "COLVAR", COLUMNS, walls=True, moving=True)
    file.begin()
    for k in range(4):
        file.append(0.1 * k, np.array([1.0 + k, 0.5]), (0.1, 0.2, 0.3, 0.4 * k))
    table = read_table(file.path)
    assert table.fields == ("time", "d", "phi", "metad.bias", "walls.bias", "moving.bias", "moving.work")
    assert table.values[2] == pytest.approx([0.2, 0.3, 0.5, 0.1 / KJ, 0.2 / KJ, 0.3 / KJ, 0.8 / KJ], rel=1e-15)
    assert table.limits("phi") == (-math.pi, math.pi)
    assert file.last(0.25) == pytest.approx((0.2, 0.8), rel=1e-15)
    file.restart(0.25)
    assert len(read_table(file.path)) == 3
    assert file.last(-1.0) == (-np.inf, 0.0)
    small = ColvarFile(tmp_path / "small", COLUMNS, walls=False, moving=False)
    assert small.last(1.0) == (-np.inf, 0.0)
    small.restart(1.0)
    assert small.path.is_file()
    small.append(0.0, np.array([1.0, 0.5]), (0.1, 0.0, 0.0, 0.0))
    assert read_table(small.path).fields == ("time", "d", "phi", "metad.bias")
    with pytest.raises(ValueError, match=r"columns time d phi metad\.bias walls\.bias moving\.bias"):
        ColvarFile(small.path, COLUMNS, walls=True, moving=True).restart(1.0)
