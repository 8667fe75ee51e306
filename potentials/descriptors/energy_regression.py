"""Energies of structures, attributed to their atoms by a linear model: the target of supervised choices of features.

    (E_A - sum_b N_b e_b) / N_A ~ w . 1/N_A sum_{i in A} x_i         y_i = w . x_i                     [1, eq. 2.13]

E_A is the energy of a structure A with N_A atoms, N_b of them of element b; e_b is the least-squares energy of an
element over the structures, so that what is left is an energy of formation. It is regressed on the mean of the features
x_i (F,) of the atoms, without an intercept and with one w for atoms of all elements; the ridge is chosen by two-fold
cross-validation. The prediction y_i is the atom's part of the energy: nobody has to divide energies among atoms.

In : structures with an energy in eV among the results of their calculator; means (S, F)
Out: energies (S,) in eV/atom, weights (F,) in eV

[1] A. J. Goscinski, PhD thesis, EPFL (2023), secs. 2.1.2 and 2.2.3
"""

from __future__ import annotations

from collections.abc import Sequence

import ase
import numpy as np
from numpy.typing import NDArray

from rhopot.potentials.structures.composition import fit_baseline
from rhopot.potentials.structures.frames import Frame

Floats = NDArray[np.float64]

# Ridges, relative to the largest singular value, among which the cross-validation chooses.
RIDGES = np.geomspace(1e-9, 0.9, 20)
# Structures that the two folds of the cross-validation need.
FEWEST = 4


def labelled(frames: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Return the structures that carry an energy."""
    return [atoms for atoms in frames if atoms.calc is not None and "energy" in atoms.calc.results]


def formation_energies(frames: Sequence[ase.Atoms], symbols: Sequence[str]) -> Floats:
    """Return energies per atom (S,) in eV of labelled structures, above the least-squares energies of the elements."""
    found = [Frame(atoms=atoms, energy=float(atoms.calc.results["energy"])) for atoms in frames]
    baseline = fit_baseline(found, symbols)
    return np.array([(float(f.energy or 0.0) - baseline.energy(f.atoms)) / len(f) for f in found])


def energy_weights(means: Floats, energies: Floats) -> Floats:
    """Return w (F,) of the linear model of `energies` (S,) on the mean features (S, F) of the structures.

    Raises:
        ValueError: fewer structures than the cross-validation needs.
    """
    from skmatter.linear_model import Ridge2FoldCV

    if len(energies) < FEWEST:
        raise ValueError(
            f"structures with energies must be at least {FEWEST} for a supervised choice, got {len(energies)}; "
            "give labelled structures, or leave the energies out of it"
        )
    largest = float(np.abs(means).max()) or 1.0
    model = Ridge2FoldCV(
        alphas=RIDGES,
        alpha_type="relative",
        regularization_method="tikhonov",
        scoring="neg_mean_squared_error",
        random_state=0,
        shuffle=True,
        n_jobs=1,
    )
    return np.asarray(model.fit(means / largest, energies[:, None]).coef_[0]) / largest
