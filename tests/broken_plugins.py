"""Deliberately broken builds of the LAMMPS plugin, made from its own sources with one piece of text changed.

The release sources hold no switch for faults: each variant replaces a piece of text (which must be there exactly once),
compiles that file anew and links it with the unchanged ones, in front of the installed library, which brings the model
behind `model.h`. `command` starts LAMMPS with a variant in place of the installed plugin.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lammps_process
import pytest
from trained_models import locked

from rhopot.lammps_plugin import plugin_path

SOURCE = Path(__file__).resolve().parents[1] / "lammps_plugin"
KERNELS = SOURCE.parent / "potentials"


@dataclass(frozen=True)
class Fault:
    """One change to one file."""

    file: str
    old: str
    new: str


STALE = """\
  static std::vector<std::vector<int>> kept;
  if (static_cast<int>(kept.size()) <= i) kept.resize(i + 1);
  if (kept[i].empty()) kept[i].assign(list_->firstneigh[i], list_->firstneigh[i] + list_->numneigh[i]);
  for (int &j : kept[i]) j = (j & NEIGHMASK) < n_atoms_ ? j : i;
  kept[i].erase(std::remove(kept[i].begin(), kept[i].end(), i), kept[i].end());
  const int n = kept[i].size();
  const int *const neighbours = kept[i].data();
"""

FAULTS = {
    "virial sign": Fault(
        "local_evaluator.cpp", "const double w = -r[A[k]] * g[B[k]];", "const double w = r[A[k]] * g[B[k]];"
    ),
    "dropped ghost force": Fault(
        "local_evaluator.cpp",
        "        own[a] += g[a];\n        fj[a] -= g[a];",
        "        own[a] += g[a];\n        if (batch.neighbour[e] < atom->nlocal) fj[a] -= g[a];",
    ),
    "swapped types": Fault(
        "pair_rhopot.cpp",
        "species[type] = found - symbols.begin();",
        "species[type] = symbols.end() - found - 1;",
    ),
    "float32 edge vectors": Fault(
        "edge_graph.cpp", "r[0] = xj[0] - xi[0];", "r[0] = static_cast<float>(xj[0] - xi[0]);"
    ),
    "stale neighbour list": Fault(
        "edge_graph.cpp",
        "  const int n = list_->numneigh[i];\n  const int *const neighbours = list_->firstneigh[i];\n",
        STALE,
    ),
}


class Sources:
    """Objects of the pair style's sources as they are, and plugins made of them."""

    def __init__(self, folder: Path) -> None:
        """The objects of `folder`, where workers of one test run find what the first of them has compiled."""
        if shutil.which("g++") is None:
            pytest.skip("needs g++ to build broken plugins")
        listed = re.search(r"set\(pair_style ([^)]*)\)", (SOURCE / "plugin.cmake").read_text(encoding="utf-8"))
        assert listed is not None
        names = listed[1].split()
        self.objects = {name: folder / f"{name}.o" for name in names}
        with locked(folder.with_suffix(".lock")), ThreadPoolExecutor(2) as pool:
            folder.mkdir(exist_ok=True)
            missing = [name for name in names if not self.objects[name].exists()]
            list(pool.map(lambda name: _compile(SOURCE / name, self.objects[name]), missing))

    def sound(self, folder: Path) -> Path:
        """The plugin without a fault, in a new folder."""
        return _link(folder, self.objects)

    def broken(self, folder: Path, *faults: Fault) -> Path:
        """The plugin with faults, at most one in a file, in a new folder."""
        places = {fault: folder.with_name(f"{folder.name}_{fault.file}") for fault in faults}
        changed = {fault.file: _compile_broken(fault, place) for fault, place in places.items()}
        return _link(folder, self.objects | changed)


def build(sources: Sources, folder: Path) -> dict[str, Path]:
    """Folders with a complete plugin each: one unchanged ("sound") and one per fault."""
    with ThreadPoolExecutor(2) as pool:
        broken = pool.map(
            lambda k, fault: sources.broken(folder / f"fault_{k}", fault), range(len(FAULTS)), FAULTS.values()
        )
        return {"sound": sources.sound(folder / "sound"), **dict(zip(FAULTS, broken, strict=True))}


def environment(variant: Path) -> dict[str, str]:
    """Variables for LAMMPS with the plugin of `variant` in place of the installed one."""
    return lammps_process.environment() | {"LAMMPS_PLUGIN_PATH": str(variant)}


def command(variant: Path, folder: Path) -> list[str]:
    """Words that start LAMMPS with the plugin of `variant` (a script, so that mpirun can start it too)."""
    script, variables = folder / "lmp_variant", environment(variant)
    exports = " ".join(f"{name}='{variables[name]}'" for name in ("LD_LIBRARY_PATH", "LAMMPS_PLUGIN_PATH"))
    script.write_text(f"#!/bin/sh\nexport {exports}\nexec '{lammps_process.binary()}' \"$@\"\n")
    script.chmod(0o755)
    return [str(script)]


def _compile_broken(fault: Fault, target: Path) -> Path:
    """Object file of the changed source."""
    text = (SOURCE / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1, f"{fault.file} must hold once: {fault.old}"
    target.write_text(
        "#include <algorithm>\n#include <cstdio>\n#include <cstdlib>\n#include <map>\n#include <vector>\n"
        + text.replace(fault.old, fault.new),
        encoding="utf-8",
    )
    return _compile(target, target.with_suffix(".o"))


def _compile(source: Path, target: Path) -> Path:
    headers = [f"-isystem{path}" for path in lammps_process.headers()]
    flags = [
        "-std=c++20",
        "-O1",
        "-fPIC",
        "-fvisibility=hidden",
        "-DLAMMPS_SMALLBIG",
        f"-I{SOURCE}",
        f"-I{KERNELS}",
        *headers,
    ]
    subprocess.run(["g++", *flags, "-c", str(source), "-o", str(target)], check=True)
    return target


def _link(folder: Path, objects: Mapping[str, Path]) -> Path:
    """A folder with the installed entry and a pair style made of `objects`."""
    folder.mkdir()
    installed = Path(plugin_path())
    shutil.copy(installed / "rhopotplugin.so", folder)
    command = ["g++", "-shared", *map(str, objects.values()), str(installed / "librhopot_lammps.so")]
    subprocess.run([*command, f"-Wl,-rpath,{installed}", "-o", str(folder / "librhopot_lammps.so")], check=True)
    return folder
