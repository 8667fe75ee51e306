"""GFRE of the full power spectrum from truncated radial bases, primitive and optimal, and from selected features.

    python examples/benchmarks/measures.py [--data Si_train.xyz.gz] [--sizes 2 4 6 8 10] [--full 20] [--l-max 6]
        [--environments 4000] [--output runs/benchmarks]

As Fig. 2.3 of A. J. Goscinski, PhD thesis, EPFL (2023). The full set is a power spectrum on `--full` GTO functions of
each species. It is reconstructed from power spectra on fewer functions, primitive (GTO) or optimal (contracted from
those of the full set, each species by itself), and from a quarter of their features, selected by CUR or as farthest
points. A table and a plot for the silicon frames, where they are given, and for the shipped Li-Si data, with lines that
say whether the optimal basis is at least as good as the primitive one at every size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from measure import LITHIUM_SILICON, arguments, machine
from numpy.typing import NDArray

from rhopot.potentials import operators, plots
from rhopot.potentials.analysis.compare import Sample, draw_sample
from rhopot.potentials.analysis.measures import compact, gfre, split_structures
from rhopot.potentials.analysis.selection import SelectionMethod, select_features
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.descriptors.soap import SoapPowerSpectrum, SoapSettings
from rhopot.potentials.descriptors.soap.optimal_basis import density_covariance, learn_basis
from rhopot.potentials.descriptors.soap.soap_settings import OptimalBasis
from rhopot.potentials.families.local import features_of_atoms
from rhopot.potentials.structures import UNLABELLED, read_frames

Floats = NDArray[np.float64]

SEED = 0
SELECTIONS: tuple[SelectionMethod, ...] = ("cur", "fps")
SHARE = 4  # of the features, one in so many is selected
COLUMNS = ("functions of each species", "features", "primitive", "optimal", "selected", *(
    f"{basis}, {method}" for method in SELECTIONS for basis in ("primitive", "optimal")
))  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and plot."""
    parser = arguments(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 6, 8, 10], help="functions of each species")
    parser.add_argument("--full", type=int, default=20, help="functions of each species in the full set")
    parser.add_argument("--l-max", type=int, default=6)
    parser.add_argument("--environments", type=int, default=4000)
    options = parser.parse_args(words)
    operators.load()
    options.output.mkdir(parents=True, exist_ok=True)
    data = {"silicon": [options.data]} if options.data else {}
    data["lithium_silicon"] = sorted(str(file) for file in LITHIUM_SILICON.glob("*.xyz"))
    console = make_console()
    for name, files in data.items():
        sample = draw_sample(read_frames(files, UNLABELLED), options.environments, SEED)
        full = SoapSettings(
            cutoff=6.0, cutoff_width=2.0, n_max=options.full, l_max=options.l_max, density_width=0.3,
            symbols=tuple(sample.frames.symbols),
        )  # fmt: skip
        with bar(console, name, len(options.sizes)) as advance:
            n_features, found = errors(full, sample, options.sizes, advance)
        title = f"{name}: GFRE of {n_features} features, {len(sample.rows)} environments, {len(sample.frames)} frames"
        console.print(table(title, COLUMNS, rows(found)))
        for kind in ("", *(f", {method}" for method in SELECTIONS)):
            pairs = [(one[f"optimal{kind}"], one[f"primitive{kind}"]) for one in found.values()]
            holds = "yes" if all(optimal <= primitive for optimal, primitive in pairs) else "NO"
            console.print(f"{name}: optimal{kind} <= primitive{kind} at every size: {holds}")
        console.print(f"plot: {draw(options.output / f'gfre_{name}.png', found, n_features)}")
    console.print(machine())


def errors(
    full: SoapSettings, sample: Sample, sizes: Sequence[int], advance: Callable[[int], None]
) -> tuple[int, dict[int, dict[str, float]]]:
    """Number of features of the full set, and for each size the numbers of features and the errors by name."""
    split = split_structures(sample.structure, SEED)
    atoms = [frame.atoms for frame in sample.frames]
    covariance = density_covariance(full, atoms)
    everything = features(full, sample)
    target = compact(everything)
    found = {}
    for done, n in enumerate(sizes):
        optimal = full.model_copy(update={"optimal_basis": OptimalBasis(q_max=n)})
        sources = {
            "primitive": features(full.model_copy(update={"n_max": n}), sample),
            "optimal": features(learn_basis(optimal, atoms, covariance), sample),
        }
        n_features = sources["optimal"].shape[1]
        count = max(n_features // SHARE, 1)
        one: dict[str, float] = {"features": n_features, "selected": count}
        for basis, source in sources.items():
            one[basis] = gfre(source, target, split)
            for method in SELECTIONS:
                columns = select_features(source[split.train], count, method)
                one[f"{basis}, {method}"] = gfre(source[:, columns], target, split)
        found[n] = one
        advance(done + 1)
    return everything.shape[1], found


def features(settings: SoapSettings, sample: Sample) -> Floats:
    """Power spectrum (N, F) of the sample's environments."""
    descriptor = SoapPowerSpectrum(settings)
    every = [features_of_atoms(descriptor, frame.atoms) for frame in sample.frames]
    return np.asarray(np.concatenate(every)[sample.rows])


def rows(found: Mapping[int, Mapping[str, float]]) -> list[list[str]]:
    """Rows of the table."""
    counts = ("features", "selected")
    return [
        [f"{n}", *(f"{one[name]:.0f}" if name in counts else f"{one[name]:.2g}" for name in COLUMNS[1:])]
        for n, one in found.items()
    ]


def draw(path: Path, found: Mapping[int, Mapping[str, float]], n_features: int) -> Path:
    """Draw the errors against the number of features that they come from."""
    curves = {}
    for name in COLUMNS[1:]:
        if name not in ("features", "selected"):
            size = "selected" if "," in name else "features"
            curves[name] = ([one[size] for one in found.values()], [one[name] for one in found.values()])
    return plots.curves(path, curves, "number of features", f"GFRE of {n_features} features")


if __name__ == "__main__":
    main()
