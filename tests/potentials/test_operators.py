"""The operator library is opened beside the torch it was compiled against, and beside no other."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from rhopot.potentials import operators

ANOTHER = """
import torch
torch.__version__ = "2.14.1+cpu"
try:
    from rhopot.potentials import operators
    operators.load()
except ImportError as error:
    print(error)
print([name for name in torch._C._dispatch_get_all_op_names() if name.startswith("rhopot::")])
"""


def test_the_version_of_the_build_is_recorded() -> None:
    assert operators.built_for() == torch.__version__


@pytest.mark.parametrize(
    ("running", "same"),
    [
        ("2.13.0", True),
        ("2.13.1", True),
        ("2.13.0+cu126", True),
        ("2.14.0", False),
        ("2.1.3", False),
        ("3.13.0", False),
    ],
)
def test_releases_of_one_minor_version_fit(running: str, same: bool) -> None:
    assert operators.same_abi("2.13.0+cpu", running) is same
    assert operators.same_abi("", running), "a build that recorded nothing is tried"


def test_another_torch_is_refused_before_the_library_is_opened() -> None:
    done = subprocess.run([sys.executable, "-c", ANOTHER], capture_output=True, text=True, check=True)
    sentence, opened = done.stdout.splitlines()
    assert sentence.startswith("torch must be 2.13, which ")
    assert sentence.endswith(
        "was compiled against, got 2.14.1+cpu; run `pip install .` again with this torch, "
        "or `pip install 'torch==2.13.*'`"
    )
    assert opened == "[]"
