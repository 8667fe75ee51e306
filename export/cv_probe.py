"""Probes of collective variables: graphs and positions on which a file and its module are compared.

Numbers travel between processes in `.npz` files as they are in memory, so both see the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
import torch
from torch import Tensor

from rhopot.export.cv_card import CvCard
from rhopot.export.cv_evaluate import CvNumbers, differentiate, given_positions, given_rows, selected_edges
from rhopot.export.probe import TOLERANCES
from rhopot.potentials.graph.atomic_graph import AtomicGraph, as_graph
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.graph.species import species_indices

_RESULTS = ("values", "by_edges", "by_positions")
ROUNDING = {"float64": 1e-8, "float32": 1e-3}  # of values, relative to 1 + |value|


class CvProbe(NamedTuple):
    """A graph of all centers of a structure, and the positions (k, 3) of the given atoms."""

    graph: AtomicGraph
    positions: Tensor


def probe_of(card: CvCard, atoms: ase.Atoms, name: str) -> CvProbe:
    """The probe that a structure makes; `name` of the file stands in the error about missing atoms."""
    positions = torch.from_numpy(given_positions(atoms, given_rows(card, len(atoms), name), card.lists))
    if not card.reads_edges:
        return CvProbe(_no_edges(), positions)
    species = species_indices(atoms, card.symbols)
    edges = selected_edges(find_edges(atoms, card.cutoff), species, np.ones(len(atoms), dtype=bool))
    return CvProbe(as_graph(edges, torch.from_numpy(species.clip(min=0))), positions)


def default_probes(card: CvCard, count: int = 3) -> list[CvProbe]:
    """Random structures of the card's elements, with neighbors inside the cutoff, and a random chain of given atoms."""
    probes = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        graph = _no_edges()
        if card.reads_edges:
            n = 2 if len(card.symbols) <= 4 else 4
            atoms = ase.Atoms(f"H{n**3}", cell=np.full(3, 0.5 * n * card.cutoff), pbc=True)
            places = np.stack(np.meshgrid(*[np.arange(n)] * 3), axis=-1).reshape(-1, 3)
            atoms.positions = card.cutoff * (0.5 * places + rng.uniform(-0.1, 0.1, (n**3, 3)))
            atoms.symbols = rng.permutation(np.resize(card.symbols, n**3))
            graph = probe_of(card.model_copy(update={"atoms": ()}), atoms, "").graph
        steps = rng.standard_normal((len(card.atoms), 3))
        steps *= rng.uniform(1.0, 2.5, (len(steps), 1)) / np.linalg.norm(steps, axis=1, keepdims=True)
        probes.append(CvProbe(graph, torch.from_numpy(np.cumsum(steps, axis=0))))
    return probes


def _no_edges() -> AtomicGraph:
    """A graph without atoms."""
    none = torch.zeros(0, dtype=torch.int64)
    return AtomicGraph(torch.zeros((0, 3), dtype=torch.float64), torch.zeros(1, dtype=torch.int64), none, none, none)


def cv_results(card: CvCard, module: Any, probes: Sequence[CvProbe]) -> list[CvNumbers]:
    """Values and derivatives of the module on every probe."""
    return [differentiate(card, module, [probe.graph] if card.reads_edges else [], probe.positions) for probe in probes]


def require_contract(
    card: CvCard, module: Any, probes: Sequence[CvProbe], name: str, failure: type[ValueError] = ValueError
) -> None:
    """Raise `failure` for a module without the method `finish`, or whose outputs have not the shape of the contract."""
    if not callable(getattr(module, "finish", None)):
        raise failure(
            f"module of '{name}' must have a method 'finish', got none; see the contract in rhopot.export.cv_card"
        )
    probe = probes[0]
    with torch.no_grad():
        sums = torch.zeros([0], dtype=torch.float64)
        if card.reads_edges:
            contributions = module(*probe.graph)
            _require_shape(contributions, (len(probe.graph.centre), card.n_sums), "forward", name, failure)
            sums = contributions.sum(dim=0)
        values = module.finish(sums, probe.positions)
    _require_shape(values, (card.n_components,), "finish", name, failure)


def require_invariance(card: CvCard, module: Any, probes: Sequence[CvProbe], name: str) -> None:
    """Raise ValueError for values that change when all given atoms move together.

    Of the first atom an image is given that periodic boundaries may change in any step: such values would jump.
    """
    if not card.atoms:
        return
    shift = torch.tensor([0.7, -0.4, 0.9], dtype=torch.float64)
    for probe in probes:
        with torch.no_grad():
            sums = module(*probe.graph).sum(dim=0) if card.reads_edges else torch.zeros([0], dtype=torch.float64)
            here, there = (module.finish(sums, probe.positions + by) for by in (0.0, shift))
        limit = ROUNDING[card.dtype] * (1.0 + here.abs())
        for k, variable in enumerate(card.names):
            if float((there - here).abs()[k]) > float(limit[k]):
                raise ValueError(
                    f"'{variable}' in '{name}' must not change when all atoms move together, got {float(here[k]):.6g} "
                    f"and {float(there[k]):.6g}; use differences of positions, such as those from the first atom"
                )


def _require_shape(output: Any, shape: tuple[int, ...], method: str, name: str, failure: type[ValueError]) -> None:
    """Raise `failure` for an output that is no float64 tensor of a shape."""
    if not isinstance(output, Tensor) or tuple(output.shape) != shape or output.dtype != torch.float64:
        found = (
            f"{output.dtype} of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        )
        raise failure(
            f"{method} of '{name}' must return float64 of shape {shape}, got {found}; see the contract in "
            "rhopot.export.cv_card"
        )


def require_dependence(card: CvCard, results: Sequence[CvNumbers], name: str) -> None:
    """Raise ValueError for derivatives that are not finite, or all zero, as those of detached tensors are."""
    for k, variable in enumerate(card.names):
        parts = [part[k] for result in results for part in (*result.by_edges, result.by_positions)]
        largest = max((float(part.abs().max()) for part in parts if part.numel()), default=0.0)
        if not all(bool(torch.isfinite(part).all()) for part in parts):
            raise ValueError(
                f"derivatives of '{variable}' in '{name}' must be finite, got NaN or infinity; "
                "guard square roots and divisions in its module"
            )
        if largest == 0.0:
            raise ValueError(
                f"'{variable}' in '{name}' must depend on positions, got derivatives that are all zero; "
                "do not detach tensors in its module, and probe with structures that it distinguishes"
            )


def write_probes(probes: Sequence[CvProbe], path: Path) -> None:
    """Store probes."""
    arrays: dict[str, Any] = {"n": np.array(len(probes))}
    for k, probe in enumerate(probes):
        arrays[f"positions_{k}"] = probe.positions.numpy()
        arrays |= {f"{name}_{k}": part.numpy() for name, part in probe.graph._asdict().items()}
    np.savez(path, **arrays)


def read_probes(path: Path) -> list[CvProbe]:
    """The probes that `write_probes` stored."""
    with np.load(path) as stored:
        return [
            CvProbe(
                AtomicGraph(*(torch.from_numpy(stored[f"{name}_{k}"]) for name in AtomicGraph._fields)),
                torch.from_numpy(stored[f"positions_{k}"]),
            )
            for k in range(int(stored["n"]))
        ]


def _arrays(result: CvNumbers) -> dict[str, np.ndarray]:
    """What is compared of a result."""
    by_edges = torch.cat(result.by_edges, dim=1) if result.by_edges else torch.zeros([0])
    return dict(zip(_RESULTS, (part.numpy() for part in (result.values, by_edges, result.by_positions)), strict=True))


def write_results(results: Sequence[CvNumbers], path: Path) -> None:
    """Store what is compared of each result."""
    arrays: dict[str, Any] = {
        f"{name}_{k}": part for k, result in enumerate(results) for name, part in _arrays(result).items()
    }
    np.savez(path, **arrays)


def differences(card: CvCard, expected: Sequence[CvNumbers], path: Path) -> list[str]:
    """Sentences on every result in a file that differs from the expected one by more than the dtype allows."""
    tolerance = TOLERANCES[card.dtype]
    sentences = []
    with np.load(path) as stored:
        for k, result in enumerate(expected):
            for name, value in _arrays(result).items():
                if value.size == 0:
                    continue
                error = float(np.abs(stored[f"{name}_{k}"] - value).max())
                allowed = tolerance * (1.0 + float(np.abs(value).max()))
                if not error <= allowed:
                    sentences.append(f"probe {k} differs in {name} by {error:.2e} (allowed {allowed:.2e})")
    return sentences
