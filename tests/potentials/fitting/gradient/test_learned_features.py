"""The trainer carries models whose features are learned: end to end, forces included, through the operators."""

from __future__ import annotations

from pathlib import Path

import labelled
import launched
import learned_radial_functions as learned
import numpy as np
import pytest
import torch
from parameter_differences import derivative_along, directions
from training_problem import Stopping

from rhopot.potentials.fitting.communicator import SingleProcess
from rhopot.potentials.fitting.gradient.loss import Loss
from rhopot.potentials.fitting.gradient.training_settings import LossSettings
from rhopot.potentials.structures import Frame

LOSS = LossSettings(form="likelihood", stress=0.3)


def source(frames: list[Frame]) -> learned.GraphSource:
    """Return structures with labels of all quantities."""
    return learned.GraphSource(learned.problem(), frames, LOSS)


def moved(frame: Frame, displacement: np.ndarray) -> Frame:
    """Return a frame with displaced atoms."""
    atoms = frame.atoms.copy()
    atoms.positions += displacement
    return Frame(atoms=atoms, energy=frame.energy, forces=frame.forces, stress=frame.stress)


def test_forces_are_finite_differences_of_the_energies() -> None:
    model, (frame,) = learned.LearnedRadialFunctions([0, 1]), labelled.frames(1)
    direction, step = np.random.default_rng(0).standard_normal((4, 3)), 1e-4
    found = model.predict(source([frame]).batch([0]), forces=True, strain=False).forces
    assert found is not None
    shifted = source([moved(frame, factor * step * direction) for factor in (-2, -1, 1, 2)])
    with torch.no_grad():
        e = model.predict(shifted.batch(range(4)), forces=False, strain=False).energy[:, :, 0]
    numeric = -(8 * (e[:, 2] - e[:, 1]) - (e[:, 3] - e[:, 0])) / (12 * step)
    analytic = (found.detach() * torch.from_numpy(direction)).sum(dim=(1, 2))
    torch.testing.assert_close(analytic, numeric, rtol=1e-8, atol=0.0)


@pytest.mark.parametrize("name", ["radial", "networks"])
def test_gradient_of_the_loss_is_its_finite_difference(name: str) -> None:
    """Energies, forces and stresses: through the second derivative of the operators."""
    model = learned.LearnedRadialFunctions([0, 1])
    batch = source(labelled.frames(3)).batch([0, 2])
    parameters = [p for key, p in model.named_parameters() if key.startswith(name)]
    assert parameters

    def loss() -> torch.Tensor:
        return Loss(LOSS)(model.predict(batch, forces=True, strain=True), batch.labels).sum()

    gradients = torch.autograd.grad(loss(), parameters)
    along = directions(parameters, seed=1)
    numeric = derivative_along(loss, parameters, along, step=1e-4)
    analytic = float(sum((g * d).sum() for g, d in zip(gradients, along, strict=True)))
    assert abs(analytic) > 1.0
    assert analytic == pytest.approx(numeric, rel=1e-6)


def test_training_moves_the_radial_functions_and_the_loss_falls() -> None:
    found = learned.train(learned.problem(), 60, learning_rate=0.03)
    losses = [row["train_loss"] for row in found.report["epochs"]]
    assert losses[-1] < 0.5 * losses[0]
    initial = learned.LearnedRadialFunctions(range(2)).radial
    assert isinstance(found.model, learned.LearnedRadialFunctions)
    assert float((found.model.radial - initial).abs().max().detach()) > 0.01
    assert found.calibration is not None
    assert found.force_calibration is not None
    assert set(found.report["validation"]) == {"energy_mae_mev_per_atom", "forces_mae_mev_per_angstrom"}


def test_stopped_and_resumed_is_bitwise_the_same(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        learned.train(learned.problem(folder=tmp_path, progress=Stopping(3)), 6)
    assert torch.load(tmp_path / "training.pt")["state"]["epoch"] == 3
    resumed = learned.train(learned.problem(folder=tmp_path, resume=True), 6)
    through = learned.train(learned.problem(), 6)
    for one, other in zip(resumed.model.parameters(), through.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [row["train_loss"] for row in resumed.report["epochs"]] == [
        row["train_loss"] for row in through.report["epochs"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", launched.LAUNCHERS)
def test_two_processes_equal_one(kind: str, tmp_path: Path) -> None:
    alone = learned.results(SingleProcess())
    both = launched.two_processes(kind, "learned_radial_functions.py", tmp_path / "found")
    for found in both:
        scale = np.abs(alone["parameters"]).max()
        np.testing.assert_allclose(found["parameters"], alone["parameters"], rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-8)
        np.testing.assert_allclose(found["factor"], alone["factor"], rtol=1e-6)
    np.testing.assert_array_equal(both[0]["parameters"], both[1]["parameters"])
