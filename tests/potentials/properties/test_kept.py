"""Results of stages, kept for the same task and refused for another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from rhopot.potentials.properties.kept import Kept, plain


def task(lattice: float) -> dict:
    return {"verb": "md", "structures": {"Cu": plain(bulk("Cu", a=lattice))}}


def test_a_structure_is_the_same_task_at_any_moment() -> None:
    assert plain(bulk("Cu")) == plain(bulk("Cu"))
    assert plain(bulk("Cu")) != plain(bulk("Cu", a=3.7))


def test_stages_are_kept_for_the_same_task(tmp_path: Path) -> None:
    atoms = bulk("Cu")
    atoms.calc = EMT()
    energy, stress = atoms.get_potential_energy(), atoms.get_stress()
    Kept(tmp_path, task(3.6)).get("relaxed", Atoms, lambda: atoms)

    found = Kept(tmp_path, task(3.6)).get("relaxed", Atoms, lambda: pytest.fail("computed again"))

    assert found.positions == pytest.approx(atoms.positions)
    assert found.get_potential_energy() == pytest.approx(energy)
    assert found.get_stress() == pytest.approx(stress)
    with pytest.raises(ValueError, match="output must be a new folder, or that of the same command"):
        Kept(tmp_path, task(3.7))
    with pytest.raises(ValueError, match="with results of another structure Cu; name another with --output"):
        Kept(tmp_path, task(3.7))
    other = bulk("Cu", a=3.7)
    assert Kept(tmp_path, task(3.7), overwrite=True).get("relaxed", Atoms, lambda: other) == other


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"settings": {"steps": 20, "temperature": [300.0]}}, "steps (10, now 20)"),
        ({"settings": {"steps": 20, "temperature": [400.0]}}, "steps (10, now 20), temperature ([300.0], now [400.0])"),
        ({"settings": {"steps": 10}}, "temperature ([300.0], now none)"),
        ({"potential": 80 * "b", "version": "2"}, "potential, version (1, now 2)"),
        ({"verb": "eos", "settings": {"extent": 0.1}}, "command (md, now eos)"),
    ],
)
def test_what_differs_from_the_task_of_a_folder_is_named(changed: dict, what: str, tmp_path: Path) -> None:
    first = {"verb": "md", "version": "1", "potential": 80 * "a", "settings": {"steps": 10, "temperature": [300.0]}}
    Kept(tmp_path, first).get("relaxed", Atoms, lambda: bulk("Cu"))
    with pytest.raises(ValueError, match=re.escape(f"with results of another {what}; name another with --output")):
        Kept(tmp_path, first | changed)


def test_an_interrupted_task_keeps_its_folder(tmp_path: Path) -> None:
    """Its files may hold hours of work on the first stage; a task that is refused leaves nothing behind."""

    def stop(error: BaseException) -> Atoms:
        raise error

    with pytest.raises(ValueError, match="no crystal"):
        Kept(tmp_path, task(3.5)).get("relaxed", Atoms, lambda: stop(ValueError("no crystal")))
    with pytest.raises(KeyboardInterrupt):
        Kept(tmp_path, task(3.6)).get("relaxed", Atoms, lambda: stop(KeyboardInterrupt()))
    with pytest.raises(ValueError, match="with results of another structure Cu"):
        Kept(tmp_path, task(3.7))
    assert Kept(tmp_path, task(3.6)).get("relaxed", Atoms, lambda: bulk("Cu")) == bulk("Cu")
    with pytest.raises(KeyboardInterrupt):
        Kept(tmp_path, task(3.7), overwrite=True).get("relaxed", Atoms, lambda: stop(KeyboardInterrupt()))
    with pytest.raises(ValueError, match="with results of another structure Cu"):
        Kept(tmp_path, task(3.6))
