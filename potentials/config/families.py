"""Table of the families a configuration can name: which settings each takes and what it is.

To add a family: write its descriptor (or regressor) with a hyperparameter model and a fit, and add a row here. Modules
are imported on use, so that reading this table imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

if TYPE_CHECKING:
    from ase import Atoms
    from torch import nn

    from rhopot.potentials.config.schema import RunConfig
    from rhopot.potentials.fitting.problem import FitProblem, FitResult


@dataclass(frozen=True)
class Family:
    """One row of the table.

    descriptor(), regressor(), training(): the models that validate the configuration's sections of those names;
        a descriptor's has `with_symbols` and `describe` too; training is None where nothing is iterated
    build(settings, symbols): the descriptor, a module (see `rhopot.potentials.descriptors.descriptor`), in float64
    fit(task, config): the fit of the regressor, which returns a `FitResult`
    defaults: values of the family's own for keys of the configuration that are not written
    fault(config): key and sentence where sections that are valid by themselves do not go together, None where they do
    kind: what its models are to ASE and LAMMPS (see `rhopot.export.card`)
    reach(descriptor): how far (A) atoms act on each other; the cutoff of local models
    shorthands: top-level keys that stand for keys of sections
    complete(descriptor, frames): the descriptor's settings with those that are to come from the training structures
    """

    name: str
    title: str
    descriptor: Callable[[], type[BaseModel]]
    regressor: Callable[[], type[BaseModel]]
    build: Callable[[dict[str, Any], Sequence[str]], nn.Module]
    fit: Callable[[FitProblem, RunConfig], FitResult]
    references: tuple[str, ...]
    training: Callable[[], type[BaseModel]] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fault: Callable[[RunConfig], tuple[tuple[str, ...], str] | None] = lambda config: None
    kind: Literal["local", "global"] = "local"
    reach: Callable[[Mapping[str, Any]], float] = lambda descriptor: float(descriptor["cutoff"])
    shorthands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    complete: Callable[[dict[str, Any], Sequence[Atoms]], dict[str, Any]] = lambda descriptor, frames: descriptor

    def describe(self, descriptor: Mapping[str, Any]) -> list[str]:
        """Say in a few lines what the family is and what its descriptor's settings mean."""
        settings: Any = self.descriptor().model_validate(descriptor)
        return [self.title, *settings.describe()]


def _soap() -> type[BaseModel]:
    from rhopot.potentials.descriptors.soap.soap_settings import SoapSettings

    return SoapSettings


def _gmp() -> type[BaseModel]:
    from rhopot.potentials.descriptors.gmp.gmp_settings import GmpSettings

    return GmpSettings


def _symmetry() -> type[BaseModel]:
    from rhopot.potentials.descriptors.symmetry_functions.symmetry_settings import SymmetryFunctionSettings

    return SymmetryFunctionSettings


def _scattering() -> type[BaseModel]:
    from rhopot.potentials.descriptors.scattering import ScatteringSettings

    return ScatteringSettings


def _linear() -> type[BaseModel]:
    from rhopot.potentials.fitting.least_squares.least_squares_settings import LinearSettings

    return LinearSettings


def _gap() -> type[BaseModel]:
    from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings

    return GapSettings


def _network() -> type[BaseModel]:
    from rhopot.potentials.models.network_settings import NetworkSettings

    return NetworkSettings


def _networks_of_elements() -> type[BaseModel]:
    from rhopot.potentials.models.network_settings import ElementNetworkSettings

    return ElementNetworkSettings


def _ensemble() -> type[BaseModel]:
    from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings

    return ScatteringFitSettings


def _training() -> type[BaseModel]:
    from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings

    return TrainingSettings


def _build_soap(settings: dict[str, Any], symbols: Sequence[str]) -> nn.Module:
    from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings

    _load_operators()
    return SoapPowerSpectrum(SoapSettings(**settings).with_symbols(symbols))


def _build_gmp(settings: dict[str, Any], symbols: Sequence[str]) -> nn.Module:
    from rhopot.potentials.descriptors.gmp import GmpFeatures, GmpSettings

    _load_operators()
    return GmpFeatures(GmpSettings(**settings).with_symbols(symbols))


def _build_symmetry(settings: dict[str, Any], symbols: Sequence[str]) -> nn.Module:
    from rhopot.potentials.descriptors.symmetry_functions import SymmetryFunctions, SymmetryFunctionSettings

    _load_operators()
    return SymmetryFunctions(SymmetryFunctionSettings(**settings).with_symbols(symbols))


def _build_scattering(settings: dict[str, Any], symbols: Sequence[str]) -> nn.Module:
    from rhopot.potentials.descriptors.scattering import ScatteringSettings, WaveletScattering

    return WaveletScattering(ScatteringSettings(**settings).with_symbols(symbols))


def _complete_scattering(settings: dict[str, Any], frames: Sequence[Atoms]) -> dict[str, Any]:
    from rhopot.potentials.descriptors.scattering import ScatteringSettings

    return ScatteringSettings(**settings).completed(frames).model_dump(mode="json")


def _reach_of_wavelets(settings: Mapping[str, Any]) -> float:
    from rhopot.potentials.descriptors.scattering import ScatteringSettings

    return ScatteringSettings(**settings).reach


def _load_operators() -> None:
    from rhopot.potentials import operators

    operators.load()


def _fit_linear(problem: FitProblem, config: RunConfig) -> FitResult:
    from rhopot.potentials.fitting.least_squares.fit import fit_linear
    from rhopot.potentials.fitting.least_squares.least_squares_settings import LinearSettings

    return fit_linear(problem, LinearSettings(**config.regressor))


def _fit_gap(problem: FitProblem, config: RunConfig) -> FitResult:
    from rhopot.potentials.fitting.least_squares.fit import fit_gap
    from rhopot.potentials.fitting.least_squares.least_squares_settings import GapSettings

    return fit_gap(problem, GapSettings(**config.regressor))


def _fit_networks(problem: FitProblem, config: RunConfig) -> FitResult:
    from rhopot.potentials.families.networks.fit import train_networks
    from rhopot.potentials.fitting.gradient.training_settings import TrainingSettings
    from rhopot.potentials.models import NetworkSettings

    return train_networks(problem, NetworkSettings(**config.regressor), TrainingSettings(**config.training))


def _fit_scattering(problem: FitProblem, config: RunConfig) -> FitResult:
    from rhopot.potentials.families.scattering.ensemble_settings import ScatteringFitSettings
    from rhopot.potentials.families.scattering.fit import fit_scattering

    return fit_scattering(problem, ScatteringFitSettings(**config.regressor))


def _gmp_in_single_precision(config: RunConfig) -> tuple[tuple[str, ...], str] | None:
    from rhopot.potentials.descriptors.gmp.gmp_settings import GmpSettings

    sentence = GmpSettings(**config.descriptor).unsuitable(config.dtype)
    return None if sentence is None else (("descriptor", "regularization"), sentence)


def _not_for_whole_structures(config: RunConfig) -> tuple[tuple[str, ...], str] | None:
    if config.dtype != "float64":
        return ("dtype",), f"must be float64 for scattering, got {config.dtype}; its features span many powers of ten"
    if config.baseline.pair is not None:
        sentence = f"must be null for scattering, got {config.baseline.pair.kind}; its models have no pairs of atoms"
        return ("baseline", "pair"), sentence
    if config.targets.energy is None:
        return ("targets", "energy"), "must be a sigma for scattering, got null; forces alone leave the energies open"
    return None


_SOAP = "A. P. Bartok, R. Kondor, G. Csanyi, Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115"
_GAP = "A. P. Bartok et al., Phys. Rev. Lett. 104, 136403 (2010), doi:10.1103/PhysRevLett.104.136403"
_SCALING = "M. J. Willatt, F. Musil, M. Ceriotti, PCCP 20, 29661 (2018), doi:10.1039/C8CP05921G"
_GMP = "X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100"
_SCATTERING = (
    "M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat, L. Thiry, J. Chem. Phys. 148, 241732 (2018), "
    "doi:10.1063/1.5023798"
)
_SPARSE_MODELS = (
    "P. Sinz, M. W. Swift, X. Brumwell, J. Liu, K. J. Kim, Y. Qi, M. Hirn, J. Chem. Phys. 153, 084109 (2020), "
    "doi:10.1063/5.0016020"
)
_BPNN = "J. Behler, M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007), doi:10.1103/PhysRevLett.98.146401"

# Without a repulsion below the distances of the data, atoms of local models fuse.
_REPULSION: dict[str, Any] = {"baseline": {"pair": {"kind": "zbl"}}}

# The validation part says when a training has learnt enough, so no model may be fitted to it afterwards.
_TRAINED: dict[str, Any] = {
    **_REPULSION,
    "data": {"split": {"refit": False}},
    "uncertainty": {"members": 4},
    "report": {"learning_curve": []},
}

_LINEAR = Family(
    name="soap_linear",
    title="ridge regression on the SOAP power spectrum",
    descriptor=_soap,
    regressor=_linear,
    build=_build_soap,
    fit=_fit_linear,
    references=(_SOAP, _SCALING),
    defaults=_REPULSION,
)
_SPARSE_KERNEL = Family(
    name="soap_gap",
    title="sparse dot-product kernel on the SOAP power spectrum",
    descriptor=_soap,
    regressor=_gap,
    build=_build_soap,
    fit=_fit_gap,
    references=(_SOAP, _GAP, _SCALING),
    defaults=_REPULSION,
)
_SINGLE_NETWORK = Family(
    name="gmp_snn",
    title="one neural network for all elements on Gaussian multipole features",
    descriptor=_gmp,
    regressor=_network,
    build=_build_gmp,
    fit=_fit_networks,
    references=(_GMP,),
    training=_training,
    defaults=_TRAINED,
    fault=_gmp_in_single_precision,
)
_NETWORKS_OF_ELEMENTS = Family(
    name="bpnn",
    title="one neural network per element on Behler-Parrinello symmetry functions",
    descriptor=_symmetry,
    regressor=_networks_of_elements,
    build=_build_symmetry,
    fit=_fit_networks,
    references=(_BPNN,),
    training=_training,
    defaults=_TRAINED,
)

_WHOLE_STRUCTURES = Family(
    name="scattering",
    title="average of sparse linear models on wavelet scattering of the whole structure",
    descriptor=_scattering,
    regressor=_ensemble,
    build=_build_scattering,
    fit=_fit_scattering,
    references=(_SCATTERING, _SPARSE_MODELS),
    defaults={
        "targets": {"forces": {"sigma": 0.3, "required": False}, "stress": {"sigma": 0.3, "required": False}},
        "uncertainty": {"members": 100},
        "report": {"learning_curve": [], "train_frames": 100},
    },
    fault=_not_for_whole_structures,
    kind="global",
    reach=_reach_of_wavelets,
    shorthands={"budget": ("regressor", "budget")},
    complete=_complete_scattering,
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (_LINEAR, _SPARSE_KERNEL, _SINGLE_NETWORK, _NETWORKS_OF_ELEMENTS, _WHOLE_STRUCTURES)
}
