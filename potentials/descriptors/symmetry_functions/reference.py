"""Symmetry functions in plain PyTorch: the definition that the compiled operators must reproduce.

    G2[a, (eta, R_s)](i)                 = sum_j [a_j = a]  exp(-eta (r_ij - R_s)^2) f_c(r_ij)             [1, eq. 6]
    G4[(a <= b), (eta, zeta, lambda)](i) = sum_{j<k} [{a_j, a_k} = {a, b}]  2^(1-zeta) (1 + lambda cos t_jik)^zeta
                                           h(r_ij) h(r_ik) h(r_jk),   h(r) = exp(-eta r^2) f_c(r)          [1, eq. 8]

Each pair of neighbours counts once (as in AMP, AMPtorch and DScribe; half of a double sum over j and k).

In : edge_vectors (E, 3) r_j - r_i in A, sorted by centre; first_edge (C+1): edges of centre i are first_edge[i] ...
     first_edge[i+1]-1; neighbour (E) and centre (C): rows of `species` (N_all), numbers below n_species = A;
     radial (N2, 2): eta in A^-2 and R_s in A of each G2; angular (N_eta): eta of G4 in A^-2; zeta, sign: the other axes
     of the grid of G4, N4 = N_eta * N_zeta * N_sign; cutoff and the width over which f_c falls, in A
Out: (C, F), F = A N2 + A (A+1) / 2 N4. Order: G2 first, a > row of `radial`; then G4, pair > eta > zeta > sign, pairs
     (0,0), (0,1) ... (0,A-1), (1,1) ...
Smoothness: that of f_c: C2 for `quintic`, C1 for `shifted_cosine`. An edge of length zero, or two neighbours in one
     place, contribute their value and no gradient along that distance.
Range: one cutoff. Cost: O(E N2 + T N4) for T pairs of neighbours.

Everything here runs on any device, in the float type of its arguments, and differentiates to any order by autograd.

[1] J. Behler, J. Chem. Phys. 134, 074106 (2011), doi:10.1063/1.3553717
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rhopot.potentials.density.cutoff import quintic_fade
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres, with_vectors


class SymmetryGrid(NamedTuple):
    """The functions of a set, in the order of the operators' arguments; a type of TorchScript too.

    radial: (N2, 2) eta in A^-2 and R_s in A of each G2; angular: (N_eta) eta in A^-2, zeta and sign of the G4
    cutoff, cutoff_width: in A; cutoff_function: quintic or shifted_cosine
    n_species: number of elements
    """

    radial: Tensor
    angular: Tensor
    zeta: list[int]
    sign: list[int]
    cutoff: float
    cutoff_width: float
    cutoff_function: str
    n_species: int


def fade(distance: Tensor, grid: SymmetryGrid) -> Tensor:
    """Return the cutoff function f_c (see `density.cutoff`) at any distances in A."""
    if grid.cutoff_function == "quintic":
        return quintic_fade(distance, grid.cutoff, grid.cutoff_width)
    t = torch.clamp((distance - grid.cutoff + grid.cutoff_width) / grid.cutoff_width, 0.0, 1.0)
    if grid.cutoff_function == "shifted_cosine":
        return 0.5 * (1.0 + torch.cos(math.pi * t))
    raise ValueError(f"cutoff_function must be quintic or shifted_cosine, got {grid.cutoff_function}")


def distance_and_inverse(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return |v| and 1 / |v|, both 0 and with zero gradient where v = 0."""
    square = (vectors * vectors).sum(dim=-1)
    zero = square == 0
    length, none = torch.sqrt(torch.where(zero, torch.ones_like(square), square)), torch.zeros_like(square)
    return torch.where(zero, none, length), torch.where(zero, none, 1.0 / length)


def neighbour_pairs(first_edge: Tensor) -> tuple[Tensor, Tensor]:
    """Return both edges (T), (T) of every pair of edges of the same centre, the earlier edge first."""
    n_edges = int(first_edge[-1])
    edge = torch.arange(n_edges, device=first_edge.device)
    later = first_edge[1:][edge_centres(first_edge)] - edge - 1
    first = torch.repeat_interleave(edge, later)
    before = torch.cumsum(later, 0) - later
    rank = torch.arange(first.shape[0], device=first_edge.device) - before[first]
    return first, first + 1 + rank


def radial_functions(edge_vectors: Tensor, grid: SymmetryGrid) -> Tensor:
    """Return the term of every edge in every G2: (E, N2)."""
    distance, _ = distance_and_inverse(edge_vectors)
    shifted = distance[:, None] - grid.radial[:, 1]
    return torch.exp(-grid.radial[:, 0] * shifted * shifted) * fade(distance, grid)[:, None]


def angular_functions(edge_vectors: Tensor, first: Tensor, second: Tensor, grid: SymmetryGrid) -> Tensor:
    """Return the term of every pair of edges in every G4: (T, N4), eta > zeta > sign."""
    ij, ik = torch.index_select(edge_vectors, 0, first), torch.index_select(edge_vectors, 0, second)
    jk = ik - ij
    product = torch.ones([first.shape[0], grid.angular.shape[0]], dtype=edge_vectors.dtype, device=edge_vectors.device)
    for vectors in [ij, ik, jk]:
        distance, _ = distance_and_inverse(vectors)
        gauss = torch.exp(-grid.angular * (vectors * vectors).sum(dim=-1)[:, None])
        product = product * gauss * fade(distance, grid)[:, None]
    cosine = (ij * ik).sum(dim=-1) * distance_and_inverse(ij)[1] * distance_and_inverse(ik)[1]
    directions: list[Tensor] = []
    for exponent in grid.zeta:
        for half in grid.sign:
            directions.append(2.0 ** (1 - exponent) * torch.pow(1.0 + half * cosine, exponent))
    return (product[:, :, None] * torch.stack(directions, dim=-1)[:, None, :]).flatten(1)


def symmetry_functions(graph: AtomicGraph, grid: SymmetryGrid) -> Tensor:
    """Return the symmetry functions (C, F) of each centre (see the module's equations)."""
    n_species, zeta, sign = grid.n_species, grid.zeta, grid.sign
    n_centres, n_pairs = graph.centre.shape[0], n_species * (n_species + 1) // 2
    kind, row = graph.species[graph.neighbour], edge_centres(graph.first_edge)
    terms = radial_functions(graph.edge_vectors, grid)
    g2 = torch.zeros([n_centres * n_species, grid.radial.shape[0]], dtype=terms.dtype, device=terms.device)
    g2 = g2.index_add(0, row * n_species + kind, terms).reshape(n_centres, n_species * grid.radial.shape[0])
    n_angular = grid.angular.shape[0] * len(zeta) * len(sign)
    if n_angular == 0:
        return g2
    first, second = neighbour_pairs(graph.first_edge)
    terms = angular_functions(graph.edge_vectors, first, second, grid)
    low, high = torch.minimum(kind[first], kind[second]), torch.maximum(kind[first], kind[second])
    pair = low * (2 * n_species - low - 1) // 2 + high
    g4 = torch.zeros([n_centres * n_pairs, n_angular], dtype=terms.dtype, device=terms.device)
    g4 = g4.index_add(0, row[first] * n_pairs + pair, terms).reshape(n_centres, n_pairs * n_angular)
    return torch.cat([g2, g4], dim=1)


def symmetry_jacobian(graph: AtomicGraph, grid: SymmetryGrid) -> tuple[Tensor, Tensor]:
    """Return the functions (C, F) and their derivative (E, 3, F), that of edge e's centre by edge vector e, in A^-1.

    An edge belongs to one centre, so the gradient of a feature summed over centres is the derivative of its own.
    """
    with torch.enable_grad():
        vectors = graph.edge_vectors.detach().requires_grad_()
        values = symmetry_functions(with_vectors(graph, vectors), grid)
        columns = [
            torch.autograd.grad(values[:, f].sum(), vectors, retain_graph=True)[0] for f in range(values.shape[1])
        ]
    return values.detach(), torch.stack(columns, dim=-1)
