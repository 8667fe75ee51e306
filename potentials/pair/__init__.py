"""Pair baselines: energies of pairs subtracted before a fit and added by the model, so that atoms never fuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from torch import nn

from rhopot.potentials.pair.base import PairBaseline, SumOfPairs
from rhopot.potentials.pair.shortest import shortest_distances
from rhopot.potentials.pair.tabulated import TabulatedHypers, TabulatedPair, tabulated_pair
from rhopot.potentials.pair.two_body import TwoBodyHypers, fit_two_body
from rhopot.potentials.pair.words import describe_repulsion
from rhopot.potentials.pair.zbl import ZblHypers, ZblPair
from rhopot.potentials.structures.frames import Frame

__all__ = [
    "PairBaseline",
    "PairHypers",
    "SumOfPairs",
    "TabulatedHypers",
    "TabulatedPair",
    "TwoBodyHypers",
    "ZblHypers",
    "ZblPair",
    "build_pair",
    "complete_pair",
    "describe_repulsion",
    "fit_two_body",
    "pair_hypers",
    "shortest_distances",
]

PairHypers = Annotated[ZblHypers | TabulatedHypers | TwoBodyHypers, Field(discriminator="kind")]


def pair_hypers(settings: Mapping[str, Any]) -> ZblHypers | TabulatedHypers | TwoBodyHypers:
    """Settings with a `kind` (zbl, tabulated, two_body) as validated hyperparameters."""
    return TypeAdapter[ZblHypers | TabulatedHypers | TwoBodyHypers](PairHypers).validate_python(dict(settings))


def complete_pair(
    hypers: ZblHypers | TabulatedHypers | TwoBodyHypers,
    symbols: Sequence[str],
    shortest: Mapping[str, float],
    model_cutoff: float,
) -> ZblHypers | TabulatedHypers | TwoBodyHypers:
    """Settings with the distances of a zbl baseline that come from the training data (`shortest`, A by pair)."""
    return hypers.completed(symbols, shortest, model_cutoff) if isinstance(hypers, ZblHypers) else hypers


def build_pair(
    hypers: ZblHypers | TabulatedHypers | TwoBodyHypers,
    symbols: Sequence[str],
    frames: Iterable[Frame] = (),
    model_cutoff: float | None = None,
) -> nn.Module:
    """The pair baseline for elements `symbols`; `frames` are what a two_body baseline is fitted to.

    Raises ValueError when it reaches further than `model_cutoff` (A), whose edges are all it ever sees.
    """
    module: PairBaseline | SumOfPairs
    if isinstance(hypers, ZblHypers):
        module = ZblPair(symbols, hypers)
    elif isinstance(hypers, TabulatedHypers):
        module = tabulated_pair(hypers, symbols)
    else:
        module = fit_two_body(frames, symbols, hypers)
    if model_cutoff is not None and module.cutoff > model_cutoff:
        raise ValueError(
            f"baseline.pair must end within the model's cutoff ({model_cutoff} A), got {module.cutoff} A; "
            "shorten it or raise the descriptor's cutoff"
        )
    return module
