"""Energies of small molecules: error against basis size and order of multispectra, primitive and optimal bases.

    OMP_NUM_THREADS=1 python examples/benchmarks/molecules.py molecules.xyz.gz [--molecules 4000] [--sizes 1 2 3]
        [--mixed 5] [--primitives 16] [--one-set] [--output runs/benchmarks]

As Fig. 2.7 of A. J. Goscinski, PhD thesis, EPFL (2023). Total energies are fitted by ridge regression on sums of
multispectra over atoms, with a set of coefficients for each center species (`--one-set`: one for all), beside energies
of the elements, which are not regularized. The strength is the one of the smallest leave-one-out error among the
training molecules. A quarter of the molecules is held out, at random.

Bases of equal size have equal numbers of density channels, as the axis of the figure: n primitive (GTO) functions of
each of A species, n contracted ones of each species (separate), or A n of all species together (mixed). `--mixed` adds
mixed bases of other sizes. Two tables, plots of errors against channels and training molecules, and the ratios of
primitive to mixed that the goal is about.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import count, machine, verdict
from numpy.typing import NDArray
from scipy.linalg import eigh, qr

from rhopot.potentials import operators, plots
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.density.scaling import WillattScaling
from rhopot.potentials.descriptors.multispectrum.multispectrum import Multispectrum, learn
from rhopot.potentials.descriptors.multispectrum.multispectrum_settings import MultispectrumSettings
from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.graph.atomic_graph import species_of
from rhopot.potentials.structures import DataError, FrameSet, read_frames
from rhopot.potentials.structures.composition import composition

Floats = NDArray[np.float64]

SEED = 0
ORDERS = (1, 2, 3, 4)
HELD_OUT = 4  # one molecule in so many
PARTS = (4, 2, 1)  # the training molecules are divided by these for the learning curves
STRENGTHS = 10.0 ** np.arange(-11.0, 0.1, 0.5)  # relative to a molecule's mean square of features
GOAL = 2.0
GOAL_ORDER = 3
KCAL_PER_MOL = 43.364  # meV


@dataclass(frozen=True)
class Basis:
    """A radial basis: `channels` of all species together; `size` as the settings count it."""

    kind: str
    size: int
    channels: int


@dataclass(frozen=True)
class Molecules:
    """Sums of features over the atoms of each center species (M, S, F), where orders end, compositions, energies."""

    features: Floats
    ends: tuple[int, ...]
    composition: Floats
    energies: Floats
    n_train: int

    def columns(self, order: int, from_order: int = 1) -> Floats:
        """Features of the orders `from_order` to `order`: (M, S F)."""
        first = self.ends[from_order - 2] if from_order > 1 else 0
        return self.features[:, :, first : self.ends[order - 1]].reshape(len(self.energies), -1)


@dataclass(frozen=True)
class Fits:
    """Errors (meV) on the held-out molecules by order and number of training molecules; invariants by order."""

    invariants: tuple[int, ...]
    errors: Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Spectrum:
    """Ridge regression of every strength.

    vectors: (N, K) of the training molecules, with `values` (K): the eigenvectors of the kernel beside the composition
    held_out: (H, K) kernel of the held-out molecules times `vectors`
    outside: (N) what neither features nor composition reach: the squared lengths of the unit vectors
    """

    vectors: Floats
    values: Floats
    held_out: Floats
    outside: Floats


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and plot."""
    options = parse(words)
    operators.load()
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    try:
        frames = read_frames(options.data)
        frames.require(["energy"])
    except DataError as error:
        raise SystemExit(str(error)) from None
    frames = drawn(frames, options.molecules)
    n_train = len(frames) - len(frames) // HELD_OUT
    bases = bases_of(options.sizes, options.mixed, len(frames.symbols))
    found = {}
    with bar(console, "bases", len(bases)) as advance:
        for done, basis in enumerate(bases, 1):
            found[basis] = fits(
                molecules(settings_of(basis, frames.symbols, options), frames, n_train, options.one_set)
            )
            advance(done)
    show(found, n_train, len(frames) - n_train, options)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Words of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", help="molecules with energies")
    parser.add_argument("--molecules", type=count, default=4000, help="drawn at random (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 3], help="functions of each species")
    parser.add_argument("--mixed", type=int, nargs="*", default=[5], help="more mixed bases, functions of all species")
    parser.add_argument("--primitives", type=int, default=16, help="functions of each species that are contracted")
    parser.add_argument("--l-max", type=int, default=5)
    parser.add_argument("--three", type=count, default=4000, help="invariants of order 3 at most")
    parser.add_argument("--four", type=count, default=1000, help="invariants of order 4 at most")
    parser.add_argument("--one-set", action="store_true", help="one set of coefficients for all center species")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder of the plots")
    return parser.parse_args(words)


def drawn(frames: FrameSet, n: int) -> FrameSet:
    """Some molecules in random order; the training molecules come first."""
    n = min(n, len(frames))
    least = HELD_OUT * max(PARTS) * len(frames.symbols)
    if n < least:
        raise SystemExit(f"data and --molecules must give {least} molecules or more, got {n}; add molecules")
    return frames.subset([int(k) for k in np.random.default_rng(SEED).permutation(len(frames))[:n]])


def bases_of(sizes: Sequence[int], mixed: Sequence[int], n_species: int) -> list[Basis]:
    """Bases to compare, in the order of their channels."""
    bases = [Basis(kind, n, n_species * n) for n in sizes for kind in ("primitive", "separate")]
    every = sorted({*mixed, *(n_species * n for n in sizes)})
    return sorted([*bases, *(Basis("mixed", n, n) for n in every)], key=lambda one: one.channels)


def settings_of(basis: Basis, symbols: Sequence[str], options: argparse.Namespace) -> MultispectrumSettings:
    """Settings of the multispectra in a basis; the radial scaling is that of the other example of molecules."""
    optimal = None if basis.kind == "primitive" else OptimalBasis(q_max=basis.size)
    return MultispectrumSettings(
        cutoff=5.0, cutoff_width=1.0, density_width=0.3, scaling=WillattScaling(rate=1.0, scale=2.0, exponent=4),
        species_mode="mixed" if basis.kind == "mixed" else "separate", symbols=tuple(symbols), optimal_basis=optimal,
        n_max=options.primitives if optimal else basis.size, l_max=options.l_max, n_three=options.three,
        n_four=options.four, l_three=min(4, options.l_max), l_four=min(3, options.l_max),
    )  # fmt: skip


def molecules(settings: MultispectrumSettings, frames: FrameSet, n_train: int, one_set: bool) -> Molecules:
    """Features of all molecules; the basis is learned from the training molecules."""
    descriptor = Multispectrum(learn(settings, [frame.atoms for frame in frames[:n_train]]))
    sums = np.zeros((len(frames), 1 if one_set else len(settings.symbols), descriptor.n_features))
    for of_molecule, frame in zip(sums, frames, strict=True):
        species = species_of(frame.atoms, settings.symbols).numpy()
        np.add.at(of_molecule, 0 * species if one_set else species, features_of_atoms(descriptor, frame.atoms))
    numbers = [len(descriptor.one), len(descriptor.two), len(descriptor.three), len(descriptor.four)]
    atoms = np.array([composition(frame.atoms, settings.symbols) for frame in frames])
    energies = np.array([frame.energy for frame in frames])
    return Molecules(sums, tuple(int(n) for n in np.cumsum(numbers)), atoms, energies, n_train)


def fits(data: Molecules) -> Fits:
    """Errors of all orders up to each, and of all numbers of training molecules."""
    kernel = np.zeros((len(data.energies), data.n_train))
    errors = {}
    for order in ORDERS:
        new = data.columns(order, order)
        kernel += new @ new[: data.n_train].T
        for part in PARTS:
            n = data.n_train // part
            errors[order, n] = held_out_error(data, order, kernel, n)
    return Fits(tuple(int(n) for n in np.diff([0, *data.ends])), errors)


def held_out_error(data: Molecules, order: int, kernel: Floats, n: int) -> float:
    """Mean absolute error (meV) on the held-out molecules of the fit to the first `n`."""
    by_composition = data.composition @ np.linalg.pinv(data.composition[:n])
    energies = data.energies - by_composition @ data.energies[:n]
    features = data.columns(order)
    if features.shape[1] < n:
        rest = features - by_composition @ features[:n]
        spectrum = few_features(rest[:n], rest[data.n_train :], 1.0 - np.diag(by_composition[:n]))
    else:
        rest = kernel[:, :n] - by_composition @ kernel[:n, :n]
        spectrum = many_features(rest[:n], rest[data.n_train :], data.composition[:n])
    predicted = ridge(spectrum, energies[:n])
    return 1000.0 * float(np.abs(predicted - energies[data.n_train :]).mean())


def few_features(train: Floats, held_out: Floats, free: Floats) -> Spectrum:
    """Spectrum of fewer features than molecules; both without what the composition explains.

    free: (N) squared lengths of the molecules' unit vectors without the composition
    """
    values, vectors = eigh(train.T @ train)
    kept = values > 1e-14 * values[-1]
    values, turned = values[kept], vectors[:, kept] * np.sqrt(values[kept])
    left = train @ turned / values
    return Spectrum(left, values, held_out @ turned, np.maximum(free - np.sum(left * left, axis=1), 0.0))


def many_features(train: Floats, held_out: Floats, atoms: Floats) -> Spectrum:
    """Spectrum of a kernel (N, N) and (H, N) without what the composition explains on the left; atoms: (N, A)."""
    others = qr(atoms)[0][:, np.linalg.matrix_rank(atoms) :]
    values, vectors = eigh(others.T @ train @ others)
    vectors = others @ vectors
    return Spectrum(vectors, np.maximum(values, 0.0), held_out @ vectors, np.zeros(len(train)))


def ridge(spectrum: Spectrum, energies: Floats) -> Floats:
    """Energies of the held-out molecules with the strength of the smallest leave-one-out error.

    energies: (N) of the training molecules, without what the composition explains
    """
    along = spectrum.vectors.T @ energies
    outside = energies - spectrum.vectors @ along if spectrum.outside.any() else np.zeros_like(energies)
    squares, scale = spectrum.vectors**2, spectrum.values.sum() / len(energies)
    best = np.inf
    for strength in scale * STRENGTHS:
        shrunk = strength / (spectrum.values + strength)
        # the residual of each molecule in the fit without it, from the fit to all
        left_out = (outside + spectrum.vectors @ (shrunk * along)) / (spectrum.outside + squares @ shrunk)
        error = float(np.abs(left_out).mean())
        if error < best:
            best, predicted = error, spectrum.held_out @ (along / (spectrum.values + strength))
    return np.asarray(predicted)


def show(found: Mapping[Basis, Fits], n_train: int, n_held_out: int, options: argparse.Namespace) -> None:
    """Print the tables and draw the plots."""
    console = make_console()
    sets = "one set of coefficients" if options.one_set else "coefficients for each center species"
    title = f"energy MAE, meV (1 kcal/mol: {KCAL_PER_MOL:.1f}); {n_train} molecules, {n_held_out} held out; {sets}"
    columns = ("channels", "basis", "invariants", *(f"nu <= {order}" for order in ORDERS))
    console.print(table(title, columns, [row(basis, one, n_train) for basis, one in found.items()]))
    numbers = [n_train // part for part in PARTS]
    title = f"energy MAE, meV, nu <= {GOAL_ORDER}, against the number of training molecules"
    rows = [
        [f"{basis.channels}", basis.kind, *(f"{one.errors[GOAL_ORDER, n]:.1f}" for n in numbers)]
        for basis, one in found.items()
    ]
    console.print(table(title, ("channels", "basis", *(f"{n}" for n in numbers)), rows))
    for line in ratios(found, n_train, options.mixed):
        console.print(line)
    basis_plot, learning_plot = draw(options.output, found, numbers)
    console.print(f"plots: {basis_plot}, {learning_plot}")
    console.print(machine())


def row(basis: Basis, one: Fits, n_train: int) -> list[str]:
    """A row of the first table."""
    invariants = " + ".join(f"{n}" for n in one.invariants)
    return [f"{basis.channels}", basis.kind, invariants, *(f"{one.errors[order, n_train]:.1f}" for order in ORDERS)]


def ratios(found: Mapping[Basis, Fits], n_train: int, goals: Sequence[int]) -> list[str]:
    """Each mixed basis compared with the primitive bases next to it in size; goals: sizes that have one."""
    errors = {(basis.kind, basis.channels): one.errors[GOAL_ORDER, n_train] for basis, one in found.items()}
    primitive = sorted(channels for kind, channels in errors if kind == "primitive")
    lines = []
    for channels in sorted(channels for kind, channels in errors if kind == "mixed"):
        below = [n for n in primitive if n <= channels][-1:]
        above = [n for n in primitive if n >= channels][:1]
        for n in sorted({*below, *above}):
            ratio = errors["primitive", n] / errors["mixed", channels]
            goal = verdict(ratio, GOAL, more=True) if channels in goals and n <= channels else ""
            lines.append(
                f"nu <= {GOAL_ORDER}: primitive, {n} / mixed, {channels} channels: {ratio:.2f}  {goal}".rstrip()
            )
    return lines


def draw(folder: Path, found: Mapping[Basis, Fits], numbers: Sequence[int]) -> tuple[Path, Path]:
    """Draw errors against channels, and against training molecules with the largest mixed basis."""
    points = {}
    for kind in ("mixed", "primitive"):
        every = {basis.channels: one for basis, one in found.items() if basis.kind == kind}
        for order in ORDERS:
            y = [one.errors[order, numbers[-1]] for one in every.values()]
            points[f"{kind}, nu ≤ {order}"] = (list(every), y)
    label = "energy MAE (meV)"
    basis_plot = plots.curves(folder / "molecules.png", points, "density channels of all species", label)
    largest = max((basis for basis in found if basis.kind == "mixed"), key=lambda one: one.channels)
    curves = {
        f"mixed, {largest.channels} channels, nu ≤ {order}": (
            numbers,
            [found[largest].errors[order, n] for n in numbers],
        )
        for order in ORDERS
    }
    return basis_plot, plots.curves(folder / "molecules_learning.png", curves, "training molecules", label)


if __name__ == "__main__":
    main()
