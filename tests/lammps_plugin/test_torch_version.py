"""LAMMPS opens the plugin's library beside the torch it was compiled against, and beside no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import lammps_process as lmp
import pytest

from rhopot.lammps_plugin import plugin_path

DECK = "units metal\natom_style atomic\nnewton on\npair_style rhopot\n"


@pytest.mark.parametrize("ranks", [1, 2])
def test_another_torch_is_refused_in_words(ranks: int, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    library = site / "rhopot" / "lib"
    library.mkdir(parents=True)
    for file in Path(plugin_path()).iterdir():
        shutil.copy(file, library)
    (site / "torch").mkdir()
    (site / "torch" / "version.py").write_text("import os\n__version__ = '2.14.1+cpu'\ndebug = False\n")
    (tmp_path / "in.lammps").write_text(DECK)
    launcher = [str(lmp.BIN / "mpirun"), "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, lmp.binary(), "-in", "in.lammps", "-log", "none"]
    done = lmp.start(command, tmp_path, lmp.environment() | {"LAMMPS_PLUGIN_PATH": str(library)})
    assert done.returncode != 0
    sentence = "pair style rhopot: its library was built for torch 2.13, installed is torch 2.14; reinstall rhopot with"
    assert sentence in done.stdout + done.stderr
