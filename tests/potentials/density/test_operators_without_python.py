"""The operators' gradients in a process without Python, as in LAMMPS: a C++ program on the installed library."""

import subprocess
import sys
from pathlib import Path

import pytest

from rhopot.potentials.operators import library_path

pytestmark = pytest.mark.slow

CMAKE = [sys.executable, "-m", "cmake"]
SOURCE = Path(__file__).parent / "without_python"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("without_python")
    options = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Debug"]
    subprocess.run([*CMAKE, "-S", str(SOURCE), "-B", str(build), *options], check=True, capture_output=True)
    subprocess.run([*CMAKE, "--build", str(build)], check=True, capture_output=True)
    return build / "operators_without_python"


def test_first_and_second_derivatives_by_finite_differences(program: Path) -> None:
    result = subprocess.run([str(program), str(library_path())], capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout + result.stderr
    assert lines[-1] == "all good"
    assert sum(line.startswith("ok") for line in lines) == 36


def test_a_missing_library_fails_the_program(program: Path) -> None:
    result = subprocess.run([str(program), "/nowhere/absent.so"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "absent.so" in result.stdout
