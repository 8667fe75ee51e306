"""One training at a time in a folder, however the others are started and however the first one ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from train_process import RUN, mpirun, start

from rhopot.potentials.commands import main
from rhopot.potentials.runs.folder_lock import NAME, lock_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
CONFIG = str(ROOT / "examples/configs/soap_linear.yaml")
DATA = str(ROOT / "examples/data/lisi_gpaw/Li8Si24_0.xyz")
HOLD = """
import sys, time
from pathlib import Path
from rhopot.potentials.runs.folder_lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the folder `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def words(folder: Path, *more: str) -> list[str]:
    return ["train", CONFIG, f"data.train={DATA}", f"output={folder}", *more]


@pytest.mark.parametrize("option", [[], ["--resume"], ["--overwrite"]])
def test_a_second_training_is_refused(
    option: list[str], holder: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "checkpoint").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(words(tmp_path / "run", *option)) == 1
    error = capsys.readouterr().err
    assert f"output must be a folder that no other process is writing, got '{tmp_path / 'run'}'" in error
    assert f"in use by process {holder.pid} on " in error
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_second_training_on_two_ranks_is_refused(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    done = start(RUN, words(tmp_path / "run"), mpirun(2))
    assert done.returncode != 0
    assert done.stderr.count("rhopot: output must be a folder that no other process is writing") == 1
    assert list((tmp_path / "run").iterdir()) == [tmp_path / "run" / NAME]


def test_the_lock_of_a_killed_run_does_not_block(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / NAME).exists()
    with lock_folder(tmp_path / "run") as note:
        assert note == ""
        assert (tmp_path / "run" / NAME).read_text().startswith(f"process {os.getpid()} on ")
    assert (tmp_path / "run").is_dir(), "it was there before"
    assert not list((tmp_path / "run").iterdir())


def test_a_folder_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with lock_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / NAME).exists()
    assert not (tmp_path / "a").exists()
    with lock_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "kept").touch()
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "kept"]


def test_a_lock_that_was_taken_over_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that opened the file just before its holder removed it must not lock the removed file."""
    real, calls = os.open, []

    def slow(path: object, *more: object) -> int:
        descriptor = real(path, *more)  # type: ignore[arg-type]
        calls.append(path)
        if len(calls) == 1:
            (tmp_path / NAME).unlink()
        return descriptor

    monkeypatch.setattr(os, "open", slow)
    with lock_folder(tmp_path):
        assert (tmp_path / NAME).exists()
        with pytest.raises(ValueError, match="no other process"), lock_folder(tmp_path):
            pass
    assert len(calls) == 3


def test_folders_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(words(tmp_path / "file")) == 1
    assert f"output must be a folder, got the file '{tmp_path / 'file'}'" in capsys.readouterr().err
    assert main(words(tmp_path / "file" / "run")) == 1
    assert "(Not a directory); choose another output=..." in capsys.readouterr().err


def test_two_trainings_at_once_leave_one_model(tmp_path: Path) -> None:
    """Whichever comes first trains; the other is refused and changes nothing."""
    small = ("descriptor.n_max=2", "descriptor.l_max=1", "uncertainty.members=0", "report.learning_curve=[]")
    command = [sys.executable, "-c", RUN, *words(tmp_path / "run", *small)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.Popen([*command, f"seed={seed}"], env=environment, stderr=subprocess.PIPE, text=True)
        for seed in (1, 2)
    ]
    errors = [run.communicate(timeout=200)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 1]
    assert sum("no other process is writing" in error for error in errors) == 1
    assert NAME not in {file.name for file in (tmp_path / "run").iterdir()}
