"""Radial tables of a SOAP descriptor, from its hyperparameters.

Joins the parts of the density engine: primitive basis, density, cutoff function and scaling make the radial functions,
a coupling contracts them, and a spline table replaces them.

In : `SoapSettings`, optional coupling U. Out: table (A, K, 3, L+1, Q) and the channel block of each species.
"""

from dataclasses import dataclass

import numpy as np

from rhopot.potentials.density.basis import DvrBasis, GtoBasis
from rhopot.potentials.density.radial import RadialFunctions, contract
from rhopot.potentials.density.spline import SplineTable, tabulate
from rhopot.potentials.descriptors.soap.coupling import checked_coupling, mixed_coupling, separate_coupling
from rhopot.potentials.descriptors.soap.pseudo_species import weights_by_radii
from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis, SoapSettings

TAIL = 3.0  # sigma by which the DVR interval exceeds the cutoff


@dataclass(frozen=True)
class SoapTable:
    """Radial table and layout of its channels.

    Attributes:
        table: values (A, K, 3, L+1, Q), cutoff and interpolation error.
        species_channel: block of n_channels that each species fills, (A,).
        n_channels: number of blocks.
    """

    table: SplineTable
    species_channel: np.ndarray
    n_channels: int


def radial_functions(settings: SoapSettings, l_max: int) -> RadialFunctions:
    """Return the primitive radial functions that `settings` define, to degree `l_max`."""
    width = settings.density_width if settings.density == "gaussian" else None
    basis: GtoBasis | DvrBasis
    if settings.radial_basis == "gto":
        basis = GtoBasis(settings.n_max, settings.cutoff)
    else:
        basis = DvrBasis(settings.n_max, settings.cutoff + TAIL * (width or 0.0))
    return RadialFunctions(basis, l_max, width, settings.cutoff_fn, settings.scaling)


def build_table(settings: SoapSettings, l_max: int, coupling: np.ndarray | None = None) -> SoapTable:
    """Return the table of `settings` to degree `l_max`, contracted by `coupling` or by the default of its species mode.

    Raises:
        ValueError: no symbols, a coupling of another shape, or an optimal basis that has not been learned.
    """
    if not settings.symbols:
        raise ValueError("symbols must name at least one element, got none; use settings.with_symbols([...])")
    if coupling is None:
        matrix = coupling_of(settings, l_max)
    else:
        matrix = checked_coupling(coupling, len(settings.symbols), settings.n_max, l_max)
    functions = radial_functions(settings, l_max)
    table = tabulate(lambda r: contract(functions(r), matrix), functions.cutoff_function, settings.tolerance)
    n_channels = len(settings.symbols) if settings.species_mode == "separate" else 1
    return SoapTable(table, np.arange(len(settings.symbols)) % n_channels, n_channels)


def coupling_of(settings: SoapSettings, l_max: int) -> np.ndarray:
    """Return the coupling U (L+1, Q, A, N) of `settings` to degree `l_max` (see `coupling`).

    Raises:
        ValueError: an optimal basis or pseudo-species that have not been learned.
    """
    n_species = len(settings.symbols)
    if settings.optimal_basis is not None:
        learned = _learned(settings.optimal_basis)[: l_max + 1]
        return checked_coupling(learned, n_species, settings.n_max, l_max)
    if settings.species_mode == "separate":
        return separate_coupling(n_species, settings.n_max, l_max)
    return mixed_coupling(_pseudo_weights(settings), settings.n_max, l_max)


def _pseudo_weights(settings: SoapSettings) -> np.ndarray:
    """Return the weights (B, A) of the elements in the pseudo-species."""
    if settings.pseudo_species == "radii":
        return weights_by_radii(settings.symbols, settings.n_pseudo)
    if settings.pseudo_weights is None:
        raise ValueError(
            "pseudo_species must be learned from data first, got no weights; use learn_basis(settings, frames)"
        )
    return np.array(settings.pseudo_weights)


def _learned(basis: OptimalBasis) -> np.ndarray:
    """Return the contraction of an optimal basis."""
    if basis.contraction is None:
        raise ValueError(
            "optimal_basis must be learned from data first, got no contraction; use learn_basis(settings, frames)"
        )
    return np.array(basis.contraction)
