"""`rhopot cv fit`: a collective variable that tells two sets of structures apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from rhopot.potentials import cv_plots, plots
from rhopot.potentials.collective_variables.soap_fit import Method, Separation, fit_projection
from rhopot.potentials.commands.cv import check_output, fixed, write
from rhopot.potentials.console import bar, make_console, table
from rhopot.potentials.descriptors.soap import SoapSettings
from rhopot.potentials.structures import UNLABELLED, read_frames

# Largest overlap of the sets, and of structures held out, without a note.
SEPARATED = 0.2


def fit(
    first: str,
    second: str,
    output: Path,
    *,
    settings: SoapSettings,
    method: str,
    mixing: float,
    components: int,
    of: Sequence[str] | None,
    name: str,
    every: int,
    plot: Path | None,
) -> None:
    """Fit, print how well the sets are separated, and write the file and a picture of the two histograms."""
    picture = output.with_suffix(".png") if plot is None else plot
    if method not in get_args(Method):
        raise ValueError(f"--method must be {' or '.join(get_args(Method))}, got '{method}'; pcovr suits most sets")
    check_output(output)
    if picture.suffix.lower().lstrip(".") not in plots.formats():
        raise ValueError(f"--plot must end in the format of a picture, got '{picture}'; name it '{picture}.png'")
    for option, path in (("--output", output), ("--plot", picture)):
        if not path.parent.is_dir():
            raise ValueError(f"{option} must lie in an existing folder, got '{path}'; make '{path.parent}' first")
    console = make_console()
    sets = [[frame.atoms for frame in [*read_frames([file], UNLABELLED)][::every]] for file in (first, second)]
    with bar(console, "features", len(sets[0]) + len(sets[1])) as advance:
        found = fit_projection(
            sets[0],
            sets[1],
            settings,
            method=cast(Method, method),
            mixing=mixing,
            n_components=components,
            of=of,
            name=name,
            progress=advance,
        )
    names = found.module.description.names
    rows = [_row(name, each) for name, each in zip(names, found.separation, strict=True)]
    rows += [_row(f"{name}, held out", each) for name, each in zip(names, found.held_out, strict=False)]
    columns = ("", f"mean of {Path(first).name}", "+-", f"mean of {Path(second).name}", "+-", "overlap*")
    console.print(table(f"{len(sets[0])} and {len(sets[1])} structures", columns, rows))
    console.print("* common area of two normal distributions with these means and standard deviations (+-)")
    for note in _notes(found.separation[0], found.held_out):
        console.print(f"note: {note}")
    write(found.module, output, [sets[0][0], sets[1][0]])
    panels = {name: (found.values[0][:, k], found.values[1][:, k]) for k, name in enumerate(names)}
    cv_plots.separation(picture, panels, (Path(first).name, Path(second).name))
    console.print(f"histograms: {picture}")


def _row(name: str, each: Separation) -> tuple[str, ...]:
    """A row of the table: means and standard deviations of both sets, and the overlap of normal distributions."""
    numbers = (each.means[0], each.deviations[0], each.means[1], each.deviations[1], each.overlap)
    return name, *(fixed(number, 4) for number in numbers)


def _notes(separation: Separation, held_out: Sequence[Separation]) -> list[str]:
    """What a user should know of the first variable."""
    found = []
    if separation.overlap > SEPARATED:
        found.append(
            f"the sets overlap by {separation.overlap:.2f}: the variable does not tell them apart; try --method pcovr, "
            "another --cutoff, or more structures"
        )
    elif not held_out:
        found.append("too few structures to hold some out: the separation is that of the structures fitted to")
    elif held_out[0].overlap > SEPARATED:
        found.append(
            f"structures held out of a second fit overlap by {held_out[0].overlap:.2f}, those fitted to by "
            f"{separation.overlap:.2f}: the fit does not carry over; give more structures, or a larger --mixing"
        )
    return found
