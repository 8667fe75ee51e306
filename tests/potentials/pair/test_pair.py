"""Pair baselines: LAMMPS and closed forms for values, smoothness at every joint, TorchScript, safety at short range."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk
from torch import nn

from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.graph.derivatives import forces_from_edges
from rhopot.potentials.graph.neighbours import find_edges
from rhopot.potentials.pair import (
    SumOfPairs,
    TabulatedPair,
    TabulatedSettings,
    TwoBodySettings,
    ZblPair,
    ZblSettings,
    build_pair,
    describe_repulsion,
    fit_two_body,
    pair_settings,
    shortest_distances,
)
from rhopot.potentials.structures import DataError, Frame

SYMBOLS = ["Li", "Si"]


def inputs(atoms: ase.Atoms, cutoff: float) -> list[torch.Tensor]:
    edges = find_edges(atoms, cutoff)
    species = np.array([SYMBOLS.index(s) for s in atoms.symbols], dtype=np.int64)
    return [torch.from_numpy(a) for a in (edges.vectors, edges.first_edge, edges.neighbour, edges.centre, species)]


def energy_forces(module: nn.Module, atoms: ase.Atoms, cutoff: float) -> tuple[float, np.ndarray]:
    vectors, first_edge, neighbour, centre, species = inputs(atoms, cutoff)
    vectors.requires_grad_()
    energy = module(AtomicGraph(vectors, first_edge, neighbour, centre, species)).sum()
    (gradient,) = torch.autograd.grad(energy, vectors)
    edge_centre = torch.repeat_interleave(centre, first_edge.diff())
    return float(energy.detach()), forces_from_edges(gradient, edge_centre, neighbour, len(atoms)).numpy()


def curve(module: nn.Module, symbols: str, distance: np.ndarray) -> np.ndarray:
    """Dimer energy at each distance, all dimers in one call."""
    species = torch.tensor([SYMBOLS.index(s) for s in ase.Atoms(symbols).symbols] * len(distance))
    rows = torch.arange(2 * len(distance))
    vectors = torch.zeros(2 * len(distance), 3, dtype=torch.float64)
    vectors[0::2, 2], vectors[1::2, 2] = torch.from_numpy(distance), -torch.from_numpy(distance)
    first_edge = torch.arange(2 * len(distance) + 1)
    return module(AtomicGraph(vectors, first_edge, rows ^ 1, rows, species)).reshape(-1, 2).sum(dim=1).numpy()


def random_alloy(seed: int, a: float = 4.4) -> ase.Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", cubic=True, a=a)
    atoms.rattle(0.15, rng=rng)
    atoms.symbols = rng.choice(SYMBOLS, len(atoms))
    return atoms


def lennard_jones(r: np.ndarray) -> np.ndarray:
    return 0.2 * ((2.2 / r) ** 12 - 2 * (2.2 / r) ** 6)


@pytest.fixture(scope="module")
def tabulated() -> TabulatedPair:
    r = np.linspace(1.0, 5.0, 401)
    tables = {("Li", "Li"): 0.5 * lennard_jones(r), ("Si", "Li"): lennard_jones(r), ("Si", "Si"): 2 * lennard_jones(r)}
    return TabulatedPair.from_arrays(r, tables, SYMBOLS, cutoff=4.5, switch_width=1.0)


def test_zbl_equals_lammps(tmp_path: Path) -> None:
    atoms = random_alloy(1)
    x, y, z = (f"0 {length!r}" for length in atoms.cell.lengths().tolist())
    create = "\n".join(
        f"create_atoms {SYMBOLS.index(s) + 1} single {p[0]!r} {p[1]!r} {p[2]!r}"
        for s, p in zip(atoms.symbols, atoms.get_positions(wrap=True).tolist(), strict=True)
    )
    (tmp_path / "in.zbl").write_text(
        f"units metal\natom_modify map array\nregion box block {x} {y} {z}\ncreate_box 2 box\n{create}\nmass * 1.0\n"
        "pair_style zbl 1.2 2.6\npair_coeff 1 1 3 3\npair_coeff 2 2 14 14\npair_coeff 1 2 3 14\n"
        "variable e equal pe\nrun 0\nprint 'energy $(v_e:%.15g)'\n"
        "write_dump all custom forces id fx fy fz modify sort id format float %.15g\n"
    )
    lmp = Path(sys.executable).parent / "lmp"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LAMMPS_PLUGIN_PATH": str(tmp_path)}
    run = subprocess.run(
        [lmp, "-in", "in.zbl", "-log", "none"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    expected = float(run.stdout.split("energy ")[-1].split()[0])
    forces = np.loadtxt(tmp_path / "forces", skiprows=9)[:, 1:]
    energy, ours = energy_forces(ZblPair(SYMBOLS, ZblSettings(inner=1.2, outer=2.6)), atoms, 4.0)
    assert abs(expected) > 1.0
    assert energy == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(ours, forces, atol=1e-8)


def test_zbl_approaches_bare_nuclei() -> None:
    """Screening vanishes at contact: r V -> k e^2 Z Z, with the first-order screening term."""
    zbl = ZblPair(SYMBOLS)
    r = np.array([1e-6])
    assert curve(zbl, "LiSi", r)[0] * r[0] == pytest.approx(14.399645 * 42, rel=1e-4)


@pytest.mark.parametrize("pair", ["Li2", "LiSi", "Si2"])
def test_zbl_is_repulsive_and_finite(pair: str) -> None:
    energies = curve(ZblPair(SYMBOLS, ZblSettings(inner=1.0, outer=2.0)), pair, np.linspace(1e-4, 1.999, 500))
    assert np.all(np.diff(energies) < 0)
    assert np.all(energies > 0)


def test_zbl_of_each_pair_is_that_of_its_own_distances() -> None:
    outer = {"Li-Li": 2.4, "Li-Si": 2.0, "Si-Si": 2.2}
    inner = {"Li-Li": 1.1, "Si-Li": 1.0, "Si-Si": 1.2}
    together = ZblPair(SYMBOLS, ZblSettings(inner=inner, outer=outer))
    r = np.linspace(0.3, 2.6, 47)
    for pair, begin, end in (("Li2", 1.1, 2.4), ("LiSi", 1.0, 2.0), ("Si2", 1.2, 2.2)):
        alone = ZblPair(SYMBOLS, ZblSettings(inner=begin, outer=end))
        np.testing.assert_allclose(curve(together, pair, r), curve(alone, pair, r), rtol=1e-13, atol=0.0)
        assert curve(together, pair, np.array([end - 1e-3, end + 1e-3]))[1] == 0.0


def test_distances_of_zbl_come_from_the_data() -> None:
    """The shortest, at most the sum of covalent radii (Li-Li 2.56, Li-Si 2.39, Si-Si 2.22 A); 0.8 of that if absent."""
    shortest = {"Li-Li": 2.21347, "Si-Si": 3.1}
    complete = ZblSettings().completed(SYMBOLS, shortest, limit=4.0)
    assert complete.outer == pytest.approx({"Li-Li": 2.2134, "Li-Si": 0.8 * 2.39, "Si-Si": 2.22})
    assert complete.inner == pytest.approx({"Li-Li": 1.66, "Li-Si": 1.434, "Si-Si": 1.665}, abs=1e-3)
    assert complete.completed(SYMBOLS, {"Li-Li": 1.0}, limit=1.5) == complete, "what is given stays"
    assert ZblSettings(inner=1.0, outer=2.0).completed(SYMBOLS, shortest).outer == dict.fromkeys(complete.outer, 2.0)
    assert ZblSettings().completed(SYMBOLS, shortest, limit=2.0).outer["Li-Li"] == 2.0
    with pytest.raises(
        ValueError, match=r"inner must lie below outer \(1\.912 A for Li-Si\), got 2\.0; lower it or give"
    ):
        ZblSettings(inner=2.0).completed(SYMBOLS, shortest)
    with pytest.raises(ValueError, match=r"outer must name every pair of elements, got Li-Li without Li-Si; add it"):
        ZblSettings(outer={"Li-Li": 2.0}).completed(SYMBOLS, shortest)


def test_repulsion_in_words() -> None:
    shortest = {"Li-Li": 2.3004, "Si-Si": 3.1}
    settings = ZblSettings().completed(SYMBOLS, shortest).model_dump(mode="json")
    assert describe_repulsion(settings, shortest) == [
        "repulsion: zbl, below 2.30 A for Li-Li (shortest distance in the training data), 1.91 A for Li-Si (not in the "
        "training data), 2.22 A for Si-Si (shortest in the training data: 3.10 A)"
    ]
    numbers = ZblSettings(inner=1.0, outer=2.5).completed(SYMBOLS, shortest).model_dump(mode="json")
    note = "note: for Li-Li the repulsion acts on training structures too, by its own settings"
    assert describe_repulsion(numbers, shortest)[1:] == [note]
    none = "repulsion: none (baseline.pair is null); atoms closer than those of the training data may fuse"
    assert describe_repulsion(None, shortest) == [none]


def test_shortest_distances_look_through_images() -> None:
    crystal = Frame(bulk("Si", cubic=True, a=5.43))
    alone = Frame(ase.Atoms("Li", cell=[3.2, 5.0, 5.0], pbc=True))
    molecule = Frame(ase.Atoms("LiSi", [[0, 0, 0], [2.5, 0, 0]]))
    found = shortest_distances([crystal, alone, molecule], SYMBOLS, 4.0)
    assert found == pytest.approx({"Li-Li": 3.2, "Li-Si": 2.5, "Si-Si": 5.43 * np.sqrt(3) / 4})
    assert shortest_distances([crystal, alone], SYMBOLS, 3.0) == pytest.approx({"Si-Si": 5.43 * np.sqrt(3) / 4})


def test_tables_reproduce_their_function(tabulated: TabulatedPair) -> None:
    r = np.linspace(1.3, 3.49, 77)
    np.testing.assert_allclose(curve(tabulated, "LiSi", r), lennard_jones(r), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(curve(tabulated, "Si2", r), 2 * curve(tabulated, "LiSi", r), rtol=1e-12)


def test_table_continues_as_a_parabola(tabulated: TabulatedPair) -> None:
    r = np.linspace(0.4, 0.99, 60)
    third = np.diff(curve(tabulated, "LiSi", r), 3)
    assert np.abs(third).max() < 1e-6 * np.abs(np.diff(curve(tabulated, "LiSi", r), 2)).max()
    assert np.all(np.diff(curve(tabulated, "LiSi", r)) < 0)


def baselines(tabulated: TabulatedPair) -> dict[str, tuple[nn.Module, list[float]]]:
    """Baselines with the distances at which pieces of them (of the pair Li-Si) join."""
    zbl = ZblPair(SYMBOLS, ZblSettings(inner=0.9, outer=2.1))
    by_pair = ZblSettings(inner=1.0, outer={"Li-Li": 2.4, "Li-Si": 2.0, "Si-Si": 2.2})
    return {
        "zbl": (zbl, [0.9, 2.1]),
        "zbl by pair": (ZblPair(SYMBOLS, by_pair), [1.0, 2.0]),
        "tabulated": (tabulated, [1.0, 3.5, 4.5, 2.25]),
        "sum": (SumOfPairs([zbl, tabulated]), [0.9, 2.1, 3.5, 4.5]),
    }


@pytest.mark.parametrize("name", ["zbl", "zbl by pair", "tabulated", "sum"])
def test_energy_is_c2_at_every_joint(name: str, tabulated: TabulatedPair) -> None:
    """Second derivatives from either side of a joint agree; a control point shows that they are not all zero."""
    module, joints = baselines(tabulated)[name]

    def second(r: float) -> float:
        distance = torch.tensor([r], dtype=torch.float64, requires_grad=True)
        part = module.parts if isinstance(module, SumOfPairs) else [module]
        energy = torch.stack([p.pair_energy(distance, torch.tensor([1])).sum() * (r < p.cutoff) for p in part]).sum()
        (derivative,) = torch.autograd.grad(energy, distance, create_graph=True)
        return float(torch.autograd.grad(derivative.sum(), distance)[0])

    for joint in joints:
        left, right = second(joint - 1e-6), second(joint + 1e-6)
        assert left == pytest.approx(right, abs=2e-4 * max(1.0, abs(left)))
    assert abs(second(1.7)) > 1.0


@pytest.mark.parametrize("name", ["zbl", "zbl by pair", "tabulated", "sum"])
def test_gradients_script_and_half_energies(name: str, tabulated: TabulatedPair) -> None:
    module, _ = baselines(tabulated)[name]
    atoms = random_alloy(2)
    vectors, *rest = inputs(atoms, 4.6)
    scripted = torch.jit.script(module)
    torch.testing.assert_close(
        scripted(AtomicGraph(vectors, *rest)), module(AtomicGraph(vectors, *rest)), rtol=1e-14, atol=1e-14
    )
    few = vectors[:12].clone().requires_grad_()
    first_edge = torch.tensor([0, 5, 12])
    graph = (first_edge, rest[1][:12], torch.tensor([0, 1]), rest[3])
    assert torch.autograd.gradcheck(lambda v: scripted(AtomicGraph(v, *graph)), few)
    assert torch.autograd.gradgradcheck(lambda v: module(AtomicGraph(v, *graph)), few)
    single = module(AtomicGraph(vectors.float(), *rest))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), module(AtomicGraph(vectors, *rest)), rtol=1e-4, atol=1e-4)


def test_no_edges_and_no_centres(tabulated: TabulatedPair) -> None:
    vectors = torch.zeros(0, 3, dtype=torch.float64, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    module = SumOfPairs([ZblPair(SYMBOLS), tabulated])
    energy = module(
        AtomicGraph(vectors, torch.zeros(3, dtype=torch.int64), none, torch.arange(2), torch.tensor([0, 1]))
    )
    assert energy.tolist() == [0.0, 0.0]
    assert not energy.requires_grad
    assert module(AtomicGraph(vectors, torch.zeros(1, dtype=torch.int64), none, none, none)).shape == (0,)


def test_no_edge_shorter_than_the_cutoff(tabulated: TabulatedPair) -> None:
    """Neither an energy nor a graph; an edge hardly shorter than the cutoff has a graph."""
    cutoff = tabulated.cutoff
    graph = (torch.tensor([0, 1, 2]), torch.tensor([1, 0]), torch.arange(2), torch.tensor([0, 1]))
    for length, near in ((1.001 * cutoff, False), ((1 - 1e-12) * cutoff, True), (0.5 * cutoff, True)):
        vectors = torch.tensor([[length, 0.0, 0.0], [-length, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
        energy = tabulated(AtomicGraph(vectors, *graph))
        assert energy.requires_grad == near
        assert (energy.abs().max() > 1e-6) == (length < 0.9 * cutoff)


def test_two_body_fit_finds_a_pair_potential() -> None:
    """Data made by ZBL + splines in the span of the basis, plus element energies, are fitted to round-off."""
    settings = TwoBodySettings(start=1.4, cutoff=4.0, n_functions=6)
    structures = [random_alloy(seed, a=4.2 + 0.06 * seed) for seed in range(40)]  # every distance from 1.6 A on occurs
    truth = fit_two_body([labelled(atoms, None) for atoms in structures], SYMBOLS, settings)
    frames = [labelled(atoms, truth) for atoms in structures]
    fitted = fit_two_body(frames, SYMBOLS, settings.model_copy(update={"prior": 1e5}))
    assert np.abs(curve(truth, "LiSi", np.linspace(2.0, 3.5, 20))).max() > 0.05
    sampled = np.linspace(1.9, 4.0, 50)
    for pair in ("Li2", "LiSi", "Si2"):
        np.testing.assert_allclose(curve(fitted, pair, sampled), curve(truth, pair, sampled), atol=1e-6)
    r = np.linspace(0.5, 1.4, 50)
    assert np.all(np.diff(curve(fitted, "LiSi", r)) < 0)


def test_forces_on_held_atoms_are_not_fitted() -> None:
    settings = TwoBodySettings(start=1.4, cutoff=4.0, n_functions=6)
    frames = [labelled(random_alloy(seed, a=4.2 + 0.06 * seed), None) for seed in range(4)]
    held = np.arange(len(frames[0])) % 2 == 0
    noise = 5.0 * held[:, None] * np.ones(3)
    fits = [
        fit_two_body([replace(frame, forces=frame.forces + by, fixed=held) for frame in frames], SYMBOLS, settings)
        for by in (0.0, noise)
    ]
    sampled = np.linspace(1.5, 4.0, 50)
    first, second = (curve(fit, "LiSi", sampled) for fit in fits)
    np.testing.assert_array_equal(first, second)


def labelled(atoms: ase.Atoms, truth: nn.Module | None) -> Frame:
    """Labels of `truth` plus element energies; without it, of a Lennard-Jones-like function of distance."""
    if truth is None:
        r = np.linspace(1.0, 5.0, 401)
        tables = {pair: k * lennard_jones(r) for k, pair in enumerate([("Li", "Li"), ("Li", "Si"), ("Si", "Si")], 1)}
        truth = TabulatedPair.from_arrays(r, tables, SYMBOLS, cutoff=4.0, switch_width=1.0)
    energy, forces = energy_forces(truth, atoms, 4.6)
    constant = sum({"Li": -1.5, "Si": -5.0}[s] for s in atoms.symbols)
    return Frame(atoms, energy=energy + constant, forces=forces)


def test_files_and_settings(tmp_path: Path) -> None:
    r = np.linspace(0.8, 4.0, 33)
    file = tmp_path / "pairs.txt"
    file.write_text("# r Si-Si\n" + "\n".join(f"{x:.6f} {lennard_jones(x):.12g}" for x in r))
    module = build_pair(pair_settings({"kind": "tabulated", "file": str(file)}), ["Si"], model_cutoff=4.0)
    assert isinstance(module, TabulatedPair)
    assert module.cutoff == pytest.approx(4.0)
    assert isinstance(build_pair(pair_settings({"kind": "zbl"}), SYMBOLS), ZblPair)
    with pytest.raises(ValueError, match=r"baseline\.pair must end within the model's cutoff \(3\.0 A\), got 4\.0"):
        build_pair(TabulatedSettings(file=file), ["Si"], model_cutoff=3.0)
    with pytest.raises(ValueError, match="must hold every pair of elements, got none for Li-Li"):
        build_pair(TabulatedSettings(file=file), SYMBOLS)
    with pytest.raises(ValueError, match="outer must exceed inner"):
        ZblSettings(inner=2.0, outer=1.0)
    with pytest.raises(ValueError, match="cutoff must exceed start"):
        TwoBodySettings(start=5.0)
    with pytest.raises(ValueError, match="zbl"):
        pair_settings({"kind": "morse"})
    with pytest.raises(DataError, match="a two-body fit must have energies or forces"):
        fit_two_body([], SYMBOLS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin like"),
        ("r SiSi\n1 2", "must begin like"),
        ("r Si-Si\n1 two", "must hold rows of numbers"),
        ("r Si-Si\n1 2 3", "must have 2 columns"),
    ],
)
def test_damaged_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        build_pair(TabulatedSettings(file=file), ["Si"])
    with pytest.raises(ValueError, match="must name an existing file"):
        build_pair(TabulatedSettings(file=tmp_path / "absent"), ["Si"])


def test_bad_arrays_are_named() -> None:
    r = np.linspace(1.0, 4.0, 31)
    table = {("Si", "Si"): lennard_jones(r)}
    with pytest.raises(ValueError, match="cutoff must lie inside the table"):
        TabulatedPair.from_arrays(r, table, ["Si"], cutoff=9.0)
    with pytest.raises(ValueError, match="switch_width must fit"):
        TabulatedPair.from_arrays(r, table, ["Si"], switch_width=3.5)
    with pytest.raises(ValueError, match="increasing positive lengths"):
        TabulatedPair.from_arrays(r[::-1], table, ["Si"])
    with pytest.raises(ValueError, match=r"energies must have shape \(31,\), got \(3,\)"):
        TabulatedPair.from_arrays(r, {("Si", "Si"): np.ones(3)}, ["Si"])
    with pytest.raises(ValueError, match=r"table must have shape \(1, K, 3\), got \(2, 2\)"):
        TabulatedPair(np.ones((2, 2)), 1, 3.0)
    with pytest.raises(ValueError, match="table must be finite"):
        TabulatedPair(np.full((1, 4, 3), np.nan), 1, 3.0)
    with pytest.raises(ValueError, match="parts must hold at least one"):
        SumOfPairs([])
