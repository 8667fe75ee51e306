"""What the calibration of the predicted uncertainty of forces rests on is said, and what does not count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ase.build
import numpy as np
import trained_models

from rhopot.export import load_model
from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.progress import SilentProgress
from rhopot.potentials.runs.force_calibration import calibrate_on
from rhopot.potentials.structures import Frame, read_frames


class Messages(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def test_structures_that_do_not_count_are_named(trained_model: Callable[[str], Path]) -> None:
    """Six frames count; forces of two perfect crystals vanish, one frame has no forces, of one all atoms are held."""
    model = load_model(trained_model("soap_linear"))
    labeled = list(read_frames([str(trained_models.DATA / "Li8Si24_0.xyz")]))[:8]
    crystals = [ase.build.bulk("Si", a=a) for a in (5.4, 5.5)]
    frames = [
        *labeled[:6],
        *(Frame(crystal, energy=0.0, forces=np.zeros((2, 3))) for crystal in crystals),
        replace(labeled[6], forces=None),
        replace(labeled[7], fixed=np.ones(len(labeled[7]), dtype=bool)),
    ]
    heard = Messages()
    found = calibrate_on(model, frames, SingleProcess(), heard)
    assert found is not None
    (line,) = heard.said
    assert f"of forces: {found.n_components} components in 6 validation structures; factors Li " in line
    assert found.n_components == 6 * 32 * 3
    for part in (
        "1 without forces",
        "1 with all atoms held",
        "2 whose force errors and standard deviations all vanish",
    ):
        assert part in line
