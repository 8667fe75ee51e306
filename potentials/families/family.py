"""What a family is: one object that says everything the package has to know of it.

A family is a descriptor, a regressor and the fit that joins them, under the name that `family:` has in a configuration.
Its module makes one `Family` object; `families.registry` lists it. Nothing else in the package asks for a family's
name, and nothing is concluded from one of these statements to another: each stands for itself.

    settings    three models (pydantic) validate the sections `descriptor`, `regressor` and `training`
    descriptor  `descriptor_for(settings, frames, symbols)` makes the module whose features are fitted
    fit         `fit(problem, settings)` returns the model and a report of plain numbers
    flags       what models of the family are to ASE and LAMMPS, and how the fit treats the validation set

**What a descriptor learns from the data goes into its settings.** The module has an attribute `settings`: those it was
made with, complete with elements, lengths and arrays that were taken from `frames`. They are written into the model
file, and `descriptor_for(descriptor.settings, (), symbols)` makes the very same descriptor again, without any data.
That is how `rhopot features model.pt` gives the features that the model itself computes. A setting that is null in the
configuration stands for a value from the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray
    from pydantic import BaseModel
    from torch import nn

    from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings
    from rhopot.potentials.fitting.problem import FitProblem, FitResult
    from rhopot.potentials.fitting.targets import Targets

KINDS = ("local", "global")
# Message-passing layers that model files and the LAMMPS plugin run (`rhopot.export.load` says the same).
MOST_LAYERS = 8


@dataclass(frozen=True)
class FamilySettings:
    """Validated settings of one fit: instances of the family's own models.

    training is of the family's `training_settings`, or has no fields where the family has none.
    """

    descriptor: Any
    regressor: Any
    training: Any


class Configuration(Protocol):
    """What a family may look at in a configuration to find sections that do not go together."""

    @property
    def dtype(self) -> str:
        """Number format of the exported model: float64 or float32."""

    @property
    def descriptor(self) -> Any:
        """Settings of the descriptor."""

    @property
    def regressor(self) -> Any:
        """Settings of the regressor."""

    @property
    def training(self) -> Any:
        """Settings of an iterative training."""

    @property
    def targets(self) -> Targets:
        """Sigmas of energies, forces and stresses."""

    @property
    def baseline(self) -> Any:
        """Energies of elements and of pairs that are subtracted before the fit: `elements`, `pair`."""


@dataclass(frozen=True)
class Conflict:
    """Settings that are valid by themselves and do not go together.

    key: of the setting to change, ("descriptor", "cutoff"); sentence: `must be <rule>, got <value>; <remedy>`
    """

    key: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    name: `family:` in a configuration and in model files; title: one line in words; references: what users cite
    kind: evaluation interface of its models, `local` (energies of atoms from their neighbors) or `global` (energy of
        the structure), see `rhopot.export.local_models` and `rhopot.export.global_models`
    n_layers: message-passing layers of its models by default; 1: none exchanges anything between atoms
    refits_on_validation: True where the saved model can be fitted to the validation set too once the errors on it are
        known; False where the validation set stops the training
    members_make_prediction: True where the prediction is the mean of `uncertainty.members` models (a committee), False
        where members only measure the uncertainty and the prediction does not depend on their number
    descriptor_settings, regressor_settings, training_settings: models of the three sections; no third one where
        nothing is trained iteratively
    descriptor_for: settings, training structures (none where the settings are complete) and chemical symbols in the
        model's order -> the descriptor, a module in float64 with `settings`, `n_features`, and for local families all
        of `rhopot.potentials.descriptors.descriptor.Descriptor`. A structure's energy in eV, where it is known, is in
        the results of its calculator (`atoms.calc.results["energy"]`)
    fit: `FitProblem` (its `descriptor` is the one made above), settings -> `FitResult`; its report has at least
        "regressor", the settings of that section, and "validation", errors on the validation set
    features: descriptor, structure -> what `rhopot features` writes: (N, F), a row for each atom, for local families;
        (F,) for global ones
    feature_names: names of the F features, where they have any
    reach: complete settings of a descriptor -> distance in A up to which atoms act on each other; the cutoff of local
        models
    conflict: the first `Conflict` in a configuration, None where there is none
    stretch: of global families: factor by which periodic edges may grow on what a model prepares for a structure; None:
        `units.STRETCH`; `units.UNLIMITED_STRETCH` where it prepares nothing
    defaults: values of the family's own for keys that a configuration leaves out, nested as in the file
    replaces: key that a configuration gives -> keys of the same section whose `defaults` then do not count
    shorthands: top-level keys that stand for keys of sections
    tuning: dotted key -> values in order of size, which `rhopot tune` searches by default; empty: the user names them
    notes: what everybody who runs such a model has to know, shown by `rhopot info`

    Raises:
        ValueError: a statement that no model can follow from, as soon as it is made.
    """

    name: str
    title: str
    references: tuple[str, ...]
    kind: Literal["local", "global"]
    n_layers: int
    refits_on_validation: bool
    members_make_prediction: bool
    descriptor_settings: type[DescriptorSettings]
    regressor_settings: type[BaseModel]
    descriptor_for: Callable[[Any, Sequence[Atoms], Sequence[str]], nn.Module]
    fit: Callable[[FitProblem, FamilySettings], FitResult]
    features: Callable[[Any, Atoms], NDArray[np.float64]]
    training_settings: type[BaseModel] | None = None
    feature_names: Callable[[Any], Sequence[str]] | None = None
    reach: Callable[[Any], float] = lambda settings: float(settings.cutoff)
    conflict: Callable[[Configuration], Conflict | None] = lambda config: None
    stretch: float | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    replaces: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    shorthands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tuning: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # here, for names of families are asked for without them
        from pydantic import BaseModel

        from rhopot.potentials.descriptors.descriptor_settings import DescriptorSettings

        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"name of a family must be a word, got {self.name!r}; name it as its entry point")
        self._require(self.kind in KINDS, "kind", f"be one of {', '.join(KINDS)}", repr(self.kind))
        whole = isinstance(self.n_layers, int) and not isinstance(self.n_layers, bool)
        rule = f"be 1 to {MOST_LAYERS}, the message-passing layers that model files support"
        self._require(whole and 1 <= self.n_layers <= MOST_LAYERS, "n_layers", rule, repr(self.n_layers))
        models: dict[str, type[BaseModel]] = {
            "descriptor_settings": DescriptorSettings,
            "regressor_settings": BaseModel,
        }
        if self.training_settings is not None:
            models["training_settings"] = BaseModel
        for name, base in models.items():
            model = getattr(self, name)
            fits = isinstance(model, type) and issubclass(model, base)
            self._require(fits, name, f"be a {base.__name__} (pydantic) class", repr(model))
        for name in ("descriptor_for", "fit", "features", "reach", "conflict"):
            self._require(callable(getattr(self, name)), name, "be a function", repr(getattr(self, name)))

    def _require(self, fits: bool, name: str, rule: str, found: str) -> None:
        """Raise ValueError with one sentence where a statement does not fit."""
        if not fits:
            raise ValueError(f"{name} of family {self.name} must {rule}, got {found}; correct the family's module")

    def describe(self, descriptor: DescriptorSettings) -> list[str]:
        """Say in a few lines what the family is and what its descriptor's settings mean."""
        return [self.title, *descriptor.describe()]
