"""`rhopot` in processes of their own: alone, under a launcher, or killed in the middle of a training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from prestarted import Template

BIN = Path(sys.executable).parent
RUN = "import sys; from rhopot.potentials.commands import main; sys.exit(main(sys.argv[1:]))"
RUN_AND_DIE = """
import os, signal, sys
from rhopot.potentials.commands import main
from {module} import {name}

save, saved = {name}.{method}, []

def save_and_die(self, *state):
    save(self, *state)
    saved.append(state)
    if len(saved) == {saves}:
        os.kill(os.getpid(), signal.SIGKILL)

{name}.{method} = save_and_die
sys.exit(main(sys.argv[1:]))
"""


def dying(checkpoint: type, saves: int, method: str = "save") -> str:
    """A program that kills itself as `kill -9` would, right after that many checkpoints of the class."""
    return RUN_AND_DIE.format(module=checkpoint.__module__, name=checkpoint.__name__, saves=saves, method=method)


def mpirun(ranks: int) -> tuple[str, ...]:
    """Launcher of so many processes."""
    return (str(BIN / "mpirun"), "-n", str(ranks), sys.executable)


def torchrun(ranks: int) -> tuple[str, ...]:
    """Launcher of so many processes."""
    return (str(BIN / "torchrun"), "--nproc-per-node", str(ranks), "--standalone", "--no-python", sys.executable)


def start(
    code: str, arguments: Sequence[str], launcher: Sequence[str] | Template = (sys.executable,)
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, one thread each; a template, which tests have as `commands`, runs it in one process."""
    if isinstance(launcher, Template):
        return launcher.run([sys.executable, "-c", code, *arguments], timeout=240)
    return subprocess.run(
        [*launcher, "-c", code, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
