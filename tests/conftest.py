"""A model trained once through the command line, on the data that come with the project, and which tests are slow.

Slow are tests that ask for a model trained by the command line, those in `lammps_plugin`, which start LAMMPS,
and those that are marked `slow` where they stand: they start other programs, or took more than a second of processor
time when their times were measured. `make test-fast` leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trained_models

import rhopot.potentials.runs.train as train_run
from rhopot.potentials.commands import main

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"


SLOW_FIXTURES = {"trained_model", "trained_run"}
SLOW_FOLDER = ROOT / "tests" / "lammps_plugin"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by what it asks for, or by where it stands."""
    for item in items:
        if SLOW_FIXTURES & set(getattr(item, "fixturenames", ())) or SLOW_FOLDER in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def no_hot_dynamics() -> Iterator[None]:
    """Trainings of this process leave out the hot dynamics of their report: seconds for each of many small models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_run, "measure_stability", lambda *arguments: [])
        yield


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished output folder of a small linear model: three relaxation paths, one of them for validation."""
    folder = tmp_path_factory.mktemp("train") / "run"
    files = [str(DATA / f"{name}.xyz") for name in ("Li4Si28_0", "Li12Si20_0", "Li8Si24_0", "Li16Si16_0")]
    words = [
        f"data.train={files}",
        "data.split={by: group, key: path, fraction: 0.25}",
        "descriptor.n_max=4",
        "descriptor.l_max=3",
        "descriptor.scaling={rate: 1.0, scale: 2.0, exponent: 6}",
        "targets.stress=0.02",
        "report.learning_curve=[0.4]",
        f"output={folder}",
    ]
    assert main(["train", str(ROOT / "examples/configs/soap_linear.yaml"), *words]) == 0
    return folder


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Path]:
    """Gives the model file of a family (`trained_models.FAMILIES`), trained once per test run for all workers."""
    root = tmp_path_factory.getbasetemp()
    return trained_models.shared(root if worker_id == "master" else root.parent)
