"""A model trained once through the command line, on the data that come with the project, and which tests are slow.

Slow are tests that ask for a model trained by the command line, those in `lammps_plugin`, which start LAMMPS,
and those that are marked `slow` where they stand: they start other programs, or took more than a second of processor
time when their times were measured. `make test-fast` leaves them out.
"""

from __future__ import annotations

import os
import pkgutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import broken_plugins
import pytest
import trained_models
from prestarted import Template

import rhopot.potentials.commands as command_modules
import rhopot.potentials.runs.train as train_run
from rhopot.export import save
from rhopot.potentials.commands import main

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"


SLOW_FIXTURES = {"trained_model", "trained_run"}
SLOW_FOLDER = ROOT / "tests" / "lammps_plugin"

# Ranks that wait for each other sleep: with more of them than free cores, each waits for one that is not running, and
# four ranks on two cores take five times as long. Collective operations in shared memory would spin all the same.
os.environ |= {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "MPIR_CVAR_DEVICE_COLLECTIVES": "none"}

DERIVATIVES = "torch.fx.experimental.symbolic_shapes"  # what PyTorch imports, in half a second, when it first derives


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by what it asks for, or by where it stands; the files of this folder, the longest, come first.

    A file that one of several workers begins last keeps the others waiting.
    """
    items.sort(key=lambda item: item.path.parent != ROOT / "tests")
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
def self_checks() -> Iterator[Template]:
    """Processes of the self-checks: they know the modules of those, which take seconds to import, and nothing else."""
    with Template("rhopot.export.selfcheck", "rhopot.export.cv_selfcheck", DERIVATIVES) as template:
        yield template


@pytest.fixture(scope="session", autouse=True)
def quick_self_checks(self_checks: Template) -> Iterator[None]:
    """What this process saves is checked by those; `fresh_self_checks` has them started as users have them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save, "subprocess", self_checks)
        yield


@pytest.fixture
def fresh_self_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-checks in processes that Python starts."""
    monkeypatch.setattr(save, "subprocess", subprocess)


@pytest.fixture(scope="session")
def commands(self_checks: Template) -> Iterator[Template]:
    """Processes of commands and of programs with the package: what most of them import is there when they start."""
    found = (module.name for module in pkgutil.iter_modules(command_modules.__path__) if module.name != "__main__")
    modules = (f"{command_modules.__name__}.{name}" for name in found)
    with Template("rhopot.export.calculator", *modules, DERIVATIVES, checks=self_checks) as template:
        yield template


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
    return trained_models.shared(_of_all_workers(tmp_path_factory, worker_id))


@pytest.fixture(scope="session")
def plugin_sources(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> broken_plugins.Sources:
    """The sources of the pair style, compiled once per test run for all workers."""
    return broken_plugins.Sources(_of_all_workers(tmp_path_factory, worker_id) / "plugin_objects")


def _of_all_workers(factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a test run."""
    root = factory.getbasetemp()
    return root if worker_id == "master" else root.parent
