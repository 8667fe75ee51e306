"""Models with layers of messages: features of atoms are exchanged between ranks, ghosts reach one cutoff."""

import re
from pathlib import Path

import ase
import broken_plugins
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest
import small_models
import torch
from broken_plugins import Fault

from rhopot.export import Evaluation, evaluate, load_model

OUTPUTS = """
compute energy all pe/atom
compute virial all stress/atom NULL virial
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
dump atoms all custom 1 atoms.dump id type x y z fx fy fz c_energy c_virial[*]
dump_modify atoms sort id format float %.17g
"""
STATIC = f"{OUTPUTS}\nrun 0 post no\n{lmp.VALUES}\n"
VOIGT = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])  # LAMMPS: xx yy zz xy xz yz


def expected(model: Path, atoms: ase.Atoms) -> Evaluation:
    return evaluate(load_model(model), [atoms])[0]


def check(run: lmp.Run, truth: Evaluation) -> None:
    """Energies, forces and virial are those of ASE."""
    frame = run.dump()[0]
    assert truth.forces is not None
    assert truth.virial is not None
    assert np.abs(truth.forces).max() > 0.1
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-9 * len(truth.energies))
    np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=1e-8)
    np.testing.assert_allclose(lmp.pressures(run) * run.values["vol"], truth.virial[VOIGT], rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(lmp.virial(frame).sum(0), truth.virial[VOIGT], rtol=1e-9, atol=1e-8)


SYSTEMS = {
    "cubic": toy.crystal(),
    "triclinic": lmp.in_lammps_frame(toy.skewed()),
    "smaller than the cutoff": lmp.in_lammps_frame(toy.tiny()),
    "slab": toy.slab(),
    "cluster, ranks without atoms": toy.cluster(),
}
CASES = [("angular_3", ranks, system) for ranks in (1, 2, 4) for system in SYSTEMS] + [
    ("angular_3", 8, "cubic"), ("angular_3", 8, "cluster, ranks without atoms"), ("angular_2", 2, "triclinic"),
    ("angular_1", 2, "triclinic"), ("point_scattering_2", 1, "smaller than the cutoff"),
    ("point_scattering_2", 2, "triclinic"), ("point_scattering_2", 4, "cluster, ranks without atoms"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "ranks", "system"), CASES)
def test_equal_to_ase(models: Path, tmp_path: Path, system: str, name: str, ranks: int) -> None:
    model, atoms = models / f"{name}.pt", SYSTEMS[system]
    before = "" if atoms.pbc.any() else f"processors {ranks} 1 1"
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"], before=before) + STATIC
    run = lmp.succeed(tmp_path, script, ranks)
    check(run, expected(model, atoms))
    assert "ghost atom cutoff = 5\n" in run.output  # 4 A and 1 A of skin, whatever the number of layers


@pytest.mark.parametrize("ranks", [2, 4])
def test_tiled(models: Path, tmp_path: Path, ranks: int) -> None:
    """Other than bricks: boxes of all sizes, each with neighbors of its own."""
    model, atoms = models / "angular_3.pt", toy.crystal((3, 2, 1), seed=8)
    before = "comm_style tiled"
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"], before=before) + "balance 1.0 rcb\n" + STATIC
    check(lmp.succeed(tmp_path, script, ranks), expected(model, atoms))


def test_beside_another_pair_style(models: Path, tmp_path: Path) -> None:
    """Two models in one `hybrid/overlay`: each exchanges its own features; the forces are those of both."""
    atoms, both = toy.crystal((2, 1, 1)), (models / "angular_2.pt", models / "angular_3.pt")
    pair = f"pair_style hybrid/overlay rhopot rhopot\npair_coeff * * rhopot 1 {both[0]} Li Si\n"
    pair += f"pair_coeff * * rhopot 2 {both[1]} Li Si"
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, "", ["Li", "Si"], pair=pair) + STATIC, 2)
    truth = [expected(model, atoms) for model in both]
    assert run.values["pe"] == pytest.approx(sum(one.energy for one in truth), abs=1e-8)
    forces = sum(one.forces for one in truth if one.forces is not None)
    np.testing.assert_allclose(lmp.forces(run.dump()[0]), forces, rtol=0, atol=1e-8)


def test_types_that_are_not_handled_pass_no_messages(models: Path, tmp_path: Path) -> None:
    model, atoms = models / "angular_3.pt", toy.crystal((2, 1, 1))
    silicon = atoms.symbols == "Si"
    pair = f"pair_style rhopot\npair_coeff * * {model} NULL Si"
    run = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, model, ["Li", "Si"], pair=pair) + STATIC, 2)
    truth = expected(model, atoms[silicon])
    np.testing.assert_allclose(lmp.forces(run.dump()[0])[silicon], truth.forces, rtol=0, atol=1e-8)
    assert run.values["pe"] == pytest.approx(truth.energy, abs=1e-9 * len(atoms))


def test_forces_are_differences(models: Path, tmp_path: Path) -> None:
    """`fix numdiff`, on two ranks: gradients of an atom's features came back from the rank that has its ghost."""
    lmp.assert_forces_are_differences(tmp_path, toy.crystal((1, 1, 1)), models / "angular_3.pt", 1e-4, 1e-6)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_members(models: Path, tmp_path: Path, ranks: int) -> None:
    """The gradient of each member takes exchanges of its own."""
    model, atoms = models / "angular_3.pt", toy.cluster()
    truth = evaluate(load_model(model), [atoms], members=True, deviations=True)[0]
    assert truth.forces_uncertainty is not None
    script = lmp.setup(tmp_path, atoms, model, ["Li", "Si"], before=f"processors {ranks} 1 1")
    script += """
fix sigma all pair 1 rhopot uncertainty 1
compute total all pair rhopot
thermo_style custom step pe c_total[1]
dump atoms all custom 1 atoms.dump id fx fy fz f_sigma
dump_modify atoms sort id format float %.17g
run 0 post no
print "value total $(c_total[1]:%.17g)"
"""
    run = lmp.succeed(tmp_path, script, ranks)
    assert truth.forces_uncertainty.min() > 1e-3
    np.testing.assert_allclose(run.dump()[0]["f_sigma"], truth.forces_uncertainty, rtol=0, atol=1e-8)
    np.testing.assert_allclose(lmp.forces(run.dump()[0]), truth.forces, rtol=0, atol=1e-8)
    assert run.values["total"] == pytest.approx(truth.energy_uncertainty(), abs=1e-8)


def test_float32(tmp_path: Path) -> None:
    """Features travel as they are, two to a number of LAMMPS'."""
    model = small_models.write(small_models.angular(torch.float32, layers=3), tmp_path / "model.pt")
    atoms = toy.crystal((2, 1, 1))
    truth = expected(model, atoms)
    frame = lmp.succeed(tmp_path, lmp.setup(tmp_path, atoms, model, ["Li", "Si"]) + STATIC, 2).dump()[0]
    np.testing.assert_allclose(frame["c_energy"], truth.energies, rtol=0, atol=2e-5)
    np.testing.assert_allclose(lmp.forces(frame), truth.forces, rtol=0, atol=2e-4)


def test_volume_is_printed(models: Path, tmp_path: Path) -> None:
    """Six float64 features of two members, before the second and before the third layer."""
    script = lmp.setup(tmp_path, toy.crystal((2, 1, 1)), models / "angular_3.pt", ["Li", "Si"]) + "run 0\n"
    output = lmp.succeed(tmp_path, script, 2).output
    found = re.search(
        r"(\d+) layers of messages; in a step (\d+) exchange\(s\) of (\d+) bytes .*: (\d+) ghosts, ([\d.]+) kB", output
    )
    assert found is not None, output
    layers, exchanges, size, ghosts, volume = (float(number) for number in found.groups())
    assert (layers, exchanges, size) == (3, 4, 48)
    average = re.search(r"Nghost: +([\d.]+) ave", output)
    assert average is not None
    assert ghosts == 2 * float(average[1])
    assert volume == pytest.approx(0.048 * ghosts, abs=0.06)


@pytest.mark.parametrize("ranks", [1, 2])
def test_heat_flux_is_refused(models: Path, tmp_path: Path, ranks: int) -> None:
    script = lmp.setup(tmp_path, toy.crystal((1, 1, 1)), models / "angular_2.pt", ["Li", "Si"]) + lmp.STATIC
    run = lmp.lammps(tmp_path, script, ranks)
    assert run.status != 0
    assert (
        "centroid virials of atoms must be asked of a model without messages between atoms, this one has 2"
        in run.output
    )


# Two vectors x, y of random rows: y . P x = P^T y . x for the exchange P, over all ranks.
ADJOINT = Fault(
    "layered_evaluator.cpp",
    "  if (!has_printed_) print_volume();\n",
    """  const int n = atom->nlocal + atom->nghost, width = 37;    // more than one part, and not whole ones
  for (const bool is_float : {true, false}) {
    std::vector<double> x(n * width), y(n * width);
    srand(7 + comm->me);
    for (std::vector<double> *rows : {&x, &y})
      for (double &number : *rows) number = (rand() % 2001 - 1000) / 1024.0;    // sums are exact
    const auto send = [&](const std::vector<double> &rows, bool back) {
      std::vector<float> single(rows.begin(), rows.end());
      std::vector<double> numbers = rows;
      const FeatureRows of_atoms{is_float ? static_cast<void *>(single.data()) : numbers.data(), n, width, is_float};
      back ? exchange_.to_owners(of_atoms) : exchange_.to_ghosts(of_atoms);
      return is_float ? std::vector<double>(single.begin(), single.end()) : numbers;
    };
    const std::vector<double> px = send(x, false), py = send(y, true);
    double products[3] = {};
    for (int k = 0; k < n * width; k++) {
      products[0] += y[k] * px[k];
      products[1] += py[k] * x[k];
      products[2] += y[k] * x[k];
    }
    double totals[3];
    MPI_Allreduce(products, totals, 3, MPI_DOUBLE, MPI_SUM, world);
    if (comm->me == 0) std::printf("products %d %.12g %.12g %.12g\\n", is_float, totals[0], totals[1], totals[2]);
  }
""",
)


@pytest.fixture(scope="module")
def comparing(plugin_sources: broken_plugins.Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparing")
    return plugin_sources.broken(folder / "plugin", ADJOINT)


@pytest.mark.parametrize(
    ("system", "ranks"), [("smaller than the cutoff", 1), ("triclinic", 2), ("cluster, ranks without atoms", 4)]
)
def test_way_back_is_the_adjoint(models: Path, comparing: Path, tmp_path: Path, system: str, ranks: int) -> None:
    atoms = SYSTEMS[system]
    before = "" if atoms.pbc.any() else f"processors {ranks} 1 1"
    script = lmp.setup(tmp_path, atoms, models / "angular_2.pt", ["Li", "Si"], before=before)
    (tmp_path / "in.lmp").write_text(script + "run 0\n")
    command = [str(lmp.BIN / "mpirun"), "-np", str(ranks), lmp.binary(), "-in", "in.lmp"]
    done = lmp.start(command, tmp_path, broken_plugins.environment(comparing))
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("products ")]
    assert [kind for kind, *_ in found] == ["1", "0"]
    for _, forward, back, plain in found:
        assert float(forward) == pytest.approx(float(back), rel=1e-5)
        has_ghosts = atoms.pbc.any() or (ranks > 1 and "Nghost:    0 ave" not in done.stdout)
        if has_ghosts and not system.startswith("cluster"):
            assert abs(float(forward) - float(plain)) > 1e-3
