"""`check` goes red for a plugin that is wrong, and names what differs; each case breaks one line of the sources."""

from pathlib import Path

import broken_plugins
import many_body_toy as toy
import pytest
from broken_plugins import FAULTS, Fault

from rhopot.export import RhopotCalculator
from rhopot.potentials.verification.check import CheckResult, check_model

STALE = """  static std::map<int, std::vector<int>> first;
  const std::vector<int> seen(list_->firstneigh[i], list_->firstneigh[i] + list_->numneigh[i]);
  std::vector<int> kept = first.try_emplace(i, seen).first->second;
  std::erase_if(kept, [&](int j) { return (j & NEIGHMASK) >= n_atoms_; });
  const int n = static_cast<int>(kept.size());
  const int *const neighbours = kept.data();
"""

# what is broken: the change, the comparison that must fail
BREAKS = {
    "sign of the virial": (
        FAULTS["virial sign"],
        "LAMMPS, 1 rank(s): virial",
    ),
    "forces on ghosts dropped": (
        FAULTS["dropped ghost force"],
        "LAMMPS, 1 rank(s): forces",
    ),
    "types taken for species": (
        Fault("pair_rhopot.cpp", "species[type] = found - symbols.begin();", "species[type] = type - 1;"),
        "LAMMPS, 1 rank(s): energy",
    ),
    "edge vectors in float32": (
        FAULTS["float32 edge vectors"],
        "LAMMPS, 1 rank(s): forces",
    ),
    "neighbour list kept": (
        Fault(
            "edge_graph.cpp",
            "  const int n = list_->numneigh[i];\n  const int *const neighbours = list_->firstneigh[i];\n",
            STALE,
        ),
        "LAMMPS, 2 rank(s), after NVE: forces",
    ),
}

# the same for global models
WHOLE_BREAKS = {
    "virial without the box": (
        Fault("global_evaluator.cpp", "add(structure.cell, sums_[0].by_cell(), 3);", ""),
        "LAMMPS, 1 rank(s): virial",
    ),
    "one share only": (
        Fault(
            "global_evaluator.cpp",
            "const Share share{comm->me * n_threads + k, comm->nprocs * n_threads};",
            "const Share share{0, comm->nprocs * n_threads};",
        ),
        "LAMMPS, 2 rank(s): energy",
    ),
    "forces of the first rank's atoms": (
        Fault("gathered_structure.cpp", "const size_t first = start[me] / sizeof(Row);", "const size_t first = 0;"),
        "LAMMPS, 2 rank(s): forces",
    ),
    "types taken for species": (
        Fault(
            "gathered_structure.cpp",
            "const int64_t species = species_of_type[atom.type[i]];",
            "const int64_t species = atom.type[i] - 1;",
        ),
        "LAMMPS, 1 rank(s): energy",
    ),
    "positions of the run's start": (
        Fault(
            "global_evaluator.cpp",
            "  atoms_.gather(*atom, *domain, exclusions_, task_.species_of_type, world);",
            "  if (prepared_atoms_ < 0) atoms_.gather(*atom, *domain, exclusions_, task_.species_of_type, world);",
        ),
        "LAMMPS, 1 rank(s), after NVE: energy",
    ),
}


def build(folder: Path, sources: broken_plugins.Sources, *fault: Fault) -> list[str]:
    """The command of LAMMPS with a plugin that has this fault, or none."""
    return broken_plugins.command(sources.broken(folder / "plugin", *fault), folder)


def failures(model: Path, command: list[str]) -> set[str]:
    """Names of the comparisons that fail with this LAMMPS."""
    findings: list[CheckResult] = check_model(
        model,
        toy.crystal((2, 1, 1), rattle=0.05),
        RhopotCalculator(model),
        symbols=toy.SYMBOLS,
        ranks=(1, 2),
        steps=100,
        lmp=command,
    )
    return {finding.name for finding in findings if not finding.passed}


@pytest.mark.parametrize(("fault", "comparison"), BREAKS.values(), ids=BREAKS.keys())
def test_check_sees(
    many_body: Path, plugin_sources: broken_plugins.Sources, tmp_path: Path, fault: Fault, comparison: str
) -> None:
    assert comparison in failures(many_body, build(tmp_path, plugin_sources, fault))


@pytest.mark.parametrize(("fault", "comparison"), WHOLE_BREAKS.values(), ids=WHOLE_BREAKS.keys())
def test_check_sees_for_whole_structures(
    scattering: Path, plugin_sources: broken_plugins.Sources, tmp_path: Path, fault: Fault, comparison: str
) -> None:
    assert comparison in failures(scattering, build(tmp_path, plugin_sources, fault))


def test_check_sees_nothing_in_the_unchanged_sources(
    many_body: Path, scattering: Path, plugin_sources: broken_plugins.Sources, tmp_path: Path
) -> None:
    command = build(tmp_path, plugin_sources)
    assert failures(many_body, command) == set()
    assert failures(scattering, command) == set()
