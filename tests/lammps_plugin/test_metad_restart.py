"""Biased runs that are killed and go on: no hill twice, none lost, and the same trajectory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import lammps_process as lmp
import metadynamics_in_lammps as metad
import numpy as np
import pytest

from rhopot.potentials.plumed_files import read_table

KEYWORDS = f"{metad.KEYWORDS} colvar COLVAR 10"
STEPS, KEPT = 300, 100  # of the whole run, and between its restart files


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variables")
    metad.write_variables(folder)
    return folder / "coordination.pt"


def begin(folder: Path, model: Path, variable: Path, words: str = KEYWORDS, steps: int = STEPS) -> str:
    """A run at constant energy, which a restart can repeat; its restart files are run.STEP."""
    atoms = metad.structures()["crystal"]
    return (
        lmp.setup(folder, atoms, model, ["Li", "Si"])
        + f"timestep 0.001\nvelocity all create 600 11\nfix integrate all nve\n{metad.fix(variable, words)}"
        + f"restart {KEPT} run.*\nthermo 10\nrun {steps}\nwrite_dump all custom last.dump id xu yu zu vx vy vz "
        + "modify sort id format float %.17g\n"
    )


def go_on(model: Path, variable: Path, step: int, words: str = KEYWORDS) -> str:
    """The same run from a restart file."""
    return (
        f"atom_modify map yes\nread_restart run.{step}\npair_style rhopot\npair_coeff * * {model} Li Si\n"
        + f"neighbor 1.0 bin\ntimestep 0.001\nfix integrate all nve\n{metad.fix(variable, words)}"
        + f"thermo 10\nrun {STEPS} upto\nwrite_dump all custom last.dump id xu yu zu vx vy vz "
        + "modify sort id format float %.17g\n"
    )


def killed(folder: Path, script: str, step: int) -> None:
    """Start a run and kill it with SIGKILL once it has made hills well after its restart file of `step`."""
    (folder / "in.lmp").write_text(script)
    process = subprocess.Popen(
        [lmp.binary(), "-in", "in.lmp", "-log", "none"],
        cwd=folder,
        env=lmp.environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    end = time.monotonic() + 100
    while time.monotonic() < end and process.poll() is None:
        hills = folder / "HILLS"
        if (folder / f"run.{step}").exists() and hills.exists() and 0.001 * (step + 20) < last_time(hills):
            break
        time.sleep(0.01)
    assert process.poll() is None, "ended before it was killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_time(path: Path) -> float:
    """Time of the last whole line, in ps."""
    lines = path.read_text().rpartition("\n")[0].splitlines()
    return 0.0 if lines[-1].startswith("#") else float(lines[-1].split()[0])


def same_run(one: Path, other: Path) -> None:
    """Hills, COLVAR and the last positions and velocities, to 1e-10."""
    for name in ("HILLS", "COLVAR"):
        a, b = (read_table(folder / name) for folder in (one, other))
        assert a.fields == b.fields
        np.testing.assert_allclose(a.values, b.values, rtol=1e-10, atol=1e-10)
    a, b = (
        lmp.columns(lmp.read_dump(folder / "last.dump")[0], "xu", "yu", "zu", "vx", "vy", "vz")
        for folder in (one, other)
    )
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("how", ["restart file", "HILLS"])
def test_killed_run_goes_on(many_body: Path, variable: Path, tmp_path: Path, how: str) -> None:
    """With the hills of the restart file, and with those of HILLS up to the restart file's step."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    lmp.succeed(whole, begin(whole, many_body, variable))
    killed(parts, begin(parts, many_body, variable, steps=1000000), KEPT)
    script = go_on(many_body, variable, KEPT, f"{KEYWORDS} restart yes")
    if how == "HILLS":
        script = script.replace("fix bias", "fix other")  # the restart file's state belongs to `bias`
    n_before = len(read_table(parts / "HILLS").values)
    result = lmp.succeed(parts, script)
    assert n_before > KEPT // metad.PACE
    assert f"continues with {KEPT // metad.PACE} hills" in result.output
    same_run(whole, parts)
    times = read_table(parts / "HILLS").values[:, 0]
    np.testing.assert_allclose(times, 0.001 * metad.PACE * np.arange(1, STEPS // metad.PACE + 1), rtol=1e-12)


def test_restart_on_other_ranks(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """A restart file of two ranks, read on four."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    lmp.succeed(whole, begin(whole, many_body, variable, steps=KEPT + 50))
    lmp.succeed(parts, begin(parts, many_body, variable, steps=KEPT), 2)
    script = go_on(many_body, variable, KEPT).replace(f"run {STEPS} upto", f"run {KEPT + 50} upto")
    lmp.succeed(parts, script, 4)
    same_run(whole, parts)


def test_work_goes_on(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """The work of a moving restraint, from a restart file and from COLVAR."""
    words = f"moving coordination 2.0 5.0 3.0 0 {STEPS} colvar COLVAR 10"
    folders = [tmp_path / name for name in ("whole", "file", "colvar")]
    for folder in folders:
        folder.mkdir()
        lmp.succeed(folder, begin(folder, many_body, variable, words).replace("sigma 0.2 ", ""))
    for folder, state in zip(folders[1:], ("bias", "other"), strict=True):
        script = go_on(many_body, variable, KEPT, f"{words} restart yes")
        lmp.succeed(folder, script.replace("sigma 0.2 ", "").replace("fix bias", f"fix {state}"))
    tables = [read_table(folder / "COLVAR").values for folder in folders]
    assert abs(tables[0][-1, -1]) > 1.0
    for table in tables[1:]:
        np.testing.assert_allclose(table, tables[0], rtol=1e-9, atol=1e-9)


def test_new_run_keeps_files(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """As PLUMED: HILLS and COLVAR that are there get another name."""
    (tmp_path / "HILLS").write_text("mine\n")
    (tmp_path / "COLVAR").write_text("mine\n")
    result = lmp.succeed(tmp_path, begin(tmp_path, many_body, variable, steps=20))
    assert (tmp_path / "bck.0.HILLS").read_text() == "mine\n"
    assert (tmp_path / "bck.0.COLVAR").read_text() == "mine\n"
    assert "bck.0.HILLS" in result.output
    assert len(read_table(tmp_path / "HILLS").values) == 4


def test_two_runs_in_one_input(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """`run 100` twice is `run 200`: the step between them has one hill and one line."""
    script = begin(tmp_path, many_body, variable, steps=100).replace("run 100", "run 50\nrun 50")
    lmp.succeed(tmp_path, script)
    np.testing.assert_allclose(read_table(tmp_path / "HILLS").values[:, 0], 0.005 * np.arange(1, 21), rtol=1e-12)
    np.testing.assert_allclose(
        read_table(tmp_path / "COLVAR").values[:, 0], 0.01 * np.arange(11), rtol=1e-12, atol=1e-15
    )
