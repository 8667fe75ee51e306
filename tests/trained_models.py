"""A trained model of each family, small, made once per test run by `rhopot train` from the ready configurations.

Workers of one run share them: whoever comes first trains under a lock, the others read the finished folder.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rhopot.potentials.commands import main

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data" / "lisi_gpaw"
PATHS = ("Li4Si28_0", "Li12Si20_0", "Li8Si24_0", "Li16Si16_0")

_SOAP = ("descriptor.n_max=3", "descriptor.l_max=2", "descriptor.cutoff=4.5", "descriptor.cutoff_width=1.5",
         "uncertainty.members=4", "report.learning_curve=[]")  # fmt: skip
_MULTISPECTRUM = ("descriptor.n_max=6", "descriptor.optimal_basis={q_max: 4}", "descriptor.l_max=2",
                  "descriptor.l_three=2", "descriptor.l_four=2", "descriptor.n_three=60", "descriptor.n_four=20",
                  "descriptor.cutoff=4.5", "descriptor.cutoff_width=1.5", "uncertainty.members=4",
                  "report.learning_curve=[]")  # fmt: skip
_NETWORK = ("regressor.hidden=[12, 12]", "training.epochs=60", "uncertainty.members=3", "training.dtype=float64")
SETTINGS: dict[str, tuple[str, ...]] = {
    # A small prior: with 1 these few frames leave coefficients so large that lithium atoms attract each other at 1 A.
    "soap_linear": (*_SOAP, "regressor.prior=0.1"),
    "soap_gap": (*_SOAP, "regressor.n_sparse=60"),
    "multispectrum": (*_MULTISPECTRUM, "regressor.prior=0.1"),
    "multispectrum_gap": (*_MULTISPECTRUM, "regressor.n_sparse=60"),
    "gmp_snn": ("descriptor.n_probes=4", "descriptor.max_order=3", "descriptor.cutoff=4.5", *_NETWORK),
    "bpnn": ("descriptor.cutoff=4.5", "descriptor.g2_shifts=[1.5, 2.5, 3.5]", "descriptor.g4_etas=[0.1]", *_NETWORK),
    "angular": (
        "descriptor.cutoff=4.0",
        "descriptor.n_radial=6",
        "descriptor.n_angular=4",
        "regressor={layers: 2, width: 8, filters: 8, heads: 1}",
        "training.epochs=25",
        "training.batch=96",
        "training.learning_rate=0.01",
        "training.dtype=float32",
        "uncertainty.members=3",
        "report.stability=null",
    ),
    # One layer: what atoms send each other in more takes part in few of these tests, and LAMMPS has one of its own.
    "point_scattering": (
        "descriptor.n=[2, 3]",
        "descriptor.cutoff=4.5",
        "regressor.layers=1",
        "regressor.channels=4",
        "regressor.combined=8",
        "regressor.hidden=[12]",
        "training.epochs=50",
        "training.batch=2",
        "training.dtype=float64",
        "training.ema=0.99",
        "uncertainty.members=3",
    ),
    "scattering": (
        "descriptor.n=[2]",
        "descriptor.max_order=1",
        "regressor.n_members=6",
        # On so few frames a member may choose features that nearly depend on others, with weights so large that
        # energies carry rounding of 1e-6 eV.
        "regressor.dependence=1e-4",
        "regressor.max_features=60",
        "regressor.translated=0",
        "regressor.directions=3",
        "regressor.strains=1",
        "regressor.budget=null",
        "uncertainty.members=6",
    ),
}
FAMILIES = tuple(SETTINGS)
LOCAL = tuple(family for family in FAMILIES if family != "scattering")


def arguments(family: str, folder: Path, *words: str) -> list[str]:
    """Words of a training: the family's ready configuration, made small, on four relaxation paths."""
    files = [str(DATA / f"{name}.xyz") for name in PATHS]
    split = "data.split={by: group, key: path, fraction: 0.25}"
    config = ROOT / "examples" / "configs" / f"{family}.yaml"
    return [str(config), f"data.train={files}", split, *SETTINGS[family], *words, f"output={folder}"]


def train(family: str, folder: Path, *words: str) -> Path:
    """Run the training of those words; the model file."""
    assert main(["train", *arguments(family, folder, *words)]) == 0, f"training {family} failed"
    return folder / "model.pt"


def shared(root: Path) -> Callable[[str], Path]:
    """Models of one test run, kept in `root` and made when first asked for."""

    def model(family: str) -> Path:
        with locked(root / f"{family}.lock"):
            file = root / family / "model.pt"
            return file if file.exists() else train(family, root / family)

    return model


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One worker at a time, of those that name this file."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
