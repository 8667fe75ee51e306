"""What a fit will cost: told from a frame that stands for most of the atoms."""

from __future__ import annotations

from types import SimpleNamespace

import ase

from rhopot.potentials.fit.forecast import forecast
from rhopot.potentials.fit.targets import Targets
from rhopot.potentials.structures import Frame


def test_time_comes_from_a_frame_of_the_size_that_most_atoms_are_in() -> None:
    frames = [Frame(ase.Atoms(f"Si{n}"), energy=0.0) for n in (40, *[1] * 10, 40)]
    assembled = []
    problem = SimpleNamespace(
        design=SimpleNamespace(n_columns=3),
        descriptor=SimpleNamespace(n_features=3),
        batch_edges=10,
        equations=lambda frame, targets: assembled.append(len(frame)),
    )
    expected = forecast(frames, problem, Targets(), block_rows=8)
    assert assembled == [40]
    assert expected.rows == len(frames)
