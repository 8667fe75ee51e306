"""Operators and LAMMPS plugin of a build with AddressSanitizer and UndefinedBehaviorSanitizer: `make sanitize`.

Not among the files that pytest collects by itself: everything is compiled once more. A report of a sanitizer ends the
process that it is about, and so fails the test.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import lammps_process as lmp
import model_archives
import pytest
import small_models

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "tests/potentials/density/without_python"
FORMATS = ROOT / "tests/data"
FLAGS = "-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer"
INSTRUCTION_SETS = ("baseline", "v3", "v4")
WITH_MEMBERS = ("linear", "multispectrum", "gap", "network", "gmp_network", "scattering")
MODELS = (*WITH_MEMBERS, "symmetry_network")


@pytest.fixture(scope="module")
def libraries() -> Path:
    """Folder of the libraries with sanitizers; RHOPOT_SANITIZED names the prefix that they were installed to."""
    folder = Path(os.environ["RHOPOT_SANITIZED"]).resolve() / "rhopot/lib"
    for name in ("librhopot_operators.so", "librhopot_lammps.so", "rhopotplugin.so"):
        assert b"__asan_report_load8" in (folder / name).read_bytes(), f"{name} must be built with RHOPOT_SANITIZE=ON"
    return folder


def runtime(name: str) -> str:
    """Where the compiler's runtime library of a sanitizer lies."""
    return subprocess.run(
        ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()


# ---- operators, leaks included


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("without_python")
    cmake = [sys.executable, "-m", "cmake"]
    options = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_FLAGS={FLAGS}"]
    subprocess.run([*cmake, "-S", str(PROGRAM), "-B", str(build), *options], check=True, capture_output=True)
    subprocess.run([*cmake, "--build", str(build)], check=True, capture_output=True)
    return build / "operators_without_python"


@pytest.mark.parametrize("instructions", INSTRUCTION_SETS)
def test_operators_without_python(libraries: Path, program: Path, instructions: str) -> None:
    command = [str(program), str(libraries / "librhopot_operators.so")]
    variables = {**os.environ, "RHOPOT_KERNELS": instructions}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all good"


# ---- LAMMPS, which leaks at its end and is not ours

LAMMPS = """
units metal
atom_modify map yes
lattice diamond 5.43
region box block 0 2 0 2 0 2
create_box 3 box
region filled block 0 2 0 2 0 1
create_atoms 2 region filled basis 1 1 basis 4 3
mass 1 6.9
mass 2 28.1
mass 3 1.0
displace_atoms all random 0.1 0.1 0.1 7
pair_style rhopot
pair_coeff * * {model} Li Si NULL
velocity all create 3000 1
fix move all nve
neigh_modify every 1 delay 0 check yes
{outputs}
thermo 2
run 6
change_box all x scale 1.02 y scale 0.99 remap
run 2
"""
LOCAL = """
compute energies all pe/atom
compute virials all stress/atom NULL virial
compute centroids all centroid/stress/atom NULL virial
dump atoms all custom 2 atoms.dump id fx fy fz c_energies c_virials[*] c_centroids[*]
"""
DEVIATIONS = """
compute total all pair rhopot
fix sigma all pair 2 rhopot uncertainty 1
thermo_style custom step pe press c_total[1]
"""


def sanitized_lammps(libraries: Path, folder: Path, script: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    """LAMMPS with the plugin of `libraries` on ranks of two threads."""
    (folder / "in.lmp").write_text(script)
    preload = f"{runtime('libasan.so')} {runtime('libubsan.so')}"
    launch = [str(lmp.BIN / "mpirun"), "-np", str(ranks), "-genv", "LD_PRELOAD", preload]
    variables = lmp.environment(threads=2) | {
        "LAMMPS_PLUGIN_PATH": str(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    return lmp.start([*launch, lmp.binary(), "-in", "in.lmp", "-log", "none"], folder, variables)


def reports(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines of a process in which a sanitizer, or an assertion of the standard library, speaks."""
    words = ("runtime error:", "AddressSanitizer", "Assertion '")
    return [line for line in (done.stdout + done.stderr).splitlines() if any(word in line for word in words)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of every kind of operator, and those of past formats."""
    folder = tmp_path_factory.mktemp("models")
    found = {path.stem: path for path in sorted(FORMATS.glob("format_*.pt"))}
    for name in MODELS:
        found[name] = folder / f"{name}.pt"
        small_models.write(getattr(small_models, name)(), found[name])
    return found


CASES = [*MODELS, *(path.stem for path in sorted(FORMATS.glob("format_*.pt")))]


@pytest.mark.parametrize("ranks", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_lammps(libraries: Path, files: dict[str, Path], tmp_path: Path, name: str, ranks: int) -> None:
    """Molecular dynamics of a slab that leaves ranks without atoms, with everything that a model of this kind gives."""
    outputs = ("" if "scattering" in name else LOCAL) + (DEVIATIONS if name in WITH_MEMBERS else "")
    done = sanitized_lammps(libraries, tmp_path, LAMMPS.format(model=files[name], outputs=outputs), ranks)
    assert reports(done) == []
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", range(12))
def test_damaged_files(libraries: Path, files: dict[str, Path], tmp_path: Path, case: int) -> None:
    """A flipped bit or a file that ends early is refused with a sentence."""
    rng, path = random.Random(case), Path(shutil.copy(files["format_1_gap"], tmp_path / "damaged.pt"))
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    size = path.stat().st_size
    if case % 3 == 0:
        path.write_bytes(path.read_bytes()[: rng.randrange(size)])
    else:
        model_archives.flipped(path, rng.randrange(directory if case % 3 == 1 else 0, size), rng.randrange(8))
    done = sanitized_lammps(libraries, tmp_path, LAMMPS.format(model=path, outputs=""))
    assert reports(done) == []
    assert "ERROR: pair style rhopot: model file must be one exported by rhopot" in done.stdout + done.stderr
