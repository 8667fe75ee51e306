"""What a command says when it refuses: one sentence, no traceback."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rhopot.potentials.commands import main


def refusal(capsys: pytest.CaptureFixture[str], words: Sequence[str], status: int = 1) -> str:
    """Run a command that must end with `status`; the sentence it ends with."""
    capsys.readouterr()
    assert main(list(words)) == status
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("rhopot: ")
    return lines[0]
