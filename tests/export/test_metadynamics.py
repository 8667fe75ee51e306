"""Metadynamics in ASE: derivatives of the bias, free energies of a double well, restarts, walkers, what stops a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ase.io
import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.verlet import VelocityVerlet
from toy_variables import Component, DistanceAndAngle, DoubleWell

from rhopot.export.metadynamics import MetadynamicsCalculator, MetadynamicsStopped
from rhopot.export.metadynamics_bias import Hills
from rhopot.export.metadynamics_deposition import Walkers
from rhopot.potentials.plumed_files import EV_PER_KJ_PER_MOL, read_table

FS = ase.units.fs


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def copper() -> Atoms:
    """A strained, displaced cell."""
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + 0.02 * np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])), scale_atoms=True
    )
    atoms.rattle(0.1, seed=4)
    return atoms


def dimer(seed: int = 0) -> Atoms:
    """Two atoms that move."""
    atoms = Atoms("Ar2", positions=[[-1.0, 0.0, 0.0], [0.9, 0.3, 0.1]])
    atoms.set_momenta(np.random.default_rng(seed).normal(size=(2, 3)) * np.sqrt(40.0 * 0.025))
    return atoms


def particle(seed: int = 0) -> Atoms:
    return Atoms("Ar", positions=[[-1.0, 0.0, 0.0]], momenta=np.random.default_rng(seed).normal(size=(1, 3)))


def on_dimer(**given: Any) -> MetadynamicsCalculator:
    settings: dict[str, Any] = {
        "height": 0.02, "sigma": (0.2, 0.3), "pace": 5, "biasfactor": 8.0, "temperature": 300.0,
        "wall_upper": [("d", 3.0, 1.0)], "colvar_every": 5,
    }  # fmt: skip
    return MetadynamicsCalculator(DoubleWell(), DistanceAndAngle(), **{**settings, **given})


@pytest.mark.parametrize("grid", [None, [(0.0, 4.0, 60), (-np.pi, np.pi, 60)]])
def test_forces_and_stress_are_derivatives_of_the_energy(grid: Any) -> None:
    atoms = copper()
    calc = MetadynamicsCalculator(
        EMT(),
        DistanceAndAngle(),
        height=0.3,
        sigma=(0.4, 0.3),
        pace=10,
        grid=grid,
        wall_upper=[("d", 1.5, 2.0)],
        wall_lower=[("d", 3.5, 0.5)],
        moving=[("d", 2.0, 2.2, 1.5, 0, 10)],
    )
    s = DistanceAndAngle().evaluate(atoms)[0]
    calc.bias.add(Hills(s[None, :] + [[0.2, 0.1], [-0.1, -0.2]], np.full((2, 2), 0.3), np.array([0.4, 0.3])))
    atoms.calc = calc
    without = atoms.copy()
    without.calc = EMT()
    assert calc.get_property("bias", atoms) > 0.5
    assert atoms.get_potential_energy() == pytest.approx(without.get_potential_energy() + calc.results["bias"])
    assert calc.get_property("collective_variables", atoms) == pytest.approx(s)
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    assert np.abs(forces - without.get_forces()).max() > 0.1
    assert np.abs(stress - without.get_stress(voigt=False)).max() > 1e-3
    assert forces == pytest.approx(calculate_numerical_forces(atoms, eps=1e-4), abs=1e-6)
    assert stress == pytest.approx(calculate_numerical_stress(atoms, eps=1e-5, voigt=False), abs=1e-7)


@pytest.mark.slow
def test_free_energy_of_a_double_well() -> None:
    """Langevin dynamics (BAOAB) of a particle over 3 kT; F(x) is the potential itself, within 0.1 kT."""
    kelvin, factor, steps = 300.0, 4.0, 40000
    kt = ase.units.kB * kelvin
    atoms = particle()
    calc = MetadynamicsCalculator(
        DoubleWell(height=3.0 * kt, k=1.0),
        Component(),
        height=0.05 * kt,
        sigma=0.15,
        pace=10,
        biasfactor=factor,
        temperature=kelvin,
        grid=[(-4.0, 4.0, 160)],
        colvar=None,
    )
    mass = atoms.get_masses()[0]
    dt = 0.12 * np.sqrt(mass / kt)
    kept = np.exp(-0.3 * 0.12)
    noise = np.random.default_rng(7).normal(size=(steps, 1, 3)) * np.sqrt((1.0 - kept**2) * kt / mass)
    x = np.linspace(-1.3, 1.3, 53)
    average, v = np.zeros(len(x)), np.zeros((1, 3))

    def forces() -> np.ndarray:
        calc.calculate(atoms, ["forces"])
        return calc.results["forces"]

    calc.begin(0, dt / FS)
    f = forces()
    for step in range(1, steps + 1):
        v += 0.5 * dt * f / mass
        atoms.positions += 0.5 * dt * v
        v = kept * v + noise[step - 1]
        atoms.positions += 0.5 * dt * v
        f = forces()
        v += 0.5 * dt * f / mass
        calc.after_step(step, atoms)
        if step > steps // 3 and step % 100 == 0:
            average += [calc.bias.evaluate(np.array([each]), 0).hills for each in x]
    count = sum(1 for step in range(steps // 3 + 1, steps + 1) if step % 100 == 0)
    difference = -average / count * factor / (factor - 1.0) - 3.0 * kt * (x**2 - 1.0) ** 2
    assert np.sqrt(np.mean((difference - difference.mean()) ** 2)) < 0.1 * kt
    assert len(read_table("HILLS")) == steps // 10


def test_langevin_dynamics_of_ase() -> None:
    """Hills push the particle over 12 kT in 12 ps; lines and hills come every ten steps."""
    atoms = particle()
    calc = MetadynamicsCalculator(
        DoubleWell(height=0.3), Component(), height=0.02, sigma=0.2, pace=10, wall_upper=[("x", 1.5, 2.0)]
    )
    atoms.calc = calc
    generator = np.random.default_rng(1)
    dynamics = Langevin(atoms, 10 * FS, temperature_K=300, friction=0.005 / FS, fixcm=False, rng=generator)
    calc.attach(dynamics)
    dynamics.run(1200)
    visited = read_table("COLVAR").column("x") * 10.0
    assert len(visited) == 121
    assert visited.min() < -0.8
    assert visited.max() > 0.8
    assert read_table("HILLS").column("time") == pytest.approx(0.1 * np.arange(1, 121))


def run(atoms: Atoms, calc: MetadynamicsCalculator, steps: int, start: int = 0) -> VelocityVerlet:
    atoms.calc = calc
    dynamics = VelocityVerlet(atoms, 2 * FS)
    dynamics.nsteps = start
    calc.attach(dynamics)
    dynamics.run(steps)
    return dynamics


@pytest.mark.parametrize("stop", [20, 23])
@pytest.mark.parametrize("grid", [None, [(0.0, 5.0, 50), (-np.pi, np.pi, 60)]])
def test_restart_equals_an_uninterrupted_run(stop: int, grid: Any, tmp_path: Path) -> None:
    """Also at a step of a hill. What the killed run did after its last saved state is made again."""
    moving = [("d", 1.8, 2.4, 0.5, 10, 35)]
    whole = dimer()
    run(whole, on_dimer(grid=grid, moving=moving, colvar_every=1, hills="H", colvar="C"), 60)

    parts = dimer()
    dynamics = run(parts, on_dimer(grid=grid, moving=moving, colvar_every=1), stop)
    saved = parts.copy()
    dynamics.run(12)
    calc = on_dimer(grid=grid, moving=moving, colvar_every=1, restart=True)
    run(saved, calc, 60 - stop, start=stop)

    assert saved.positions == pytest.approx(whole.positions, abs=1e-10)
    for name, other in (("HILLS", "H"), ("COLVAR", "C")):
        first, second = read_table(other), read_table(name)
        assert first.fields == second.fields
        assert second.values == pytest.approx(first.values, rel=1e-10, abs=1e-10)
        assert (tmp_path / name).read_text().count("#! FIELDS") == 1
    assert read_table("HILLS").column("time") == pytest.approx(0.01 * np.arange(1, 13))
    assert read_table("COLVAR").column("time") == pytest.approx(0.002 * np.arange(61))
    assert calc.bias.work != 0.0
    assert read_table("COLVAR").column("moving.work")[-1] * EV_PER_KJ_PER_MOL == pytest.approx(calc.bias.work)


def test_a_restart_needs_the_work_of_its_step() -> None:
    moving = [("d", 1.8, 2.4, 0.5, 10, 35)]
    run(dimer(), on_dimer(moving=moving), 23)
    for colvar in ("COLVAR", None):
        with pytest.raises(ValueError, match="restart must be at a step that COLVAR has the work of"):
            run(dimer(), on_dimer(moving=moving, restart=True, colvar=colvar), 1, start=23)
    run(dimer(), on_dimer(moving=[("d", 1.8, 2.4, 0.5, 10, 20)], restart=True), 1, start=23)


def test_hills_by_hand() -> None:
    """Heights, centers and steps of hills along a prescribed path, and columns of COLVAR."""
    calc = on_dimer(pace=2, colvar_every=1, biasfactor=5.0)
    atoms = dimer()
    calc.begin(0, 4.0)
    centers: list[np.ndarray] = []
    heights: list[float] = []
    for step in range(9):
        atoms.positions[1, 0] = 0.9 + 0.02 * step
        s = DistanceAndAngle().evaluate(atoms)[0]
        bias = sum(
            h * np.exp(-0.5 * (((s - c) / [0.2, 0.3]) ** 2).sum()) for h, c in zip(heights, centers, strict=True)
        )
        assert calc.get_property("bias", atoms) == pytest.approx(bias, rel=1e-12, abs=1e-15)
        calc.after_step(step, atoms)
        calc.after_step(step, atoms)
        if step in (2, 4, 6, 8):
            centers.append(s)
            heights.append(0.02 * np.exp(-bias / (ase.units.kB * 300.0 * 4.0)))
    table = read_table("HILLS")
    assert table.column("time") == pytest.approx([0.008, 0.016, 0.024, 0.032])
    assert table.column("height") * EV_PER_KJ_PER_MOL == pytest.approx(np.array(heights) * 5.0 / 4.0, rel=1e-12)
    assert table.column("d") * 10.0 == pytest.approx([c[0] for c in centers], rel=1e-12)
    assert read_table("COLVAR").fields == ("time", "d", "phi", "metad.bias", "walls.bias")
    assert calc.deposition.count == 4


def test_a_hill_acts_from_the_next_structure_on() -> None:
    """Whatever is asked for again of the same structure stays what it was."""
    calc = on_dimer(pace=1)
    atoms = dimer()
    atoms.calc = calc
    calc.begin(0, 1.0)
    calc.after_step(0, atoms)
    atoms.positions[1, 0] += 0.01
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    calc.after_step(1, atoms)
    calc.reset()
    assert atoms.get_potential_energy() == energy
    assert (atoms.get_forces() == forces).all()
    atoms.positions[1, 0] += 1e-12
    assert atoms.get_potential_energy() == pytest.approx(energy + 0.02, rel=1e-6)


def test_two_walkers_share_their_hills(tmp_path: Path) -> None:
    """Two runs in turns: the bias of each is that of all hills; hills of one restarted walker are not counted twice."""
    given: dict[str, Any] = {"biasfactor": None, "colvar": None}
    calcs = [on_dimer(walkers=("shared", k, 2), **given) for k in range(2)]
    made = [dimer(k) for k in range(2)]
    motions = []
    for atoms, calc in zip(made, calcs, strict=True):
        atoms.calc = calc
        motions.append(VelocityVerlet(atoms, 2 * FS))
        calc.attach(motions[-1])
    for _ in range(4):
        for motion in motions:
            motion.run(5)
    assert {file.name for file in (tmp_path / "shared").iterdir()} == {"HILLS.0", "HILLS.1"}
    for calc in calcs:
        calc.deposition.exchange()
    assert [calc.deposition.count for calc in calcs] == [8, 8]
    s = np.array([2.0, 0.3])
    first = calcs[0].bias.evaluate(s, 0).hills
    assert first > 0.0
    assert calcs[1].bias.evaluate(s, 0).hills == pytest.approx(first, rel=1e-12)

    again = on_dimer(walkers=("shared", 1, 2), restart=True, **given)
    again.begin(10, 2.0)
    assert again.deposition.count == 2 + 4
    calcs[0].deposition.exchange()
    assert calcs[0].deposition.count == 4 + 2
    again.deposition.release()
    assert calcs[0].bias.evaluate(s, 0).hills == pytest.approx(again.bias.evaluate(s, 0).hills, rel=1e-12)


def test_walkers_are_numbered() -> None:
    with pytest.raises(ValueError, match="walkers must be numbered from 0 to 1, got 2"):
        Walkers(Path("shared"), 2, 2)


def test_constant_pressure() -> None:
    """Each step is seen once, and the stress is that of the bias too."""
    atoms = copper()
    calc = MetadynamicsCalculator(EMT(), DistanceAndAngle(), height=0.1, sigma=(0.1, 0.1), pace=2, colvar_every=1)
    atoms.calc = calc
    dynamics = IsotropicMTKNPT(atoms, 2 * FS, temperature_K=300, pressure_au=0.0, tdamp=200 * FS, pdamp=2000 * FS)
    calc.attach(dynamics)
    dynamics.run(6)
    assert read_table("HILLS").column("time") == pytest.approx([0.004, 0.008, 0.012])
    assert len(read_table("COLVAR")) == 7


def test_a_second_run_goes_on() -> None:
    dynamics = run(dimer(), on_dimer(), 7)
    dynamics.run(8)
    assert read_table("HILLS").column("time") == pytest.approx([0.01, 0.02, 0.03])
    run(dimer(), on_dimer(), 5)
    assert len(read_table("bck.0.HILLS")) == 3


def test_variables_that_leave_the_grid_stop_the_run(tmp_path: Path) -> None:
    calc = on_dimer(grid=[(0.0, 2.2, 50), (-np.pi, np.pi, 60)])
    atoms = dimer()
    atoms.set_momenta([[-20.0, 0, 0], [20.0, 0, 0]])
    with pytest.raises(MetadynamicsStopped, match=r"step \d+: d must stay within its grid, 0 to 2\.2, got 2\.") as stop:
        run(atoms, calc, 200)
    assert stop.value.kind == "grid"
    frame = ase.io.read(tmp_path / "stopped.extxyz")
    assert frame.get_distance(0, 1) > 2.2
    assert frame.info["step"] == stop.value.step


def test_uncertainty_stops_the_run(tmp_path: Path) -> None:
    calc = on_dimer(stop_uncertainty=1.2, stopped="uncertain.extxyz")
    atoms = dimer()
    atoms.set_momenta([[-20.0, 0, 0], [20.0, 0, 0]])
    with pytest.raises(
        MetadynamicsStopped, match=r"force uncertainty is 1\.\d+ eV/A, above 1\.2; frame in 'uncertain"
    ) as at:
        run(atoms, calc, 200)
    assert at.value.kind == "uncertain"
    assert at.value.step % 5 == 0
    assert np.abs(ase.io.read(tmp_path / "uncertain.extxyz").positions[:, 0]).max() > 1.2
    with pytest.raises(ValueError, match="stop_uncertainty must go with a calculator that has forces_uncertainty"):
        MetadynamicsCalculator(EMT(), Component(), wall_upper=[("x", 1.0, 1.0)], stop_uncertainty=0.1)


class Broken(DoubleWell):
    """Gives no number from a distance on."""

    def calculate(self, *given: Any, **named: Any) -> None:
        """Evaluate, or fail to."""
        super().calculate(*given, **named)
        if self.atoms is not None and np.abs(self.atoms.positions[:, 0]).max() > 1.3:
            self.results["forces"] = self.results["forces"] * np.nan


def test_numbers_that_are_not_finite_stop_the_run(tmp_path: Path) -> None:
    calc = MetadynamicsCalculator(Broken(), Component(), height=0.1, sigma=0.1, pace=10)
    atoms = particle()
    atoms.set_momenta([[-20.0, 0.0, 0.0]])
    with pytest.raises(
        MetadynamicsStopped, match=r"step \d+: forces must be finite, got other numbers; reduce the time"
    ):
        run(atoms, calc, 100)
    assert ase.io.read(tmp_path / "stopped.extxyz").positions[0, 0] < -1.3
    lost = particle()
    lost.calc = calc
    calc.begin(0, 1.0)
    lost.get_forces()
    lost.positions[0, 0] = np.nan
    with pytest.raises(MetadynamicsStopped, match="positions must be finite"):
        lost.get_forces()
    assert np.isfinite(ase.io.read(tmp_path / "stopped.extxyz").positions).all()


def test_results_of_the_other_calculator() -> None:
    calc = on_dimer()
    atoms = dimer()
    atoms.calc = calc
    assert (calc.get_property("forces_uncertainty", atoms) == np.abs(atoms.positions[:, 0])).all()
    assert "stress" not in calc.implemented_properties
    assert (
        "energies"
        not in MetadynamicsCalculator(EMT(), DistanceAndAngle(), wall_upper=[("d", 1.0, 1.0)]).implemented_properties
    )
    frozen = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    assert frozen.results["energy"] == calc.results["energy"]


def test_the_other_calculator_computes_once_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    calculate = EMT.calculate

    def counted(self: EMT, atoms: Atoms, properties: list[str], changes: Any) -> None:
        asked.append(list(properties))
        calculate(self, atoms, properties, changes)

    monkeypatch.setattr(EMT, "calculate", counted)
    atoms = copper()
    calc = MetadynamicsCalculator(EMT(), DistanceAndAngle(), height=0.1, sigma=(0.1, 0.1), pace=2)
    run(atoms, calc, 5)
    assert asked == [["forces"]] * 6, "forces first: of a model, energies alone would be computed without them"


def test_refusals() -> None:
    for given, sentence in (
        ({"sigma": 0.2}, "sigma must be given for each of d, phi, got 1"),
        ({"wall_upper": [("q", 1.0, 1.0)]}, "must name one of d, phi, got 'q'"),
        ({"wall_upper": [("phi", 1.0, 1.0)]}, "walls must be of variables that are not periodic, got phi"),
        ({"colvar_every": 0}, "colvar_every must be 1 step or more"),
        ({"group": [0]}, "group must go with the file of a collective variable"),
    ):
        with pytest.raises(ValueError, match=sentence):
            on_dimer(**given)
    run(dimer(), on_dimer(), 10)
    with pytest.raises(ValueError, match=r"must have the columns time x metad.bias"):
        MetadynamicsCalculator(DoubleWell(), Component(), height=0.1, sigma=0.1, pace=1, restart=True).begin(10, 2.0)
    other = MetadynamicsCalculator(
        DoubleWell(), DistanceAndAngle("ffffffff"), height=0.1, sigma=(0.1, 0.1), pace=1, restart=True, colvar=None
    )
    with pytest.raises(ValueError, match=r"'HILLS' must be of these collective variables \(ffffffff\)"):
        other.begin(10, 2.0)


def test_restart_at_step_zero_keeps_the_hills() -> None:
    """A run whose step was not set would drop them all."""
    atoms = dimer()
    for restart in (False, True):
        atoms.calc = MetadynamicsCalculator(
            DoubleWell(), DistanceAndAngle(), height=0.01, sigma=(0.1, 0.2), pace=2, restart=restart
        )
        dynamics = VelocityVerlet(atoms, FS)
        if restart:
            with pytest.raises(ValueError, match="restart must be at the step of the structure, got step 0"):
                atoms.calc.attach(dynamics)
        else:
            atoms.calc.attach(dynamics)
            dynamics.run(10)
    assert len(read_table(Path("HILLS")).values) == 5


def test_refused_colvar_leaves_hills_as_they_are() -> None:
    """What cannot be continued is refused before a file is changed."""
    atoms = dimer()
    atoms.calc = MetadynamicsCalculator(DoubleWell(), DistanceAndAngle(), height=0.01, sigma=(0.1, 0.2), pace=2)
    dynamics = VelocityVerlet(atoms, FS)
    atoms.calc.attach(dynamics)
    dynamics.run(10)
    before = Path("HILLS").read_text()
    Path("COLVAR").write_text("#! FIELDS time other\n0 1\n")
    again = MetadynamicsCalculator(
        DoubleWell(), DistanceAndAngle(), height=0.01, sigma=(0.1, 0.2), pace=2, restart=True
    )
    with pytest.raises(ValueError, match="COLVAR"):
        again.begin(4, 1.0)
    assert Path("HILLS").read_text() == before


def test_hills_and_colvar_are_two_files() -> None:
    with pytest.raises(ValueError, match="must be two files, got 'X'"):
        MetadynamicsCalculator(
            DoubleWell(), DistanceAndAngle(), height=0.01, sigma=(0.1, 0.2), pace=2, hills="X", colvar="X"
        )
