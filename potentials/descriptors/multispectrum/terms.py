"""Terms of a multispectrum: which products of density coefficients are coupled to invariants of order nu = 1 to 4.

A channel is a density coefficient without its m: (l, u). Invariants are made along the Clebsch-Gordan iteration
[1, eq. 1.18] up to pairs, and closed by a product over m:

    V_k,m   = sum_{m1 m2} C[m1, m2, m] c_{l1 m1 u1} c_{l2 m2 u2}            a pair k = (l1 u1, l2 u2) -> l
    nu = 1    c_{00u}
    nu = 2    sum_m c_lmu c_lmv / sqrt(2 l + 1)                             u <= v; sqrt(2) more if u != v
    nu = 3    sum_m V_k,m c_lmu / sqrt(2 l + 1)                             (l1 u1) <= (l2 u2) <= (l u)
    nu = 4    sum_m V_k,m V_k',m / sqrt(2 l + 1)                            k <= k', both tensors or both pseudo-tensors

Of nu = 3 every product of three channels has one invariant; it is even under inversion for even l1 + l2 + l, and odd
ones are left out. Of nu = 4 a product of four channels has one for each way and degree of coupling, of which some
depend on others linearly: a fit that is regularised takes them as they are.

The number of products grows as U^nu. They are weighed by the product of the channels' root mean squares over the data,
and the largest ones of each order are kept: what is small by itself makes small products (NICE truncates so too [2]).

[1] A. J. Goscinski, PhD thesis, EPFL (2023), ch. 1-2
[2] J. Nigam, S. Pozdnyakov, M. Ceriotti, J. Chem. Phys. 153, 121101 (2020), doi:10.1063/5.0021116
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Channel = tuple[int, int]


@dataclass(frozen=True)
class Terms:
    """Lists of terms, rows of int64.

    one: (F1,) u; two: (F2, 3) l, u, v; pairs: (K, 5) l1, u1, l2, u2, l; three: (F3, 2) pair, u;
    four: (F4, 2) pair, pair. Pairs are sorted by l, then tensors before pseudo-tensors, then as given.
    """

    one: Integers
    two: Integers
    pairs: Integers
    three: Integers
    four: Integers

    @property
    def n_features(self) -> int:
        """F = F1 + F2 + F3 + F4."""
        return len(self.one) + len(self.two) + len(self.three) + len(self.four)


def choose_terms(sizes: Floats, counts: tuple[int | None, int | None, int], degrees: tuple[int, int, int]) -> Terms:
    """Return the terms with the largest products of sizes.

    Args:
        sizes: (L+1, U) root mean square of each channel over the data, 0 where there is none.
        counts: how many terms of order 2, 3 and 4 are kept; None: all.
        degrees: highest l of the channels of order 2, 3 and 4.
    """
    two = _largest(list(_twos(sizes, degrees[0])), counts[0])
    triples = _largest(list(_triples(sizes, degrees[1])), counts[1])
    quadruples = _largest(list(_quadruples(sizes, degrees[2], counts[2])), counts[2]) if counts[2] else []
    three_pairs = [pair for pair, _ in triples]
    found = sorted({*three_pairs, *(pair for both in quadruples for pair in both)}, key=_order_of_pair)
    number = {pair: k for k, pair in enumerate(found)}
    one = np.nonzero(sizes[0] > 0)[0].astype(np.int64)
    return Terms(
        one=one,
        two=_rows(sorted(two), 3),
        pairs=_rows(found, 5),
        three=_rows(sorted((number[pair], u) for pair, u in triples), 2),
        four=_rows(sorted((number[a], number[b]) for a, b in quadruples), 2),
    )


def _rows(values: list, width: int) -> Integers:
    return np.array(values, dtype=np.int64).reshape(-1, width)


def _order_of_pair(pair: tuple[int, ...]) -> tuple[int, ...]:
    l1, _, l2, _, degree = pair
    return (degree, (l1 + l2 + degree) % 2, *pair)


def _largest(weighed: list[tuple[float, tuple]], count: int | None) -> list[tuple]:
    """Return the terms of the largest weights, ties in the order of the terms."""
    ordered = sorted(weighed, key=lambda item: (-item[0], item[1]))
    return [term for _, term in (ordered if count is None else ordered[:count])]


def _channels(sizes: Floats, degree: int) -> list[Channel]:
    top = min(degree, len(sizes) - 1)
    return [(l, u) for l in range(top + 1) for u in range(sizes.shape[1]) if sizes[l, u] > 0]  # noqa: E741


def _twos(sizes: Floats, degree: int) -> Iterator[tuple[float, tuple[int, int, int]]]:
    for (l1, u), (l2, v) in combinations_with_replacement(_channels(sizes, degree), 2):
        if l1 == l2:
            yield float(sizes[l1, u] * sizes[l1, v]), (l1, u, v)


def _triples(sizes: Floats, degree: int) -> Iterator[tuple[float, tuple[tuple[int, ...], int]]]:
    """Weights of products of three channels, as (pair, u): the largest channel closes the pair of the two others."""
    channels = _channels(sizes, degree)
    for i, (l1, u1) in enumerate(channels):
        for j in range(i, len(channels)):
            l2, u2 = channels[j]
            weight = float(sizes[l1, u1] * sizes[l2, u2])
            for l3, u3 in channels[j:]:
                if l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0:
                    yield weight * float(sizes[l3, u3]), ((l1, u1, l2, u2, l3), u3)


def _quadruples(
    sizes: Floats, degree: int, count: int
) -> Iterator[tuple[float, tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Weights of products of two pairs; only pairs that `count` products can reach are combined."""
    channels = _channels(sizes, degree)
    groups: dict[tuple[int, int], list[tuple[float, tuple[int, ...]]]] = {}
    for i, (l1, u1) in enumerate(channels):
        for l2, u2 in channels[i:]:
            for l in range(abs(l1 - l2), l1 + l2 + 1):  # noqa: E741
                parity = (l1 + l2 + l) % 2
                if parity == 1 and (l1, u1) == (l2, u2):
                    continue  # antisymmetric: zero
                weight = float(sizes[l1, u1] * sizes[l2, u2])
                groups.setdefault((l, parity), []).append((weight, (l1, u1, l2, u2, l)))
    for group in groups.values():
        group.sort(key=lambda item: (-item[0], item[1]))
        for i, (weight, pair) in enumerate(group):
            if i * (i + 1) // 2 >= count:
                break  # enough products of larger pairs of this group exist
            for other, (second, partner) in enumerate(group[i:], start=i):
                if (i + 1) * (other - i) >= count:
                    break
                yield weight * second, (pair, partner)
