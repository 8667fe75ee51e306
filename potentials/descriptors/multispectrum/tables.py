"""Terms and Clebsch-Gordan coefficients as the operators take them; a type of TorchScript too."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rhopot.potentials.descriptors.multispectrum.clebsch_gordan import real_coupling
from rhopot.potentials.descriptors.multispectrum.terms import Terms


class TermTables(NamedTuple):
    """Arguments of the multispectrum operators, in their order.

    one (F1), two (F2, 3), pairs (K, 5), three (F3, 2), four (F4, 2): see `terms.Terms`
    degrees: (G, 3) l1, l2, l of every coupling that the pairs need
    first_entry: (G + 1) where its coefficients begin; entries: (n, 3) m1, m2, m from 0, sorted by m; values: (n)
    """

    one: Tensor
    two: Tensor
    pairs: Tensor
    three: Tensor
    four: Tensor
    degrees: Tensor
    first_entry: Tensor
    entries: Tensor
    values: Tensor


def term_tables(terms: Terms) -> TermTables:
    """Return the tensors of some terms."""
    degrees = sorted({(l1, l2, degree) for l1, _, l2, _, degree in terms.pairs.tolist()})
    first, entries, values = [0], [np.zeros((0, 3), dtype=np.int64)], [np.zeros(0)]
    for triple in degrees:
        coupling = real_coupling(*triple)
        found = np.argwhere(coupling != 0.0)
        found = found[np.lexsort((found[:, 1], found[:, 0], found[:, 2]))]
        entries.append(found)
        values.append(coupling[tuple(found.T)])
        first.append(first[-1] + len(found))
    arrays = (
        terms.one,
        terms.two,
        terms.pairs,
        terms.three,
        terms.four,
        np.array(degrees, dtype=np.int64).reshape(-1, 3),
        np.array(first, dtype=np.int64),
        np.concatenate(entries),
        np.concatenate(values),
    )
    return TermTables(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
