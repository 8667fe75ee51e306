"""Fragments that flew apart, and cells of odd sizes: the right energy, or one sentence, from every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase
import many_body_toy as toy
import numpy as np
import pytest
import trained_models
from ase.io import write

from rhopot.export import RhopotCalculator, evaluate
from rhopot.potentials.commands import main


def dimer(distance: float) -> ase.Atoms:
    return ase.Atoms("LiSi", [[0, 0, 0], [0, 0, distance]])


# In 64ths of an A, so that moves by whole lengths are exact.
TRIMER = ase.Atoms("LiSi2", [[0, 0, 0], [0, 0, 2.5], [2.25, 0, 1.0]])
TETRAMER = ase.Atoms("Si2Li2", [[0, 0, 0], [2.375, 0, 0], [1.1875, 2.25, 0], [1.1875, -1.25, 2.1875]])


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_far_atoms_are_isolated_atoms(family: str, trained_model: Callable[[str], Path]) -> None:
    calc = RhopotCalculator(trained_model(family))
    alone = sum(calc.get_property("energy", ase.Atoms(symbol)) for symbol in ("Li", "Si"))
    for distance in (50.0, 6e5, 1e9):
        assert calc.get_property("energy", dimer(distance)) == pytest.approx(alone, abs=1e-12)
        np.testing.assert_array_equal(calc.get_forces(dimer(distance)), 0.0)
    for distance in (np.nan, np.inf):
        with pytest.raises(ValueError, match="positions must be finite"):
            calc.get_property("energy", dimer(distance))


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_positions_that_doubles_cannot_hold_are_refused(family: str, trained_model: Callable[[str], Path]) -> None:
    """An atom of a crystal counted through very many cells, after an ordinary step and in the first."""
    atoms = toy.crystal((1, 1, 1))
    calc = RhopotCalculator(trained_model(family))
    energy = calc.get_property("energy", atoms)
    moved = atoms.copy()
    moved.positions[0] += np.floor(0.9e9 / atoms.cell.array[0].max()) * atoms.cell.array[0]
    assert 8e8 < np.abs(moved.positions).max() < 1e9
    assert calc.get_property("energy", moved) == pytest.approx(energy, abs=1e-5)
    for cells in (1e9, 1e14, 1e17, 1e200):
        far = atoms.copy()
        far.positions[0] += cells * atoms.cell.array[0]
        for asked in (calc, RhopotCalculator(calc.model)):
            with pytest.raises(ValueError, match=r"positions must lie within 1e\+09 A of .*; wrap the atoms"):
                asked.get_property("energy", far)
        with pytest.raises(ValueError, match=r"positions must lie within 1e\+09 A"):
            evaluate(calc.model, [atoms, far])


def test_evaluate_names_file_and_frame_of_far_atoms(
    trained_model: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near, far = toy.crystal((1, 1, 1)), toy.crystal((1, 1, 1))
    far.positions[3, 1] = -1e14
    for atoms in (near, far):
        atoms.info["REF_energy"] = -1.0
    write(tmp_path / "data.traj", [near, far])
    where = f"{tmp_path / 'data.traj'}, frame 1: positions must lie within 1e+09 A of the origin"
    assert main(["evaluate", str(trained_model("soap_linear")), str(tmp_path / "data.traj")]) == 1
    assert where in capsys.readouterr().err
    assert main(["data", "lint", str(tmp_path / "data.traj")]) == 1
    assert where in capsys.readouterr().out


@pytest.mark.parametrize("family", trained_models.LOCAL)
def test_fragments_far_apart_are_each_as_alone(family: str, trained_model: Callable[[str], Path]) -> None:
    """Energies add up, and the forces within each fragment, which are not small, stay what they were."""
    calc = RhopotCalculator(trained_model(family))
    energies = [calc.get_property("energy", fragment) for fragment in (TRIMER, TETRAMER)]
    energy = sum(energies)
    forces = [calc.get_forces(fragment) for fragment in (TRIMER, TETRAMER)]
    assert min(np.abs(one).max() for one in forces) > 0.05
    free = [sum(calc.get_property("energy", ase.Atoms(s)) for s in one.symbols) for one in (TRIMER, TETRAMER)]
    # of each fragment: in a sum over both, attraction in one and repulsion in the other may cancel
    assert np.abs(np.subtract(energies, free)).max() > 0.02, "their atoms interact"
    for axis, distance in ((0, 50.0), (1, 6e5), (2, 9e8)):
        moved = TETRAMER.copy()
        moved.positions[:, axis] += distance
        apart = TRIMER + moved
        # products of matrices of another shape round otherwise, and coefficients of a sparse kernel are large
        close = 1e-9 if family == "multispectrum_gap" else 1e-11
        assert calc.get_property("energy", apart) == pytest.approx(energy, abs=close)
        np.testing.assert_allclose(calc.get_forces(apart), np.concatenate(forces), rtol=0, atol=close)


def test_far_atoms_do_not_fill_the_memory_with_a_grid(trained_model: Callable[[str], Path]) -> None:
    calc = RhopotCalculator(trained_model("scattering"))
    for distance in (2e5, 1e9):
        with pytest.raises(
            ValueError, match=r"the box of a structure must be at most 2e\+06 A\^3 for model '.*' of kind"
        ):
            calc.get_property("energy", dimer(distance))
    huge = dimer(2.4)
    huge.set_cell([1e9, 1e9, 1e9])
    huge.pbc = True
    with pytest.raises(ValueError, match="got 1e\\+27; bring its atoms together"):
        calc.get_property("energy", huge)


@pytest.mark.filterwarnings("ignore:.*was prepared again")
@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_cells_that_are_none(family: str, trained_model: Callable[[str], Path]) -> None:
    """Each follows an ordinary structure, whose neighbours or grids are kept."""
    calc = RhopotCalculator(trained_model(family))
    for lengths, sentence in (
        ([1e-3, 1e-3, 1e-3], "must be in A, got"),
        ([1e-9, 5.0, 5.0], "must be in A, got"),
        ([np.nan, 5.0, 5.0], "must be finite"),
        ([5.0, np.inf, 5.0], "must be finite"),
        ([5.0, 5.0, 0.0], "(must span|must have independent vectors along) .*periodic"),
    ):
        atoms = dimer(2.4)
        atoms.pbc = True
        atoms.set_cell([5.0, 5.0, 5.0])
        calc.get_property("energy", atoms)
        atoms.cell[:] = np.diag(lengths)
        with pytest.raises(ValueError, match=sentence):
            calc.get_property("energy", atoms)


@pytest.mark.parametrize("family", trained_models.FAMILIES)
def test_vectors_of_open_directions_mean_nothing(family: str, trained_model: Callable[[str], Path]) -> None:
    """Not even where they change between two steps, or lie in the plane of the others."""
    calc = RhopotCalculator(trained_model(family))
    atoms = ase.Atoms("LiSi", [[0, 0, 0], [0, 0, 2.4]], cell=[5.0, 5.0, 9.0], pbc=(True, True, False))
    energy = calc.get_property("energy", atoms)
    for vector in ([0, 0, 0], [5, 0, 0], [0, 0, 1e-9], [np.nan, 0, 0], [0, 0, 1e300]):
        atoms.cell[2] = vector
        assert calc.get_property("energy", atoms) == pytest.approx(energy, abs=1e-10)
