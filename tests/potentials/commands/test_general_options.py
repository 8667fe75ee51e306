"""`rhopot --version`."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from rhopot.potentials.commands import main


def test_the_version_of_the_package_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rhopot {version('rhopot')}\n"
