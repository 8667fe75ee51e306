"""Models of every past format are read, and give the numbers recorded when they were made (`data/make_formats.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import ase
import numpy as np
import pytest

from rhopot.export import FORMAT_VERSION, evaluate, load_model, script

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(DATA.glob("format_*_*.pt"))


def test_every_format_has_its_files() -> None:
    for version in range(1, FORMAT_VERSION + 1):
        kinds = {f"format_{version}_{name}.pt" for name in ("linear", "gap", "scattering")}
        assert kinds <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_numbers(path: Path) -> None:
    _, version, family = path.stem.split("_")
    record = json.loads((DATA / f"format_{version}.json").read_text())
    model = load_model(path)
    assert model.card.format_version == int(version)
    for stored, expected in zip(record["structures"], record[family], strict=True):
        result = evaluate(model, [ase.Atoms(**stored)], members=True)[0]
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(result, name), values, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("name", "there"), [("linear", False), ("gap", False), ("scattering", True)])
def test_files_written_for_the_processor_alone_are_told(name: str, there: bool) -> None:
    """The first files call compiled operators wherever they are; those of global models never did."""
    assert script.runs_on_gpu(load_model(DATA / f"format_1_{name}.pt").module) == there
