"""Numbers as the commands print them."""

from __future__ import annotations

import math

import pytest

from rhopot.potentials.console import to_error


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (88.0047, 40.0, "88"),
        (20.4988, 1.3, "20.5"),
        (-5.04426, 0.12, "-5.04"),
        (0.0143138, 5.0, "0.0"),
        (5.0, 9.97, "5"),  # the error is 10 in two digits
        (3.14159265, 1e-9, "3.14159"),
        (5.68e-14, 1.5e-13, "5.68e-14"),
        (0.0, 1e-3, "0.0000"),
        (88.0047, 0.0, "88.0047"),
        (88.0047, math.nan, "88.0047"),
        (88.0047, None, "88.0047"),
        (math.nan, 1.0, "nan"),
    ],
)
def test_numbers_have_the_digits_that_their_error_leaves(value: float, error: float | None, shown: str) -> None:
    assert to_error(value, error) == shown
