"""What a family owes to a training, checked before fit time is spent and before its result replaces anything.

    make_descriptor   the family's descriptor, with all that its kind must have
    run_fit           the family's fit: a `FitResult` whose report has what the model file and the report are made of

Packages of others add families: what is wrong with theirs is one sentence with the family's name, a `FamilyError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from ase import Atoms
from pydantic import BaseModel
from torch import nn

from rhopot.potentials.families.family import Family, FamilySettings
from rhopot.potentials.families.registry import OURS, FamilyError
from rhopot.potentials.fitting.problem import FitProblem, FitResult

REMEDY = "mend its package"


def make_descriptor(family: Family, settings: Any, frames: Sequence[Atoms], symbols: Sequence[str]) -> Any:
    """The family's descriptor of these settings, completed from the frames.

    Raises:
        FamilyError: it lacks something that models of the family's kind need.
    """
    subject = f"descriptor of family {family.name}"
    with _naming(family, subject, "be made of its settings", own_words=True):
        made: Any = family.descriptor_for(settings, frames, symbols)
    if not isinstance(made, nn.Module):
        raise FamilyError(f"{subject} must be a torch.nn.Module, got {_type(made)}; {REMEDY}")
    needed = ("settings", "n_features", *(("cutoff",) if family.kind == "local" else ()))
    missing = [name for name in needed if not hasattr(made, name)]
    if missing:
        raise FamilyError(
            f"{subject} must have {', '.join(needed)} (a {family.kind} family), got none of {', '.join(missing)}; "
            f"{REMEDY}"
        )
    if not isinstance(made.settings, BaseModel):
        raise FamilyError(f"{subject} must have settings of pydantic, got {_type(made.settings)}; {REMEDY}")
    with _naming(family, f"reach of family {family.name}", "give a distance in A"):
        reach = float(family.reach(made.settings))
    if family.kind == "local" and reach < (cutoff := float(cast("float", made.cutoff))):
        raise FamilyError(
            f"reach of family {family.name} must be at least the cutoff of its descriptor ({cutoff:g} A), "
            f"got {reach:g} A, within which the model would miss neighbors; {REMEDY}"
        )
    return made


def run_fit(family: Family, problem: FitProblem, settings: FamilySettings) -> FitResult:
    """What the family's fit returns.

    Raises:
        FamilyError: it is no result of a fit, or the fit of a family of another package failed.
    """
    with _naming(family, f"fit of family {family.name}", "return a FitResult"):
        result = family.fit(problem, settings)
    _check_result(family, result, settings)
    return result


@contextmanager
def _naming(family: Family, subject: str, rule: str, own_words: bool = False) -> Iterator[None]:
    """Let errors of another package's family name it; a ValueError says itself what to do, as it is by `own_words`."""
    try:
        yield
    except (OSError, MemoryError):  # of the machine, not of the family
        raise
    except Exception as error:
        said = isinstance(error, ValueError) and bool(str(error).strip())
        if family.name in OURS or (said and own_words):
            raise
        reason = " ".join(str(error).split())
        if said:
            raise FamilyError(f"{reason} (in the {subject})") from error
        raise FamilyError(
            f"{subject} must {rule}, got {type(error).__name__} ({reason or 'no reason given'}); "
            f"{REMEDY}, --debug shows where"
        ) from error


def _check_result(family: Family, result: Any, settings: FamilySettings) -> None:
    """Refuse a result that no model file or report can be made of."""
    subject = f"fit of family {family.name}"
    if not isinstance(result, FitResult):
        raise FamilyError(f"{subject} must return a FitResult, got {_type(result)}; {REMEDY}")
    for name in ("model", "final"):
        model = getattr(result, name)
        if not isinstance(model, nn.Module) or not isinstance(getattr(model, "n_members", None), int):
            raise FamilyError(
                f"{name} of the {subject} must be a torch.nn.Module with a number `n_members`, got {_type(model)}"
                f"{' without' if isinstance(model, nn.Module) else ''}; {REMEDY}"
            )
        if family.kind == "global" and not callable(getattr(model, "prepare", None)):
            raise FamilyError(
                f"{name} of the {subject} must have a method `prepare` (a global family), got {_type(model)} without; "
                f"{REMEDY}, or make its kind local"
            )
    report: Any = result.report
    for name in ("regressor", "validation"):
        if not isinstance(report, Mapping) or not isinstance(report.get(name), Mapping):
            raise FamilyError(
                f'report of the {subject} must have "regressor", the settings of that section, and "validation", '
                f'errors on the validation set, got no mapping "{name}"; {REMEDY}'
            )
    unknown = sorted(str(name) for name in report["regressor"] if not hasattr(settings.regressor, str(name)))
    if unknown:
        raise FamilyError(
            f'"regressor" in the report of the {subject} must hold settings of that section, got '
            f"{', '.join(unknown)}; {REMEDY}"
        )
    try:
        json.dumps(report)
    except (TypeError, ValueError, RecursionError) as error:
        raise FamilyError(
            f"report of the {subject} must hold plain numbers, texts, lists and mappings, got what JSON cannot hold "
            f"({error}); {REMEDY}"
        ) from error


def _type(value: Any) -> str:
    return "None" if value is None else type(value).__name__
