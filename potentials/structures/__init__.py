"""Labelled structures: reading, checking, splitting, and the composition baseline of their energies."""

from rhopot.potentials.structures.frames import DataError, Frame, FrameSet
from rhopot.potentials.structures.read import AUTO, Keys, read_frames

__all__ = ["AUTO", "DataError", "Frame", "FrameSet", "Keys", "read_frames"]
