"""`fix rhopot/metad` against ASE with the same files, on 1, 2 and 4 ranks, and against differences of its energy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase
import lammps_process as lmp
import metadynamics_in_lammps as metad
import numpy as np
import pytest
import torch
from torch import Tensor

from rhopot.export.cv_card import CvCard
from rhopot.export.cv_evaluate import evaluate_cv
from rhopot.export.cv_file import load_cv, save_cv
from rhopot.potentials.collective_variables import CollectiveVariable, Coordination, Distance

VARIABLES = ("distance", "coordination", "dihedral", "both")
STEP = 1000  # at which the runs begin, after the hills of the file


@pytest.fixture(scope="session")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variables")
    metad.write_variables(folder)
    return folder


def outputs(n: int) -> str:
    """Forces in a dump, and the fix's numbers as `value` lines, of a run of no steps."""
    vector = "\n".join(f'print "value v{k} $(f_bias[{k}]:%.17g)"' for k in range(1, n + 5))
    return f"""
fix_modify bias energy yes
thermo_style custom step pe f_bias {" ".join(f"f_bias[{k}]" for k in range(1, n + 5))} pxx pyy pzz pxy pxz pyz
dump atoms all custom 1 atoms.dump id fx fy fz
dump_modify atoms sort id format float %.17g
run 0 post no
{lmp.VALUES}
print "value bias $(f_bias:%.17g)"
{vector}
"""


def run(folder: Path, atoms: ase.Atoms, path: Path, ranks: int, more: str = "") -> lmp.Run:
    """Forces of the hills in HILLS."""
    n = len(load_cv(path).card.names)
    fix = metad.fix(path, f"{metad.KEYWORDS} restart yes {more}")
    script = metad.start(folder, atoms) + f"reset_timestep {STEP}\n{fix}{outputs(n)}"
    return lmp.succeed(folder, script, ranks)


@pytest.mark.parametrize("name", VARIABLES)
@pytest.mark.parametrize("structure", ["crystal", "triclinic", "corner"])
def test_equals_ase_on_any_ranks(variables: Path, tmp_path: Path, structure: str, name: str) -> None:
    """Values, energy, forces and virial, to 1e-10; a rank without atoms takes part."""
    atoms, path = metad.structures()[structure], variables / f"{name}.pt"
    cv = load_cv(path)
    hills = metad.random_hills(cv, atoms)
    found = evaluate_cv(cv, atoms)
    value = metad.bias_of(cv, hills).evaluate(found.values, STEP)
    assert found.gradients is not None
    assert found.strain_gradients is not None
    forces = -np.tensordot(value.gradient, found.gradients, 1)
    stress = np.tensordot(value.gradient, found.strain_gradients, 1) / atoms.get_volume()
    assert np.abs(forces).max() > 1e-3
    for ranks in (1, 2, 4):
        metad.write_hills(tmp_path / "HILLS", cv, hills, metad.BIASFACTOR)
        result = run(tmp_path, atoms, path, ranks)
        for k, number in enumerate(found.values, 1):
            assert result.values[f"v{k}"] == pytest.approx(number, abs=1e-10)
        assert result.values["bias"] == pytest.approx(value.total, abs=1e-10)
        assert result.values["pe"] == pytest.approx(value.total, abs=1e-10)
        np.testing.assert_allclose(lmp.forces(result.dump()[0]), forces, rtol=0, atol=1e-10)
        voigt = [stress[k] for k in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
        np.testing.assert_allclose(lmp.pressures(result), -np.array(voigt), rtol=0, atol=1e-10)


class SingleCoordination(CollectiveVariable):
    """A coordination number in single precision; like all variables it takes and returns double."""

    def __init__(self) -> None:
        inner = Coordination(["Li"], ["Li", "Si"], cutoff=3.4)
        super().__init__(replace(inner.description, dtype="float32"))
        self.inner = inner.to(torch.float32)

    def forward(
        self, edge_vectors: Tensor, first_edge: Tensor, neighbour: Tensor, centre: Tensor, species: Tensor
    ) -> Tensor:
        """As `Coordination`."""
        single = edge_vectors.to(torch.float32)
        found: Tensor = self.inner(single, first_edge, neighbour, centre, species)
        return found.to(torch.float64)

    def finish(self, sums: Tensor, positions: Tensor) -> Tensor:
        """As `Coordination`."""
        found: Tensor = self.inner.finish(sums, positions)
        return found


def test_single_precision(tmp_path: Path) -> None:
    """Equal to ASE up to the rounding of sums in another order, and to double precision up to that of the numbers."""
    module, path = SingleCoordination(), tmp_path / "single.pt"
    cv = save_cv(module, CvCard.of(module), path)
    assert cv.card.dtype == "float32"
    atoms = metad.structures()["triclinic"]
    hills = metad.random_hills(cv, atoms)
    found = evaluate_cv(cv, atoms)
    assert found.gradients is not None
    value = metad.bias_of(cv, hills).evaluate(found.values, STEP)
    forces = -np.tensordot(value.gradient, found.gradients, 1)
    for ranks in (1, 2, 4):
        metad.write_hills(tmp_path / "HILLS", cv, hills, metad.BIASFACTOR)
        result = run(tmp_path, atoms, path, ranks)
        assert result.values["v1"] == pytest.approx(found.values[0], rel=1e-6)
        np.testing.assert_allclose(lmp.forces(result.dump()[0]), forces, rtol=0, atol=1e-6 * np.abs(forces).max())
    double = Coordination(["Li"], ["Li", "Si"], cutoff=3.4)
    exact = evaluate_cv(save_cv(double, CvCard.of(double), tmp_path / "double.pt"), atoms).values[0]
    assert 0.0 < abs(found.values[0] - exact) < 1e-5


def test_group_holds_the_centers(variables: Path, tmp_path: Path) -> None:
    """Centers are the atoms of the fix's group, neighbors are all."""
    atoms, path = metad.structures()["crystal"], variables / "coordination.pt"
    some = np.arange(len(atoms) // 3)
    expected = evaluate_cv(load_cv(path), atoms, group=some, gradients=False).values[0]
    fix = metad.fix(path, metad.KEYWORDS, group="some")
    line = "group some id " + " ".join(str(k + 1) for k in some) + "\n"
    result = lmp.succeed(tmp_path, metad.start(tmp_path, atoms) + line + fix + outputs(1), 2)
    assert result.values["v1"] == pytest.approx(expected, abs=1e-10)
    assert expected != pytest.approx(evaluate_cv(load_cv(path), atoms, gradients=False).values[0], abs=1e-4)


def test_grid_interpolates(variables: Path, tmp_path: Path) -> None:
    """A grid of a seventh of sigma is off by less than 3/384/7^4 of the sum of heights."""
    atoms, path = metad.structures()["crystal"], variables / "both.pt"
    cv = load_cv(path)
    hills = metad.random_hills(cv, atoms)
    values = evaluate_cv(cv, atoms, gradients=False).values
    exact = metad.bias_of(cv, hills).evaluate(values, STEP).total
    metad.write_hills(tmp_path / "HILLS", cv, hills, metad.BIASFACTOR)
    result = run(tmp_path, atoms, path, 1, f"grid 0 {200 * 0.2 / 7} 200 0 {400 * 0.15 / 7} 400")
    limit = 2 * 3 / 384 / 7**4 * hills.heights.sum()
    assert result.values["bias"] == pytest.approx(exact, abs=limit)
    assert result.values["bias"] != exact


@pytest.mark.parametrize("name", VARIABLES)
def test_forces_and_virial_are_differences(variables: Path, tmp_path: Path, name: str) -> None:
    """Of LAMMPS' own energies: displaced atoms, and a strained box, to 1e-6 of the largest component."""
    atoms, path = metad.structures()["triclinic"], variables / f"{name}.pt"
    cv = load_cv(path)
    metad.write_hills(tmp_path / "HILLS", cv, metad.random_hills(cv, atoms), metad.BIASFACTOR)
    step, moved = 2e-5, (1, 2, 8)
    fix = metad.fix(path, f"{metad.KEYWORDS} restart yes")
    script = metad.start(tmp_path, atoms) + f"reset_timestep {STEP}\n{fix}{outputs(len(cv.card.names))}"
    script += "".join(f"group moved{k} id {k}\n" for k in moved)
    for k in moved:
        for sign in (1, -1):
            script += f"displace_atoms moved{k} move 0 {sign * step} 0 units box\nrun 0 post no\n"
            script += f'print "value move{k}{sign:+d} $(pe:%.17g)"\n'
            script += f"displace_atoms moved{k} move 0 {-sign * step} 0 units box\n"
    cell = atoms.cell.array
    for axis in ("x", "xy"):
        for sign in (1, -1, 0):
            strain = np.eye(3)
            strain[0 if axis == "x" else 1, 0] += sign * step
            box = cell @ strain
            words = f"x final 0 {float(box[0, 0])!r} xy final {float(box[1, 0])!r} xz final {float(box[2, 0])!r}"
            script += f"change_box all {words} remap units box\nrun 0 post no\n"
            script += f'print "value box{axis}{sign:+d} $(pe:%.17g)"\n'
    result = lmp.succeed(tmp_path, script, 2)
    forces = lmp.forces(result.dump()[0])
    pressures = dict(zip(("x", "y", "z", "xy"), lmp.pressures(result), strict=False))
    for k in moved:
        derivative = (result.values[f"move{k}+1"] - result.values[f"move{k}-1"]) / (2 * step)
        assert forces[k - 1, 1] == pytest.approx(-derivative, abs=1e-6 * np.abs(forces).max())
    for axis in ("x", "xy"):
        derivative = (result.values[f"box{axis}+1"] - result.values[f"box{axis}-1"]) / (2 * step)
        largest = np.abs(lmp.pressures(result)).max()
        assert pressures[axis] == pytest.approx(-derivative / atoms.get_volume(), abs=1e-6 * largest)


def test_units_real(variables: Path, tmp_path: Path) -> None:
    """The same hills of a file in kcal/mol; steps count in fs, the file's times in ps."""
    atoms, path = metad.structures()["crystal"], variables / "both.pt"
    cv = load_cv(path)
    hills = metad.random_hills(cv, atoms)
    found = evaluate_cv(cv, atoms)
    value = metad.bias_of(cv, hills).evaluate(found.values, STEP)
    metad.write_hills(tmp_path / "HILLS", cv, hills, metad.BIASFACTOR)
    fix = metad.fix(path, f"{metad.KEYWORDS} restart yes colvar COLVAR 1")
    start = lmp.setup(tmp_path, atoms, "", ["Li", "Si"], units="real", pair="pair_style zero 4.0\npair_coeff * *")
    script = f"{start}timestep 1.0\nreset_timestep {STEP}\n{fix}{outputs(2)}"
    result = lmp.succeed(tmp_path, script, 2)
    kcal = 96.48533212331 / 4.184
    assert result.values["bias"] == pytest.approx(kcal * value.total, rel=1e-10)
    forces = -kcal * np.tensordot(value.gradient, found.gradients, 1)
    np.testing.assert_allclose(lmp.forces(result.dump()[0]), forces, rtol=0, atol=1e-9)


def test_beside_a_global_model(variables: Path, scattering: Path, tmp_path: Path) -> None:
    """Whose pair style reaches no neighbors for the fix: `zero` does."""
    atoms, path = metad.structures()["crystal"], variables / "coordination.pt"
    cv = load_cv(path)
    hills = metad.random_hills(cv, atoms)
    value = metad.bias_of(cv, hills).evaluate(evaluate_cv(cv, atoms).values, STEP)
    metad.write_hills(tmp_path / "HILLS", cv, hills, metad.BIASFACTOR)
    pair = f"pair_style hybrid/overlay rhopot zero 5.5\npair_coeff * * rhopot {scattering} Li Si\npair_coeff * * zero"
    fix = metad.fix(path, f"{metad.KEYWORDS} restart yes")
    script = metad.start(tmp_path, atoms, pair) + f"reset_timestep {STEP}\n{fix}{outputs(1)}"
    assert lmp.succeed(tmp_path, script, 2).values["bias"] == pytest.approx(value.total, abs=1e-10)


def test_given_atoms_in_a_tilted_box(tmp_path: Path) -> None:
    """The nearest image, which folding along one box vector after the other does not find."""
    atoms = ase.Atoms("Li2", cell=[[6.0, 0.0, 0.0], [-3.0, 27.0**0.5, 0.0], [0.0, 0.0, 10.0]], pbc=True)
    atoms.positions[:] = [[0.0, 0.0, 1.0], [2.7, 2.58, 1.0]]
    variable = Distance([1, 2])
    save_cv(variable, CvCard.of(variable), tmp_path / "distance.pt")
    start = lmp.setup(tmp_path, atoms, "", ["Li", "Si"], pair="pair_style zero 4.0\npair_coeff * *")
    fix = metad.fix(tmp_path / "distance.pt", "wall_upper distance 1.0 2.0").replace("sigma 0.15 ", "")
    result = lmp.succeed(tmp_path, start + fix + outputs(1), 1)
    expected = evaluate_cv(load_cv(tmp_path / "distance.pt"), atoms)
    assert expected.values[0] == pytest.approx(atoms.get_distance(0, 1, mic=True), abs=1e-12)
    assert result.values["v1"] == pytest.approx(expected.values[0], abs=1e-12)
    forces = -4.0 * (expected.values[0] - 1.0) * expected.gradients[0]
    np.testing.assert_allclose(lmp.forces(result.dump()[0]), forces, rtol=0, atol=1e-12)
