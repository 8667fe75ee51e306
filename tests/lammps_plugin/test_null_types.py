"""Types mapped to NULL: the model's atoms have the energies and forces they would have without the others.

On trained models of every family, because their operators check the species of every row.
"""

from collections.abc import Callable
from pathlib import Path

import ase
import lammps_process as lmp
import many_body_toy as toy
import numpy as np
import pytest
import trained_models

from rhopot.export import evaluate, load_model
from rhopot.potentials.graph.neighbours import find_edges

EPSILON, SIGMA, REACH = 0.01, 2.5, 4.0


def with_carbon() -> ase.Atoms:
    """Lithium, silicon and carbon; all atoms of the last quarter along x, those of one rank in four, are carbon."""
    atoms = toy.crystal((4, 1, 1))
    atoms.symbols[::5] = "C"
    atoms.symbols[atoms.get_scaled_positions()[:, 0] >= 0.75] = "C"
    return atoms


def lennard_jones(atoms: ase.Atoms, *, carbon_only: bool) -> tuple[float, lmp.Floats]:
    """Energy and forces of lj/cut between all atoms, or between those pairs that have a carbon atom."""
    edges = find_edges(atoms, REACH)
    i, j = edges.edge_centre, edges.neighbour
    carbon = atoms.symbols == "C"
    counts = carbon[i] | carbon[j] if carbon_only else np.ones(len(i), dtype=bool)
    r = np.linalg.norm(edges.vectors, axis=1)
    energies = 4 * EPSILON * ((SIGMA / r) ** 12 - (SIGMA / r) ** 6) * counts
    by_r = 4 * EPSILON * (-12 * (SIGMA / r) ** 12 + 6 * (SIGMA / r) ** 6) / r * counts
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, (by_r / r)[:, None] * edges.vectors)
    return 0.5 * float(energies.sum()), forces


def styles(model: Path) -> dict[str, str]:
    """Input lines of each way to leave carbon (type 3) out."""
    to_model, pair = f"{model} Li Si NULL", f"{EPSILON} {SIGMA}"
    return {
        "alone": f"pair_style rhopot\npair_coeff * * {to_model}",
        "hybrid": f"pair_style hybrid rhopot lj/cut {REACH}\npair_coeff * * rhopot {to_model}\n"
        f"pair_coeff * 3 lj/cut {pair}",
        "overlay": f"pair_style hybrid/overlay rhopot lj/cut {REACH}\npair_coeff * * rhopot {to_model}\n"
        f"pair_coeff * * lj/cut {pair}",
    }


RUNS = [("soap_linear", 1), ("soap_linear", 2), *((family, 4) for family in trained_models.LOCAL), ("scattering", 2)]


@pytest.mark.parametrize(("family", "ranks"), RUNS)
def test_null_types(trained_model: Callable[[str], Path], tmp_path: Path, family: str, ranks: int) -> None:
    """Alone and beside another style; the styles run one after the other in one process."""
    atoms, model = with_carbon(), trained_model(family)
    carbon = atoms.symbols == "C"
    script = ""
    for name, pair in styles(model).items():
        script += "clear\n" + lmp.setup(tmp_path, atoms, model, ["Li", "Si", "C"], pair=pair, before="processors * 1 1")
        script += f"""
thermo_style custom step pe
dump atoms all custom 1 {name}.dump id fx fy fz
dump_modify atoms sort id format float %.17g
run 0 post no
print "value {name} $(pe:%.17g)"
"""
    run = lmp.succeed(tmp_path, script, ranks)

    alone = evaluate(load_model(model), [atoms[~carbon]])[0]
    assert alone.forces is not None
    model_forces = np.zeros((len(atoms), 3))
    model_forces[~carbon] = alone.forces
    others = {
        "alone": (0.0, np.zeros_like(model_forces)),
        "hybrid": lennard_jones(atoms, carbon_only=True),
        "overlay": lennard_jones(atoms, carbon_only=False),
    }
    for name, (energy, forces) in others.items():
        assert run.values[name] == pytest.approx(alone.energy + energy, abs=1e-8), name
        seen = lmp.forces(run.dump(f"{name}.dump")[0])
        np.testing.assert_allclose(seen, model_forces + forces, rtol=0, atol=1e-8, err_msg=name)
