"""Training of pooling models from the configuration to the file, the programs that run it, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase
import ase.io
import molecules
import numpy as np
import pytest
import torch
from ase.calculators.calculator import PropertyNotImplementedError
from refusals import refusal
from training_problem import Stopping, weights

from rhopot.export import RhopotCalculator, evaluate, load_model
from rhopot.potentials.commands import main
from rhopot.potentials.config import make_config
from rhopot.potentials.families import find_family
from rhopot.potentials.families.family import FamilySettings
from rhopot.potentials.families.pooling.fit import TrainablePooling, fit_pooling
from rhopot.potentials.families.pooling.molecules import MoleculeSource
from rhopot.potentials.fitting.gradient.loss import Loss
from rhopot.potentials.fitting.problem import FitProblem
from rhopot.potentials.models.pooling.settings import PoolingNetworkSettings
from rhopot.potentials.runs.stability import training_structures
from rhopot.potentials.structures import read_frames
from rhopot.potentials.verification.check import structure_for
from rhopot.potentials.verification.finite_differences import numerical_forces

CONFIG = Path(__file__).parents[4] / "examples" / "configs" / "pooling.yaml"
SMALL = ("regressor.width=12", "regressor.filters=8", "regressor.heads=1", "regressor.nodes=[0.6, 0.3]",
         "descriptor.cutoff=4.0",
         "training.epochs=8", "training.ema=0.9", "training.dtype=float64", "uncertainty.members=3")  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty molecules of six kinds."""
    file = tmp_path_factory.mktemp("data") / "molecules.xyz"
    ase.io.write(file, molecules.labelled(60))
    return file


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    """Finished output folder of a small committee."""
    folder = data.parent / "run"
    words = [f"data.train={data}", "data.split.fraction=0.2", *SMALL, f"output={folder}"]
    assert main(["train", str(CONFIG), *words]) == 0
    return folder


@pytest.mark.slow
def test_errors_fall_and_the_file_gives_the_forces_of_its_energies(run: Path) -> None:
    rows = (run / "epochs.csv").read_text().splitlines()
    column = rows[0].split(",").index("validation_forces_mae_mev_per_angstrom")
    errors = [float(row.split(",")[column]) for row in rows[1:]]
    assert errors[-1] < 0.75 * errors[0]
    model = load_model(run / "model.pt")
    assert (model.card.kind, model.card.symbols, model.card.uncertainty.members) == ("global", ("H", "C", "O"), 3)
    atoms = molecules.rattled("CH3CH2OH", 5)
    atoms.calc = RhopotCalculator(model)
    forces = atoms.get_forces()
    np.testing.assert_allclose(forces, numerical_forces(atoms, range(9), 2e-4), atol=1e-6)
    assert np.abs(forces).max() > 0.1
    assert atoms.calc.get_property("forces_uncertainty", atoms).min() > 0


@pytest.mark.slow
def test_a_molecule_may_go_anywhere_without_a_warning(run: Path) -> None:
    """pytest turns warnings into errors: fragments 300 A apart, which a grid could not hold, and back."""
    atoms = molecules.rattled("CH3OH", 6)
    atoms.calc = RhopotCalculator(run / "model.pt")
    before = atoms.get_potential_energy()
    near = atoms.positions.copy()
    atoms.positions[0] += 300.0
    assert np.isfinite(atoms.get_potential_energy())
    assert np.isfinite(atoms.get_forces()).all()
    atoms.positions = near
    assert atoms.get_potential_energy() == before


@pytest.mark.slow
def test_commands_on_the_model(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run / "model.pt"), str(data)]) == 0
    assert main(["info", str(run / "model.pt")]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "pooling (global" in output
    assert "note: molecules only: structures with periodic boundaries are refused" in output
    assert "stretch" not in output
    assert main(["features", str(run / "model.pt"), str(data), "--output", str(run / "f.npz")]) == 0
    assert np.load(run / "f.npz")["features"].shape == (60, 3 * 10 + 6 * 10)


@pytest.mark.slow
def test_a_step_is_timed_on_the_largest_molecule_of_the_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--processes", "1", "--rounds", "1", "--timestep", "0.1", "-o", str(tmp_path / "speed")]
    assert main(["speed", str(run / "model.pt"), *words]) == 0
    most = max(len(each) for each in training_structures(load_model(run / "model.pt").card))
    assert f"model.pt: {most} atoms (" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_the_file_is_checked_with_a_molecule_of_its_training_data(run: Path) -> None:
    """A crystal of its elements, as for other models, would be refused."""
    card = load_model(run / "model.pt").card
    atoms = structure_for(card)
    assert not atoms.pbc.any()
    assert len(atoms) == max(len(each) for each in training_structures(card))


@pytest.mark.slow
def test_what_models_of_atoms_know_and_these_do_not_is_refused_by_name(run: Path) -> None:
    atoms = molecules.in_a_box("H2O")
    atoms.calc = RhopotCalculator(run / "model.pt")
    for name in ("energies", "stresses"):
        with pytest.raises(PropertyNotImplementedError, match=f"^{name} must be asked of a model of kind 'local'"):
            atoms.calc.get_property(name, atoms)


@pytest.mark.slow
def test_periodic_structures_are_refused_in_evaluation(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    atoms = molecules.in_a_box("H2O")
    atoms.pbc = (True, False, False)
    atoms.calc = RhopotCalculator(run / "model.pt")
    sentence = "pbc must be F F F for model '.*' of family pooling, which is for molecules, got T F F; set atoms.pbc"
    with pytest.raises(ValueError, match=sentence):
        atoms.get_potential_energy()
    pair = molecules.in_a_box("CO")
    pair.pbc = True
    with pytest.raises(ValueError, match="got T T T"):
        evaluate(load_model(run / "model.pt"), [pair])
    labelled = molecules.labelled(1, names=("H2O",))[0]
    labelled.set_cell(np.eye(3) * 9.0)
    labelled.pbc = True
    ase.io.write(tmp_path / "periodic.xyz", labelled)
    words = ["evaluate", str(run / "model.pt"), str(tmp_path / "periodic.xyz")]
    assert "pbc must be F F F for model" in refusal(capsys, words)


def test_periodic_structures_are_refused_in_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = molecules.labelled(12)
    frames[7].set_cell(np.eye(3) * 9.0)
    frames[7].pbc = True
    ase.io.write(tmp_path / "periodic.xyz", frames)
    words = ["train", str(CONFIG), f"data.train={tmp_path / 'periodic.xyz'}", *SMALL, f"output={tmp_path / 'run'}"]
    sentence = refusal(capsys, words)
    assert "pbc must be F F F for family pooling, got T T T; pooled positions mean nothing among periodic" in sentence
    assert "frame 7" in sentence


def test_stresses_are_refused() -> None:
    with pytest.raises(ValueError, match=r"targets.stress must be null for pooling, got a sigma"):
        make_config({"family": "pooling", "targets": {"stress": 0.1}})


def problem(frames: list[ase.Atoms]) -> FitProblem:
    config = make_config({"family": "pooling", "descriptor": {"cutoff": 3.0}})
    basis = find_family("pooling").descriptor_for(config.descriptor, (), molecules.SYMBOLS)
    read = read_frames(frames)
    return FitProblem(read, read, basis, molecules.SYMBOLS, config.targets, [0.0] * 3, members=0)


def test_stopped_and_resumed_is_bitwise_the_same(tmp_path: Path) -> None:
    given = problem(molecules.labelled(12))
    training = make_config({"family": "pooling"}).training.model_copy(update={"epochs": 4, "checkpoint_seconds": 0.0})
    shape = PoolingNetworkSettings(width=8, filters=8, heads=1, nodes=(0.6,))
    settings = FamilySettings(given.descriptor.settings, shape, training)
    with pytest.raises(KeyboardInterrupt):
        fit_pooling(replace(given, folder=tmp_path, progress=Stopping(2)), settings)
    assert torch.load(tmp_path / "training.pt")["state"]["epoch"] == 2
    resumed = fit_pooling(replace(given, folder=tmp_path, resume=True), settings)
    through = fit_pooling(given, settings)
    assert torch.equal(weights(resumed.model), weights(through.model))
    assert len(resumed.report["epochs"]) == 4


def test_the_trained_and_the_exported_module_give_the_same() -> None:
    """Energies and forces of a batch of several sizes against the model for each molecule alone."""
    frames, model = molecules.labelled(6), molecules.model(members=2)
    given = problem(frames)
    trainable = TrainablePooling(model.descriptor, model.networks, PoolingNetworkSettings())
    source = MoleculeSource(given, given.train, make_config({"family": "pooling"}).training.loss)
    batch = source.batch(list(range(6)))
    with torch.no_grad():
        found = trainable.eval().predict(batch, True, False)
    assert found.penalty is None
    baseline = torch.tensor(model.baseline.elements, dtype=torch.float64)
    first = 0
    for k, atoms in enumerate(frames):
        energy, forces = molecules.energy_and_forces(model, atoms)
        expected = energy - float(baseline[molecules.species(atoms)].sum())
        assert float(found.energy[:, k, 0].mean()) == pytest.approx(expected, abs=1e-9)
        own = found.forces[:, first : first + len(atoms)].mean(0).numpy()
        np.testing.assert_allclose(own, forces, atol=1e-10)
        first += len(atoms)


def test_penalties_guide_the_assignments_and_are_no_errors() -> None:
    """They are in the loss that is minimized, weighted; not in evaluation, nor where their weights are 0."""
    frames, model = molecules.labelled(6), molecules.model()
    given, training = problem(frames), make_config({"family": "pooling"}).training
    batch = MoleculeSource(given, given.train, training.loss).batch([0, 1, 2])
    model.networks.requires_grad_(True)

    def penalty(link: float, entropy: float) -> torch.Tensor | None:
        settings = PoolingNetworkSettings(link=link, entropy=entropy)
        predictions = TrainablePooling(model.descriptor, model.networks, settings).train().predict(batch, True, False)
        Loss(training.loss)(predictions, batch.labels)
        return predictions.penalty

    first, second, both = penalty(1.0, 0.0), penalty(0.0, 1.0), penalty(2.0, 3.0)
    assert first is not None
    assert second is not None
    assert both is not None
    assert both.shape == (1, 3)
    torch.testing.assert_close(both, 2.0 * first + 3.0 * second)
    assert penalty(0.0, 0.0) is None
    columns = model.networks.levels[0].pooling.columns
    (downhill,) = torch.autograd.grad(second.sum(), columns)
    with torch.no_grad():
        columns -= 0.1 * downhill
    after = penalty(0.0, 1.0)
    assert after is not None
    assert float(after.detach().sum()) < float(second.detach().sum())
