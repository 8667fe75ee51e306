"""Errors of models against the size of their radial basis, primitive and optimal.

    python examples/benchmarks/basis_size.py [--data Si_train.xyz.gz] [--gap 2 3 4 6 8] [--two-body 1 2 3 4 6 8]
        [--folds 2] [--output runs/benchmarks]

As Figs. 2.5 and 2.6 of A. J. Goscinski, PhD thesis, EPFL (2023), which have the silicon frames of mlearn: root mean
square errors of held-out energies and forces of

- `soap_gap` (l up to 6, 300 sparse points): primitive GTO and DVR functions, and the principal components of 20 GTOs
- two-body models, which take the density of degree 0 alone: linear (`multispectrum` of order 1) and the kernel with the
  power 4 of the same features (`multispectrum_gap`): the same bases, and PCovR with a mixing of 0.1, which keeps
  energies too

Five folds; `--folds` says how many of them are fitted. Tables and plots; without `--data` of the shipped Li-Si frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from measure import LITHIUM_SILICON, arguments, machine

from rhopot.potentials import operators, plots
from rhopot.potentials.config.load import make_config
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.runs.cross_validation import cross_validate, make_folds
from rhopot.potentials.structures import FrameSet, read_frames

FOLDS = 5
FULL = 20  # GTO functions that optimal bases are contracted from
MIXING = 0.1
ERRORS = {"energy (meV/atom)": "energy_rmse_mev_per_atom", "forces (meV/A)": "forces_rmse_mev_per_angstrom"}

POWER_SPECTRUM = {"family": "soap_gap", "descriptor": {"l_max": 6}, "regressor": {"n_sparse": 300}}
ORDER_ONE = {"l_max": 0, "l_three": 0, "l_four": 0, "n_two": 0, "n_three": 0, "species_mode": "separate"}
LINEAR = {"family": "multispectrum", "descriptor": ORDER_ONE}
KERNEL = {
    "family": "multispectrum_gap", "descriptor": ORDER_ONE, "regressor": {"n_sparse": 300, "zeta": 4},
}  # fmt: skip

Basis = dict[str, Any]


def bases(size: int, supervised: bool) -> dict[str, Basis]:
    """Settings of the bases of one size."""
    found: dict[str, Basis] = {
        "GTO": {"n_max": size, "optimal_basis": None},
        "DVR": {"n_max": size, "radial_basis": "dvr", "optimal_basis": None},
        "optimal": {"n_max": FULL, "optimal_basis": {"q_max": size}},
    }
    if supervised:
        found["PCovR"] = {"n_max": FULL, "optimal_basis": {"q_max": size, "pcovr_mixing": MIXING}}
    return found


def main(words: Sequence[str] | None = None) -> None:
    """Fit, print and plot."""
    parser = arguments(__doc__)
    parser.add_argument("--gap", type=int, nargs="*", default=[2, 3, 4, 6, 8], help="sizes for soap_gap")
    parser.add_argument("--two-body", type=int, nargs="*", default=[1, 2, 3, 4, 6, 8], help="sizes for two-body models")
    parser.add_argument(
        "--folds", type=int, choices=range(1, FOLDS + 1), default=2, help=f"of {FOLDS}, that are fitted"
    )
    options = parser.parse_args(words)
    operators.load()
    options.output.mkdir(parents=True, exist_ok=True)
    console = make_console()
    frames = read_frames(options.data or LITHIUM_SILICON)
    studies = {
        "soap_gap": (POWER_SPECTRUM, options.gap, False),
        "two_body_linear": (LINEAR, options.two_body, True),
        "two_body_kernel": (KERNEL, options.two_body, True),
    }
    for name, (settings, sizes, supervised) in studies.items():
        if not sizes:
            continue
        found: dict[str, dict[int, dict[str, float]]] = {}
        with bar(console, name, sum(len(bases(size, supervised)) for size in sizes)) as advance:
            for size in sizes:
                for kind, basis in bases(size, supervised).items():
                    found.setdefault(kind, {})[size] = errors(settings, basis, frames, options.folds)
                    advance(sum(len(one) for one in found.values()))
        title = f"{name}: RMSE of {options.folds} of {FOLDS} folds, {len(frames)} frames; energy meV/atom, forces meV/A"
        console.print(table(title, ("radial functions", *found), rows(found, sizes)))
        for label, key in ERRORS.items():
            curves = {kind: (list(sizes), [one[size][key] for size in sizes]) for kind, one in found.items()}
            file = options.output / f"basis_size_{name}_{key.split('_')[0]}.png"
            plots.curves(file, curves, "radial functions", f"RMSE {label}")
            console.print(f"plot: {file}")
    console.print(machine())


def errors(settings: Mapping[str, Any], basis: Basis, frames: FrameSet, folds: int) -> dict[str, float]:
    """Errors of all held-out frames of some folds together."""
    descriptor = {**settings["descriptor"], **basis}
    config = make_config({**settings, "descriptor": descriptor, "data": {"train": ["frames"]}})
    found = cross_validate(config, make_folds(config, frames, FOLDS)[:folds])
    return {key: float(found.errors[key]) for key in ERRORS.values()}


def rows(found: Mapping[str, Mapping[int, Mapping[str, float]]], sizes: Sequence[int]) -> list[list[str]]:
    """Rows of a table: energies and forces of each basis."""
    energy, forces = ERRORS.values()
    return [
        [f"{size}", *(f"{one[size][energy]:.2f}, {one[size][forces]:.0f}" for one in found.values())] for size in sizes
    ]


if __name__ == "__main__":
    main()
