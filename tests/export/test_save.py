"""Saving: the whole file under the final name, checked, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import torch

from rhopot.export import LoadedModel, SelfCheckError, evaluate, load_model, save, save_model
from rhopot.export.probe import differences, read_structures, rounding, write_results, write_structures
from rhopot.potentials.graph.atomic_graph import AtomicGraph

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("fresh_self_checks")]

OLD = b"the file that was there before"


class Changed(toy.ManyBody):
    """Gives other energies once compiled."""

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        energies = torch.ones(graph.centre.shape[0], 1, dtype=torch.float64) + 0.0 * graph.edge_vectors.sum()
        if torch.jit.is_scripting():
            energies = energies + 1e-6
        return energies


class Unloadable(toy.ManyBody):
    """Runs in this process only: its first call elsewhere raises."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("poison", torch.zeros(()))

    def energies(self, graph: AtomicGraph, members: bool) -> torch.Tensor:
        if torch.jit.is_scripting():
            raise RuntimeError("no energy today")
        return torch.ones(graph.centre.shape[0], 1, dtype=torch.float64) + 0.0 * graph.edge_vectors.sum()


class Global(torch.nn.Module):
    """Energy of a structure, the number of its atoms; `fault` makes it break the contract or change."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault = fault

    def prepare(self, positions: torch.Tensor, cell: torch.Tensor, pbc: torch.Tensor, stretch: float) -> torch.Tensor:
        if self.fault == "prepared":
            return torch.zeros([2, 2], dtype=torch.float64)
        if self.fault == "scripted prepare" and torch.jit.is_scripting():
            return torch.full([1], 1e-6, dtype=torch.float64)
        return torch.zeros([1], dtype=torch.float64)

    def forward(
        self,
        positions: torch.Tensor,
        species: torch.Tensor,
        cell: torch.Tensor,
        pbc: torch.Tensor,
        prepared: torch.Tensor,
        share: int,
        n_shares: int,
        members: bool,
    ) -> torch.Tensor:
        energy = (torch.sum(positions**2) + len(positions) + torch.sum(prepared)).reshape(1)
        if self.fault == "cancelling":  # terms of 1e9 eV but for their last digits
            energy += 1e9 * (torch.sin(positions).square() + torch.cos(positions).square() - 1.0).sum()
        if self.fault == "shape":
            return energy.repeat(3)
        if share > 0 and self.fault != "shares":
            return torch.zeros_like(energy)
        return energy


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_gives_the_numbers_of_the_module(model_file: Path) -> None:
    loaded, original = load_model(model_file), toy.in_memory(members=3)
    for atoms in (toy.skewed(seed=7), toy.cluster(seed=8)):
        (ours,), (theirs,) = (evaluate(model, [atoms], members=True, virials=True) for model in (loaded, original))
        np.testing.assert_allclose(ours.energies, theirs.energies, rtol=1e-13)
        np.testing.assert_allclose(ours.forces, theirs.forces, atol=1e-13)
        np.testing.assert_allclose(ours.virials, theirs.virials, atol=1e-12)
        np.testing.assert_allclose(ours.members, theirs.members, rtol=1e-13)


def test_versions_are_stamped_and_nothing_else_is_left(model_file: Path) -> None:
    card = load_model(model_file).card
    assert card.versions.torch == torch.__version__
    assert card.versions.operators == ()
    assert card.model_copy(update={"versions": None}) == toy.card(members=3).model_copy(update={"versions": None})
    assert leftovers(model_file.parent) == ["toy.pt"]


def test_float32_model_survives_its_self_check(tmp_path: Path) -> None:
    path = tmp_path / "toy32.pt"
    save_model(toy.ManyBody(dtype=torch.float32), toy.card(dtype="float32"), path, [toy.skewed()])
    single, double = load_model(path), toy.in_memory()
    (low,), (high,) = (evaluate(model, [toy.skewed(seed=4)]) for model in (single, double))
    assert low.energies.dtype == low.forces.dtype == np.float64
    error = np.abs(low.forces - high.forces).max()
    assert 1e-12 < error < 1e-5


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("scripted prepare", r"in a fresh process probe 0 differs in energy by 1\.00e-06 \(allowed .*\)"),
        ("shares", r"in a fresh process probe 0 differs in energy by .*; probe 0 differs in forces by"),
    ],
)
def test_self_check_sees_faults_of_global_models(tmp_path: Path, fault: str, sentence: str) -> None:
    with pytest.raises(SelfCheckError, match=sentence):
        save_model(Global(fault), toy.card(kind="global"), tmp_path / "model.pt", [toy.cluster()])
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            "shape",
            r"^model output must be float64 of shape \(1,\) for a structure and members=False, got .*\(3,\)",
        ),
        ("prepared", r"^prepare of model '.*' must return float64 numbers in a row, got .* of shape \(2, 2\); see the"),
    ],
)
def test_global_models_obey_their_contract(tmp_path: Path, fault: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        save_model(Global(fault), toy.card(kind="global"), tmp_path / "model.pt", [toy.cluster()])


def test_global_models_are_probed_on_what_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[int] = []
    monkeypatch.setattr(save, "_self_check", lambda path, model, expected, probe: probed.extend(map(len, probe)))
    save_model(Global(), toy.card(kind="global"), tmp_path / "model.pt", [toy.cluster(), toy.skewed()])
    assert probed == [8, 16]


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Changed(), r"in a fresh process probe 0 differs in energies by 1.00e-06 \(allowed .*e-10\)"),
        (Unloadable(), "a fresh process could not run the model .*no energy today"),
    ],
)
def test_failed_self_check_leaves_what_was_there(tmp_path: Path, module: torch.nn.Module, sentence: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(OLD)
    with pytest.raises(SelfCheckError, match=sentence):
        save_model(module, toy.card(), path, [toy.cluster()])
    assert leftovers(tmp_path) == ["model.pt"]
    assert path.read_bytes() == OLD


def test_interruption_during_the_self_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def interrupt(unchecked: Path, *_: object) -> None:
        seen.extend(leftovers(unchecked.parent))
        raise KeyboardInterrupt

    monkeypatch.setattr(save, "_self_check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_model(toy.ManyBody(), toy.card(), tmp_path / "model.pt", [toy.cluster()])
    assert len(seen) == 1
    assert not seen[0].endswith(".pt")
    assert leftovers(tmp_path) == []


def test_endless_self_check_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "SELF_CHECK_SECONDS", 0.01)
    with pytest.raises(SelfCheckError, match=r"was not written: the self-check took longer than 0\.01 s; probe with"):
        save_model(toy.ManyBody(), toy.card(), tmp_path / "model.pt", [toy.cluster()])
    assert leftovers(tmp_path) == []


def test_arguments_are_refused_before_any_work(tmp_path: Path) -> None:
    module, card, probe = toy.ManyBody(), toy.card(), [toy.cluster()]
    with pytest.raises(ValueError, match=r"path must end in \.pt, got '.*model\.bin'; name it .*model\.pt'"):
        save_model(module, card, tmp_path / "model.bin", probe)
    with pytest.raises(ValueError, match="path must lie in an existing folder"):
        save_model(module, card, tmp_path / "nowhere" / "model.pt", probe)
    with pytest.raises(ValueError, match="probe must hold at least one structure, got none"):
        save_model(module, card, tmp_path / "model.pt", [])
    with pytest.raises(ValueError, match=r"of kind 'global' must have a method 'prepare', got ManyBody without"):
        save_model(module, toy.card(kind="global"), tmp_path / "model.pt", probe)
    with pytest.raises(ValueError, match=r"n_layers of model '.*' must be at most 8, got 9"):
        save_model(module, toy.card(n_layers=9), tmp_path / "model.pt", probe)
    with pytest.raises(ValueError, match=r"elements must be among those model .* knows .Li, Si., got Xe"):
        save_model(module, card, tmp_path / "model.pt", [ase.Atoms("Xe")])
    assert leftovers(tmp_path) == []


def test_output_that_breaks_the_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model output must be float64 of shape \(2, 4\) for 2 centres"):
        save_model(toy.ManyBody(members=0), toy.card(members=3), tmp_path / "model.pt", [toy.cluster()])


def test_probe_structures_travel_bit_for_bit(tmp_path: Path) -> None:
    sent = [toy.skewed(), toy.cluster()]
    write_structures(sent, tmp_path / "s.npz")
    for before, after in zip(sent, read_structures(tmp_path / "s.npz"), strict=True):
        assert before == after


def test_comparison_sees_each_quantity(tmp_path: Path) -> None:
    model = toy.in_memory(members=2)
    exact = evaluate(model, [toy.skewed()], members=True)
    write_results(exact, tmp_path / "r.npz")
    assert differences(model, exact, tmp_path / "r.npz") == []
    for name in ("energies", "forces", "virial", "members"):
        getattr(exact[0], name).flat[0] += 1e-6
        sentences = differences(model, exact, tmp_path / "r.npz")
        assert sentences[-1].startswith(f"probe 0 differs in {name} by 1.00e-06")
    assert len(sentences) == 4


def test_rounding_of_sums_that_cancel_is_allowed_for(tmp_path: Path) -> None:
    """A difference of that size passes for the model that has it, and not for one of the same energies without."""
    for fault, passes in (("cancelling", True), ("", False)):
        model = LoadedModel(card=toy.card(kind="global"), module=Global(fault))
        structures = [toy.cluster()]
        exact = evaluate(model, structures)
        write_results([replace(exact[0], energy=exact[0].energy + 3e-7)], tmp_path / "r.npz")
        found = differences(model, exact, tmp_path / "r.npz", rounding(model, structures, exact))
        assert (found == []) == passes, found
    write_results([replace(exact[0], energy=exact[0].energy + 1e-3)], tmp_path / "r.npz")
    assert differences(model, exact, tmp_path / "r.npz", rounding(model, structures, exact))
    write_results([replace(exact[0], energy=1.001 * exact[0].energy)], tmp_path / "r.npz")
    assert differences(model, exact, tmp_path / "r.npz", [{"energy": 1e3}]), "rounding explains no more than 1e-5"


def test_isolated_atoms_are_probed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: list[list[str]] = []
    monkeypatch.setattr(
        save, "_self_check", lambda path, model, expected, probe: probed.append([str(a.symbols) for a in probe])
    )
    saved = save_model(toy.ManyBody(), toy.card(), tmp_path / "model.pt", [toy.cluster()])
    assert probed[0][1:] == list(toy.SYMBOLS)
    assert isinstance(saved, LoadedModel)
