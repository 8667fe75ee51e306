"""Number of features and time of a step against the number of elements: separate, pseudo-species and optimal channels.

    python examples/benchmarks/elements.py [--elements 1 2 4 8] [--cells 3] [--repeats 7]

Linear models with random weights: the power spectrum of `soap_linear` with channels of each element, the same with two
pseudo-species, and `multispectrum`, whose contraction mixes elements, all with the settings of their families. One
evaluation is that of energies and gradient in this process, one thread, on a rattled diamond lattice whose sites are
occupied at random; processor times, medians of interleaved runs, and their ratio to one element.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import ase
import numpy as np
import torch
from ase.build import bulk
from measure import arguments, machine, verdict
from torch import nn

from rhopot.potentials.console import make_console, table
from rhopot.potentials.families import find_family
from rhopot.potentials.graph.atomic_graph import AtomicGraph, graphs

SYMBOLS = ("Si", "Ge", "Al", "P", "Ga", "As", "C", "B")
GOAL, GOAL_ELEMENTS = 1.5, 4
MODELS = {
    "power spectrum, separate": ("soap_linear", {}),
    "power spectrum, 2 pseudo-species": ("soap_linear", {"species_mode": "mixed", "n_pseudo": 2}),
    "multispectrum": ("multispectrum", {}),
}


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--elements", type=int, nargs="+", default=[1, 2, 3, 4, 6, 8], help=f"up to {len(SYMBOLS)}")
    parser.add_argument("--cells", type=int, default=3, help="cubic cells along each direction (8 atoms each)")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    rows = []
    cases = {
        (name, n): case(family, changes, alloy(n, options.cells), SYMBOLS[:n])
        for name, (family, changes) in MODELS.items()
        for n in options.elements
    }
    times: dict[tuple[str, int], list[float]] = {key: [] for key in cases}
    for turn in range(options.repeats + 1):
        for key, (descriptor, graph, weights) in cases.items():
            seconds = step(descriptor, graph, weights)
            if turn > 0:  # the first one warms up
                times[key].append(seconds)
    for (name, n), (descriptor, graph, _) in cases.items():
        microseconds, one = (1e6 * float(np.median(times[name, k])) for k in (n, options.elements[0]))
        ratio = microseconds / one
        goal = verdict(ratio, GOAL) if name == "multispectrum" and n == GOAL_ELEMENTS else ""
        cost = f"{microseconds / len(graph.centre):.1f}"
        rows.append([name, f"{n}", f"{descriptor.n_features}", cost, f"{ratio:.2f}", goal])
    columns = ("model", "elements", "features", "us/atom", f"to {options.elements[0]}", "must reach")
    console = make_console()
    console.print(table(f"{8 * options.cells**3} atoms, {options.repeats} interleaved runs", columns, rows))
    console.print(machine())


def alloy(n_elements: int, cells: int) -> ase.Atoms:
    """A rattled diamond lattice occupied by the first elements at random."""
    atoms = bulk("Si", cubic=True) * (cells, cells, cells)
    random = np.random.default_rng(0)
    atoms.set_chemical_symbols(random.choice(SYMBOLS[:n_elements], len(atoms)))
    atoms.positions += random.normal(0.0, 0.1, atoms.positions.shape)
    return atoms


def case(
    family: str, changes: dict[str, object], atoms: ase.Atoms, symbols: Sequence[str]
) -> tuple[nn.Module, AtomicGraph, torch.Tensor]:
    """Descriptor with the family's settings, the graph of the structure, and random weights of one linear model."""
    found = find_family(family)
    settings = found.descriptor_settings.model_validate({**found.defaults["descriptor"], **changes})
    descriptor = found.descriptor_for(settings, [atoms], symbols)
    (graph,) = graphs(atoms, symbols, descriptor.cutoff, 10**9)
    generator = torch.Generator().manual_seed(0)
    shape = (len(symbols), descriptor.n_features, 1)
    return descriptor, graph, torch.randn(shape, generator=generator, dtype=torch.float64)


def step(descriptor: nn.Module, graph: AtomicGraph, weights: torch.Tensor) -> float:
    """Processor time in s of energies and their gradient."""
    vectors = graph.edge_vectors.clone().requires_grad_()
    begin = time.process_time()
    energies = descriptor.linear(graph._replace(edge_vectors=vectors), weights, False)
    torch.autograd.grad(energies.sum(), vectors)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
