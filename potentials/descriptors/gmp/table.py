"""Radial tables of GMP features and the scale of each feature, from hyperparameters and densities.

The norm of order n is regularised as sqrt(s + eps^2) - eps: s / (2 eps) where s << eps^2, the norm less eps where
s >> eps^2. On the sites of a perfect crystal some norms vanish, and a displacement u of the neighbours makes them
gradient * |u|. Whether elastic constants and phonons depend on the size of a displacement is therefore a question of
eps / gradient, a length; `regularization_length` is that length for every feature,

    eps[p, n]           = regularization_length * sensitivity[p, n]
    sensitivity[p, n]^2 = mean_a (2 r_a)^-3 int_b^r_c 4 pi r^2 sum_{l + 2t = n} sum_m |grad R[a, l, t, p](r) Y_lm|^2 dr
    sum_m |grad R Y_lm|^2 = (2l+1)/(4 pi) [R'^2 + l (l+1) R^2 / r^2]

the root mean square of the norm, per A, when neighbours of density (2 r_a)^-3, r_a their covalent radius, from b =
min(1.7 r_a, r_c / 2) to the cutoff are displaced independently, each along each axis. Norms that vanish in perfect
crystals of Si, Ge, C, Al, Li, Cu, Ni, Mo are 1.0 to 2.5 times that in the median when all atoms are displaced so.

`regularization` in its place is relative to a feature's scale, a tenth of the norm that a single neighbour gives at
twice its covalent radius, averaged over the elements:

    eps[p, n]   = regularization * scale[p, n]
    scale[p, n] = 0.1 mean_a sqrt(sum_{l + 2t = n} (2l+1)/(4 pi) R[a, l, t, p](2 r_a)^2)

(sum_m Y_lm^2 = (2l+1)/(4 pi); the cutoff function is left out). Neighbours of an atom cancel each other in part; with
the tenth, the scale is about or below the variation of each feature over the atoms of molecules and of warm crystals.
Orders differ: one scale is 0.03 A of displacement for low orders, and 0.001 A for wide probes of order 6, to whose norm
neighbours near the cutoff add most. Neither form sees data: hyperparameters alone define a descriptor. The regularised
norm lies between the norm less eps, and the norm.

Narrow Gaussians of valence densities are gone within half an Angstrom. The table is accurate to `tolerance` from there
on (and exact at zero, for the centre's own density), relative to the norm of the order that a function contributes to:
it needs a third of the knots that each function down to zero would need.

In : `GmpSettings`, densities. Out: table (A, K, 3, L+1, Q), eps (F,), feature index p (L+1) + n.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from rhopot.potentials.density.scaling import multiply
from rhopot.potentials.density.spline import SplineTable, tabulate
from rhopot.potentials.descriptors.gmp.gmp_settings import GmpSettings
from rhopot.potentials.descriptors.gmp.radial import AtomDensity, GmpRadialFunctions

CLOSEST = 0.5  # A, nearer than any two atoms (H2: 0.74)
CANCELLATION = 0.1  # of one neighbour's norm
NEAREST = 0.85  # of two covalent radii: neighbours in metals
QUADRATURE_POINTS = 400
SMALLEST_FLOOR = 1e-18  # its square is a normal number in single precision


@dataclass(frozen=True)
class GmpTable:
    """Radial table of GMP features.

    Attributes:
        table: values (A, K, 3, L+1, Q), cutoff and interpolation error.
        scale: (F,) typical magnitude of each feature.
        floor: (F,) eps of each norm.
    """

    table: SplineTable
    scale: np.ndarray
    floor: np.ndarray


def build_table(settings: GmpSettings, densities: Sequence[AtomDensity]) -> GmpTable:
    """Return the table of `settings` for one density per symbol.

    Raises:
        ValueError: no symbols, or another number of densities.
    """
    if not settings.symbols:
        raise ValueError("symbols must name at least one element, got none; use settings.with_symbols([...])")
    if len(densities) != len(settings.symbols):
        raise ValueError(
            f"densities must be one per symbol, got {len(densities)} for {len(settings.symbols)} symbols; "
            "leave them out for the valence densities of the elements"
        )
    functions = GmpRadialFunctions(
        densities, settings.probe_widths, settings.max_order, settings.solid, settings.cutoff_fn
    )
    table = tabulate(functions, settings.cutoff_fn, settings.tolerance, CLOSEST, partial(norm_of_order, functions))
    scale = feature_scale(functions, settings.symbols)
    if settings.regularization is not None:
        floor = settings.regularization * scale
    elif settings.regularization_length is not None:
        floor = settings.regularization_length * displacement_sensitivity(functions, settings.symbols)
    return GmpTable(table, scale, np.maximum(floor, SMALLEST_FLOOR))


def norm_of_order(functions: GmpRadialFunctions, largest: np.ndarray) -> np.ndarray:
    """Return what errors of each radial function are compared with, (A, L+1, Q), from the largest magnitudes.

    A function of degree l counts by sqrt(2 l + 1) in its order's norm; the largest of the order's functions counts.
    """
    norms = np.zeros((len(largest), functions.max_order + 1, len(functions.widths)))
    blocks = largest.reshape(*largest.shape[:2], functions.n_traces, -1)
    for degree, t in functions.terms:
        order = degree + 2 * t
        norms[:, order] = np.maximum(norms[:, order], np.sqrt(2 * degree + 1) * blocks[:, degree, t])
    result = np.zeros_like(blocks)
    for degree, t in functions.terms:
        result[:, degree, t] = norms[:, degree + 2 * t] / np.sqrt(2 * degree + 1)
    return result.reshape(largest.shape)


def feature_scale(functions: GmpRadialFunctions, symbols: Sequence[str]) -> np.ndarray:
    """Return the scale (F,) of each feature, p (L+1) + n (see the module's equation)."""
    total = np.zeros((len(functions.widths), functions.max_order + 1))
    for symbol, density in zip(symbols, functions.densities, strict=True):
        distance = np.array([2.0 * covalent_radii[atomic_numbers[symbol]]])
        values = functions.overlaps(density, distance)[0, 0]
        values = values.reshape(functions.max_order + 1, functions.n_traces, len(functions.widths))
        square = np.zeros_like(total)
        for degree, t in functions.terms:
            square[:, degree + 2 * t] += (2 * degree + 1) / (4.0 * np.pi) * values[degree, t] ** 2
        total += np.sqrt(square)
    return CANCELLATION * (total / len(symbols)).ravel()


def displacement_sensitivity(functions: GmpRadialFunctions, symbols: Sequence[str]) -> np.ndarray:
    """Return the root mean square change (F,) of each order per A that neighbours move (see the module's equation)."""
    cutoff = functions.cutoff_function.cutoff
    total = np.zeros((len(functions.widths), functions.max_order + 1))
    for symbol, density in zip(symbols, functions.densities, strict=True):
        spacing = 2.0 * covalent_radii[atomic_numbers[symbol]]
        distance = np.linspace(min(NEAREST * spacing, 0.5 * cutoff), cutoff, QUADRATURE_POINTS)
        faded = multiply(functions.cutoff_function(distance)[:, :, None, None], functions.overlaps(density, distance))
        value, derivative = faded[:2].reshape(2, len(distance), functions.max_order + 1, functions.n_traces, -1)
        for degree, t in functions.terms:
            gradient = (
                derivative[:, degree, t] ** 2 + degree * (degree + 1) * (value[:, degree, t] / distance[:, None]) ** 2
            )
            integrand = (2 * degree + 1) * distance[:, None] ** 2 * gradient
            total[:, degree + 2 * t] += np.trapezoid(integrand, distance, axis=0) / spacing**3
    return np.sqrt(total / len(symbols)).ravel()
