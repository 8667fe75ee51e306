"""Machine code of the kernels' innermost loops: moves, spills and shuffles per vector multiply-add.

    python examples/benchmarks/instructions.py [build/.../librhopot_operators.so] [--most 12] [--least 4]

Reads the machine code (by `objdump`) of every instruction set's copy of the kernels, finds the innermost loops, and
prints those with the most vector multiply-adds:

    multiply-adds   of whole vectors; without fused ones (baseline, x86-64) the additions of vectors
    loads, stores   of vectors, from and to memory beyond the stack frame, those of multiply-adds too
    moves           between vector registers
    spills          vectors written to the stack and read from it
    shuffles        permutations, insertions and extractions of lanes, broadcasts from a register

A product that is held in registers has none of the last three; packs wider than a register gave 293 moves and 32
insertions beside 30 multiply-adds. The installed library has no names: the program looks into the folder `build`.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rhopot.potentials.console import make_console, table

ROOT = Path(__file__).resolve().parents[2]
SETS = ("baseline", "v3", "v4")
KINDS = ("multiply-adds", "loads", "stores", "moves", "spills", "shuffles")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\S+)\s*([^#<]*)")
VECTOR = re.compile(r"%[xyz]mm\d+")
FUSED = re.compile(r"^vfn?m(add|sub)\d+p[sd]$")
ADDED = re.compile(r"^(add|sub)p[sd]$")
MOVED = re.compile(r"^v?mov(dq)?[au](p[sd]|64|32)?$")
SHUFFLED = re.compile(
    r"^v?(p?insr|p?extr|insert|extract|perm|p?shuf|p?unpck|broadcast|p?blend|mov[lh]|align|expand|compress)"
)


@dataclass(frozen=True)
class Loop:
    """An innermost loop: the function it stands in and the number of its instructions of each kind."""

    variant: str
    function: str
    counts: Counter[str]


def main(words: Sequence[str] | None = None) -> int:
    """Print the loops of every copy, and their sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("library", type=Path, nargs="?", help="librhopot_operators.so, not stripped")
    parser.add_argument("--most", type=int, default=12, help="loops printed of each instruction set")
    parser.add_argument("--least", type=int, default=4, help="multiply-adds of a loop that counts")
    options = parser.parse_args(words)
    if shutil.which("objdump") is None:
        parser.error("objdump must be installed (Debian: binutils)")
    library = options.library or newest_library()
    if library is None:
        parser.error("librhopot_operators.so must be in `build`, got none; build the project or name the file")
    console = make_console()
    found = [loop for loop in loops(library) if loop.counts["multiply-adds"] >= options.least]
    for variant in SETS:
        some = sorted((a for a in found if a.variant == variant), key=lambda a: -a.counts["multiply-adds"])
        if not some:
            continue
        rows = [row(loop.function, loop.counts) for loop in some[: options.most]]
        rows.append(row(f"all {len(some)} loops", sum((loop.counts for loop in some), Counter())))
        console.print(table(f"Innermost loops, {variant}", ("function", *KINDS, "overhead"), rows))
    console.print("overhead: moves, spills and shuffles per multiply-add")
    return 0


def row(name: str, counts: Counter[str]) -> list[str]:
    """A line of the table."""
    overhead = sum(counts[kind] for kind in ("moves", "spills", "shuffles")) / counts["multiply-adds"]
    return [name, *(str(counts[kind]) for kind in KINDS), f"{overhead:.2f}"]


def newest_library() -> Path | None:
    """The operators' library that was built last in this checkout, other than with sanitizers."""
    built = [file for file in (ROOT / "build").rglob("librhopot_operators.so") if "sanitize" not in file.parts]
    return max(built, key=lambda file: file.stat().st_mtime, default=None)


def loops(library: Path) -> Iterator[Loop]:
    """Innermost loops of all functions that exist once per instruction set."""
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name, lines in functions(text):
        variant = next((v for v in SETS if f"rhopot::{v}::" in name), None)
        if variant is not None:
            for body in innermost(lines):
                yield Loop(variant, short(name), counted(body))


def functions(text: str) -> Iterator[tuple[str, list[tuple[int, str, str]]]]:
    """Names and instructions (address, mnemonic, operands) of the functions of a disassembly."""
    name, lines = "", list[tuple[int, str, str]]()
    for line in text.splitlines():
        header = FUNCTION.match(line)
        if header:
            if lines:
                yield name, lines
            name, lines = header[1], []
            continue
        found = INSTRUCTION.match(line)
        if found:
            lines.append((int(found[1], 16), found[2], found[3].strip()))
    if lines:
        yield name, lines


def innermost(lines: list[tuple[int, str, str]]) -> Iterator[list[tuple[int, str, str]]]:
    """Bodies between a jump backwards and its target that hold no other such jump."""
    place = {address: k for k, (address, _, _) in enumerate(lines)}
    ranges = []
    for k, (address, mnemonic, operands) in enumerate(lines):
        target = int(operands.split()[0], 16) if mnemonic.startswith("j") and operands[:1].isalnum() else address + 1
        if target <= address and target in place:
            ranges.append((place[target], k))
    for first, last in ranges:
        if not any((a, b) != (first, last) and first <= a and b <= last for a, b in ranges):
            yield lines[first : last + 1]


def counted(body: list[tuple[int, str, str]]) -> Counter[str]:
    """Vector instructions of each kind in a loop."""
    counts: Counter[str] = Counter()
    fused = any(FUSED.match(mnemonic) for _, mnemonic, _ in body)
    for _, mnemonic, operands in body:
        if not VECTOR.search(operands):
            continue
        memory, stack = "(" in operands, "(%rsp" in operands or "(%rbp" in operands
        if FUSED.match(mnemonic) or (not fused and ADDED.match(mnemonic)):
            counts["multiply-adds"] += 1
        if SHUFFLED.match(mnemonic) and not (memory and "broadcast" in mnemonic):
            counts["shuffles"] += 1
        elif memory and stack:
            counts["spills"] += 1
        elif memory:
            counts["stores" if MOVED.match(mnemonic) and operands.endswith(")") else "loads"] += 1
        elif MOVED.match(mnemonic):
            counts["moves"] += 1
    return counts


def short(name: str) -> str:
    """A function's own name with its template arguments."""
    bare = re.sub(r"rhopot::(v3|v4|baseline)::|rhopot::|\(anonymous namespace\)::|^void ", "", name)
    return bare.split("(")[0]


if __name__ == "__main__":
    sys.exit(main())
