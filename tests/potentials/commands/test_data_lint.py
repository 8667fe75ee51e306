"""`rhopot data lint` as typed: quiet on the shipped data, status 1 on leakage."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhopot.potentials.commands.application import main

PROJECT_DATA = Path(__file__).parents[3] / "examples" / "data" / "lisi_gpaw"


def test_shipped_data_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "lint", str(PROJECT_DATA), "--group", "path"]) == 0
    printed = capsys.readouterr().out
    assert "REF_forces" in printed
    paths = len(list(PROJECT_DATA.glob("*.xyz")))
    assert f"0 errors, 0 warnings in {10 * paths} frames" in printed


def test_leakage_exits_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(PROJECT_DATA / "Li16Si16_0.xyz")
    assert main(["data", "lint", str(PROJECT_DATA), "--test", path, "--group", "path"]) == 1
    printed = capsys.readouterr().out
    assert "error [leakage] group 'Li16Si16_0' lies in training and test data" in printed
    assert "11 errors" in printed


def test_missing_file_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "lint", "absent.xyz"]) == 1
    assert "data path must name an existing file, got 'absent.xyz'" in capsys.readouterr().err
