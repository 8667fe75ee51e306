"""Energies of free atoms in a model whose training data hold none.

The energies per element of a fit to compounds and crystals alone are no energies of free atoms: what a model gives for
an atom without neighbours is then an extrapolation, and may lie below the crystal. Atoms that leave a surface, binding
energies and dissociation curves are wrong accordingly; one frame of each isolated atom ties them down.
"""

from __future__ import annotations

from ase import Atoms
from ase.calculators.calculator import Calculator

from rhopot.export import ModelCard
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.structures.composition import missing_isolated_atoms

MOST = 200  # frames, evenly chosen, whose binding is looked at
REMEDY = "add one frame of each isolated atom (config_type=IsolatedAtom) where free atoms matter"


def describe_free_atoms(calculator: Calculator, card: ModelCard, frames: FrameSet) -> str:
    """Say by how much the model's free atoms bind the training structures `frames`, where the data hold no free atoms.

    Empty where every element has an isolated atom in the data, and where no frame carries an energy.
    """
    missing = missing_isolated_atoms(frames, card.symbols)
    labelled = [frame for frame in frames if frame.energy is not None and len(frame) > 1]
    if not missing or not labelled:
        return ""
    absent = f"the training data hold no isolated atom of {', '.join(missing)}"
    if card.kind != "local":
        return f"{absent}: energies of free atoms are extrapolations; {REMEDY}"
    free = {symbol: float(calculator.get_potential_energy(Atoms(symbol))) for symbol in card.symbols}
    chosen = labelled[:: -(-len(labelled) // MOST)]
    bound = [
        (sum(free[symbol] for symbol in frame.atoms.symbols) - float(frame.energy or 0.0)) / len(frame)
        for frame in chosen
    ]
    energies = ", ".join(f"{symbol} {energy:.2f} eV" for symbol, energy in free.items())
    below = "isolated atoms are lower in energy than these structures (unphysical); " if min(bound) < 0 else ""
    return (
        f"{absent}: the model's free atoms ({energies}) are extrapolations, against which the training structures are "
        f"bound by {min(bound):+.2f} to {max(bound):+.2f} eV/atom; {below}{REMEDY}"
    )
