"""`report.md`: what a training gave, in words and tables, from the numbers of `report.json`."""

from __future__ import annotations

import json
from typing import Any

import yaml

from rhopot.potentials.console import rounded
from rhopot.potentials.pair import describe_repulsion
from rhopot.potentials.runs.calibration_notes import order_of_deviations
from rhopot.potentials.runs.error_table import COLUMNS, explanation

# Parts of a fit's report that have a section of their own.
SETTINGS = ("regressor", "training", "targets", "epochs", "selection")
EPOCH_COLUMNS = {
    "epoch": "epoch",
    "seconds": "s",
    "train_loss": "train loss",
    "validation_loss": "validation loss",
    "validation_energy_mae_mev_per_atom": "E MAE meV/atom",
    "validation_energy_rmse_mev_per_atom": "E RMSE",
    "validation_forces_mae_mev_per_angstrom": "F MAE meV/A",
    "validation_forces_rmse_mev_per_angstrom": "F RMSE",
}


def training_report(report: dict[str, Any]) -> str:
    """Markdown text of a training report."""
    data = report["training_data"]["summary"]
    order = order_of_deviations(report["fit"].get("force_calibration"))
    parts = [
        f"# {report['family']} for {', '.join(report['symbols'])}",
        f"Trained on {data['n_frames']} frames ({data['n_atoms']} atoms); validation: {data['n_validation']} frames "
        f"({data['split']}). {report['seconds']:.0f} s on {report['ranks']} process(es).",
        *_short_range(report),
        "## Errors",
        *(_errors(f"{name}", table) for name, table in report["errors"].items()),
        explanation(report["errors"]["validation"]),
        "![parity of the validation part](parity.png)",
        *(["## Free atoms", _capitalized(report["free_atoms"])] if report["free_atoms"] else []),
        *_stability(report["stability"]),
        *(_learning_curve(report["learning_curve"]) if report["learning_curve"] else []),
        *(_training(report["fit"]["epochs"]) if "epochs" in report["fit"] else []),
        *(_selection(report["fit"]["selection"]) if "selection" in report["fit"] else []),
        "## Fit",
        _fit(report),
        *([_capitalized(order)] if order else []),
        "## Settings",
        f"```yaml\n{yaml.safe_dump(report['settings'], sort_keys=False).strip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _short_range(report: dict[str, Any]) -> list[str]:
    """Where the repulsion of a local model acts."""
    shortest = report["training_data"]["summary"].get("shortest_distances")
    if report["kind"] != "local" or shortest is None:
        return []
    return ["## Short distances", *describe_repulsion(report["settings"]["baseline"]["pair"], shortest)]


def _errors(name: str, errors: dict[str, Any]) -> str:
    columns = [column for column in COLUMNS if column[1] in errors]
    kinds = errors["per_config_type"]
    named = {f"{name}, all": errors, **(kinds if len(kinds) > 1 else {})}
    rows = [[key, *(f"{part[k]:{f}}" if k in part else "-" for _, k, f in columns)] for key, part in named.items()]
    return _markdown([name, *(title for title, _, _ in columns)], rows)


def _capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:] + "."


def _stability(runs: list[dict[str, Any]]) -> list[str]:
    """What hot dynamics of training structures did."""
    return ["## Stability", "\n".join(f"- {run['sentence']}" for run in runs)] if runs else []


def _learning_curve(curve: dict[str, list[float]]) -> list[str]:
    return ["## Learning curve", _curve(curve), "![learning curve](learning_curve.png)"]


def _training(epochs: list[dict[str, float]]) -> list[str]:
    """Some ten epochs, the last among them; all of them stand in epochs.csv."""
    names = [name for name in EPOCH_COLUMNS if any(name in row for row in epochs)]
    chosen = epochs[:: -max(len(epochs) // 10, 1)][::-1]
    rows = [[f"{row[name]:.4g}" if name in row else "-" for name in names] for row in chosen]
    return ["## Training", _markdown([EPOCH_COLUMNS[name] for name in names], rows), "![epochs](epochs.png)"]


def _selection(curve: dict[str, list[float]]) -> list[str]:
    """Some ten sizes of the members' models; more of them stand in report.json."""
    every = max(len(curve["columns"]) // 10, 1)
    return [
        "## Selection",
        _curve({name: values[::every] for name, values in curve.items()}),
        "![selection](selection.png)",
    ]


def _curve(curve: dict[str, list[float]]) -> str:
    names = list(curve)
    rows = [[f"{value:.4g}" for value in values] for values in zip(*curve.values(), strict=True)]
    return _markdown(names, rows)


def _fit(report: dict[str, Any]) -> str:
    """Plain numbers of the fit; settings stand in their own section."""
    numbers = {name: value for name, value in report["fit"].items() if name not in SETTINGS}
    rows = [[name, value if isinstance(value, str) else json.dumps(rounded(value))] for name, value in numbers.items()]
    return _markdown(["", "value"], [*rows, *(["forecast", text] for text in report["forecast"])])


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
