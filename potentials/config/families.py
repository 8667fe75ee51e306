"""Table of the families a configuration can name: which settings each takes and what it is.

To add a family: write its descriptor (or regressor) with a hyperparameter model, add a row here and a fit function in
`rhopot.potentials.commands.training`. Settings are looked up on use, so that reading this table imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True)
class Family:
    """One row: `descriptor()` and `regressor()` return the models that validate the sections of those names."""

    name: str
    title: str
    descriptor: Callable[[], type[BaseModel]]
    regressor: Callable[[], type[BaseModel]]
    references: tuple[str, ...]


def _soap() -> type[BaseModel]:
    from rhopot.potentials.config.descriptor import SoapSettings

    return SoapSettings


def _linear() -> type[BaseModel]:
    from rhopot.potentials.fit.hypers import LinearHypers

    return LinearHypers


def _gap() -> type[BaseModel]:
    from rhopot.potentials.fit.hypers import GapHypers

    return GapHypers


_SOAP = "A. P. Bartok, R. Kondor, G. Csanyi, Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115"
_GAP = "A. P. Bartok et al., Phys. Rev. Lett. 104, 136403 (2010), doi:10.1103/PhysRevLett.104.136403"
_SCALING = "M. J. Willatt, F. Musil, M. Ceriotti, PCCP 20, 29661 (2018), doi:10.1039/C8CP05921G"

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("soap_linear", "ridge regression on the SOAP power spectrum", _soap, _linear, (_SOAP, _SCALING)),
        Family(
            "soap_gap", "sparse dot-product kernel on the SOAP power spectrum", _soap, _gap, (_SOAP, _GAP, _SCALING)
        ),
    )
}
