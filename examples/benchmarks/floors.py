"""Two floors under the time per atom: arithmetic and memory traffic, against this machine's own measured peaks.

    python examples/benchmarks/floors.py [--neighbours 28] [--sparse 1000]

Multiply-adds per atom of a SOAP model with Q radial functions, M = (L+1)^2 harmonics and E neighbours:

    splines     12 (L+1) Q E      value and slope from six rows of the table
    harmonics   about 10 M E      recurrences, gradient
    expansion   Q M E
    adjoint     2 Q M E           with the radial functions and with their slopes
    linear      Q^2 M             the product with the weights; for a kernel: 2 F S with S sparse points, F features,
                                  and splines, harmonics and expansion once more

Bytes per atom: what is not in a cache when it is needed. Edges pass once in and once out; the rows of the spline table
come from the second-level cache; the sparse points stream once forwards and once backwards per 64 atoms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch
from measure import machine

from rhopot.potentials.commands.console import make_console, table

# Atoms for which the sparse points are read once.
ATOMS_PER_PASS = 64


def main(words: Sequence[str] | None = None) -> None:
    """Measure peaks, count, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--neighbours", type=int, default=28, help="per atom; 28 in the silicon crystal within 5 A")
    parser.add_argument("--n-max", type=int, default=8)
    parser.add_argument("--l-max", type=int, default=6)
    parser.add_argument("--sparse", type=int, default=1000)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    peaks = {dtype: product_rate(dtype) for dtype in (torch.float64, torch.float32)}
    near, far = copy_rate(2**18), copy_rate(2**27)
    rows = []
    for name, flops, traffic, streamed in counts(options):
        for dtype, peak in peaks.items():
            size = torch.finfo(dtype).bits / 64
            arithmetic, bytes_ = 1e6 * flops / peak, 1e6 * size * (traffic / near + streamed / far)
            kind = str(dtype).removeprefix("torch.")
            rows.append([f"{name}, {kind}", f"{flops / 1e3:.0f}", f"{arithmetic:.2f}", f"{bytes_:.2f}"])
    console = make_console()
    console.print(table("Floors", ("", "kFLOP/atom", "arithmetic us/atom", "memory us/atom"), rows))
    rates = ", ".join(f"{kind}: {1e-9 * rate:.0f} GFLOP/s" for kind, rate in peaks.items())
    console.print(
        f"matrix products, one core: {rates}; copies: {1e-9 * near:.0f} GB/s in cache, {1e-9 * far:.0f} GB/s beyond"
    )
    console.print(machine())


def counts(options: argparse.Namespace) -> list[tuple[str, float, float, float]]:
    """(model, FLOP, bytes from the cache, bytes from memory) per atom, in float64."""
    q, degrees, e = options.n_max, options.l_max + 1, options.neighbours
    m = degrees * degrees
    forward = e * (12 * degrees * q + 10 * m + q * m)
    linear = forward + 2 * q * m * e + q * q * m
    features = q * (q + 1) // 2 * degrees
    kernel = 2 * forward + 2 * q * m * e + 2 * q * q * m + 2 * features * options.sparse
    rows_of_table = 8.0 * e * 6 * degrees * q
    edges = 8.0 * e * (3 + 1 + 3)
    points = 2 * 8.0 * features * options.sparse / ATOMS_PER_PASS
    return [
        ("linear", 2.0 * linear, rows_of_table, edges),
        ("GAP", 2.0 * kernel, 2 * rows_of_table + points, edges),
    ]


def product_rate(dtype: torch.dtype) -> float:
    """FLOP/s of the best matrix product."""
    size = 512
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    out = torch.empty_like(a)
    return 2.0 * size**3 / best(lambda: torch.mm(a, b, out=out), 5)


def copy_rate(n_bytes: int) -> float:
    """Bytes per second read while copying a block of that size."""
    source = torch.ones(n_bytes // 8, dtype=torch.float64)
    target = torch.empty_like(source)
    repeats = max(1, 2**27 // n_bytes)

    def copies() -> None:
        for _ in range(repeats):
            target.copy_(source)

    return repeats * n_bytes / best(copies, 5)


def best(work: Callable[[], object], repeats: int) -> float:
    """Least CPU time of several calls in s."""
    times = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times[1:])


if __name__ == "__main__":
    main()
