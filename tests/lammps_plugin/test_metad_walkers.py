"""Walkers that share their hills, over partitions of one LAMMPS and over a folder."""

from __future__ import annotations

from pathlib import Path

import lammps_process as lmp
import metadynamics_in_lammps as metad
import numpy as np
import pytest

from rhopot.potentials.plumed_files import read_table

STEPS = 50


@pytest.fixture(scope="module")
def variable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("variables")
    metad.write_variables(folder)
    return folder / "coordination.pt"


def script(folder: Path, model: Path, variable: Path, words: str, steps: int = STEPS, seed: str = "11") -> str:
    atoms = metad.structures()["crystal"]
    start = lmp.setup(folder, atoms, model, ["Li", "Si"])
    fix = metad.fix(variable, f"{metad.KEYWORDS} colvar COLVAR 5 {words}")
    return (
        f"{start}timestep 0.001\nvelocity all create 600 {seed}\nfix integrate all nve\n{fix}thermo 10\nrun {steps}\n"
    )


def sum_of_hills(tables: list[lmp.Floats], value: float) -> float:
    """Energy (kJ/mol) of the hills of files at a value of the one variable; heights as they act."""
    total = 0.0
    for table in tables:
        share = 1.0 - 1.0 / table[:, 4]
        total += float((table[:, 3] * share * np.exp(-0.5 * ((value - table[:, 1]) / table[:, 2]) ** 2)).sum())
    return total


@pytest.mark.parametrize("ranks", [2, 4])
def test_partitions(many_body: Path, variable: Path, tmp_path: Path, ranks: int) -> None:
    """Each walker feels the hills of both; each writes its own."""
    words = script(tmp_path, many_body, variable, "walkers partitions", seed="${seed}")
    words = "variable seed world 11 12\n" + words
    lmp.succeed(tmp_path, words, ranks, "-partition", f"2x{ranks // 2}")
    hills = [read_table(tmp_path / f"HILLS.{walker}").values for walker in (0, 1)]
    assert [len(each) for each in hills] == [STEPS // metad.PACE] * 2
    assert np.abs(hills[0][:, 1] - hills[1][:, 1]).max() > 0.01
    for walker in (0, 1):
        rows = read_table(tmp_path / f"COLVAR.{walker}").values
        for row in rows:
            before = [table[table[:, 0] < row[0] - 1e-9] for table in hills]
            assert row[2] == pytest.approx(sum_of_hills(before, row[1]), abs=1e-9)


def test_partitions_restart(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """Both files up to the step, read by both."""
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder, steps in zip(folders, (STEPS, 30), strict=True):
        folder.mkdir()
        words = "variable seed world 11 12\n" + script(
            folder, many_body, variable, "walkers partitions", steps, "${seed}"
        )
        words = words.replace("thermo 10", "restart 20 run.${seed}.*\nthermo 10")
        lmp.succeed(folder, words, 2, "-partition", "2x1")
    words = f"""variable seed world 11 12
atom_modify map yes
read_restart run.${{seed}}.20
pair_style rhopot
pair_coeff * * {many_body} Li Si
neighbor 1.0 bin
timestep 0.001
fix integrate all nve
{metad.fix(variable, f"{metad.KEYWORDS} colvar COLVAR 5 walkers partitions restart yes")}
run {STEPS} upto
"""
    lmp.succeed(folders[1], words, 2, "-partition", "2x1")
    for name in ("HILLS.0", "HILLS.1", "COLVAR.0", "COLVAR.1"):
        whole, parts = (read_table(folder / name).values for folder in folders)
        np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-10)


def test_partitions_must_be_alike(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """Another number of steps would leave one walker waiting for ever."""
    words = "variable n world 50 60\n" + script(tmp_path, many_body, variable, "walkers partitions").replace(
        f"run {STEPS}", "run ${n}"
    )
    result = lmp.lammps(tmp_path, words, 2, "-partition", "2x1")
    assert result.status != 0
    screens = "".join(path.read_text() for path in tmp_path.glob("screen.*")) + result.output
    assert "walkers of partitions must have the same steps, pace and collective variable" in screens


def test_folder(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """The second walker begins with the hills of the first, and the first reads those of the second when it goes on."""
    (tmp_path / "shared").mkdir()
    lmp.succeed(tmp_path, script(tmp_path, many_body, variable, "walkers folder shared 0 2"))
    second = script(tmp_path, many_body, variable, "walkers folder shared 1 2", seed="12")
    lmp.succeed(tmp_path, second)
    hills = [read_table(tmp_path / "shared" / f"HILLS.{walker}").values for walker in (0, 1)]
    for row in read_table(tmp_path / "COLVAR.1").values:
        own = hills[1][hills[1][:, 0] < row[0] - 1e-9]
        assert row[2] == pytest.approx(sum_of_hills([hills[0], own], row[1]), abs=1e-9)


def test_replaced_file_is_read_anew(many_body: Path, variable: Path, tmp_path: Path) -> None:
    """Of a walker that was restarted, also when its file is as long as before."""
    (tmp_path / "shared").mkdir()
    lmp.succeed(tmp_path, script(tmp_path, many_body, variable, "walkers folder shared 1 2"))
    theirs = tmp_path / "shared" / "HILLS.1"
    words = script(tmp_path, many_body, variable, "walkers folder shared 0 2", seed="12")
    first, second = words.replace(f"run {STEPS}", f"run {STEPS}\nshell python change.py\nrun {STEPS}"), tmp_path / "new"
    lines = theirs.read_text().splitlines()
    second.write_text(
        "\n".join(line if line.startswith("#") else f"{line.rsplit(maxsplit=2)[0]} 99 8" for line in lines) + "\n"
    )
    (tmp_path / "change.py").write_text("import os\nos.replace('new', 'shared/HILLS.1')\n")
    lmp.succeed(tmp_path, first)
    own = read_table(tmp_path / "shared" / "HILLS.0").values
    rows = read_table(tmp_path / "COLVAR.0").values
    last = own[own[:, 0] < rows[-1, 0] - 1e-9]
    assert rows[-1, 2] == pytest.approx(sum_of_hills([read_table(theirs).values, last], rows[-1, 1]), abs=1e-9)
