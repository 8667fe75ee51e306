"""Do the members of a model describe its own training structures?

A model file carries a few training structures. On these, errors of forces are no larger than elsewhere, so that at
least the stated 90% of them should lie within the predicted error. Where less than half of them do, the members are
not those of this model, or their calibration is of other data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from rhopot.potentials.verification.check import CheckResult

MOST_OUTSIDE = 0.5


def check_members(structures: Sequence[Atoms], calculator: Calculator) -> list[CheckResult]:
    """Return the share of force errors beyond the predicted ones, on the structures that carry forces; none without."""
    outside: list[bool] = []
    for labelled in structures:
        if labelled.calc is None:
            continue
        atoms = labelled.copy()
        atoms.calc = calculator
        errors = np.linalg.norm(atoms.get_forces() - labelled.get_forces(), axis=1)
        outside += list(errors > calculator.get_property("forces_error", atoms))
    if not outside:
        return []
    name = f"force errors beyond the predicted, {len(outside)} atoms"
    return [CheckResult(name, float(np.mean(outside)), MOST_OUTSIDE, "share")]
