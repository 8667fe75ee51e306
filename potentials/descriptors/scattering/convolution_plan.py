"""Convolutions needed for a set of paths: one block per first wavelet, nothing that no path needs.

A block is one wavelet (n1, l1) at one scale j1: the moduli of all channels that need it, their integrals, and the
second wavelets that follow. Blocks are independent of each other, which bounds the memory of gradients and is the unit
of sharing between processes.

A block's moduli stand on the grid of its own scale, or on that of the finest scale that may follow it (j1 - scale_lag),
because a finer second wavelet sees finer detail of the modulus than the first field has. This depends on the settings
alone: a path's value is the same whichever other paths are evaluated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rhopot.potentials.descriptors.scattering.paths import WaveletPath, second_scales
from rhopot.potentials.descriptors.scattering.scattering_settings import ScatteringSettings


@dataclass(frozen=True)
class SecondOrder:
    """A second wavelet: index into `settings.wavelets`, index into `settings.scales`, rows of the block's channels."""

    wavelet: int
    scale: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class ScaleBlock:
    """A first wavelet, the scale whose grid its moduli stand on, its channels, and what follows."""

    wavelet: int
    scale: int
    level: int
    channels: tuple[int, ...]
    integrate: bool
    seconds: tuple[SecondOrder, ...]


@dataclass(frozen=True)
class ConvolutionPlan:
    """Blocks to compute, and for each path its place among all `size` numbers in the order in which they appear.

    Order of appearance: bias, zeroth order (channel > q), then per block the first order (channel > q) if integrated
    and each second (channel > q).
    """

    blocks: tuple[ScaleBlock, ...]
    places: tuple[int, ...]
    size: int


def block_level(settings: ScatteringSettings, scale: float) -> int:
    """Return the index of the scale whose grid holds the moduli of first scale j1 = `scale`."""
    finest = scale if settings.max_order < 2 else min(scale, *second_scales(settings, scale))
    return settings.scales.index(finest)


def make_convolution_plan(settings: ScatteringSettings, paths: Sequence[WaveletPath]) -> ConvolutionPlan:
    """Return the plan of `paths`, which must be among `all_paths(settings)`."""
    wavelets, scales = list(settings.wavelets), list(settings.scales)
    channels = {name: k for k, name in enumerate(settings.channel_table)}
    needed: dict[tuple[int, int], dict[tuple[int, int] | None, set[int]]] = {}
    for path in paths:
        if path.order >= 1:
            first, second = _wavelet(path, wavelets, scales, 1), _wavelet(path, wavelets, scales, 2)
            assert first is not None
            needed.setdefault(first, {}).setdefault(second, set()).add(channels[str(path.channel)])
    blocks = tuple(_block(settings, first, needed[first]) for first in sorted(needed))
    place = _places(blocks, len(channels), len(settings.powers))
    size = 1 + len(settings.powers) * len(place)
    keys = []
    for path in paths:
        if path.order < 0:
            keys.append(0)
            continue
        assert path.q is not None
        first, second = _wavelet(path, wavelets, scales, 1), _wavelet(path, wavelets, scales, 2)
        keys.append(place[first, second, channels[str(path.channel)]] + settings.powers.index(path.q))
    return ConvolutionPlan(blocks, tuple(keys), size)


def _wavelet(
    path: WaveletPath, wavelets: list[tuple[int, int]], scales: list[float], which: int
) -> tuple[int, int] | None:
    """Return (wavelet index, scale index) of the first or second wavelet of a path, or None."""
    order, degree, scale = (path.n1, path.l1, path.j1) if which == 1 else (path.n2, path.l2, path.j2)
    if order is None or degree is None or scale is None:
        return None
    return wavelets.index((order, degree)), scales.index(scale)


def _block(
    settings: ScatteringSettings, first: tuple[int, int], needed: dict[tuple[int, int] | None, set[int]]
) -> ScaleBlock:
    """Return the block of a first wavelet from the channels that each of its outputs needs."""
    channels = sorted(set().union(*needed.values()))
    seconds = [
        SecondOrder(key[0], key[1], tuple(channels.index(c) for c in sorted(needed[key])))
        for key in sorted((key for key in needed if key is not None), key=lambda key: (key[1], key[0]))
    ]
    level = block_level(settings, settings.scales[first[1]])
    return ScaleBlock(first[0], first[1], level, tuple(channels), None in needed, tuple(seconds))


def _places(
    blocks: Sequence[ScaleBlock], n_channels: int, n_powers: int
) -> dict[tuple[tuple[int, int] | None, tuple[int, int] | None, int], int]:
    """Return where the integrals of (first, second, channel) start in the order of appearance."""
    place: dict[tuple[tuple[int, int] | None, tuple[int, int] | None, int], int] = {}
    position = 1
    for channel in range(n_channels):
        place[None, None, channel] = position
        position += n_powers
    for block in blocks:
        first = (block.wavelet, block.scale)
        if block.integrate:
            for channel in block.channels:
                place[first, None, channel] = position
                position += n_powers
        for second in block.seconds:
            for row in second.rows:
                place[first, (second.wavelet, second.scale), block.channels[row]] = position
                position += n_powers
    return place
