"""Elements and cutoffs of collective variables, checked, and masks of elements for TorchScript modules."""

import math
from collections.abc import Sequence

import torch
from ase.data import atomic_numbers
from torch import Tensor


def union(*groups: Sequence[str]) -> tuple[str, ...]:
    """Return the elements of all groups, each once, in the order of their first appearance.

    Raises:
        ValueError: an empty group, or what is not a chemical symbol.
    """
    for group in groups:
        unknown = [symbol for symbol in group if atomic_numbers.get(symbol, 0) < 1]
        if unknown or not group:
            raise ValueError(
                f"elements must be chemical symbols, got {', '.join(unknown) or 'none'}; write for instance Li or Si"
            )
    return tuple(dict.fromkeys(symbol for group in groups for symbol in group))


def checked_cutoff(cutoff: float, width: float) -> None:
    """Refuse a cutoff that is not positive and a width outside (0, cutoff], both in A."""
    if not (math.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"cutoff must be a positive length in A, got {cutoff:g}; give one beyond the first neighbors")
    if not 0 < width <= cutoff:
        raise ValueError(
            f"width must be a positive length in A up to the cutoff ({cutoff:g}), got {width:g}; neighbors are "
            "switched off between cutoff - width and cutoff"
        )


def member_mask(symbols: Sequence[str], members: Sequence[str]) -> Tensor:
    """Return 1 for the symbols that are members and 0 for others: (A,) float64."""
    return torch.tensor([float(symbol in members) for symbol in symbols], dtype=torch.float64)
