"""What a family owes to a training is asked of it before fit time is spent, in one sentence with its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rhopot.export import load
from rhopot.potentials.families import Family, FamilyError, FamilySettings, family, find_family
from rhopot.potentials.families.contract import make_descriptor, run_fit
from rhopot.potentials.fitting.problem import FitResult

FEW = ("Li", "Si")
REPORT: dict[str, Any] = {"regressor": {"prior": 1.0}, "validation": {"energy_mae_mev_per_atom": 1.0}}


def mine(**changes: Any) -> Family:
    """A family of somebody else."""
    return replace(find_family("soap_linear"), name="mine", **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "lokal"}, "^kind of family mine must be one of local, global, got 'lokal'; correct the family's mod"),
        ({"n_layers": 9}, "^n_layers of family mine must be 1 to 8, the message-passing layers that model files s"),
        ({"n_layers": 0}, "^n_layers of family mine must be 1 to 8, .*, got 0;"),
        ({"n_layers": True}, "^n_layers of family mine must be 1 to 8, .*, got True;"),
        ({"n_layers": "1"}, "^n_layers of family mine must be 1 to 8, .*, got '1';"),
        ({"regressor_settings": dict}, r"^regressor_settings of family mine must be a BaseModel \(pydantic\) class, "),
        ({"descriptor_settings": 3}, r"^descriptor_settings of family mine must be a DescriptorSettings \(pydantic\) "),
        ({"training_settings": dict}, "^training_settings of family mine must be a BaseModel"),
        ({"fit": None}, "^fit of family mine must be a function, got None"),
    ],
)
def test_a_family_that_no_model_can_follow_from_is_refused_when_it_is_made(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        mine(**changes)


@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_family_has_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="name of a family must be a word, got"):
        replace(find_family("soap_linear"), name=name)


def test_layers_are_those_that_model_files_support() -> None:
    assert family.MOST_LAYERS == load.MOST_LAYERS


def without(name: str) -> Callable[..., torch.nn.Module]:
    """Makes a descriptor that lacks an attribute."""

    def made(settings: Any, frames: Any, symbols: Any) -> torch.nn.Module:
        module = torch.nn.Module()
        for key, value in {"settings": settings, "n_features": 3, "cutoff": settings.cutoff}.items():
            if key != name:
                setattr(module, key, value)
        return module

    return made


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"descriptor_for": lambda *any_: None}, "^descriptor of family mine must be a torch.nn.Module, got None"),
        ({"descriptor_for": without("n_features")}, "must have settings, .*, got none of n_features"),
        ({"descriptor_for": without("cutoff")}, r"must have .* \(a local family\), got none of cutoff; mend its pack"),
        ({"descriptor_for": without("settings")}, "got none of settings"),
        ({"descriptor_for": lambda *any_: [][1]}, r"must be made of its settings, got IndexError \(list index out of"),
        ({"reach": lambda settings: 2.0}, r"^reach of family mine must be at least the cutoff .* \(5 A\), got 2 A"),
        ({"reach": lambda settings: settings.far}, "^reach of family mine must give a distance in A, got AttributeErr"),
    ],
)
def test_a_descriptor_has_what_its_kind_must_have(changes: dict[str, Any], sentence: str) -> None:
    broken = mine(**changes)
    with pytest.raises(FamilyError, match=sentence):
        make_descriptor(broken, broken.descriptor_settings(), (), FEW)


def test_a_whole_descriptor_passes_and_settings_that_do_not_fit_the_data_keep_their_sentence() -> None:
    good = mine(descriptor_for=without("nothing"))
    assert make_descriptor(good, good.descriptor_settings(), (), FEW).n_features == 3
    global_one = mine(kind="global", descriptor_for=without("cutoff"))
    assert make_descriptor(global_one, global_one.descriptor_settings(), (), FEW).n_features == 3

    def refuses(*any_: Any) -> Any:
        raise ValueError("descriptor.width must be shorter, got 9")

    with pytest.raises(ValueError, match=r"^descriptor\.width must be shorter, got 9$"):
        make_descriptor(mine(descriptor_for=refuses), None, (), FEW)


def fitted(report: Any = None, model: Any = None) -> FitResult:
    module: Any = torch.nn.Identity()
    module.n_members = 0
    return FitResult(model or module, module, REPORT if report is None else report)


def gives(result: Any) -> Callable[..., Any]:
    return lambda problem, settings: result


def fails(error: Exception) -> Callable[..., Any]:
    def fit(problem: Any, settings: Any) -> Any:
        raise error

    return fit


@pytest.mark.parametrize(
    ("fit", "sentence"),
    [
        (gives(None), "^fit of family mine must return a FitResult, got None; mend its package$"),
        (gives({"model": 1}), "^fit of family mine must return a FitResult, got dict"),
        (gives(fitted(model="x")), "^model of the fit of family mine must be a torch.nn.Module with a number"),
        (gives(fitted(model=torch.nn.ReLU())), "`n_members`, got ReLU without; mend"),
        (gives(fitted({})), '^report of the fit of family mine must have "regressor", .*, got no mapping "regressor"'),
        (gives(fitted({"regressor": {}})), 'got no mapping "validation"'),
        (gives(fitted({**REPORT, "regressor": {"priro": 1}})), "must hold settings of that section, got priro; mend"),
        (gives(fitted({**REPORT, "x": torch.zeros(1)})), r"must hold plain .*Tensor is not JSON serializable\)"),
        (fails(KeyError("energy")), r"^fit of family mine must return a FitResult, got KeyError \('energy'\); mend"),
        (fails(ValueError("prior must\n be less")), r"^prior must be less \(in the fit of family mine\)$"),
    ],
)
def test_a_broken_fit_is_one_sentence_with_the_name_of_its_family(fit: Any, sentence: str) -> None:
    settings = FamilySettings(None, mine().regressor_settings(), None)
    problem: Any = SimpleNamespace()
    with pytest.raises(FamilyError, match=sentence) as caught:
        run_fit(mine(fit=fit), problem, settings)
    assert "\n" not in str(caught.value)


def test_the_model_of_a_global_family_is_a_global_model() -> None:
    settings = FamilySettings(None, mine().regressor_settings(), None)
    problem: Any = SimpleNamespace()
    with pytest.raises(FamilyError, match=r"must have a method `prepare` \(a global family\), got Identity without"):
        run_fit(mine(kind="global", fit=gives(fitted())), problem, settings)


def test_a_good_fit_passes_and_errors_of_the_machine_keep_their_kind() -> None:
    settings = FamilySettings(None, mine().regressor_settings(), None)
    problem: Any = SimpleNamespace()
    assert run_fit(mine(fit=gives(fitted())), problem, settings).report == REPORT
    for error in (OSError(28, "No space left on device"), MemoryError()):
        with pytest.raises(type(error)):
            run_fit(mine(fit=fails(error)), problem, settings)
    cause = ZeroDivisionError("of mine")
    with pytest.raises(FamilyError) as caught:
        run_fit(mine(fit=fails(cause)), problem, settings)
    assert caught.value.__cause__ is cause
    ours = replace(find_family("soap_linear"), fit=fails(cause))
    with pytest.raises(ZeroDivisionError):
        run_fit(ours, problem, settings)
