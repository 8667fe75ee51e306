"""Tables in PLUMED's format: written and read back, restarted, cut off, of several walkers, and damaged."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest

from rhopot.potentials.plumed_files import header, number, read_table, rows, write_table

FIELDS = ("time", "d", "phi", "sigma_d", "sigma_phi", "height", "biasf")
SET = {"multivariate": "false", "kerneltype": "gaussian", "min_phi": "-pi", "max_phi": "pi", "rhopot_unit_d": "A"}
# As PLUMED 2.9 writes it.
PLUMED = """#! FIELDS time phi psi sigma_phi sigma_psi height biasf
#! SET multivariate false
#! SET kerneltype stretched-gaussian
#! SET min_phi -pi
#! SET max_phi pi
#! SET min_psi -pi
#! SET max_psi pi
                      1     -1.226551749366179      1.254301158312221                   0.35                   0.35      1.333333333333333                      6
                      2      -1.40271155461153       1.21129731252831                   0.35                   0.35       1.27198463451621                      6
"""  # noqa: E501


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_table_comes_back_bit_by_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, len(FIELDS))) * 10.0 ** np.arange(-3, 4)
    write_table(tmp_path / "HILLS", FIELDS, values, SET)
    found = read_table(tmp_path / "HILLS")
    assert found.fields == FIELDS
    assert found.constants == SET
    assert found.notes == ()
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.column("height"), values[:, 5])
    np.testing.assert_array_equal(found.columns(["phi", "d"]), values[:, [2, 1]])
    assert found.limits("phi") == (-math.pi, math.pi)
    assert found.limits("d") is None
    assert (found.unit("d"), found.unit("phi")) == ("A", "")


def test_a_file_of_plumed(tmp_path: Path) -> None:
    found = read_table(table(tmp_path / "HILLS", PLUMED))
    assert len(found) == 2
    np.testing.assert_array_equal(found.column("biasf"), [6.0, 6.0])
    assert found.column("phi")[1] == -1.40271155461153
    (tmp_path / "HILLS.gz").write_bytes(gzip.compress(PLUMED.encode()))
    np.testing.assert_array_equal(read_table(tmp_path / "HILLS.gz").values, found.values)


def test_restarts_append_a_header(tmp_path: Path) -> None:
    text = header(("time", "d"), SET) + rows(np.array([[0.0, 1.0], [1.0, 2.0]]))
    text += header(("time", "d"), SET) + rows(np.array([[2.0, 3.0]]))
    found = read_table(table(tmp_path / "COLVAR", text))
    np.testing.assert_array_equal(found.values, [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]])


def test_columns_that_a_restart_added_or_reordered(tmp_path: Path) -> None:
    text = header(("time", "d", "e"), SET) + " 0 1 7\n" + header(("time", "metad.bias", "d"), SET) + " 1 5 2\n"
    found = read_table(table(tmp_path / "COLVAR", text))
    assert found.fields == ("time", "d")
    np.testing.assert_array_equal(found.values, [[0.0, 1.0], [1.0, 2.0]])
    assert found.notes == (f"'{tmp_path / 'COLVAR'}': columns not in the whole file: e, metad.bias",)


@pytest.mark.parametrize("cut", [" 2 3.0", " 2 3.", " 2", " 2\n"])
def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path, cut: str) -> None:
    """Without a newline nobody knows whether the last number is complete."""
    found = read_table(table(tmp_path / "COLVAR", header(("time", "d")) + " 0 1\n 1 2\n" + cut))
    np.testing.assert_array_equal(found.values, [[0.0, 1.0], [1.0, 2.0]])
    assert found.notes == (f"'{tmp_path / 'COLVAR'}', line 4: an incomplete line was dropped",)


def test_a_line_that_a_restart_continued_is_dropped(tmp_path: Path) -> None:
    text = header(("time", "d")) + " 0 1\n 1 2." + header(("time", "d")) + " 1 2.5\n"
    found = read_table(table(tmp_path / "COLVAR", text))
    np.testing.assert_array_equal(found.values, [[0.0, 1.0], [1.0, 2.5]])
    assert "line 3: an incomplete line was dropped" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pi", math.pi),
        ("-pi", -math.pi),
        ("2pi", 2 * math.pi),
        ("2*pi", 2 * math.pi),
        ("pi/2", math.pi / 2),
        ("1.5", 1.5),
    ],
)
def test_numbers_of_constants(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "#! FIELDS time d\n#! SET rhopot_cv 1a\n 0 1\n#! SET rhopot_cv 2b\n 1 1\n",
            r"line 4: rhopot_cv must be 1a as above, got 2b: other collective variables; split the file",
        ),
        ("", "got an empty file"),
        ("time d\n0 1\n", "must begin with '#! FIELDS'"),
        (header(("time", "d")), "must hold rows of numbers, got none"),
        (header(("time", "d")) + " 0 1\n 1\n 2 3\n", "line 3 must have the 2 columns that FIELDS names, got 1"),
        (header(("time", "d")) + " 0 1\n 1 abc\n", "d must be a number or a multiple of pi, got 'abc'"),
        (header(("time", "d", "d")) + " 0 1 1\n", "FIELDS must name each column once"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_table(table(tmp_path / "HILLS", text))


def test_other_content_and_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "HILLS").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="must be a table in PLUMED's format, got other content"):
        read_table(tmp_path / "HILLS")
    found = read_table(table(tmp_path / "COLVAR", header(("time", "d"), {"min_d": "x", "max_d": "1"}) + " 0 1\n"))
    with pytest.raises(ValueError, match=r"column must be one of time, d in .*COLVAR', got 'e'"):
        found.column("e")
    with pytest.raises(ValueError, match=r"min_d in .*COLVAR' must be a number or a multiple of pi, got 'x'"):
        found.limits("d")
    with pytest.raises(ValueError, match=r"values must have a column for each of time, d, got shape \(1, 3\)"):
        write_table(tmp_path / "x", ("time", "d"), np.zeros((1, 3)))


def test_a_table_without_rows_can_be_written(tmp_path: Path) -> None:
    write_table(tmp_path / "HILLS", FIELDS, np.zeros((0, len(FIELDS))), SET)
    assert (tmp_path / "HILLS").read_text() == header(FIELDS, SET)
    found = read_table(tmp_path / "HILLS", allow_no_rows=True)
    assert (found.values.shape, found.constants) == ((0, len(FIELDS)), SET)


def test_the_shortest_digits_that_read_back(tmp_path: Path) -> None:
    values = np.array([[290 * 0.001, 1.0, -1e-7, 1.0 / 3.0], [2.9e-1, 1e22, 0.0, np.nextafter(1.0, 2.0)]])
    write_table(tmp_path / "HILLS", ("time", "a", "b", "c"), values)
    assert (tmp_path / "HILLS").read_text().splitlines()[1:] == [
        " 0.29 1 -1e-07 0.3333333333333333",
        " 0.29 1e+22 0 1.0000000000000002",
    ]
    np.testing.assert_array_equal(read_table(tmp_path / "HILLS").values, values)
