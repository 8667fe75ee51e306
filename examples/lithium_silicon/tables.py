"""The tables of the study, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from structures import RELAXATION, TITLES, per_atom

from rhopot.potentials.properties.equation_of_state import fitted_parabola
from rhopot.potentials.structures import FrameSet
from rhopot.potentials.units import MEV_PER_EV

ByFold = Sequence[np.ndarray]
# Edges are strained by at most this much from the minimum in the parabola that gives a bulk modulus.
NEAR = 0.04 + 1e-9


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns are padded to one width."""
    lines = [list(header), ["---"] * len(header), *[list(row) for row in rows]]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    return "\n".join(
        "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |" for line in lines
    )


def mean_and_deviation(values: Sequence[float], digits: int = 1) -> str:
    """`mean +- standard deviation` over folds; folds without a value (nan) are counted and left out."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "none"
    missing = "" if len(known) == len(values) else f" ({len(known)} of {len(values)})"
    return f"{np.mean(known):.{digits}f} +- {np.std(known):.{digits}f}{missing}"


def errors_table(errors: Mapping[str, Mapping[str, ByFold]], forces: Mapping[str, ByFold]) -> str:
    """Energy errors of every model on every part (meV/atom), and force errors on unseen paths: RMSE and MAE over folds.

    errors: model > part > errors (n) in eV per atom of each fold; forces: model > errors in eV/A of each fold.
    """
    rows = []
    for name, by_part in errors.items():
        for part, by_fold in by_part.items():
            mev = [MEV_PER_EV * each for each in by_fold]
            rmse, mae = [np.sqrt(np.mean(each**2)) for each in mev], [np.abs(each).mean() for each in mev]
            rows.append([name, TITLES[part], mean_and_deviation(rmse), mean_and_deviation(mae)])
        if all(len(each) for each in forces[name]):
            mev = [MEV_PER_EV * each for each in forces[name]]
            rmse, mae = [np.sqrt(np.mean(each**2)) for each in mev], [np.abs(each).mean() for each in mev]
            rows.append(
                [name, "forces on unseen paths (meV/A)", mean_and_deviation(rmse, 0), mean_and_deviation(mae, 0)]
            )
    return markdown(["model", "energies (meV/atom) of", "RMSE", "MAE"], rows)


def coverage_table(errors: Mapping[str, Mapping[str, ByFold]], deviations: Mapping[str, Mapping[str, ByFold]]) -> str:
    """Coverage of one and two predicted standard deviations of energies, and their size.

    Models without any (nan) are left out.

    errors, deviations: model > part > (n) in eV per atom of each fold.
    """
    rows = []
    for name, by_part in errors.items():
        for part, by_fold in by_part.items():
            predicted = deviations[name][part]
            if not all(np.isfinite(each).all() for each in predicted):
                continue
            ratios = [np.abs(e) / d for e, d in zip(by_fold, predicted, strict=True)]
            within = [mean_and_deviation([100 * np.mean(each <= limit) for each in ratios], 0) for limit in (1, 2)]
            size = mean_and_deviation([MEV_PER_EV * np.sqrt(np.mean(each**2)) for each in predicted])
            rows.append([name, TITLES[part], *within, size])
    heads = ["model", "energies of", "within one (%)", "within two (%)", "standard deviation, rms (meV/atom)"]
    return markdown(heads, rows)


def bulk_moduli(
    parts: Mapping[str, FrameSet], energies: Mapping[str, Sequence[Mapping[str, np.ndarray]]]
) -> tuple[str, dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]]:
    """Bulk moduli from DFT and from every model, and the curves they come from.

    energies: model > by fold, predictions (n) in eV per atom of every part; the structure without strain is the last
    frame of its relaxation path.

    Returns:
        table, and path > (volumes per atom, {`DFT` or model: energies (folds, n) in eV per atom})
    """
    frames = parts["strained"]
    rows, curves = [], {}
    for path in dict.fromkeys(str(frame.group) for frame in frames):
        here = [k for k, frame in enumerate(frames) if str(frame.group) == path]
        base = max(k for k, frame in enumerate(parts[RELAXATION]) if str(frame.group) == path)
        chosen = [*[frames[k] for k in here], parts[RELAXATION][base]]
        volumes = np.array([frame.atoms.get_volume() / len(frame) for frame in chosen])
        order = np.argsort(volumes)
        found = {"DFT": per_atom(chosen)[None, order]}
        for name, by_fold in energies.items():
            found[name] = np.array([np.append(e["strained"][here], e[RELAXATION][base])[order] for e in by_fold])
        curves[path] = (volumes[order], found)
        moduli = {name: [bulk_modulus(volumes[order], e) for e in energies] for name, energies in found.items()}
        rows.append([path, f"{moduli.pop('DFT')[0]:.1f}", *[mean_and_deviation(each) for each in moduli.values()]])
    return markdown(["bulk modulus (GPa)", "DFT", *energies], rows), curves


def bulk_modulus(volumes: np.ndarray, energies: np.ndarray) -> float:
    """V0 d2E/dV2 (GPa) of a parabola through the points whose edges are within 4 % of the lowest one's.

    volumes (A^3) and energies (eV) per atom, by rising volume; nan where the lowest point is the first or the last.
    """
    lowest = int(np.argmin(energies))
    if lowest in (0, len(energies) - 1):
        return float("nan")
    near = np.abs((volumes / volumes[lowest]) ** (1 / 3) - 1) <= NEAR
    near[lowest - 1 : lowest + 2] = True
    return fitted_parabola(volumes[near], energies[near])[-1]


def barriers(frames: FrameSet, energies: Mapping[str, ByFold]) -> tuple[str, dict[str, dict[str, np.ndarray]]]:
    """Barriers (eV) of every migration path, the highest image above the first, and the energies they come from.

    energies: model > predictions (n) in eV per atom of each fold.

    Returns:
        table, and path > {`DFT` or model: energies of the whole cell (folds, images) from the first image, eV}
    """
    rows, profiles = [], {}
    for path in dict.fromkeys(str(frame.group) for frame in frames):
        here = [k for k, frame in enumerate(frames) if str(frame.group) == path]
        atoms = len(frames[here[0]])
        found = {"DFT": per_atom([frames[k] for k in here])[None] * atoms}
        found |= {name: np.array([each[here] for each in by_fold]) * atoms for name, by_fold in energies.items()}
        profiles[path] = {name: each - each[:, :1] for name, each in found.items()}
        tops = {name: each.max(axis=1) for name, each in profiles[path].items()}
        rows.append([path, f"{tops.pop('DFT')[0]:.2f}", *[mean_and_deviation(top, 2) for top in tops.values()]])
    return markdown(["barrier (eV)", "DFT", *energies], rows), profiles
