"""Molecules of several sizes and a pooling model of them, for tests of models of the energy of whole molecules."""

from __future__ import annotations

import ase
import numpy as np
import torch
from ase.build import molecule
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator
from torch import Tensor

from rhopot.export import LoadedModel, ModelCard, TrainingData, Uncertainty
from rhopot.potentials import operators
from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.potentials.graph.species import species_indices
from rhopot.potentials.models.pooling.network import PoolingNetworks
from rhopot.potentials.models.pooling.pooling_model import PoolingModel
from rhopot.potentials.models.pooling.settings import PoolingNetworkSettings
from rhopot.potentials.units import UNLIMITED_STRETCH

operators.load()

SYMBOLS = ("H", "C", "O")
NAMES = ("CH3CH2OH", "H2O", "CH4", "CO", "C2H4", "CH3OH")


def rattled(name: str, seed: int = 0, deviation: float = 0.08) -> ase.Atoms:
    """A molecule of ASE's database, displaced at random, anywhere in space."""
    random = np.random.default_rng(seed)
    atoms = molecule(name)
    atoms.positions += deviation * random.standard_normal((len(atoms), 3)) + random.uniform(-3.0, 3.0, 3)
    return atoms


def labelled(count: int, seed: int = 0, names: tuple[str, ...] = NAMES) -> list[ase.Atoms]:
    """Rattled molecules with energies and forces of a Morse potential of all pairs."""
    found = []
    for k in range(count):
        atoms = rattled(names[k % len(names)], seed * 1000 + k)
        atoms.calc = MorsePotential(epsilon=0.5, r0=1.2, rho0=3.0, rcut1=7.0, rcut2=9.0)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        found.append(atoms)
    return found


def model(
    nodes: tuple[float, ...] = (0.6, 0.3), members: int = 1, largest: int = 9, calibration: float = 1.0
) -> PoolingModel:
    """A pooling model with weights as they are before a training, float64."""
    basis = AngularBasis(AngularSettings(cutoff=3.0, n_radial=6, n_angular=5, symbols=SYMBOLS))
    settings = PoolingNetworkSettings(width=12, filters=16, heads=2, nodes=nodes, pooled_cutoff=6.0)
    networks = PoolingNetworks(basis, settings, largest, list(range(members)))
    networks.prepare(2.0, [0.8] * len(nodes), 0.7, -3.0)
    return PoolingModel(basis, networks, (-13.0, -1000.0, -2000.0), calibration=calibration).eval()


def species(atoms: ase.Atoms) -> Tensor:
    """Indices of the elements."""
    return torch.from_numpy(species_indices(atoms, SYMBOLS))


def energies(found: torch.nn.Module, atoms: ase.Atoms, positions: Tensor | None = None, share: int = 0) -> Tensor:
    """What the model gives for a structure, members too, in eV."""
    r = torch.tensor(atoms.positions) if positions is None else positions
    no_cell, open_sides = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)
    nothing = torch.zeros(0, dtype=torch.float64)
    result: Tensor = found(r, species(atoms), no_cell, open_sides, nothing, share, share + 1, True)
    return result


def energy_and_forces(found: torch.nn.Module, atoms: ase.Atoms) -> tuple[float, np.ndarray]:
    """Energy in eV and forces (N, 3) in eV/A of a structure."""
    positions = torch.tensor(atoms.positions, requires_grad=True)
    energy = energies(found, atoms, positions)[0]
    (gradient,) = torch.autograd.grad(energy, positions)
    return float(energy.detach()), -gradient.numpy()


def loaded(members: int = 3) -> LoadedModel:
    """The same model with its card, never exported; calibrated, so that it states the uncertainty of forces."""
    module = model(members=members, calibration=0.8)
    known = Uncertainty(members=module.n_members, force_factors=dict.fromkeys(SYMBOLS, 1.5))
    card = ModelCard(
        family="pooling",
        kind="global",
        symbols=SYMBOLS,
        cutoff=module.descriptor.cutoff,
        n_layers=1,
        dtype="float64",
        baseline_energies=dict(zip(SYMBOLS, module.baseline.elements, strict=True)),
        uncertainty=known if members > 1 else Uncertainty(members=0),
        descriptor=module.descriptor.settings.model_dump(mode="json"),
        fit={"regressor": {}},
        training_data=TrainingData(summary={"frames": 0}, hash="none"),
        metrics={"frames": 0},
        references=["none: made for tests"],
        stretch=UNLIMITED_STRETCH,
    )
    return LoadedModel(card=card, module=module, name="pooling")


def in_a_box(name: str, seed: int = 0, edge: float = 12.0) -> ase.Atoms:
    """A rattled molecule in the middle of a box without periodic boundaries."""
    atoms = rattled(name, seed)
    atoms.set_cell(edge * np.eye(3))
    atoms.center()
    return atoms
