"""The plugin for another LAMMPS: how it is configured, and what a wrong one says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lammps_process as lmp
import pytest

SOURCE = Path(__file__).parents[2] / "lammps_plugin"
BOX = "units metal\nregion b block 0 5 0 5 0 5\ncreate_box 1 b\npair_style rhopot\n"

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to build the plugin's entry")


def build_library(source: Path, target: Path, *definitions: str) -> None:
    include = [f"-isystem{path}" for path in lmp.headers()]
    command = ["g++", "-std=c++20", "-shared", "-fPIC", "-fvisibility=hidden", *include, *definitions]
    subprocess.run([*command, str(source), "-o", str(target)], check=True)


def build_entry(folder: Path, *definitions: str, source: Path = SOURCE / "plugin_entry.cpp") -> None:
    """The thin plugin alone, for a LAMMPS of our choice."""
    build_library(source, folder / "rhopotplugin.so", *definitions)


MISMATCHES = {
    "another version": (20240829, "SMALLBIG", "was built for LAMMPS version 20240829, this is 20250722"),
    "other integers": (20250722, "BIGBIG", "was built for other atom-ID sizes"),
}


@pytest.mark.parametrize(("version", "sizes", "sentence"), MISMATCHES.values(), ids=MISMATCHES.keys())
def test_plugin_of_another_lammps(tmp_path: Path, version: int, sizes: str, sentence: str) -> None:
    """It stays silent until the style is used, and then says why it cannot be."""
    build_entry(
        tmp_path,
        f"-DRHOPOT_LAMMPS_VERSION={version}",
        '-DRHOPOT_LAMMPS_VERSION_NAME="29 Aug 2024"',
        f"-DLAMMPS_{sizes}",
    )
    variables = lmp.environment() | {"LAMMPS_PLUGIN_PATH": str(tmp_path)}
    outputs = []
    for script in (BOX.replace("rhopot", "zero 3.0"), BOX):
        (tmp_path / "in.lmp").write_text(script)
        command = [lmp.binary(), "-in", "in.lmp"]
        outputs.append(lmp.start(command, tmp_path, variables))
    assert outputs[0].returncode == 0
    assert "mismatch" not in outputs[0].stdout + outputs[0].stderr
    assert outputs[1].returncode != 0
    assert f"the plugin {sentence}" in outputs[1].stdout + outputs[1].stderr
    assert "reinstall rhopot against this LAMMPS" in outputs[1].stdout + outputs[1].stderr


LAST_STYLE = '    {"pair", "rhopot", "rhopot_create_pair"},\n'
FIX = """
#include <cstdio>
#include <cstdlib>
extern "C" __attribute__((visibility("default"))) void *rhopot_create_toy(void *, int narg, char **arg)
{
  std::printf("a fix of %d words that ends with %s\\n", narg, arg[narg - 1]);
  std::exit(0);
}
"""


def test_a_line_in_the_table_of_styles_adds_a_fix(tmp_path: Path) -> None:
    """Its creator is that of the line, and gets the words of the input."""
    text = (SOURCE / "plugin_entry.cpp").read_text()
    assert text.count(LAST_STYLE) == 1
    entry, library = tmp_path / "plugin_entry.cpp", tmp_path / "fix.cpp"
    entry.write_text(text.replace(LAST_STYLE, LAST_STYLE + '    {"fix", "rhopot/toy", "rhopot_create_toy"},\n'))
    library.write_text(FIX)
    installed = "-DRHOPOT_LAMMPS_VERSION=20250722", '-DRHOPOT_LAMMPS_VERSION_NAME="22 Jul 2025"', "-DLAMMPS_SMALLBIG"
    build_entry(tmp_path, *installed, source=entry)
    build_library(library, tmp_path / "librhopot_lammps.so")
    (tmp_path / "in.lmp").write_text(BOX.replace("pair_style rhopot", "fix f all rhopot/toy 3 words"))
    variables = lmp.environment() | {"LAMMPS_PLUGIN_PATH": str(tmp_path)}
    done = lmp.start([lmp.binary(), "-in", "in.lmp"], tmp_path, variables)
    assert "a fix of 5 words that ends with words" in done.stdout, done.stdout + done.stderr


def configure(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Only the step that finds LAMMPS, as a project of its own."""
    return run_cmake(
        folder,
        "cmake_minimum_required(VERSION 3.24)\nproject(headers LANGUAGES NONE)\n"
        f"set(Python_EXECUTABLE {sys.executable})\ninclude({SOURCE}/cmake/lammps_headers.cmake)\n"
        'message(STATUS "found=${RHOPOT_LAMMPS_INCLUDE_DIRS};${RHOPOT_LAMMPS_DEFINITIONS}")\n',
        *options,
    )


def run_cmake(folder: Path, project: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Configure a project in an environment with some more variables."""
    (folder / "CMakeLists.txt").write_text(project)
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if cmake is None:
        pytest.skip("needs cmake")
    command = [cmake, "-S", str(folder), "-B", str(folder / "build"), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


def found(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    match = re.search("found=(.*)", done.stdout)
    assert match is not None
    return match[1].split(";")


def test_headers_of_the_wheels_by_default(tmp_path: Path) -> None:
    headers, mpi, *definitions = found(configure(tmp_path))
    assert Path(headers) == lmp.headers()[0]
    assert (Path(mpi) / "mpi.h").exists()
    assert definitions == [
        "LAMMPS_SMALLBIG",
        "RHOPOT_LAMMPS_VERSION=20250722",
        'RHOPOT_LAMMPS_VERSION_NAME="22 Jul 2025"',
    ]


def test_headers_of_a_lammps_that_the_user_built(tmp_path: Path) -> None:
    """Its version comes from the version.h beside its headers."""
    source = tmp_path / "src"
    source.mkdir()
    (source / "pair.h").write_text("")
    (source / "mpi.h").write_text("")
    (source / "version.h").write_text('#define LAMMPS_VERSION "4 Sep 2025"\n')
    options = f"-DLAMMPS_HEADER_DIR={source}", f"-DMPI_HEADER_DIR={source}", "-DLAMMPS_SIZES=BIGBIG"
    headers, mpi, *definitions = found(configure(tmp_path, *options))
    assert headers == mpi == str(source)
    assert definitions == [
        "LAMMPS_BIGBIG",
        "RHOPOT_LAMMPS_VERSION=20250904",
        'RHOPOT_LAMMPS_VERSION_NAME="4 Sep 2025"',
    ]


WRONG = {
    "headers": (["-DLAMMPS_HEADER_DIR=/nowhere"], "LAMMPS_HEADER_DIR must hold pair.h, got '/nowhere'"),
    "mpi": (["-DMPI_HEADER_DIR=/nowhere"], "MPI_HEADER_DIR must hold mpi.h, got '/nowhere'"),
    "version": (["-DLAMMPS_VERSION=new"], "LAMMPS_VERSION must be a date like 20250722, got 'new'"),
}


@pytest.mark.parametrize(("options", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_wrong_folders_are_named(tmp_path: Path, options: list[str], sentence: str) -> None:
    done = configure(tmp_path, *options)
    assert done.returncode != 0
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.parametrize(("flags", "accepted"), [("", True), ("-static-libstdc++", False)])
def test_second_copy_of_the_runtime_is_refused(tmp_path: Path, flags: str, accepted: bool) -> None:
    project = (
        "cmake_minimum_required(VERSION 3.24)\nproject(runtime LANGUAGES CXX)\n"
        f"include({SOURCE}/cmake/shared_runtime.cmake)\n"
    )
    done = run_cmake(tmp_path, project, LDFLAGS=flags)
    assert (done.returncode == 0) == accepted
    assert ("libstdc++ must be linked as a shared library" in " ".join(done.stderr.split())) != accepted
