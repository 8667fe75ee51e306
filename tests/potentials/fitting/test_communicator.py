"""Two MPI ranks select the same environments and give the same model as one process."""

from __future__ import annotations

import sys
from pathlib import Path

import launched
import numpy as np
import pytest

from rhopot.potentials.fitting.communicator import SingleProcess, find_communicator, round_robin

SCRIPT = """
import sys
import many_body_toy as toy
import numpy as np
from labelled import CUTOFF, GAP, LINEAR, fit_problem, frames, outputs
from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.fitting.communicator import find_communicator
from rhopot.potentials.fitting.least_squares.fit import fit_gap, fit_linear

here = find_communicator()
train, validation, test = frames(13), frames(5, seed=4), frames(4, seed=5)
found = {"size": here.size}
for name, fit, settings in (("linear", fit_linear, LINEAR), ("gap", fit_gap, GAP.model_copy(update={"pool": 20}))):
    result = fit(fit_problem(train, validation, communicator=here, members=4, fractions=(0.3, 0.6)), settings)
    found[name] = outputs(result.model, test)
    loaded = LoadedModel(card=toy.card(4, cutoff=CUTOFF), module=result.model)
    tested = evaluate(loaded, [frame.atoms for frame in test], gradients=False, members=True)
    found[name + "_deviations"] = [one.energy_uncertainty() for one in tested]
    found[name + "_equations"] = result.report["equations"]
    curve = result.report["learning_curve"].values()
    found[name + "_curve"] = [[point["n_frames"], *point["errors"].values()] for point in curve]
    if name == "gap":
        found["points"] = result.model.points.numpy()
np.savez(f"{sys.argv[1]}-{here.rank}.npz", **found)
"""


def run(tmp_path: Path, size: int) -> list[dict[str, np.ndarray]]:
    """Fit in `size` processes and return what each of them found."""
    launcher = [str(Path(sys.executable).parent / "mpirun"), "-n", str(size)] if size > 1 else []
    command = [*launcher, sys.executable, "-c", SCRIPT, str(tmp_path / f"of{size}")]
    launched.run(command)
    return [dict(np.load(tmp_path / f"of{size}-{rank}.npz")) for rank in range(size)]


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path: Path) -> None:
    (alone,) = run(tmp_path, 1)
    both = run(tmp_path, 2)
    assert [int(found["size"]) for found in (alone, *both)] == [1, 2, 2]
    for found in both:
        np.testing.assert_array_equal(found["points"], alone["points"])
        for name in ("linear", "gap"):
            assert found[name + "_equations"] == alone[name + "_equations"] == 13 * 19
            np.testing.assert_allclose(found[name][::13], alone[name][::13], rtol=0, atol=1e-8)  # eV per atom
            np.testing.assert_allclose(found[name], alone[name], rtol=0, atol=1e-7)  # eV/A
            np.testing.assert_allclose(found[name + "_deviations"], alone[name + "_deviations"], rtol=1e-4)
            assert found[name + "_curve"].shape == (2, 3)  # frames, energies in meV per atom, forces in meV/A
            np.testing.assert_allclose(found[name + "_curve"], alone[name + "_curve"], rtol=0, atol=1e-4)


def test_frames_are_distributed_round_robin() -> None:
    class Second(SingleProcess):
        rank, size = 1, 3

    assert round_robin(list("abcdefgh"), Second()) == [(1, "b"), (4, "e"), (7, "h")]
    assert [item for _, item in round_robin("abc", SingleProcess())] == list("abc")


def test_no_launcher_means_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(find_communicator(), SingleProcess)
