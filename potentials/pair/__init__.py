"""Pair baselines: energies of pairs subtracted before a fit and added by the model, so that atoms never fuse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from torch import nn

from rhopot.potentials.pair.base import PairBaseline, SumOfPairs
from rhopot.potentials.pair.describe import describe_repulsion
from rhopot.potentials.pair.shortest import pair_too_close, shortest_distances
from rhopot.potentials.pair.tabulated import TabulatedPair, TabulatedSettings, tabulated_pair
from rhopot.potentials.pair.two_body import TwoBodySettings, fit_two_body
from rhopot.potentials.pair.zbl import ZblPair, ZblSettings
from rhopot.potentials.structures.frames import Frame

__all__ = [
    "PairBaseline",
    "PairSettings",
    "SumOfPairs",
    "TabulatedPair",
    "TabulatedSettings",
    "TwoBodySettings",
    "ZblPair",
    "ZblSettings",
    "build_pair",
    "complete_pair",
    "describe_repulsion",
    "fit_two_body",
    "pair_settings",
    "pair_too_close",
    "shortest_distances",
]

PairSettings = Annotated[ZblSettings | TabulatedSettings | TwoBodySettings, Field(discriminator="kind")]


def pair_settings(settings: Mapping[str, Any]) -> ZblSettings | TabulatedSettings | TwoBodySettings:
    """Settings with a `kind` (zbl, tabulated, two_body) as validated hyperparameters."""
    return TypeAdapter[ZblSettings | TabulatedSettings | TwoBodySettings](PairSettings).validate_python(dict(settings))


def complete_pair(
    settings: ZblSettings | TabulatedSettings | TwoBodySettings,
    symbols: Sequence[str],
    shortest: Mapping[str, float],
    model_cutoff: float,
) -> ZblSettings | TabulatedSettings | TwoBodySettings:
    """Settings with the distances of a zbl baseline that come from the training data (`shortest`, A by pair)."""
    return settings.completed(symbols, shortest, model_cutoff) if isinstance(settings, ZblSettings) else settings


def build_pair(
    settings: ZblSettings | TabulatedSettings | TwoBodySettings,
    symbols: Sequence[str],
    frames: Iterable[Frame] = (),
    model_cutoff: float | None = None,
) -> nn.Module:
    """The pair baseline for elements `symbols`; `frames` are what a two_body baseline is fitted to.

    Raises ValueError when it reaches further than `model_cutoff` (A), whose edges are all it ever sees.
    """
    module: PairBaseline | SumOfPairs
    if isinstance(settings, ZblSettings):
        module = ZblPair(symbols, settings)
    elif isinstance(settings, TabulatedSettings):
        module = tabulated_pair(settings, symbols)
    else:
        module = fit_two_body(frames, symbols, settings)
    if model_cutoff is not None and module.cutoff > model_cutoff:
        raise ValueError(
            f"baseline.pair must end within the model's cutoff ({model_cutoff} A), got {module.cutoff} A; "
            "shorten it or raise the descriptor's cutoff"
        )
    return module
