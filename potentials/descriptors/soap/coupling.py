"""Coupling matrices: how primitive radial functions of each neighbour species enter the channels of a descriptor.

    c[i, q, l, m] = sum_j sum_n U[l, q, a_j, n] c_nlm(r_ij)                                             [1, eq. 2.10]

One array of shape (L+1, Q, A, N) covers every case:

- separate species, primitive basis: U = delta_qn; each species fills its own block of Q = N channels;
- separate species, contracted basis: U^{al}_{qn}, fewer functions Q < N per species                     [1, eq. 2.4]
- mixed: all species fill the same Q channels, U^l_{q; an}, any coupling of species and radial index    [1, eq. 2.7]

Without a contraction the mixed mode couples species alone, q = (b, n), through pseudo-species b          [1, eq. 1.26]

    U[l, (b, n), a, n'] = W_ba delta_nn'                                             W: see `pseudo_species`

[1] A. J. Goscinski, PhD thesis, EPFL (2023)
"""

import numpy as np


def separate_coupling(n_species: int, n_max: int, l_max: int) -> np.ndarray:
    """Return U (L+1, N, A, N) that leaves the primitive functions as they are."""
    return np.broadcast_to(np.eye(n_max)[None, :, None, :], (l_max + 1, n_max, n_species, n_max)).copy()


def mixed_coupling(weights: np.ndarray, n_max: int, l_max: int) -> np.ndarray:
    """Return U (L+1, B N, A, N) of pseudo-species with weights (B, A) (module equation)."""
    coupling = np.einsum("ba,qn->bqan", weights, np.eye(n_max)).reshape(-1, weights.shape[1], n_max)
    return np.repeat(coupling[None], l_max + 1, axis=0)


def checked_coupling(coupling: np.ndarray, n_species: int, n_max: int, l_max: int) -> np.ndarray:
    """Return a caller's coupling as (L+1, Q, A, N); (Q, A, N) stands for the same at every l.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    array = np.asarray(coupling, dtype=float)
    if array.ndim == 3:
        array = np.repeat(array[None], l_max + 1, axis=0)
    expected = (l_max + 1, n_species, n_max)
    if array.ndim != 4 or (array.shape[0], array.shape[2], array.shape[3]) != expected or array.shape[1] == 0:
        raise ValueError(
            f"coupling must have shape (L+1, Q, A, N) = ({l_max + 1}, Q, {n_species}, {n_max}) or (Q, A, N), "
            f"got {np.shape(coupling)}; build it for the same symbols, n_max and l_max"
        )
    if not np.isfinite(array).all():
        raise ValueError("coupling must be finite, got NaN or infinity; check how it was computed")
    return array
