"""Labelled structures with known answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk

from rhopot.potentials.structures import Frame, FrameSet

Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write structures as extended XYZ and return the file."""

    def to_file(frames: list[ase.Atoms], name: str = "data.xyz") -> Path:
        path = tmp_path / name
        ase.io.write(path, frames, format="extxyz")
        return path

    return to_file


@pytest.fixture
def labelled() -> Callable[..., ase.Atoms]:
    """A rattled crystal with labels under REF_ names."""

    def make(seed: int = 0, **info: object) -> ase.Atoms:
        rng = np.random.default_rng(seed)
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.05, rng=rng)
        stress = rng.normal(size=(3, 3))
        atoms.info.update(REF_energy=-43.0 + rng.normal(), REF_stress=stress + stress.T, **info)
        atoms.arrays["REF_forces"] = rng.normal(size=(8, 3))
        return atoms

    return make


@pytest.fixture
def grouped() -> FrameSet:
    """Twelve groups of one to twelve frames."""
    frames = [Frame(bulk("Si"), group=f"path{size}", index=k) for size in range(1, 13) for k in range(size)]
    return FrameSet(tuple(frames))
