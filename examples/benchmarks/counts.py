"""Operations and memory traffic that a step requires, counted from the sizes in a model file.

Multiply-adds per atom, with E neighbors within the cutoff, Q radial functions, L the largest degree, M = (L+1)^2:

    splines     12 (L+1) Q E      value and derivative from six rows of the table
    harmonics   about 10 M E      recurrences, gradient
    expansion   Q M E
    adjoint     2 Q M E           with the radial functions and with their derivatives
    forces      4 M E             harmonics and their gradients against the adjoint
    linear      Q^2 M             the product with the weights, for one element
    GAP         F (L+1) + Q^2 M + 2 F S       F invariants, their adjoint, and S sparse points, there and back
    GMP         2 Q M             norms and their adjoint
    network     2 W + 20 H        W weights of all members, there and back; H hidden units with their activations

Bytes per atom: what is not in the first-level cache when it is needed. Edges come once from beyond and go once back;
rows of the spline table come from the second-level cache; the sparse points stream there and back for each 128 atoms.

Wavelet scattering: 2.5 V log2 V operations for a real transform of V points (half of those of a complex one), 3 V for
the product with a filter and the square, and per point of a modulus 20 for its root and quotient, 30 for a cube root,
3 for each power; derivatives go every way back once. Bytes: each field is written and read, each filter read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2, prod
from pathlib import Path

import numpy as np
import torch
from ase.build import bulk
from ase.neighborlist import neighbor_list

from rhopot.potentials import operators
from rhopot.potentials.descriptors.scattering import ScatteringGrid, WaveletScattering

ATOMS_PER_PASS = 128  # for which the sparse points are read once
SILICON = 5.431  # A
ROOT, CUBE_ROOT, POWER = 20.0, 30.0, 3.0  # operations per point
ACTIVATION = 20.0  # multiply-adds of an exponential, a quotient and their derivatives


@dataclass(frozen=True)
class Work:
    """Floating-point operations, and bytes from the second-level cache and from beyond it, per atom.

    `products` are operations in torch's matrix products, which choose an instruction set of their own.
    """

    flops: float
    products: float
    cached: float
    streamed: float

    def seconds(
        self, flop_rate: float, product_rate: float, cache_rate: float, memory_rate: float
    ) -> tuple[float, float]:
        """Arithmetic and memory traffic in s at the rates of a machine, per s."""
        arithmetic = self.flops / flop_rate + self.products / product_rate
        return arithmetic, self.cached / cache_rate + self.streamed / memory_rate


def neighbours(cutoff: float) -> float:
    """Neighbours of an atom of the silicon crystal at rest."""
    crystal = bulk("Si", cubic=True, a=SILICON)
    return len(neighbor_list("i", crystal, cutoff)) / len(crystal)


def of_model(file: Path) -> Work:
    """Work of a step with a model of atomic energies (linear, sparse-kernel, GMP with networks)."""
    operators.load()
    module = torch.jit.load(str(file))
    sizes = {name: tuple(value.shape) for name, value in (*module.named_buffers(), *module.named_parameters())}
    degrees, q = sizes["descriptor.radial"][-2:]
    e, m = neighbours(float(module.descriptor.cutoff)), degrees**2
    multiply_adds = e * (12 * degrees * q + 10 * m + 3 * q * m + 4 * m)
    products = 0.0
    cached, streamed = 8.0 * e * 6 * degrees * q, 8.0 * e * (3 + 1 + 3)
    if "points" in sizes:
        n_points, features = sizes["points"]
        multiply_adds += features * degrees + q * q * m
        products = 2.0 * features * n_points
        streamed += 2 * 8.0 * features * n_points / ATOMS_PER_PASS
    elif "networks.output.weight" in sizes:
        layers = [shape for name, shape in sizes.items() if name.startswith("networks.") and name.endswith("weight")]
        hidden = [shape[0] * shape[-1] for shape in layers if shape[-1] > 1]
        multiply_adds += 2 * q * m + ACTIVATION * sum(hidden)
        products = 2.0 * sum(prod(shape) for shape in layers)
    else:
        multiply_adds += q * q * m
    return Work(2.0 * multiply_adds, 2.0 * products, cached, streamed)


def of_scattering(scattering: WaveletScattering, grid: ScatteringGrid, n_atoms: int, forces: bool) -> Work:
    """Work of the features of a structure, or of features with forces and stress, per atom."""
    points = [float(np.prod(each)) for each in grid.points]
    fine = 8.0 * points[0]  # the grid that atoms are spread on
    n_species = scattering.weights.shape[1]
    flops = n_species * 2.5 * fine * log2(fine) + 4.0 * n_atoms * scattering.width**3
    cached = 2 * 8.0 * n_species * fine
    for block in range(scattering.n_blocks):
        first = points[scattering.first_level[block]]
        channels, degree = len(scattering.channels[block]), scattering.wavelets[scattering.first_wavelet[block]][1]
        components = 2 * degree + 1
        flops += (min(n_species, channels) * components + channels) * 2.5 * first * log2(first)
        flops += channels * first * (2 * components * n_species + ROOT)
        flops += scattering.integrates[block] * channels * first * (CUBE_ROOT + POWER * len(scattering.powers))
        cached += 8.0 * first * (components * (2 * n_species + 1) + 2 * channels)
        for wavelet, scale, rows in zip(
            scattering.second_wavelet[block], scattering.second_scale[block], scattering.second_rows[block], strict=True
        ):
            own, components = points[scale], 2 * scattering.wavelets[wavelet][1] + 1
            flops += len(rows) * own * (components * (2.5 * log2(own) + 3) + ROOT + CUBE_ROOT)
            flops += len(rows) * own * POWER * len(scattering.powers)
            cached += 8.0 * len(rows) * own * 3 * components
    ways = 2 if forces else 1
    return Work(ways * flops / n_atoms, 0.0, ways * cached / n_atoms, 0.0)
