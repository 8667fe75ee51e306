"""What the compiler made of the kernels: packs as wide as the registers, neither split nor spilled without need."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
OVERHEAD = ("moves", "spills", "shuffles")


@pytest.fixture(scope="module")
def instructions() -> ModuleType:
    """The program that prints them."""
    folder = ROOT / "examples" / "benchmarks"
    spec = importlib.util.spec_from_file_location("instructions", folder / "instructions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_loops_of_a_disassembly(instructions: ModuleType) -> None:
    """The inner of two loops, its instructions by kind, and the name of its function."""
    text = """
0000000000000010 <void rhopot::v3::(anonymous namespace)::product<double>(long)>:
      10:\txor    %eax,%eax
      12:\tvmovapd %ymm1,%ymm2
      14:\tvbroadcastsd (%rdi),%ymm0
      18:\tvfmadd231pd (%rsi),%ymm0,%ymm1
      1c:\tvmovapd %ymm1,-0x20(%rsp)
      20:\tvpermpd $0x1b,%ymm1,%ymm3
      24:\tvmovupd %ymm3,(%rdx)
      28:\tjne    14 <product+0x4>
      2a:\tjmp    12 <product+0x2>
"""
    ((name, lines),) = instructions.functions(text)
    (body,) = instructions.innermost(lines)
    assert instructions.short(name) == "product<double>"
    expected = {"multiply-adds": 1, "loads": 2, "stores": 1, "spills": 1, "shuffles": 1}
    assert instructions.counted(body) == Counter(expected)


@pytest.mark.skipif(
    shutil.which("objdump") is None or platform.machine() != "x86_64",
    reason="needs objdump (Debian: binutils) and an x86-64 processor",
)
def test_every_copy_keeps_its_packs_in_registers(instructions: ModuleType) -> None:
    """Less than two moves, spills and shuffles for a multiply-add; packs wider than the registers gave four to six."""
    library = instructions.newest_library()
    assert library is not None, "the build folder of this checkout holds no library"
    found = [loop for loop in instructions.loops(library) if loop.counts["multiply-adds"] >= 4]
    for variant in {loop.variant for loop in found}:
        total: Counter[str] = sum((loop.counts for loop in found if loop.variant == variant), Counter())
        assert total["multiply-adds"] > 1000
        assert sum(total[kind] for kind in OVERHEAD) < 2.0 * total["multiply-adds"], variant
