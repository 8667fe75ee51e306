"""Machine-learning interatomic potentials that read a structure as a density: the Python side of the pipeline.

The sub-packages stand in the order in which data flows, and each imports only from those before it:

    structures -> graph -> density -> descriptors -> models -> fitting -> families -> config -> runs
    -> properties, verification

and on top what users call: the functions of `api`, which are at hand here, and the commands.

    from rhopot.potentials import check, evaluate, features, train
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rhopot.potentials.api import check, evaluate, features, train

__all__ = ["check", "evaluate", "features", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The functions of `api`, which is imported with torch when one of them is first asked for."""
    if name in __all__:
        from rhopot.potentials import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
