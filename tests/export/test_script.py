"""TorchScript: one file of the project calls it, and only its own announcement is silenced."""

from __future__ import annotations

import ast
import io
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import many_body_toy as toy
import pytest
import small_models
import torch

import rhopot.export
from rhopot.export import script
from rhopot.export.evaluate import evaluate

TREE = Path(rhopot.export.__file__).resolve().parents[1]


def uses_torch_jit(path: Path) -> bool:
    """Whether a file names torch.jit outside comments, strings and `torch.jit.ignore`-like decorators of none."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("torch.jit"):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.jit"):
            return True
    return False


def test_torch_jit_is_called_in_one_file() -> None:
    sources = [path for part in ("potentials", "export", "lammps_plugin") for path in (TREE / part).rglob("*.py")]
    assert len(sources) > 10
    assert [path.relative_to(TREE) for path in sources if uses_torch_jit(path)] == [Path("export/script.py")]


def test_nothing_but_the_announced_deprecation_is_silenced() -> None:
    class Warns(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        script.compile_module(Warns())
        with pytest.raises(DeprecationWarning, match="other"), script.plain_execution():
            warnings.warn("other", DeprecationWarning, stacklevel=1)


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_the_announcement_is_silenced_in_every_category_it_has_had(category: type[Warning]) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with script.plain_execution():
            warnings.warn("`torch.jit.load` is deprecated. Please switch to `torch.export`.", category, stacklevel=1)
            warnings.warn("`torch.jit.load` is not supported in Python 3.14+ and may break.", category, stacklevel=1)
    assert seen == []


def test_compiled_modules_are_not_compiled_again() -> None:
    compiled = script.compile_module(toy.ManyBody())
    assert script.compile_module(compiled) is compiled


def test_operators_of_the_project_are_told_from_those_of_pytorch() -> None:
    assert script.custom_operators(script.compile_module(toy.ManyBody())) == ()
    linear, gap = (script.compile_module(make().module) for make in (small_models.linear, small_models.gap))
    assert script.custom_operators(linear) == ("rhopot::soap_linear_v1",)
    assert script.custom_operators(gap) == ("rhopot::soap_gap_v1",)
    assert script.custom_operators(linear.descriptor) == ("rhopot::soap_power_spectrum_v1",)
    assert script.is_registered("aten::add")
    assert script.is_registered("rhopot::soap_linear_v1")
    assert not script.is_registered("rhopot::no_such_operator_v9")


MAKERS = ("linear", "gap", "gmp_network", "symmetry_network", "scattering")


@pytest.mark.parametrize("name", MAKERS)
def test_every_family_chooses_its_operators_by_device(name: str) -> None:
    compiled = script.compile_module(getattr(small_models, name)().module)
    assert script.custom_operators(compiled)
    assert script.runs_on_gpu(compiled)


def test_operators_are_found_after_a_run_too() -> None:
    model = small_models.scattering()
    compiled = replace(model, module=script.compile_module(model.module))
    evaluate(compiled, [toy.skewed()], members=True)
    fields = ("field_coefficients", "field_coefficients_adjoint", "wavelet_modulus")
    names = ("power_sums", "wavelet_filters", "wavelet_power_sums", *fields)
    assert set(script.custom_operators(compiled.module)) == {f"rhopot::{name}_v1" for name in names}


def test_files_name_no_folder_and_no_time_of_their_making() -> None:
    archives = [script.serialise(script.compile_module(small_models.gap().module), {}) for _ in range(2)]
    assert archives[0] == archives[1]
    with zipfile.ZipFile(io.BytesIO(archives[0])) as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    assert len(parts) > 10
    assert not any(str(TREE).encode() in part or b"site-packages" in part for part in parts)
