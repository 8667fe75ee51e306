"""Shells complete commands, options and families; asking them loads no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
BASH = """
eval "$(rhopot --show-completion)"
COMP_WORDS=({words}) COMP_CWORD={position}
_rhopot_completion rhopot
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(*words: str) -> list[str]:
    """What bash offers for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = BASH.format(words=quoted, position=len(words) - 1)
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    words_of_bash = ["bash", "--norc", "-euo", "pipefail", "-c", script]
    done = subprocess.run(words_of_bash, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("rhopot", "ev"), ["evaluate"]),
        (("rhopot", "data", ""), ["lint"]),
        (("rhopot", "train", "--o"), ["--overwrite"]),
        (("rhopot", "config", "soap"), ["soap_linear", "soap_gap"]),
    ],
)
def test_bash_completes(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(*words) == offered


@pytest.mark.parametrize(("words", "offered"), [("rhopot\ndoc", ["doctor"]), ("rhopot\nconfig\ngmp", ["gmp_snn"])])
def test_completion_loads_no_torch(words: str, offered: list[str]) -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); "
        "from rhopot.potentials.commands import main; main()"
    )
    variables = {"_RHOPOT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count("\n"))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split(), done.stderr.split()) == (offered, ["False"])
