"""The structures of the study: relaxation paths that models are fitted to, three tasks that they are not, and folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rhopot.potentials.structures import Frame, FrameSet, read_frames

DATA = Path(__file__).resolve().parents[1] / "data"
SYMBOLS = ("Li", "Si")
RELAXATION = "relaxation"
TASKS = ("migration", "tiled", "strained")
TITLES = {
    "relaxation": "Relaxation paths",
    "migration": "Migration of lithium",
    "tiled": "Large states (2x1x1)",
    "strained": "Bulk modulus states",
}
FOLDS = 5


def load() -> dict[str, FrameSet]:
    """The frames of every part by name; tasks whose reference energies are not there are left out."""
    parts = {RELAXATION: read_frames([str(DATA / "lisi_gpaw")], group_key="path")}
    for task in TASKS:
        file = DATA / "lisi_gpaw_extrapolation" / f"{task}.xyz"
        if file.exists():
            parts[task] = read_frames([str(file)], group_key="path")
    return parts


def paths(frames: FrameSet) -> list[str]:
    """Names of the paths by rising share of lithium."""
    share: dict[str, float] = {}
    for frame in frames:
        share[str(frame.group)] = float(np.mean(frame.atoms.numbers == 3))
    return sorted(share, key=lambda name: (share[name], name))


def folds(frames: FrameSet) -> list[set[str]]:
    """Five sets of paths to test on; neighbours in composition go to different folds, so that all folds are alike."""
    random = np.random.default_rng(0)
    parts: list[set[str]] = [set() for _ in range(FOLDS)]
    names = paths(frames)
    for start in range(0, len(names), FOLDS):
        block = names[start : start + FOLDS]
        for fold, name in zip(random.permutation(FOLDS), block, strict=False):
            parts[fold].add(name)
    return parts


def per_atom(frames: FrameSet | list[Frame]) -> np.ndarray:
    """Energies (n) in eV per atom."""
    return np.array([float(frame.energy or 0.0) / len(frame) for frame in frames])
