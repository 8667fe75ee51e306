"""How LAMMPS finds the plugin, what that costs others, and several LAMMPS in one process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import pytest

from rhopot.export import evaluate, load_model
from rhopot.lammps_plugin import plugin_path

PLUGINS = Path(plugin_path())
BOX = "units metal\nregion b block 0 5 0 5 0 5\ncreate_box 1 b\n"


def test_found_by_the_lmp_command(many_body: Path, tmp_path: Path) -> None:
    """`lmp` as users type it, without `plugin load` and without any environment variable."""
    atoms = toy.tiny_ordered()
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"]) + "run 0 post no\n" + 'print "value pe $(pe:%.17g)"\n'
    (tmp_path / "in.lmp").write_text(script)
    variables = {k: v for k, v in os.environ.items() if k not in ("LAMMPS_PLUGIN_PATH", "LD_LIBRARY_PATH")}
    command = [str(lmp.BIN / "mpirun"), "-np", "2", str(lmp.BIN / "lmp"), "-in", "in.lmp"]
    done = lmp.start(command, tmp_path, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    energy = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("value pe"))
    assert energy == pytest.approx(evaluate(load_model(many_body), [atoms])[0].energy, abs=1e-9)


def test_plugin_path_needs_no_torch() -> None:
    """The entry point runs at every `import lammps`."""
    code = "import sys; from rhopot.lammps_plugin import plugin_path; plugin_path(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("style", ["zero 3.0", "rhopot"])
def test_only_this_style_loads_torch(tmp_path: Path, style: str) -> None:
    """Users of other potentials pay nothing: the libraries stay closed until the pair style is used."""
    (tmp_path / "in.lmp").write_text(BOX + f"pair_style {style}\n")
    variables = lmp.environment() | {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(tmp_path / "loader")}
    command = [lmp.binary(), "-in", "in.lmp"]
    assert lmp.start(command, tmp_path, variables).returncode == 0
    loaded = "".join(path.read_text() for path in tmp_path.glob("loader.*"))
    assert "rhopotplugin.so" in loaded
    for library in ("librhopot_lammps.so", "librhopot_operators.so", "libtorch_cpu.so"):
        assert (library in loaded) == (style == "rhopot"), library


def test_missing_library_is_an_error_with_its_reason(tmp_path: Path) -> None:
    shutil.copy(PLUGINS / "rhopotplugin.so", tmp_path)
    (tmp_path / "in.lmp").write_text(BOX + "pair_style rhopot\n")
    variables = lmp.environment() | {"LAMMPS_PLUGIN_PATH": str(tmp_path)}
    done = lmp.start([lmp.binary(), "-in", "in.lmp"], tmp_path, variables)
    assert done.returncode != 0
    assert "ERROR: pair style rhopot: its library cannot be opened" in done.stdout + done.stderr
    assert "reinstall rhopot" in done.stdout + done.stderr


def test_clear_and_two_styles_in_a_row(many_body: Path, tmp_path: Path) -> None:
    atoms = toy.crystal((1, 1, 1))
    truth = evaluate(load_model(many_body), [atoms])[0].energy
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"])
    report = 'run 0 post no\nprint "value {} $(pe:%.17g)"\n'
    script += report.format("first")
    script += "pair_style zero 4.0\npair_coeff * *\n" + report.format("zero")
    script += f"pair_style rhopot\npair_coeff * * {many_body} Li Si\n" + report.format("second")
    script += f"pair_coeff * * {many_body} Si Li\n" + report.format("swapped")
    script += "clear\n" + lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"]) + report.format("cleared")
    values = lmp.succeed(tmp_path, script, 2).values
    for name in ("first", "second", "cleared"):
        assert values[name] == pytest.approx(truth, abs=1e-9), name
    assert values["zero"] == 0.0
    assert abs(values["swapped"] - truth) > 1e-3


IN_PYTHON = """
import sys
import ase.io
from lammps import lammps
from rhopot.export import RhopotCalculator

atoms = ase.io.read("atoms.xyz")
atoms.calc = RhopotCalculator(sys.argv[1])
before = atoms.get_potential_energy()
runs = [lammps(cmdargs=["-screen", "none", "-log", "none"]) for _ in range(2)]
for run in runs:
    run.commands_string(open("in.lmp").read())
energies = [run.get_thermo("pe") for run in runs]
try:
    runs[0].command("pair_coeff * * nowhere.pt Li Si")
except Exception as error:
    print("caught", error)
runs[0].close()
runs[1].command("run 0 post no")
energies.append(runs[1].get_thermo("pe"))
atoms.rattle(0.01, seed=1)
atoms.get_potential_energy()
print("difference", max(abs(energy - before) for energy in energies))
"""


def test_two_lammps_in_one_python_beside_a_calculator(many_body: Path, tmp_path: Path) -> None:
    """One operator library, two LAMMPS, one ASE calculator; errors arrive as Python exceptions."""
    atoms = toy.tiny_ordered()
    script = lmp.setup(tmp_path, atoms, many_body, ["Li", "Si"]) + "run 0 post no\n"
    (tmp_path / "in.lmp").write_text(script)
    atoms.write(tmp_path / "atoms.xyz")
    (tmp_path / "two.py").write_text(IN_PYTHON)
    done = lmp.start([sys.executable, "two.py", str(many_body)], tmp_path, lmp.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught" in done.stdout
    assert "model 'nowhere.pt' cannot be read" in done.stdout
    difference = float(done.stdout.split("difference")[1])
    assert difference < 1e-6  # the file holds positions with 8 digits


WITHOUT_VARIABLES = """
import sys
import numpy as np
from ase.io import read
from ase.calculators.lammpslib import LAMMPSlib
from rhopot.export import RhopotCalculator
commands = ["pair_style rhopot", f"pair_coeff * * {sys.argv[1]} Li Si"]
calc = LAMMPSlib(lmpcmds=commands, atom_types={"Li": 1, "Si": 2}, keep_alive=True, log_file="log.lammps")
own = RhopotCalculator(sys.argv[1])
atoms = read("atoms.traj")
for _ in range(2):
    found = [(c.get_property("energy", atoms), c.get_forces(atoms), c.get_stress(atoms)) for c in (calc, own)]
    print("difference", max(np.abs(a - b).max() for a, b in zip(*found)))
    atoms.rattle(0.05, seed=1)
"""


@pytest.mark.parametrize("family", ["soap_linear", "bpnn"])
def test_python_module_and_ase_lammpslib_need_no_variables(
    family: str, trained_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """`from lammps import lammps` as users type it after `pip install`, here by ASE."""
    toy.skewed().write(tmp_path / "atoms.traj")
    (tmp_path / "lib.py").write_text(WITHOUT_VARIABLES)
    unset = ("LAMMPS_PLUGIN_PATH", "LD_LIBRARY_PATH")
    variables = {k: v for k, v in os.environ.items() if k not in unset}
    done = lmp.start([sys.executable, "lib.py", str(trained_model(family))], tmp_path, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    differences = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("difference")]
    assert len(differences) == 2
    assert max(differences) < 1e-6


@pytest.mark.parametrize("program", ["lmp", "python"])
def test_the_entry_point_cannot_fail(program: str, tmp_path: Path) -> None:
    """Without an MPI library, and without a search path; the command `lmp` opens none."""
    (tmp_path / program).write_text(
        "import sys; sys.prefix = '/nowhere'\n"
        "from rhopot.lammps_plugin import prepare_lammps; print(prepare_lammps())\n"
        "print('libmpi' in open('/proc/self/maps').read())"
    )
    variables = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    done = lmp.start([sys.executable, program], tmp_path, variables)
    assert done.stdout.split() == [str(PLUGINS), "False"], done.stderr


def test_threads_change_nothing_but_time(models: Path, tmp_path: Path) -> None:
    """Two threads for torch beside LAMMPS' own, asked for through the environment or by `package omp`."""
    atoms = toy.crystal((2, 2, 2))
    energies = []
    for threads, before in ((1, ""), (2, ""), (1, "package omp 2")):
        script = lmp.setup(tmp_path, atoms, models / "linear.pt", ["Li", "Si"], before=before)
        script += 'run 0 post no\nprint "value pe $(pe:%.17g)"\n'
        energies.append(lmp.succeed(tmp_path, script, threads=threads).values["pe"])
    assert energies[1] == pytest.approx(energies[0], abs=1e-9)
    assert energies[2] == pytest.approx(energies[0], abs=1e-9)
