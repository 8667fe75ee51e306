"""A training that is killed and resumed gives the bits of one that was not; its log has every epoch once."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import labelled
import launched
import pytest
import torch
from training_problem import NETWORK, fit_problem, training_settings, weights

from rhopot.potentials.families.networks.fit import train_networks
from rhopot.potentials.fitting.gradient.log import COLUMNS, Log

EPOCHS = 40
SETTINGS = {"dtype": "float32", "learning_rate": 0.01}

SCRIPT = """
import sys, time
from pathlib import Path
import labelled
from training_problem import NETWORK, training_settings, fit_problem
from rhopot.potentials.fitting.progress import SilentProgress
from rhopot.potentials.families.networks.fit import train_networks

class Slow(SilentProgress):
    def describe(self, stage, text):
        time.sleep(0.05)

train, validation = labelled.frames(10), labelled.frames(4, seed=1)
given = fit_problem(train, validation, members=2, folder=Path(sys.argv[1]), progress=Slow())
chosen = training_settings(int(sys.argv[2]), dtype="float32", learning_rate=0.01, checkpoint_seconds=0.12)
train_networks(given, NETWORK, chosen)
"""


def given(folder: Path | None, resume: bool = False):  # type: ignore[no-untyped-def]
    return fit_problem(labelled.frames(10), labelled.frames(4, seed=1), members=2, folder=folder, resume=resume)


def epochs_in(folder: Path) -> list[str]:
    with (folder / "epochs.csv").open() as file:
        return [row["epoch"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_killed_and_resumed_is_bitwise_the_same(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path), str(EPOCHS)], env=launched.ENVIRONMENT)
    try:
        deadline = time.monotonic() + 60
        while not ((tmp_path / "training.pt").exists() and len(epochs_in(tmp_path)) >= 8):
            assert process.poll() is None, "the training must still run when it is killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = torch.load(tmp_path / "training.pt")["state"]["epoch"]
    assert 0 < done < EPOCHS
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed = train_networks(given(tmp_path, resume=True), NETWORK, training_settings(EPOCHS, **SETTINGS))
        through = train_networks(given(None), NETWORK, training_settings(EPOCHS, **SETTINGS))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(weights(resumed.model), weights(through.model))
    assert torch.equal(resumed.model.calibration, through.model.calibration)
    assert epochs_in(tmp_path) == [str(k + 1) for k in range(EPOCHS)]
    for mine, other in zip(resumed.report["epochs"], through.report["epochs"], strict=True):
        assert {k: v for k, v in mine.items() if k != "seconds"} == {k: v for k, v in other.items() if k != "seconds"}


def test_a_finished_training_resumes_to_itself(tmp_path: Path) -> None:
    first = train_networks(given(tmp_path), NETWORK, training_settings(3))
    again = train_networks(given(tmp_path, resume=True), NETWORK, training_settings(3))
    assert torch.equal(weights(first.model), weights(again.model))
    assert first.report["epochs"] == again.report["epochs"]


def test_a_number_of_epochs_that_follows_from_the_data_is_the_same_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rhopot.potentials.fitting.gradient.epochs.STEPS", 10)
    monkeypatch.setattr("rhopot.potentials.fitting.gradient.epochs.FEWEST", 2)
    first = train_networks(given(tmp_path), NETWORK, training_settings(None))
    again = train_networks(given(tmp_path, resume=True), NETWORK, training_settings(None))
    assert len(first.report["epochs"]) == 5
    assert first.report["epochs"] == again.report["epochs"]


def test_another_training_s_checkpoint_is_refused(tmp_path: Path) -> None:
    train_networks(given(tmp_path), NETWORK, training_settings(2))
    with pytest.raises(ValueError, match="must belong to the training that is resumed, got another one's"):
        train_networks(given(tmp_path, resume=True), NETWORK, training_settings(2, learning_rate=0.5))


def test_memory_and_time_between_checkpoints_may_change(tmp_path: Path) -> None:
    train_networks(given(tmp_path), NETWORK, training_settings(2))
    settings = training_settings(2, cache_gib=0.0, checkpoint_seconds=9.0)
    assert len(train_networks(given(tmp_path, resume=True), NETWORK, settings).report["epochs"]) == 2


def test_log_leaves_empty_what_was_not_measured(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.restart([{"epoch": 1.0, "train_loss": 0.5}])
    log.append({"epoch": 2.0, "train_loss": 0.25, "validation_loss": 0.75})
    lines = (tmp_path / "epochs.csv").read_text().splitlines()
    assert lines[0].split(",") == list(COLUMNS)
    rows = [dict(zip(COLUMNS, line.split(","), strict=True)) for line in lines[1:]]
    assert [row["train_loss"] for row in rows] == ["0.5", "0.25"]
    assert [row["validation_loss"] for row in rows] == ["", "0.75"]
