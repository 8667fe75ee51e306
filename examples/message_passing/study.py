"""What layers, bases, messages, learned channels and pooling change in the errors of networks that learn features.

    python examples/message_passing/study.py STUDY --data ethanol_train.xyz.gz [--only CASE ...] [key=value ...]

Studies: layers, bases, messages (angular), channels (point_scattering, with a learning curve), pooling. Each case is a
`rhopot train` of the ready configuration with the changes that the table shows, into a folder of its own; finished ones
are not trained again, stopped ones go on. A tenth of the frames stops the trainings early, and errors are those of the
same frames: small differences between cases mean nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from rhopot.potentials.commands import main as rhopot
from rhopot.potentials.console import make_console, table
from rhopot.potentials.files import write_text
from rhopot.potentials.runs.report_text import markdown_table

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
EVERYWHERE = ("report.stability=null", "uncertainty.members=0")


@dataclass(frozen=True)
class Study:
    """A family and, by name, what each case changes in its ready configuration; fractions: of a learning curve."""

    family: str
    cases: Mapping[str, tuple[str, ...]]
    fractions: tuple[float, ...] = ()


def _bases(*sizes: tuple[int, int]) -> dict[str, tuple[str, ...]]:
    return {f"{r} x {a}": (f"descriptor.n_radial={r}", f"descriptor.n_angular={a}") for r, a in sizes}


STUDIES = {
    "layers": Study("angular", {f"{n} layer(s)": (f"regressor.layers={n}",) for n in (1, 2, 3)}),
    "bases": Study("angular", _bases((4, 4), (6, 4), (6, 6), (8, 8), (10, 10))),
    "messages": Study(
        "angular",
        {
            "of neighbors, 8 heads": (),
            "of neighbors, 1 head": ("regressor.heads=1",),
            "of the center, as published": ("regressor.message=center",),
        },
    ),
    "channels": Study(
        "point_scattering",
        {"learned channels": (), "fixed channels": ("regressor.embedding=fixed",)},
        (0.1, 0.25, 0.5),
    ),
    "pooling": Study(
        "pooling",
        {
            "no pooling": ("regressor.nodes=[]",),
            "half as many nodes": (),
            "half, then a quarter": ("regressor.nodes=[0.5, 0.25]",),
        },
    ),
}


def main(words: Sequence[str] | None = None) -> None:
    """Train what is not there yet, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("study", choices=STUDIES, help="; ".join(f"{n}: {s.family}" for n, s in STUDIES.items()))
    parser.add_argument("--data", type=Path, required=True, help="labelled structures (extended XYZ)")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/message_passing"), help="folders of the cases (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="CASE", help="cases, by name")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of every case")
    options = parser.parse_intermixed_args(words)
    study = STUDIES[options.study]
    if unknown := set(options.only) - set(study.cases):
        raise SystemExit(f"--only must name cases of {options.study} ({', '.join(study.cases)}), got {sorted(unknown)}")
    folder = options.output / options.data.name.split(".")[0]
    reports = {}
    for name, changes in study.cases.items():
        if not options.only or name in options.only:
            reports[name] = trained(study, folder / _file(f"{options.study} {name}"), options, changes)
    show(options.study, study, reports, folder)


def trained(study: Study, folder: Path, options: argparse.Namespace, changes: Sequence[str]) -> dict[str, Any]:
    """The report of a case, trained now or before."""
    made, report = folder / "made_by.txt", folder / "report.json"
    settings = (
        str(CONFIGS / f"{study.family}.yaml"),
        f"data.train={options.data.resolve()}",
        f"report.learning_curve={list(study.fractions)}",
        *EVERYWHERE,
        *changes,
        *options.overrides,
    )
    if made.exists() and made.read_text(encoding="utf-8").splitlines() != list(settings):
        raise SystemExit(f"{folder} must hold a training of these settings, got another one; remove it")
    if not report.exists():
        resume = ["--resume"] if (folder / "checkpoint").exists() else []
        folder.mkdir(parents=True, exist_ok=True)
        made.write_text("\n".join(settings) + "\n", encoding="utf-8")
        if rhopot(["train", *settings, f"output={folder}", *resume]) != 0:
            raise SystemExit(f"the training in {folder} must succeed; its message is above")
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def show(name: str, study: Study, reports: Mapping[str, dict[str, Any]], folder: Path) -> None:
    """Print the table of a study, and draw its learning curves where it has some."""
    rows = []
    for case, report in reports.items():
        for n_frames, errors in curve(report):
            seconds = f"{report['fit']['seconds']['training']:.0f}" if n_frames == frames(report) else ""
            train = f"{report['errors']['train'][FORCES]:.1f}" if seconds else ""
            rows.append([case, f"{n_frames}", f"{errors[ENERGY]:.2f}", f"{errors[FORCES]:.1f}", train, seconds])
    columns = ("", "frames", "energy meV/atom", "forces meV/A", "forces, fitted frames", "training s")
    make_console().print(table(f"{study.family}, {folder.name}: mean absolute errors", columns, rows))
    write_text(folder / f"{name}.md", markdown_table(columns, rows) + "\n")
    print(folder / f"{name}.md")
    if study.fractions:
        draw(study, reports, folder / f"{name}.png")


ENERGY, FORCES = "energy_mae_mev_per_atom", "forces_mae_mev_per_angstrom"
Point = tuple[int, dict[str, float]]


def frames(report: Mapping[str, Any]) -> int:
    """How many frames were fitted."""
    return int(report["errors"]["train"]["n_frames"])


def curve(report: Mapping[str, Any]) -> list[Point]:
    """Numbers of fitted frames with their errors on the others, the fewest first."""
    points = report["learning_curve"]
    found = {n: {key: points[key][k] for key in (ENERGY, FORCES)} for k, n in enumerate(points.get("n_frames", []))}
    found[frames(report)] = report["errors"]["validation"]
    return sorted(found.items())


def draw(study: Study, reports: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Force errors against the number of fitted frames, a line for each case."""
    made = Figure(figsize=(4.6, 3.8), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots()
    for case, report in reports.items():
        points = curve(report)
        axes.loglog([n for n, _ in points], [errors[FORCES] for _, errors in points], "o-", label=case)
    axes.set(xlabel="fitted frames", ylabel="force MAE (meV/Å)", title=f"{study.family}, {path.parent.name}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.set_xticks([n for n, _ in curve(next(iter(reports.values())))])
    axes.legend(frameon=False)
    made.savefig(path, dpi=150)


def _file(name: str) -> str:
    """A name for a folder."""
    return "".join(c if c.isalnum() else "_" for c in name)


if __name__ == "__main__":
    main()
