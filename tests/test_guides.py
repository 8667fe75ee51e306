"""The guides run as they stand, with the small models of these tests in the place of a reader's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ase.io as ase_io
import pytest
import trained_models
import yaml
from prestarted import Template
from trained_models import DATA, ROOT

pytestmark = pytest.mark.slow

GUIDES = ROOT / "examples" / "guide"
HERE, WHEEL = "tests/test_guides.py", "tests/wheel_without_compiler.py"
BLOCK = re.compile(r"(?:<!-- executed by ([\w./]+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)


def blocks(page: str, runner: str = HERE) -> list[str]:
    """The blocks of a page that `runner` executes, in order."""
    found = BLOCK.findall((GUIDES / f"{page}.md").read_text(encoding="utf-8"))
    return [block for marked, _, block in found if marked == runner]


def run(
    page: str, folder: Path, commands: Template, first: Path | None = None, errors: list[str] | None = None
) -> list[str]:
    """Execute the blocks of a page in a folder, in one shell each; what each printed.

    commands   gives `rhopot` and `python`, as forks; `tests/test_readme.py` has those that are installed
    first      programs found before them
    errors     gets what each wrote to its error stream
    """
    (folder / "examples").symlink_to(ROOT / "examples")
    folders = [*([first] if first else []), commands.commands(), Path(sys.executable).parent, os.environ["PATH"]]
    path = os.pathsep.join(map(str, folders))
    printed = []
    for block in blocks(page):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        printed.append(done.stdout)
        if errors is not None:
            errors.append(done.stderr)
    return printed


@pytest.mark.parametrize("page", sorted(file.stem for file in GUIDES.glob("*.md")))
def test_every_block_of_commands_is_executed_somewhere(page: str) -> None:
    found = BLOCK.findall((GUIDES / f"{page}.md").read_text(encoding="utf-8"))
    assert found
    assert [block for marked, language, block in found if marked not in (HERE, WHEEL) or language != "bash"] == []


def test_a_model_somebody_gave_you(trained_model: Callable[[str], Path], commands: Template, tmp_path: Path) -> None:
    shutil.copy(trained_model("soap_linear"), tmp_path / "model.pt")
    shutil.copy(DATA / "Li8Si24_0.xyz", tmp_path / "my_structures.xyz")
    info, check, errors, ase, lammps = run("run_a_model", tmp_path, commands)
    for promised in ("elements", "cutoff", "family", "local", "trained on", "short range", "members"):
        assert promised in info
    assert "comparisons within their limits" in check
    assert check.count("stable for 0.5 ps") >= 1
    assert "F MAE meV/A" in errors
    assert ase.count("eV/Å") == 2
    assert "on 2 procs for 50 steps" in lammps


def small_rhopot(folder: Path, commands: Template, added: dict[str, dict[str, list[str]] | list[str]]) -> Path:
    """A `rhopot` that adds words to its commands: always, or by the family that a configuration is named after."""
    command = folder / "bin" / "rhopot"
    command.parent.mkdir()
    command.write_text(
        f"#!{commands.commands()}/python\nimport sys\nfrom pathlib import Path\n\n"
        "from rhopot.potentials.commands import main\n\n"
        f"words = sys.argv[1:]\nadded = {added!r}.get(words[0], [])\n"
        "by_family = isinstance(added, dict)\n"
        "sys.exit(main([*words, *(added.get(Path(words[1]).stem, []) if by_family else added)]))\n"
    )
    command.chmod(0o755)
    return command


def test_train_on_your_own_data(commands: Template, tmp_path: Path) -> None:
    """As the page has it, but for the size of the model."""
    frames = [frame for path in trained_models.PATHS[:3] for frame in ase_io.read(DATA / f"{path}.xyz", ":")]
    ase_io.write(tmp_path / "train.xyz", frames, format="extxyz")
    shutil.copy(DATA / "Li16Si16_0.xyz", tmp_path / "test.xyz")
    added = [*trained_models.SETTINGS["multispectrum"], "report.stability=null"]
    command = small_rhopot(tmp_path, commands, {"train": {"multispectrum": added}})
    lint, train, tests = run("train", tmp_path, commands, first=command.parent)
    assert "leakage: 0 of the" in lint
    assert "run1/model.pt is saved" in train
    assert "## What to be careful about" in (tmp_path / "run1" / "report.md").read_text(encoding="utf-8")
    assert "frames with the largest errors of forces" in tests
    assert "comparisons within their limits" in tests
    predicted = ase_io.read(tmp_path / "predicted.xyz", ":")
    assert len(predicted) == len(ase_io.read(tmp_path / "test.xyz", ":"))


def test_what_the_uncertainties_say(trained_model: Callable[[str], Path], commands: Template, tmp_path: Path) -> None:
    shutil.copytree(trained_model("soap_linear").parent, tmp_path / "run1")
    errors, members = run("uncertainty", tmp_path, commands)
    assert "F <2 std" in errors
    difference, first = members.splitlines()
    assert 0.0 < float(re.findall(r"\d+\.\d+", difference)[0]) < 10.0
    energies = [float(number) for number in first.split(" eV is ")]
    assert energies[0] == pytest.approx(energies[1], rel=1e-10)


def test_families_compared(commands: Template, tmp_path: Path) -> None:
    """As the page has it, but for the models' size: a `rhopot` that adds these tests' small settings."""
    for name, path in (("train", "Li4Si28_0"), ("validation", "Li12Si20_0"), ("test", "Li8Si24_0")):
        shutil.copy(DATA / f"{path}.xyz", tmp_path / f"{name}.xyz")
    quick = {"training.epochs=60": "training.epochs=5"}
    small = {
        family: [*(quick.get(word, word) for word in words), "report.stability=null"]
        for family, words in trained_models.SETTINGS.items()
    }
    few = ["--points", "2", "--folds", "2", "--budget", "1000us", *small["soap_linear"]]
    command = small_rhopot(tmp_path, commands, {"train": small, "tune": few})
    tuned, printed = run("which_family", tmp_path, commands, first=command.parent)
    assert "at most 2 trials" in tuned
    assert "run_tuned/model.pt is saved" in tuned
    assert printed.count("/model.pt is saved") == 3
    assert printed.count("on test.xyz") == 3


def test_from_a_halted_run_to_new_training_data(
    trained_model: Callable[[str], Path], commands: Template, tmp_path: Path
) -> None:
    shutil.copytree(trained_model("soap_linear").parent, tmp_path / "run1")
    config = tmp_path / "run1" / "config.yaml"
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    settings["report"]["stability"] = None  # a quarter of a minute
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    small = {"soap_gap": trained_models.SETTINGS["soap_gap"]}
    made, _, halted, looked, labelled, again, harvested = run(
        "halted_run", tmp_path, commands, first=small_rhopot(tmp_path, commands, {"train": small}).parent
    )
    assert "reference/model.pt is saved" in made
    assert "Fix halt condition" in halted
    step = re.search(r"halted at step (\d+) with grade ([\d.]+) and ([\d.]+) eV/A", halted)
    assert step is not None
    assert int(step[1]) < 3000
    assert float(step[2]) > 1.2 or float(step[3]) > 1.0
    assert "least certain atoms" in looked
    assert "config_type halted           1" in labelled
    assert labelled.count("run1/model.pt on halted.xyz") == again.count("run2/model.pt on halted.xyz") == 1
    assert "REF_forces (131)" in again
    assert (tmp_path / "run2" / "model.pt").exists()
    assert "lammps stopped at step" in harvested
    assert (tmp_path / "harvest" / "gpaw" / "0000" / "label.py").exists()


def test_properties(trained_model: Callable[[str], Path], commands: Template, tmp_path: Path) -> None:
    shutil.copy(trained_model("soap_linear"), tmp_path / "model.pt")
    relax, eos, elastic, phonons, defects, neb, md, melt, speed, python = run("properties", tmp_path, commands)
    assert "Li on Si, 8 sites" in defects
    assert "100000 atoms for 1 ns take" in speed
    assert "space group" in relax
    assert "no imaginary mode" in phonons
    assert "averages over the last" in md
    assert "melting point" in melt
    assert "forward barrier" in neb
    assert "K (Birch-Murnaghan)" in eos
    assert "stable against strain" in elastic
    assert python.count("GPa") == 3
    assert {"in.eos_diamond", "eos.png", "eos.json"} <= {file.name for file in (tmp_path / "eos").iterdir()}
    c11 = json.loads((tmp_path / "elastic" / "elastic.json").read_text())["structures"]["diamond"]["C11"]["lammps"]
    assert c11 == pytest.approx(151.4, abs=0.1), "as published for this potential"


def test_metadynamics(trained_model: Callable[[str], Path], commands: Template, tmp_path: Path) -> None:
    shutil.copy(trained_model("soap_linear"), tmp_path / "model.pt")
    errors: list[str] = []
    printed = run("metadynamics", tmp_path, commands, errors=errors)
    command, warm, hills, more, molecule, ase, colvars, surfaces, _ = printed
    assert "hills of 0.03 eV every 20 steps, sigma 0.1; well-tempered, biasfactor 10" in command
    assert "next: rhopot fes metad/HILLS --colvar metad/COLVAR --temperature 300" in command
    assert (tmp_path / "metad" / "in.metad").is_file()
    assert "next: rhopot fes warm/HILLS" in warm
    start, end = (ase_io.read(tmp_path / file) for file in ("equilibrated/trajectory_ase.extxyz", "warm.xyz"))
    assert start.get_momenta() == pytest.approx(end.get_momenta())
    assert "on 2 procs for 200 steps" in hills
    assert "continues with 10 hills" in more
    assert "on 2 procs for 200 steps" in more
    times = [line.split()[0] for line in (tmp_path / "HILLS").read_text().splitlines() if line[0] != "#"]
    assert [float(time) for time in times] == pytest.approx([0.02 * k for k in range(1, 21)])
    assert "for 100 steps" in molecule
    assert "eV at n =" in ase
    assert "Warning" not in errors[5], "nothing that ASE deprecates"
    assert colvars.count("on 2 procs for 200 steps") == 2
    assert "free energy of" in surfaces
    assert "weights exp(V / kT), V: E_opes_metad1" in surfaces


def test_collective_variables(commands: Template, tmp_path: Path) -> None:
    given, averages, fitted, combined, own, neighbors, python = run("collective_variables", tmp_path, commands)
    assert "phi (radian); atoms 1 2 3 4" in given
    assert "neighbors of Li, Si within 3.5 A" in averages
    assert "soap, held out" in fitted
    assert "note" not in fitted
    assert "distance (A), coordination" in combined
    assert "part 2: variable = coordination" in combined
    assert "rg (A)" in own
    assert "crowding" in neighbors
    assert "(2, 32, 3) (2, 3, 3)" in python
    written = {file.name for file in tmp_path.iterdir()}
    assert {"cv.pt", "cv.png", "values.txt", "order.pt", "polarization.pt", "height.pt", "gyration.pt"} <= written


def test_free_energies(commands: Template, tmp_path: Path) -> None:
    """The double well of the page has a barrier of 0.15 eV and two basins of the same free energy."""
    _, hills, errors, reweighted = run("free_energies", tmp_path, commands)
    assert "minus the sum of 2000 hills of well-tempered metadynamics with bias factor 9" in hills
    assert "bootstrap of blocks of" in errors
    assert "reweighted" in errors
    assert "F of basin (kJ/mol)" in reweighted
    found = json.loads((tmp_path / "well.json").read_text())
    assert found["basins"][1]["free_energy_ev"] == pytest.approx(0.0, abs=0.03)
    assert found["barriers"][0]["forward_ev"] == pytest.approx(0.15, abs=0.03)
