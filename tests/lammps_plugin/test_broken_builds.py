"""`check` goes red for a plugin that is wrong, and names what differs; each case breaks one line of the sources."""

import subprocess
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import pytest

from rhopot.export import RhopotCalculator
from rhopot.lammps_plugin import plugin_path
from rhopot.potentials.workflows.check import Finding, check_model

SOURCE = Path(__file__).parents[2] / "lammps_plugin"
INSTALLED = Path(plugin_path())
FILES = (
    "pair_rhopot.cpp",
    "evaluator.cpp",
    "local_evaluator.cpp",
    "edge_graph.cpp",
    "exclusions.cpp",
    "global_evaluator.cpp",
    "type_check.cpp",
    "whole_structure.cpp",
)

STALE = """  static std::map<int, std::vector<int>> first;
  const std::vector<int> seen(list_->firstneigh[i], list_->firstneigh[i] + list_->numneigh[i]);
  std::vector<int> kept = first.try_emplace(i, seen).first->second;
  std::erase_if(kept, [&](int j) { return (j & NEIGHMASK) >= n_atoms_; });
  const int n = static_cast<int>(kept.size());
  const int *const neighbours = kept.data();
"""

# what is broken: file, line, its replacement, the comparison that must fail
BREAKS = {
    "nothing": ("pair_rhopot.cpp", "", "", ""),
    "sign of the virial": (
        "local_evaluator.cpp",
        "const double w = -r[A[k]] * g[B[k]];",
        "const double w = r[A[k]] * g[B[k]];",
        "LAMMPS, 1 rank(s): virial",
    ),
    "forces on ghosts dropped": (
        "local_evaluator.cpp",
        "        own[a] += g[a];\n        fj[a] -= g[a];",
        "        own[a] += g[a];\n        if (batch.neighbour[e] < atom->nlocal) fj[a] -= g[a];",
        "LAMMPS, 1 rank(s): forces",
    ),
    "types taken for species": (
        "pair_rhopot.cpp",
        "species[type] = found - symbols.begin();",
        "species[type] = type - 1;",
        "LAMMPS, 1 rank(s): energy",
    ),
    "edge vectors in float32": (
        "edge_graph.cpp",
        "r[0] = xj[0] - xi[0];",
        "r[0] = static_cast<float>(xj[0] - xi[0]);",
        "LAMMPS, 1 rank(s): forces",
    ),
    "neighbour list kept": (
        "edge_graph.cpp",
        "  const int n = list_->numneigh[i];\n  const int *const neighbours = list_->firstneigh[i];\n",
        STALE,
        "LAMMPS, 2 rank(s), after NVE: forces",
    ),
}

# the same for models of whole structures
WHOLE_BREAKS = {
    "nothing": ("global_evaluator.cpp", "", "", ""),
    "virial without the box": (
        "global_evaluator.cpp",
        "add(structure.cell, sums_[0].by_cell(), 3);",
        "",
        "LAMMPS, 1 rank(s): virial",
    ),
    "one share only": (
        "global_evaluator.cpp",
        "const Share share{comm->me * n_threads + k, comm->nprocs * n_threads};",
        "const Share share{0, comm->nprocs * n_threads};",
        "LAMMPS, 2 rank(s): energy",
    ),
    "forces of the first rank's atoms": (
        "whole_structure.cpp",
        "const size_t first = start[me] / sizeof(Row);",
        "const size_t first = 0;",
        "LAMMPS, 2 rank(s): forces",
    ),
    "types taken for species": (
        "whole_structure.cpp",
        "const int64_t species = species_of_type[atom.type[i]];",
        "const int64_t species = atom.type[i] - 1;",
        "LAMMPS, 1 rank(s): energy",
    ),
    "positions of the run's start": (
        "global_evaluator.cpp",
        "  atoms_.gather(*atom, *domain, exclusions_, task_.species_of_type, world);",
        "  if (prepared_atoms_ < 0) atoms_.gather(*atom, *domain, exclusions_, task_.species_of_type, world);",
        "LAMMPS, 1 rank(s), after NVE: energy",
    ),
}


def compile_source(source: Path, target: Path) -> Path:
    include = [f"-isystem{path}" for path in lmp.headers()]
    command = ["g++", "-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-DLAMMPS_SMALLBIG", *include]
    subprocess.run([*command, f"-I{SOURCE}", "-include", "map", "-c", str(source), "-o", str(target)], check=True)
    return target


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Objects of the sources as they are."""
    folder = tmp_path_factory.mktemp("objects")
    return {name: compile_source(SOURCE / name, folder / f"{name}.o") for name in FILES}


def build(folder: Path, sound: dict[str, Path], file: str, line: str, replacement: str) -> list[str]:
    """A plugin with one line replaced, in front of the installed model library; the command of LAMMPS with it."""
    objects = dict(sound)
    if line:
        text = (SOURCE / file).read_text()
        assert text.count(line) == 1, f"{file} no longer has the line {line}"
        (folder / file).write_text(text.replace(line, replacement))
        objects[file] = compile_source(folder / file, folder / f"{file}.o")
    command = ["g++", "-shared", *map(str, objects.values()), str(INSTALLED / "librhopot_lammps.so")]
    command += [f"-Wl,-rpath,{INSTALLED}", "-o", str(folder / "librhopot_lammps.so")]
    subprocess.run(command, check=True)
    (folder / "rhopotplugin.so").write_bytes((INSTALLED / "rhopotplugin.so").read_bytes())
    mpi = lmp.environment()["LD_LIBRARY_PATH"]
    return ["env", f"LAMMPS_PLUGIN_PATH={folder}", f"LD_LIBRARY_PATH={mpi}", lmp.binary()]


def failures(model: Path, command: list[str]) -> set[str]:
    """Names of the comparisons that fail with this LAMMPS."""
    findings: list[Finding] = check_model(
        model,
        toy.crystal((2, 1, 1), rattle=0.05),
        RhopotCalculator(model),
        symbols=toy.SYMBOLS,
        ranks=(1, 2),
        steps=100,
        lmp=command,
    )
    return {finding.name for finding in findings if not finding.passed}


@pytest.mark.parametrize(("file", "line", "replacement", "comparison"), BREAKS.values(), ids=BREAKS.keys())
def test_check_sees(
    many_body: Path, sound: dict[str, Path], tmp_path: Path, file: str, line: str, replacement: str, comparison: str
) -> None:
    failed = failures(many_body, build(tmp_path, sound, file, line, replacement))
    assert comparison in failed if line else failed == set()


@pytest.mark.parametrize(("file", "line", "replacement", "comparison"), WHOLE_BREAKS.values(), ids=WHOLE_BREAKS.keys())
def test_check_sees_for_whole_structures(
    scattering: Path, sound: dict[str, Path], tmp_path: Path, file: str, line: str, replacement: str, comparison: str
) -> None:
    failed = failures(scattering, build(tmp_path, sound, file, line, replacement))
    assert comparison in failed if line else failed == set()
