"""How the commands word what goes wrong."""

from __future__ import annotations

import warnings

from rhopot.potentials.commands.failures import warnings_as_sentences


def test_warnings_for_users_are_sentences() -> None:
    """Those of developers, and all outside of the commands, keep the place in the code."""
    place = ("file.py", 3, "the line")
    with warnings_as_sentences():
        assert warnings.formatwarning(UserWarning("it jumps"), UserWarning, *place) == "warning: it jumps\n"
        assert "file.py:3" in warnings.formatwarning(RuntimeWarning("it jumps"), RuntimeWarning, *place)
    assert "file.py:3: UserWarning: it jumps" in warnings.formatwarning(UserWarning("it jumps"), UserWarning, *place)
