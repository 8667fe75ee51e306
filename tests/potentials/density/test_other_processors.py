"""Kernels for processors that are not at hand: compiled by Debian's cross compiler, with vectors of their own width."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
COMPILER, DISASSEMBLER = "aarch64-linux-gnu-g++", "aarch64-linux-gnu-objdump"


def sources() -> list[Path]:
    """Files that exist once per instruction set, as the build lists them."""
    found = []
    for file in sorted((ROOT / "potentials").rglob("CMakeLists.txt")):
        for names in re.findall(r"^rhopot_kernels\(\w+ ([^)]*)\)", file.read_text(encoding="utf-8"), re.MULTILINE):
            found += [file.parent / name for name in names.split()]
    return found


def test_sources_are_those_of_the_build() -> None:
    assert {file.parent.parent.name for file in sources()} == {
        "density",
        "soap",
        "gmp",
        "symmetry_functions",
        "multispectrum",
        "scattering",
        "models",
        "angular",
    }
    assert all(file.exists() for file in sources())


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"needs {COMPILER} (Debian: g++-aarch64-linux-gnu)")
@pytest.mark.parametrize("source", sources(), ids=lambda file: f"{file.parent.parent.name}/{file.name}")
def test_kernels_compile_for_aarch64(source: Path, tmp_path: Path) -> None:
    """The baseline copy, with multiply-adds of two doubles in one register."""
    words = [
        "-std=c++20",
        "-O2",
        "-ffp-contract=fast",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-DRHOPOT_VARIANT=baseline",
    ]
    object_file = tmp_path / "kernels.o"
    subprocess.run(
        [COMPILER, *words, f"-I{ROOT / 'potentials'}", "-c", str(source), "-o", str(object_file)], check=True
    )
    text = subprocess.run([DISASSEMBLER, "-d", str(object_file)], capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"\bfmla\s+v\d+\.2d", text)) > 10
