"""Devices: the choice of each rank, and what follows a GPU that fails (one that broken builds believe in)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import broken_plugins
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest
from broken_plugins import Fault

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ to build variants of the plugin")

# ---- the decision itself

PROGRAM = """
#include <cstdlib>
#include <exception>
#include <iostream>
#include "device_choice.h"
int main(int, char **word)
{
  if (std::string(word[1]) == "choose") {
    try {
      std::cout << rhopot::choose_device(word[2], {std::atoi(word[3]), std::atoi(word[4])}, std::atoi(word[5]));
    } catch (const std::exception &reason) {
      std::cout << reason.what();
    }
  }
  if (std::string(word[1]) == "instead") std::cout << rhopot::may_use_processor_instead(word[2], word[3]);
  if (std::string(word[1]) == "remedy") std::cout << rhopot::with_remedy(word[2], word[3]);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that asks the functions of device_choice.cpp."""
    folder = tmp_path_factory.mktemp("choice")
    (folder / "main.cpp").write_text(PROGRAM)
    sources = [str(folder / "main.cpp"), str(broken_plugins.SOURCE / "device_choice.cpp")]
    command = ["g++", "-std=c++20", f"-I{broken_plugins.SOURCE}", *sources, "-o", str(folder / "choice")]
    subprocess.run(command, check=True)
    return folder / "choice"


def answer(program: Path, *words: object) -> str:
    done = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, check=True)
    return done.stdout


# wish, rank on the machine, ranks on the machine, GPUs
CHOICES = {
    ("auto", 0, 1, 0): "cpu",
    ("auto", 0, 1, 1): "cuda:0",
    ("auto", 2, 3, 4): "cuda:2",
    ("auto", 1, 4, 2): "cpu",
    ("cpu", 0, 1, 4): "cpu",
    ("cuda", 3, 4, 2): "cuda:1",
    ("cuda", 0, 1, 0): "device must be auto or cpu here, got cuda; this torch finds no CUDA device",
}


@pytest.mark.parametrize(("situation", "device"), CHOICES.items(), ids=map(str, CHOICES))
def test_device_of_a_rank(program: Path, situation: tuple[object, ...], device: str) -> None:
    assert answer(program, "choose", *situation) == device


def test_only_auto_may_go_back_to_the_processor(program: Path) -> None:
    cases = [("auto", "cuda:1"), ("auto", "cpu"), ("cuda", "cuda:0"), ("cpu", "cpu")]
    assert [answer(program, "instead", *case) for case in cases] == ["1", "0", "0", "0"]


def test_memory_of_a_gpu_has_a_remedy(program: Path) -> None:
    full = "CUDA out of memory. Tried to allocate 2.00 GiB."
    remedy = "se more GPUs, free memory of cuda:1, or write 'pair_style rhopot device cpu'"
    assert answer(program, "remedy", full, "cuda:1") == f"{full} U{remedy}"
    assert answer(program, "remedy", "out of memory", "cuda:1") == f"out of memory; u{remedy}"
    assert answer(program, "remedy", full, "cpu") == full
    assert answer(program, "remedy", "device-side assert triggered", "cuda:1") == "device-side assert triggered"


# ---- before the run

COUNT = 'wish == "cpu" ? 0 : Model::count_gpus()'
A_GPU_EACH = Fault("load_model.cpp", COUNT, 'wish == "cpu" ? 0 : lmp->comm->nprocs')
ON_THE_LAST_RANK = Fault(
    "load_model.cpp",
    f"device = choose_device(wish, seat, {COUNT});",
    'device = lmp->comm->me + 1 < lmp->comm->nprocs ? "cpu" : choose_device(wish, seat, lmp->comm->nprocs);',
)


@pytest.fixture(scope="module")
def believers(plugin_sources: broken_plugins.Sources, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Plugins that believe in GPUs, which the processor build of torch then fails to use."""
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    folder = tmp_path_factory.mktemp("believers")
    variants = {"all ranks": A_GPU_EACH, "one rank": ON_THE_LAST_RANK}
    return {name: plugin_sources.broken(folder / name.replace(" ", "_"), fault) for name, fault in variants.items()}


def run(folder: Path, script: str, ranks: int, plugin: Path) -> tuple[int, str]:
    """Status and output of LAMMPS with another plugin."""
    (folder / "in.lmp").write_text(script)
    command = [str(lmp.BIN / "mpirun"), "-np", str(ranks), lmp.binary(), "-in", "in.lmp", "-log", "log.lammps"]
    done = lmp.start(command, folder, broken_plugins.environment(plugin))
    return done.returncode, done.stdout + done.stderr


def with_device(folder: Path, model: Path, device: str) -> str:
    pair = f"pair_style rhopot device {device}\npair_coeff * * {model} Li Si"
    return lmp.setup(folder, toy.tiny_ordered(), model, ["Li", "Si"], pair=pair) + lmp.STATIC


@pytest.mark.parametrize(("variant", "ranks"), [("all ranks", 1), ("all ranks", 2), ("one rank", 2)])
def test_auto_names_the_reason_and_takes_the_processor(
    many_body: Path, believers: dict[str, Path], tmp_path: Path, variant: str, ranks: int
) -> None:
    """On all ranks together, also where one GPU of several fails; the numbers are those of the processor."""
    status, output = run(tmp_path, with_device(tmp_path, many_body, "auto"), ranks, believers[variant])
    assert status == 0, output
    assert output.count("WARNING: pair style rhopot: device auto takes the processor, the GPU cannot be used: ") == 1
    assert f"model '{many_body}' cannot be loaded: " in output
    assert "Could not run 'aten::empty_strided' with arguments from the 'CUDA' backend. (" in output
    assert "device cpu" in output
    forces = lmp.forces(lmp.read_dump(tmp_path / "atoms.dump")[0])
    (tmp_path / "cpu").mkdir()
    sound = lmp.succeed(tmp_path / "cpu", with_device(tmp_path / "cpu", many_body, "cpu"), ranks)
    np.testing.assert_array_equal(forces, lmp.forces(sound.dump()[0]))


@pytest.mark.parametrize("variant", ["all ranks", "one rank"])
def test_cuda_stops_with_the_reason(many_body: Path, believers: dict[str, Path], tmp_path: Path, variant: str) -> None:
    """All ranks stop, also where one GPU of several fails."""
    status, output = run(tmp_path, with_device(tmp_path, many_body, "cuda"), 2, believers[variant])
    assert status != 0
    assert f"ERROR: pair style rhopot: model '{many_body}' cannot be loaded: " in output
    assert "device auto" not in output


# ---- after the run has begun


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_memory_that_ends_in_a_run_ends_the_run(models: Path, tmp_path: Path, device: str) -> None:
    """Not tried out before: the model fails with more than two atoms."""
    done = lmp.lammps(tmp_path, with_device(tmp_path, models / "out_of_memory.pt", device))
    assert done.status != 0
    assert "out_of_memory.pt' failed: " in done.output
    assert "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB." in done.output
    assert "takes the processor" not in done.output
