"""The cost of a model: processor time of energies and forces, measured.

What is timed is one call of the compiled model with the gradient in all edge vectors, of a structure of some hundred
atoms whose neighbors are known. That is a step of dynamics in LAMMPS on one core but for the neighbor list, the time
integration and the communication, and takes a tenth to a fifth longer (`examples/benchmarks/tuned_cost.py`). ASE, which
assembles the results in Python, takes some microseconds more. Global models are evaluated as in ASE. Torch works with
one thread, and the time is the processor's, of all threads of this process.

On a machine that does other things too, processor time varies all the same, by a factor of two where two programs share
a core. Evaluations therefore alternate with those of a reference: a fixed SOAP power spectrum with its gradient, of a
silicon crystal. Both suffer alike, and their ratio varies by a few percent where the times vary by a half:

    cost = median(t_model / t_reference) * t_0,    all times per atom

with t_0 the least time of the reference in all trials, that of the machine at its least disturbed. It is the same for
all models, so only a budget depends on it.

The structure is a frame of the data, of all elements (or most of them) and of median density, repeated to `ATOMS`
atoms and rattled; a frame without periodic directions stays as it is. It is the same for all models of one data set.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk

from rhopot.export import LoadedModel, evaluate, script
from rhopot.export.local_models import MAX_EDGES
from rhopot.potentials import operators
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.graph.atomic_graph import as_graph, species_of
from rhopot.potentials.graph.neighbours import Edges, find_edges
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.prototypes import enlarged

ATOMS = {"local": 256, "global": 32}  # a global model takes a second where a local one takes a millisecond
RATTLE = 0.05  # A
REFERENCE = {"cutoff": 5.0, "n_max": 6, "l_max": 6, "symbols": ("Si",)}
SAMPLES = 15
SAMPLE_SECONDS = 0.02
WARM_UP = 3
TIMED = "processor time of energies and forces of the compiled model in this process, one thread, neighbors known"


@dataclass(frozen=True)
class Cost:
    """Cost of a model relative to the reference: median and quartiles of t_model / t_reference, times per atom.

    measured_microseconds, reference_microseconds: medians of both times, per atom; reference_least: least of the latter
    neighbors: mean number of neighbors of an atom within the cutoff
    """

    ratio: float
    quartiles: tuple[float, float]
    measured_microseconds: float
    reference_microseconds: float
    reference_least: float
    n_atoms: int
    neighbors: float


def timed_structure(frames: Sequence[Frame], kind: str) -> Atoms:
    """Return the structure that models of the data are timed on (see the module); kind: that of the family."""
    most = max(len(set(frame.atoms.symbols)) for frame in frames)
    usable = [frame for frame in frames if len(set(frame.atoms.symbols)) == most]
    chosen = sorted(usable, key=_density)[len(usable) // 2].atoms
    atoms = enlarged(chosen, ATOMS[kind])
    atoms.positions += np.random.default_rng(0).normal(0.0, RATTLE, atoms.positions.shape)
    return atoms


def _density(frame: Frame) -> tuple[bool, float, int]:
    """Order of frames: the fully periodic ones last and by their density, others by their size."""
    if frame.atoms.pbc.all():
        return True, len(frame) / frame.atoms.get_volume(), len(frame)
    return False, float(len(frame)), len(frame)


def measure_cost(model: LoadedModel, atoms: Atoms) -> Cost:
    """Return the cost of a fitted model on a structure of its elements."""
    neighbors = 0.0
    with _one_thread():
        model = replace(model, module=script.compile_module(model.module))
        if model.card.kind == "local":
            edges = find_edges(atoms, model.card.cutoff)
            neighbors = edges.n_edges / len(atoms)
            call: Callable[[], Any] = partial(_energies_and_gradient, model, atoms, edges)
        else:
            call = partial(evaluate, model, [atoms])
        reference, n_reference = _reference()
        ours, theirs = _interleaved(call, reference)
    per_atom, of_reference = 1e6 * ours / len(atoms), 1e6 * theirs / n_reference
    ratios = per_atom / of_reference
    low, middle, high = (float(value) for value in np.quantile(ratios, (0.25, 0.5, 0.75)))
    return Cost(
        ratio=middle,
        quartiles=(low, high),
        measured_microseconds=float(np.median(per_atom)),
        reference_microseconds=float(np.median(of_reference)),
        reference_least=float(of_reference.min()),
        n_atoms=len(atoms),
        neighbors=neighbors,
    )


def _energies_and_gradient(model: LoadedModel, atoms: Atoms, edges: Edges) -> None:
    """Call a local model, in the batches and with the inputs of its contract (`rhopot.export.local_models`)."""
    species = torch.as_tensor(species_of(atoms, model.card.symbols))
    with script.plain_execution():
        for batch in edges.batches(MAX_EDGES["cpu"]):
            vectors = torch.from_numpy(batch.vectors).requires_grad_()
            indices = (torch.from_numpy(part) for part in (batch.first_edge, batch.neighbour, batch.centre))
            output = model.module(vectors, *indices, species, False)
            if output.requires_grad:
                torch.autograd.grad(output[:, 0].sum(), vectors)


def _interleaved(*calls: Callable[[], Any]) -> tuple[np.ndarray, ...]:
    """Processor times in s of one call of each, (SAMPLES,), measured in turn after a warm-up."""
    for call in calls:
        for _ in range(WARM_UP):
            call()
    repeats = [max(1, round(SAMPLE_SECONDS / max(_seconds(call, 1), 1e-6))) for call in calls]
    times = [[_seconds(call, n) for call, n in zip(calls, repeats, strict=True)] for _ in range(SAMPLES)]
    return tuple(np.array(times).T)


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    """Processor time of a call in s; autograd works in a thread of its own, so that of the whole process counts."""
    begin = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - begin) / repeats


@cache
def _reference() -> tuple[Callable[[], Any], int]:
    """A fixed piece of work of the same kind, and its number of atoms."""
    operators.load()
    atoms = bulk("Si", cubic=True) * (3, 3, 3)
    atoms.rattle(RATTLE, seed=0)
    descriptor = SoapPowerSpectrum(SoapSettings.model_validate(REFERENCE))
    graph = as_graph(find_edges(atoms, 5.0), species_of(atoms, ("Si",)))

    def work() -> None:
        vectors = graph.edge_vectors.detach().requires_grad_()
        torch.autograd.grad(descriptor(graph._replace(edge_vectors=vectors)).sum(), vectors)

    return work, len(atoms)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def processor() -> str:
    """Name of the processor, which costs belong to."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
