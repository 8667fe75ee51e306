"""Table of the families a configuration can name: which settings each takes and what it is.

To add a family: write its descriptor (or regressor) with a hyperparameter model and a fit, and add a row here. Modules
are imported on use, so that reading this table imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from rhopot.potentials.fit import FitResult, FitTask
    from rhopot.potentials.soap import SoapHypers, SoapPowerSpectrum


@dataclass(frozen=True)
class Family:
    """One row of the table.

    descriptor(), regressor(): the models that validate the configuration's sections of those names
    build(settings, symbols): the descriptor, a module (see `rhopot.potentials.regressors.descriptor`)
    fit(task, settings): the fit of the regressor, which returns a `FitResult`
    """

    name: str
    title: str
    descriptor: Callable[[], type[SoapHypers]]
    regressor: Callable[[], type[BaseModel]]
    build: Callable[[dict[str, Any], Sequence[str]], SoapPowerSpectrum]
    fit: Callable[[FitTask, dict[str, Any]], FitResult]
    references: tuple[str, ...]


def _soap() -> type[SoapHypers]:
    from rhopot.potentials.soap.hypers import SoapHypers

    return SoapHypers


def _linear() -> type[BaseModel]:
    from rhopot.potentials.fit.hypers import LinearHypers

    return LinearHypers


def _gap() -> type[BaseModel]:
    from rhopot.potentials.fit.hypers import GapHypers

    return GapHypers


def _build_soap(settings: dict[str, Any], symbols: Sequence[str]) -> SoapPowerSpectrum:
    from rhopot.potentials.density import operators
    from rhopot.potentials.soap import SoapHypers, SoapPowerSpectrum

    operators.load()
    return SoapPowerSpectrum(SoapHypers(**settings).with_symbols(symbols))


def _fit_linear(task: FitTask, settings: dict[str, Any]) -> FitResult:
    from rhopot.potentials.fit import LinearHypers, fit_linear

    return fit_linear(task, LinearHypers(**settings))


def _fit_gap(task: FitTask, settings: dict[str, Any]) -> FitResult:
    from rhopot.potentials.fit import GapHypers, fit_gap

    return fit_gap(task, GapHypers(**settings))


_SOAP = "A. P. Bartok, R. Kondor, G. Csanyi, Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115"
_GAP = "A. P. Bartok et al., Phys. Rev. Lett. 104, 136403 (2010), doi:10.1103/PhysRevLett.104.136403"
_SCALING = "M. J. Willatt, F. Musil, M. Ceriotti, PCCP 20, 29661 (2018), doi:10.1039/C8CP05921G"

_LINEAR = Family(
    name="soap_linear",
    title="ridge regression on the SOAP power spectrum",
    descriptor=_soap,
    regressor=_linear,
    build=_build_soap,
    fit=_fit_linear,
    references=(_SOAP, _SCALING),
)
_SPARSE_KERNEL = Family(
    name="soap_gap",
    title="sparse dot-product kernel on the SOAP power spectrum",
    descriptor=_soap,
    regressor=_gap,
    build=_build_soap,
    fit=_fit_gap,
    references=(_SOAP, _GAP, _SCALING),
)

FAMILIES: dict[str, Family] = {family.name: family for family in (_LINEAR, _SPARSE_KERNEL)}
