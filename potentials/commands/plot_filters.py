"""`rhopot plot filters`: the filters that an angular network has learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rhopot.export import load_model
from rhopot.potentials import filter_plots, plots
from rhopot.potentials.console import make_console
from rhopot.potentials.models.angular.filters import filter_responses, filtering_layers

# Points of a disk along its radius, and along half of its circumference.
RADIUS, ARC = 60, 73


def plot_filters(model: Path, output: Path, *, most: int, member: int) -> None:
    """Draw, of each layer, the `most` filters that vary most over the disk, in their order in the model."""
    if output.suffix.lower().lstrip(".") not in plots.formats():
        raise ValueError(f"--output must end in the format of a picture, got '{output}'; name it '{output}.png'")
    loaded = load_model(model)
    layers = filtering_layers(loaded.module)
    if not layers:
        raise ValueError(
            f"model must have learned filters of distance and angle, got family {loaded.card.family} ({model}); "
            "train one of family angular"
        )
    n_members = max(loaded.card.uncertainty.members, 1)
    if not 1 <= member <= n_members:
        raise ValueError(f"--member must be a number from 1 to {n_members}, got {member}; 1 is the first network")
    basis = loaded.module.descriptor
    distances = np.linspace(1e-6, loaded.card.cutoff, RADIUS)
    cosines = np.cos(np.linspace(np.pi, 0.0, ARC))
    rows, numbers = {}, {}
    for k, layer in enumerate(layers):
        found = filter_responses(basis, layer, torch.from_numpy(distances), torch.from_numpy(cosines), member - 1)
        values = found.to(torch.float64).numpy()
        chosen = np.sort(np.argsort(-values.std((1, 2)), kind="stable")[:most])
        rows[f"layer {k + 1}"], numbers[f"layer {k + 1}"] = values[chosen], (chosen + 1).tolist()
    output.parent.mkdir(parents=True, exist_ok=True)
    filter_plots.filters(output, rows, distances, cosines, numbers)
    shown = ", ".join(
        f"{len(values)} of {layer.filters.shape[2]}" for values, layer in zip(rows.values(), layers, strict=True)
    )
    make_console().print(f"filters of {len(layers)} layer(s) ({shown}): {output}")
