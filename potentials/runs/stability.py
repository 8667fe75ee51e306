"""Does a model survive hot dynamics? A short run of a structure at a stated temperature, judged by what the data allow.

A potential can have small errors and still run away: somewhere outside its data its energy has a hole, dynamics falls
into it, and no comparison of programs shows it. The run (Langevin thermostat; time steps of 2 fs, 0.5 fs with elements
lighter than lithium) ends at once when

    energy       per atom, without the energies of the elements, leaves the range of training energies by more than
                 ENERGY_MARGIN (below) or that and 3 k T (above); the energy at the start counts as data. Not judged of
                 models that were trained without energies
    closest      a pair of atoms comes closer than CLOSEST_SHARE of its shortest distance in the training data (or of
                 the sum of its covalent radii, where that is shorter)
    temperature  the mean over its second half exceeds HOTTEST times the thermostat's
    program      energies or forces are not finite

A run that passes has shown that much: so many atoms, for so long, at that temperature.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.parallel import DummyMPI

from rhopot.export import ModelCard
from rhopot.potentials.pair import ZblSettings, shortest_distances
from rhopot.potentials.structures import Frame
from rhopot.potentials.structures.prototypes import enlarged
from rhopot.potentials.structures.velocities import thermal_momenta

ENERGY_MARGIN = 0.2  # eV/atom: what structures that were still far from equilibrium may relax by
CLOSEST_SHARE = 0.7
HOTTEST = 1.5
FRICTION = 0.01  # 1/fs
# Atoms of a run, by the kind of model: a global one takes a second where a local one takes a millisecond.
ATOMS = {"local": 96, "global": 32}
LIGHT = 6.0  # u
SHORT = 0.5  # of the length that was asked for: runs that end before it do not count as stable
BLOCK = 20  # time steps between looks
CRITERION = (
    f"Stable: the energy per atom stays within the range of the training energies ({ENERGY_MARGIN:g} eV/atom below it, "
    f"{ENERGY_MARGIN:g} eV/atom + 3 kT above it), no distance falls below {CLOSEST_SHARE:g} times the shortest in the "
    f"training data, and the mean temperature of the second half is at most {HOTTEST:g} times the thermostat's. "
    "RUNAWAY: otherwise; the run ends there. "
    f"Periodic cells of fewer than {ATOMS['local']} atoms (global models: {ATOMS['global']}) are repeated, so formulas "
    "are those of the repeated cells. Energies are relative to the atomic reference energies of the model (`baseline` "
    "in `rhopot info`)."
)


@dataclass(frozen=True)
class Stability:
    """What a hot run did.

    picoseconds: length of the run (`asked`: without the limit of its processor time); energies in eV/atom without those
    of the elements; closest: smallest ratio of a distance to the shortest one that counts as known; fault: empty, or
    what the run ended with.
    """

    structure: str
    n_atoms: int
    temperature: float
    picoseconds: float
    asked: float
    mean_temperature: float
    lowest_energy: float
    highest_energy: float
    closest: float
    fault: str

    @property
    def passed(self) -> bool:
        """True when nothing ran away."""
        return not self.fault

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def sentence(self) -> str:
        """The run in one sentence."""
        what = f"{self.structure}, {self.n_atoms} atoms, {self.temperature:g} K"
        if self.fault:
            return f"{what}: RUNAWAY after {self.picoseconds:.2g} ps: {self.fault}"
        reached = f"{self.picoseconds:.2g} ps"
        if self.picoseconds < 0.999 * self.asked:
            reached += f" (of {self.asked:g} asked for: its processor time was up)"
        verdict = "stable for" if self.picoseconds >= SHORT * self.asked else "too short to tell: nothing ran away in"
        return (
            f"{what}: {verdict} {reached}; mean temperature {self.mean_temperature:.0f} K, "
            f"energies {self.lowest_energy:+.3f} to {self.highest_energy:+.3f} eV/atom, "
            f"shortest distance {self.closest:.2f} times the shortest in the training data"
        )


def known_distances(card: ModelCard) -> Mapping[str, float]:
    """Shortest distance in A that counts as known of each pair of elements, `Li-Si` in the order of the card.

    That in the training data, or the sum of covalent radii where that is shorter or the pair does not occur.
    """
    summary: Mapping[str, Any] = card.training_data.summary
    known = ZblSettings().completed(card.symbols, summary.get("shortest_distances")).outer
    return known if isinstance(known, dict) else {}


def shortest_known(card: ModelCard) -> dict[str, float]:
    """`known_distances`, by pairs of elements in alphabetical order."""
    return {"-".join(sorted(pair.split("-"))): distance for pair, distance in known_distances(card).items()}


def allowed_distances(pairs: Iterable[str], known: Mapping[str, float], given: float | None) -> dict[str, float]:
    """Shortest allowed distance in A of each pair: `given` for all (0: any), else CLOSEST_SHARE times the known one.

    Pairs whose known distance is not there may be at any.
    """
    if given is not None:
        return dict.fromkeys(pairs, given) if given > 0.0 else {}
    return {pair: CLOSEST_SHARE * known[pair] for pair in pairs if pair in known}


class _Limits:
    """What counts as running away, from the card of a model and the structure at the start."""

    def __init__(self, card: ModelCard, temperature: float) -> None:
        summary: Mapping[str, Any] = card.training_data.summary
        self._elements = card.baseline_energies
        self._symbols = card.symbols
        self._thermal = 3.0 * units.kB * temperature
        self._range = summary.get("energy_range")
        self._known = known_distances(card)

    def energy(self, atoms: Atoms) -> float:
        """Energy per atom (eV) without those of the elements."""
        left = atoms.get_potential_energy() - sum(self._elements[symbol] for symbol in atoms.symbols)
        return float(left) / len(atoms)

    def closest(self, atoms: Atoms) -> float:
        """Smallest ratio of a distance to the one that is known of its pair of elements."""
        found = shortest_distances([Frame(atoms)], self._symbols, max(self._known.values()))
        return min((distance / self._known[pair] for pair, distance in found.items()), default=1.0)

    def fault(self, start: float, energy: float, closest: float) -> str:
        """What is wrong with a state, empty where nothing is."""
        if not np.isfinite(energy):
            return "the energy is not a number"
        if self._range is not None:
            low, high = min(self._range[0], start) - ENERGY_MARGIN, max(self._range[1], start) + ENERGY_MARGIN
            if not low <= energy <= high + self._thermal:
                allowed = f"{low:+.2f} to {high + self._thermal:+.2f}"
                return f"the energy reached {energy:+.2f} eV/atom, the data allow {allowed}"
        if closest < CLOSEST_SHARE:
            return f"atoms came as close as {closest:.2f} times the shortest distance in the training data"
        return ""


def hot_dynamics(
    atoms: Atoms,
    calculator: Calculator,
    card: ModelCard,
    *,
    temperature: float,
    picoseconds: float,
    seconds: float,
    seed: int = 0,
) -> Stability:
    """Run `atoms` (several of them) at `temperature` K for `picoseconds`, at most `seconds` of processor time."""
    moving = atoms.copy()
    moving.calc = calculator
    moving.set_momenta(thermal_momenta(moving, temperature, seed))
    timestep = 0.5 if moving.get_masses().min() < LIGHT else 2.0
    rng = np.random.default_rng(seed)
    motion = Langevin(
        moving,
        timestep * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
        comm=DummyMPI(),  # of this process alone: under MPI, ASE would wait for ranks that run no dynamics
    )
    limits = _Limits(card, temperature)
    energies, closest, temperatures, fault = [limits.energy(moving)], [limits.closest(moving)], [temperature], ""
    end, steps = time.thread_time() + seconds, max(BLOCK, round(1000 * picoseconds / timestep))
    while not fault and motion.nsteps < steps and time.thread_time() < end:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # atoms far outside what a grid was prepared for: seen below
                motion.run(min(BLOCK, steps - motion.nsteps))
                energies.append(limits.energy(moving))
            closest.append(limits.closest(moving))
        except (ValueError, RuntimeError) as error:
            fault = str(error).splitlines()[0]
            break
        temperatures.append(moving.get_temperature())
        fault = limits.fault(energies[0], energies[-1], closest[-1])
    mean = float(np.mean(temperatures[len(temperatures) // 2 :]))
    if not fault and mean > HOTTEST * temperature and len(temperatures) > 10:
        fault = f"the mean temperature was {mean:.0f} K under a thermostat of {temperature:g} K"
    return Stability(
        structure=atoms.get_chemical_formula(),
        n_atoms=len(atoms),
        temperature=temperature,
        picoseconds=motion.nsteps * timestep / 1000.0,
        asked=picoseconds,
        mean_temperature=mean,
        lowest_energy=min(energies),
        highest_energy=max(energies),
        closest=min(closest),
        fault=fault,
    )


def training_structures(card: ModelCard) -> list[Atoms]:
    """Structures of the training data that the model file carries, with their forces where it knows them.

    Older files carry none, or none with forces.
    """
    examples: Any = card.training_data.summary.get("examples", [])
    found = []
    for one in examples:
        atoms = Atoms(one["symbols"], positions=one["positions"], cell=one["cell"], pbc=one["pbc"])
        if "forces" in one:
            atoms.calc = SinglePointCalculator(atoms, forces=np.array(one["forces"]))
        found.append(atoms)
    return found


def training_molecule(card: ModelCard) -> Atoms | None:
    """The largest of the training structures in the model file, if there are some and none of them is periodic."""
    known = training_structures(card)
    return max(known, key=len) if known and not any(atoms.pbc.any() for atoms in known) else None


def run_hot_dynamics(
    structures: Sequence[Atoms],
    calculator: Calculator,
    card: ModelCard,
    *,
    temperature: float,
    picoseconds: float,
    seconds: float,
) -> list[Stability]:
    """Hot dynamics of each structure, made large enough; the first one that fails is the last one run."""
    runs: list[Stability] = []
    for atoms in structures:
        large = enlarged(atoms, ATOMS[card.kind])
        if len(large) < 2:
            continue
        runs.append(
            hot_dynamics(large, calculator, card, temperature=temperature, picoseconds=picoseconds, seconds=seconds)
        )
        if not runs[-1].passed:
            break
    return runs
