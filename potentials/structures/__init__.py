"""Labelled structures: reading, checking, splitting, and the composition baseline of their energies."""

from rhopot.potentials.structures.composition import (
    CompositionBaseline,
    explicit_baseline,
    fit_baseline,
    isolated_atoms_baseline,
)
from rhopot.potentials.structures.findings import DataFinding
from rhopot.potentials.structures.frames import DataError, Frame, FrameSet, naming
from rhopot.potentials.structures.keys import AUTO, UNLABELLED, Keys
from rhopot.potentials.structures.lint import lint
from rhopot.potentials.structures.read import inspect_frames, read_frames
from rhopot.potentials.structures.split import fold_numbers, k_fold_groups, split_fraction, split_groups

__all__ = [
    "AUTO",
    "UNLABELLED",
    "CompositionBaseline",
    "DataError",
    "DataFinding",
    "Frame",
    "FrameSet",
    "Keys",
    "explicit_baseline",
    "fit_baseline",
    "fold_numbers",
    "inspect_frames",
    "isolated_atoms_baseline",
    "k_fold_groups",
    "lint",
    "naming",
    "read_frames",
    "split_fraction",
    "split_groups",
]
