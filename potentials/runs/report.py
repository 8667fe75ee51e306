"""`report.md`: a training for its reader, made from the numbers of `report.json`.

What was fitted             data, elements, model, settings
How good it is              errors, predicted uncertainty, hot dynamics, learning curve, plots
What to be careful about    see `cautions`
Next steps                  see `next_steps`
Details of the fit          all other numbers of the fit
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rhopot.potentials.config.reference import reference
from rhopot.potentials.families import installed_family
from rhopot.potentials.pair import describe_repulsion
from rhopot.potentials.runs.calibration_notes import notes_on_forces
from rhopot.potentials.runs.cautions import cautions
from rhopot.potentials.runs.error_table import COLUMNS, explanation
from rhopot.potentials.runs.learning_curve import describe_points, describe_trend
from rhopot.potentials.runs.next_steps import next_steps
from rhopot.potentials.runs.report_text import angstroms, markdown_table, sentence
from rhopot.potentials.runs.stability import CRITERION

# Parts of a fit's report that are shown elsewhere: settings, tables and plots of their own, and the error table.
SHOWN = ("regressor", "training", "targets", "epochs", "selection", "networks", "validation", "learning_curve")
# Settings of memory, files and time, on which no error depends.
TECHNICAL = (
    "batch_mib", "block_rows", "cache", "cache_gib", "checkpoint_seconds", "device", "pool", "tensorboard",
)  # fmt: skip
# Settings that have a meaning with some values of another setting only: its name and these values.
ACTIVE_WITH = {
    "training.loss.beta": ("training.loss.form", ("regularized",)),
    "training.loss.norm": ("training.loss.form", ("regularized",)),
    "training.loss.energy_per_atom": ("training.loss.form", ("regularized", "balanced")),
    "training.loss.p": ("training.loss.form", ("balanced",)),
    "training.loss.huber": ("training.loss.form", ("likelihood",)),
    "training.schedule.final": ("training.schedule.name", ("cosine", "halving", "plateau")),
    "training.schedule.every": ("training.schedule.name", ("halving",)),
    "training.schedule.patience": ("training.schedule.name", ("plateau",)),
}
# Numbers of the fit whose name in `report.json` says too little.
PLAIN_NAMES = {
    "best_epoch": "epoch of lowest validation loss, of each member",
    "calibration": "calibration of the uncertainty of energies",
    "columns": "coefficients",
    "factor": "factor on the standard deviation",
    "factors": "factor on the standard deviation, by element",
    "radii": "radius multiple sqrt(sigma^2 + floor^2) of errors, by element",
    "within_radius": "fraction of error vectors within the radius",
    "force_calibration": "calibration of the uncertainty of forces",
    "jackknife_scale": "factor on the leave-one-fold-out part",
    "n_components": "force components",
    "n_energies": "energies",
    "n_frames": "structures",
    "n_groups": "groups",
    "posterior_scale": "factor on the posterior part",
    "posterior_share": "fraction of the variance from the posterior",
    "prior_norm": "norm of the coefficients in units of their prior",
    "rank": "independent coefficients",
    "rank_correlation": "rank correlation of predicted standard deviations and errors",
    "weighted_residual_rms": "root mean square residual in units of sigma",
    "widening": "part of the factor due to the small number of structures",
    "within_one": "fraction of errors within one standard deviation",
    "within_two": "fraction of errors within two standard deviations",
}
UNITS_OF_SIGMA = {"energy": (1000.0, "meV/atom"), "forces": (1000.0, "meV/Å"), "stress": (1000.0, "meV/atom (of V·σ)")}
EPOCH_COLUMNS = {
    "epoch": "epoch",
    "seconds": "s",
    "train_loss": "train loss",
    "validation_loss": "validation loss",
    "validation_energy_mae_mev_per_atom": "E MAE meV/atom",
    "validation_energy_rmse_mev_per_atom": "E RMSE",
    "validation_forces_mae_mev_per_angstrom": "F MAE meV/Å",
    "validation_forces_rmse_mev_per_angstrom": "F RMSE",
}
CURVE_COLUMNS = {
    "n_frames": "training structures",
    "energy_mae_mev_per_atom": "energy MAE (meV/atom)",
    "forces_mae_mev_per_angstrom": "force MAE (meV/Å)",
    "stress_mae_gpa": "stress MAE (GPa)",
}
SELECTION_COLUMNS = {
    "columns": "features of a member",
    "fitted": "RMSE, energies fitted to (meV/atom)",
    "energies": "RMSE, energies left out (meV/atom)",
}
REFERENCE_ENERGIES = {"least_squares": "least-squares fit", "isolated": "isolated atoms of the training set"}


def training_report(report: dict[str, Any]) -> str:
    """Markdown text of a training report."""
    found = cautions(report)
    parts = [
        f"# `{report['family']}` potential for {', '.join(report['symbols'])}",
        _summary(report),
        "## What was fitted",
        *_fitted(report),
        "## How good it is",
        *_quality(report),
        "## What to be careful about",
        "\n".join(f"- **{title}.** {sentence(text)}" for title, text in found) or "Nothing stood out.",
        "## Next steps",
        *next_steps(report),
        "## Details of the fit",
        _details(report),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(report: dict[str, Any]) -> str:
    """The training in two sentences, and a warning where hot dynamics is unstable."""
    data, validation = report["training_data"]["summary"], report["errors"].get("validation", {})
    family = installed_family(report["family"])
    title = family.title if family is not None else f"a model of the family {report['family']}"
    errors = [
        f"{name} {validation[key]:.3g} {unit}"
        for name, key, unit in (
            ("energies", "energy_mae_mev_per_atom", "meV/atom"),
            ("forces", "forces_mae_mev_per_angstrom", "meV/Å"),
            ("stresses", "stress_mae_gpa", "GPa"),
        )
        if key in validation
    ]
    processes = "one process" if report["ranks"] == 1 else f"{report['ranks']} processes"
    text = f"{title[:1].upper()}{title[1:]}, fitted to {data['n_frames']} structures ({data['n_atoms']} atoms) in "
    text += f"{report['seconds']:.0f} s on {processes}."
    if errors:
        text += f" Mean absolute errors on {data['n_validation']} validation structures: {', '.join(errors)}."
    if any(run["fault"] for run in report["stability"]):
        text += " **RUNAWAY: the model is unstable in hot dynamics; do not use it for dynamics.**"
    return text


def _fitted(report: dict[str, Any]) -> Iterator[str]:
    """Data and model, targets, and the settings of the fit."""
    rows = [*_data_rows(report), *_model_rows(report)]
    yield markdown_table(["", ""], [[f"**{name}**", text] for name, text in rows])
    targets = report["settings"]["targets"]
    if _sigmas_count(report["settings"]):
        yield "Expected errors of the labels, which weight them in the fit:"
        yield markdown_table(["label", "standard deviation", "config_type"], _target_rows(targets))
    else:
        yield "Fitted: " + ", ".join(name for name, target in targets.items() if target) + "."
    settings = list(_setting_rows(report))
    if settings:
        yield "Settings of the fit (those of the descriptor, and all others, are in [config.yaml](config.yaml)):"
        yield markdown_table(["setting", "value", "meaning"], settings)


def _sigmas_count(settings: Mapping[str, Any]) -> bool:
    """Whether the sigmas of the targets weight the fit; in a loss of another form they have no influence."""
    loss = (settings.get("training") or {}).get("loss")
    return not isinstance(loss, Mapping) or loss.get("form", "likelihood") == "likelihood"


def _setting_rows(report: dict[str, Any]) -> Iterator[list[str]]:
    """Settings of regressor and training with their values, units and meanings."""
    known = installed_family(report["family"])
    keys = {} if known is None else {key.name: key for key in reversed(reference(known.name))}
    values = {
        f"{section}.{name}": text
        for section in ("regressor", "training")
        for name, text in flat(report["settings"].get(section) or {})
        if name not in TECHNICAL
    }
    for name, text in values.items():
        other, active = ACTIVE_WITH.get(name, ("", ()))
        if values.get(other, "") not in ("", *active):
            continue
        key = keys.get(name)
        unit = f" {key.unit}" if key is not None and key.unit not in ("", "1") and text != "none" else ""
        yield [f"`{name}`", angstroms(f"{text}{unit}"), "" if key is None else angstroms(key.meaning.rstrip("."))]


def _data_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    data = report["training_data"]["summary"]
    least, most = data["atoms_per_frame"]
    size = f"{least} atoms each" if least == most else f"{least} to {most} atoms each"
    groups = f", in {data['n_groups']} groups" if data.get("n_groups") else ""
    yield "Elements", ", ".join(report["symbols"])
    earlier = report["settings"].get("append")
    appended = (
        f", added in part to those of `{earlier}`, whose energies per element and repulsion are kept" if earlier else ""
    )
    yield "Training set", f"{data['n_frames']} structures, {size}{groups}{appended}"
    yield "Config types", ", ".join(f"{name} ({count})" for name, count in data["config_types"].items())
    keys = {name: _several(key) for name, key in data["keys"].items()}
    yield (
        "Labels",
        ", ".join(
            f"{name} of {count}" + (f" (key `{keys[name]}`)" if name in keys else "")
            for name, count in data["targets"].items()
            if count
        ),
    )
    if data.get("energy_range"):
        low, high = data["energy_range"]
        yield "Energies", f"{low:+.3f} to {high:+.3f} eV/atom, relative to the atomic reference energies"
    if data.get("shortest_distances"):
        distances = ", ".join(f"{pair} {value:.2f} Å" for pair, value in data["shortest_distances"].items())
        yield "Shortest distances", distances
    yield "Validation set", f"{data['n_validation']} structures ({data['split']})"


def _model_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    settings, fit = report["settings"], report["fit"]
    family = installed_family(report["family"])
    if family is not None:
        descriptor = family.descriptor_settings.model_validate(settings["descriptor"])
        reach = family.reach(descriptor)
        if report["kind"] == "local":
            layers = int(report["n_layers"])
            further = f", through {layers} layers of messages from atoms within {layers * reach:g} Å" * (layers > 1)
            yield "Model", f"sum of atomic energies, each from the neighbors within {reach:g} Å{further}"
        else:
            yield "Model", f"the total energy only (no energies of atoms); reach {reach:.3g} Å"
        yield "Descriptor", angstroms("; ".join(family.describe(descriptor)[1:]))
    if isinstance(fit.get("networks"), str):
        yield "Networks", fit["networks"]
    if isinstance(fit.get("columns"), int):
        yield "Coefficients", f"{fit['columns']}, from {fit['equations']} equations"
    if "ensemble" in fit:
        size, used = fit["ensemble"]["columns_of_a_member"], fit["ensemble"]["features_used"]
        yield "Features", f"{used} in use; {size['mean']:.0f} ± {size['deviation']:.0f} in a member"
    elements = settings["baseline"]["elements"]
    yield (
        "Atomic reference energies",
        REFERENCE_ENERGIES.get(elements, elements) if isinstance(elements, str) else "as configured",
    )
    shortest = report["training_data"]["summary"].get("shortest_distances")
    if report["kind"] == "local" and shortest is not None:
        yield "Short range", angstroms("; ".join(describe_repulsion(settings["baseline"]["pair"], shortest)))
    members = settings["uncertainty"]["members"]
    yield "Uncertainty", f"standard deviation of {members} ensemble members" if members else "none"
    yield "Precision", settings["dtype"]


def _target_rows(targets: Mapping[str, Any]) -> list[list[str]]:
    """One row per fitted quantity and config_type with a standard deviation of its own."""
    rows = []
    for name, target in targets.items():
        if target is None:
            continue
        factor, unit = UNITS_OF_SIGMA[name]
        rows.append([name, f"{factor * target['sigma']:.3g} {unit}", "all" if not target["config_type"] else "others"])
        for kind, sigma in target["config_type"].items():
            rows.append([name, "left out" if sigma is None else f"{factor * sigma:.3g} {unit}", kind])
    return rows


def _quality(report: dict[str, Any]) -> Iterator[str]:
    """Errors, uncertainty, stability and curves."""
    errors = report["errors"]
    if errors:
        yield _errors(errors)
        yield angstroms(explanation(errors.get("validation") or next(iter(errors.values()))))
    yield from _remarks_on_errors(report)
    yield "![parity of the validation set](parity.png)"
    notes = notes_on_forces(report["fit"].get("force_calibration"))
    if notes:
        yield "### Uncertainty"
        yield from (angstroms(sentence(note)) for note in notes)
    if report["stability"]:
        yield "### Hot dynamics"
        yield "\n".join(f"- {run['sentence']}" for run in report["stability"])
        yield CRITERION
    if report["learning_curve"]:
        yield from _learning_curve(report["learning_curve"])
        yield from describe_points(report["fit"], report["settings"]["report"]["learning_curve"])
    if report["fit"].get("epochs"):
        yield from _epochs(report["fit"])
    if "selection" in report["fit"]:
        yield from _selection(report["fit"]["selection"])


def _errors(errors: dict[str, Any]) -> str:
    """One table: a row for each set and, where a set has several, for each config_type."""
    columns = [column for column in COLUMNS if any(column[1] in table for table in errors.values())]
    named = {}
    for name, table in errors.items():
        named[name] = table
        if len(table["per_config_type"]) > 1:
            named |= {f"{name}, {kind}": part for kind, part in table["per_config_type"].items()}
    rows = [[key, *(f"{part[k]:{f}}" if k in part else "-" for _, k, f in columns)] for key, part in named.items()]
    return markdown_table(["set", *(angstroms(title) for title, _, _ in columns)], rows)


def _remarks_on_errors(report: dict[str, Any]) -> Iterator[str]:
    """Which structures were evaluated, and errors relative to the forces themselves."""
    train, validation = report["errors"].get("train", {}), report["errors"].get("validation", {})
    fitted = report["training_data"]["summary"]["n_frames"]
    text = []
    if train and train["n_frames"] < fitted:
        text.append(f"Training errors are those of {train['n_frames']} of {fitted} structures, evenly chosen.")
    reference = validation.get("forces_reference_rms_mev_per_angstrom")
    if reference:
        part = validation["forces_rmse_mev_per_angstrom"] / reference
        text.append(
            f"The force RMSE of the validation set is {part:.0%} of the root mean square of its reference forces "
            f"({reference:.0f} meV/Å)."
        )
    if text:
        yield " ".join(text)


def _learning_curve(curve: dict[str, list[float]]) -> Iterator[str]:
    """The table, its plot, and whether more data would help."""
    yield "### Learning curve"
    yield _curve(curve, CURVE_COLUMNS)
    names = {name: title.split(" (")[0] for name, title in CURVE_COLUMNS.items() if name in curve}
    yield from describe_trend(curve["n_frames"], {names[name]: curve[name] for name in names if name != "n_frames"})
    yield "![learning curve](learning_curve.png)"


def _epochs(fit: dict[str, Any]) -> Iterator[str]:
    """Some ten epochs, the last among them; all of them are in epochs.csv."""
    epochs = fit["epochs"]
    names = [name for name in EPOCH_COLUMNS if any(name in row for row in epochs)]
    chosen = epochs[:: -max(len(epochs) // 10, 1)][::-1]
    rows = [[f"{row[name]:.4g}" if name in row else "-" for name in names] for row in chosen]
    yield "### Training"
    yield markdown_table([EPOCH_COLUMNS[name] for name in names], rows)
    if fit.get("best_epoch"):
        best = ", ".join(str(epoch) for epoch in fit["best_epoch"])
        yield f"Each member keeps the weights of its epoch of lowest validation loss: {best} of {len(epochs)}."
    yield "![loss and errors of each epoch](epochs.png)"


def _selection(curve: dict[str, list[float]]) -> Iterator[str]:
    """Some ten sizes of the members' models; all of them are in report.json."""
    every = max(len(curve["columns"]) // 10, 1)
    yield "### Feature selection"
    yield _curve({name: values[::every] for name, values in curve.items() if name in SELECTION_COLUMNS},
                 SELECTION_COLUMNS)  # fmt: skip
    yield "![errors against the number of features](selection.png)"


def _curve(curve: dict[str, list[float]], titles: Mapping[str, str]) -> str:
    rows = [[f"{value:.4g}" for value in values] for values in zip(*curve.values(), strict=True)]
    return markdown_table([titles.get(name, _words(name)) for name in curve], rows)


def _details(report: dict[str, Any]) -> str:
    """Numbers of the fit that have no place of their own."""
    numbers = {name: value for name, value in report["fit"].items() if name not in SHOWN}
    rows = [[_words(name), text] for name, text in _grouped(numbers)]
    return markdown_table(["", "value"], [*rows, *(["forecast", text] for text in report["forecast"])])


def flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names of nested values and each value as text."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", _text(value)


def _grouped(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """As `flat`, with mappings of plain values in one line."""
    for name, value in values.items():
        if not isinstance(value, Mapping):
            yield f"{path}{name}", _text(value)
        elif any(isinstance(inner, Mapping) for inner in value.values()):
            yield from _grouped(value, f"{path}{name}, ")
        else:
            yield f"{path}{name}", ", ".join(f"{_words(key)}: {_text(inner)}" for key, inner in value.items())


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(_text(item) for item in value) if isinstance(value, list | tuple) else str(value)


def _words(name: str) -> str:
    """Name of a number, or names joined by commas, in words."""
    return ", ".join(PLAIN_NAMES.get(part, _plain_name(part)) for part in name.split(", "))


def _plain_name(name: str) -> str:
    text = name.replace("_", " ")
    return f"number of {text[2:]}" if text.startswith("n ") else text


def _several(key: str | Sequence[str]) -> str:
    return key if isinstance(key, str) else ", ".join(key)
