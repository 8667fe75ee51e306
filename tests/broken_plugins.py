"""Deliberately broken builds of the LAMMPS plugin, made from its own sources with one line changed.

The release sources hold no switch for faults: each variant replaces a piece of text (which must be there exactly once),
compiles that file anew and links it with the unchanged ones. `command` starts LAMMPS with a variant in place of the
installed plugin.
"""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import lammps_process
import pytest
import torch

from rhopot.lammps_plugin import plugin_path

SOURCE = Path(__file__).resolve().parents[1] / "lammps_plugin"
FILES = (
    "pair_rhopot.cpp", "evaluator.cpp", "exclusions.cpp", "local_evaluator.cpp", "edge_graph.cpp",
    "global_evaluator.cpp", "type_check.cpp", "whole_structure.cpp", "archive.cpp", "card_rules.cpp",
    "model_header.cpp", "torch_model.cpp",
)  # fmt: skip


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


def build(folder: Path) -> dict[str, Path]:
    """Folders with a complete plugin each: one unchanged ("sound") and one per fault."""
    if shutil.which("g++") is None:
        pytest.skip("needs g++ to build broken plugins")
    with ThreadPoolExecutor(2) as pool:
        sound = dict(
            zip(FILES, pool.map(lambda name: _compile(SOURCE / name, folder / f"{name}.o"), FILES), strict=True)
        )
        broken = dict(zip(FAULTS, pool.map(lambda name: _broken(name, folder), FAULTS), strict=True))
    variants = {"sound": _link(folder / "sound", list(sound.values()))}
    for k, (name, fault) in enumerate(FAULTS.items()):
        objects = [broken[name] if file == fault.file else compiled for file, compiled in sound.items()]
        variants[name] = _link(folder / f"fault_{k}", objects)
    return variants


def command(variant: Path, folder: Path) -> list[str]:
    """Words that start LAMMPS with the plugin of `variant` (a script, so that mpirun can start it too)."""
    script = folder / "lmp_variant"
    libraries = lammps_process.environment()["LD_LIBRARY_PATH"]
    script.write_text(
        f"#!/bin/sh\nexport LD_LIBRARY_PATH='{libraries}' LAMMPS_PLUGIN_PATH='{variant}'\n"
        f"exec '{lammps_process.binary()}' \"$@\"\n"
    )
    script.chmod(0o755)
    return [str(script)]


def _broken(name: str, folder: Path) -> Path:
    """Object file of the changed source."""
    fault = FAULTS[name]
    text = (SOURCE / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1, f"{fault.file} must hold once: {fault.old}"
    changed = folder / f"{name.replace(' ', '_')}_{fault.file}"
    changed.write_text(
        "#include <algorithm>\n#include <vector>\n" + text.replace(fault.old, fault.new), encoding="utf-8"
    )
    return _compile(changed, changed.with_suffix(".o"))


def _compile(source: Path, target: Path) -> Path:
    headers = Path(lammps_process.binary()).parent / "include" / "lammps"
    torch_headers = Path(torch.__file__).parent / "include"
    mpi = Path(lammps_process.BIN).parent / "include"
    system = (headers, mpi, torch_headers, torch_headers / "torch/csrc/api/include")
    flags = ["-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-DLAMMPS_SMALLBIG", f"-I{SOURCE}"]
    flags += ["-DRHOPOT_LAMMPS_VERSION=20250722", '-DRHOPOT_LAMMPS_VERSION_NAME="22 Jul 2025"']
    subprocess.run(
        ["g++", *flags, *(f"-isystem{path}" for path in system), "-c", str(source), "-o", str(target)], check=True
    )
    return target


def _link(folder: Path, objects: list[Path]) -> Path:
    """A folder with the shell and an implementation made of `objects`."""
    folder.mkdir()
    installed, torch_libraries = Path(plugin_path()), Path(torch.__file__).parent / "lib"
    shutil.copy(installed / "rhopotplugin.so", folder)
    search = [f"-L{installed}", f"-L{torch_libraries}", f"-Wl,-rpath,{installed}:{torch_libraries}"]
    libraries = ["-Wl,--no-as-needed", "-lrhopot_operators", "-ltorch_cpu", "-lc10"]
    output = ["-o", str(folder / "librhopot_lammps.so")]
    subprocess.run(["g++", "-shared", *map(str, objects), *search, *libraries, *output], check=True)
    return folder
