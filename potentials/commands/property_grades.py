"""Which structures of a property command lie outside of the training data of its model, in numbers and sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
from ase import Atoms

from rhopot.potentials.properties.potential import Potential
from rhopot.potentials.units import Floats

Outside = dict[str, dict[str, float]]


def grades_of(potential: Potential, atoms: Atoms) -> Floats:
    """Extrapolation grades (N,) of a potential that is graded."""
    assert potential.calculator is not None
    return np.asarray(potential.calculator().get_property("extrapolation_grade", atoms))


def outside_of_training_data(potential: Potential, structures: Mapping[str, Atoms]) -> Outside:
    """Structures with atoms outside of the training data by name: their numbers, and largest grades."""
    found: Outside = {}
    for name, atoms in structures.items() if potential.graded else ():
        grades = grades_of(potential, atoms)
        if (grades > 1.0).any():
            found[name] = {"atoms": int((grades > 1.0).sum()), "largest_grade": float(grades.max())}
    return found


def outside_sentences(outside: Outside, structures: Mapping[str, Atoms], prototypes: Collection[str]) -> Iterator[str]:
    """One sentence for the structures outside, and one for each of `prototypes`: a crystal that the data do not know.

    structures: all of those of the property, by name
    """
    words = {
        name: f"{each['atoms']} of {len(structures[name])} atoms of {name} (largest grade {each['largest_grade']:.2g})"
        for name, each in outside.items()
    }
    others = [text for name, text in words.items() if name not in prototypes]
    if others:
        yield f"note: outside of the training data: {'; '.join(others)}; errors may be larger than the bars"
    for name in (name for name in words if name in prototypes):
        yield (
            f"warning: the crystal is outside of the training data: {words[name]}; its numbers mean nothing: give "
            "another --lattice, or train with such crystals"
        )
