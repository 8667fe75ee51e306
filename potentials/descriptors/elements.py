"""Element lists of descriptors: which names are accepted, in words."""

from collections.abc import Sequence

from ase.data import atomic_numbers


def checked_symbols(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return `symbols` as a tuple.

    Raises:
        ValueError: a name is not a chemical element, or stands twice.
    """
    unknown = [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) == 0]
    if unknown:
        raise ValueError(f"symbols must be chemical elements, got {', '.join(unknown)}; write them as in Li, Si")
    if len(set(symbols)) != len(symbols):
        raise ValueError(f"symbols must differ from each other, got {', '.join(symbols)}; name each once")
    return tuple(symbols)
