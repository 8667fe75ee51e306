"""Are two models the same? Compares tensors of model files, and the numbers of reports of two training folders.

    python examples/benchmarks/equal_models.py before.pt after.pt
    python examples/benchmarks/equal_models.py runs_before/soap_gap runs_after/soap_gap
    python examples/benchmarks/equal_models.py runs_before runs_after          # every training folder in both

Prints for each parameter and buffer whether it is equal to the last bit and, where not, the largest difference relative
to the largest absolute value of the tensor; then the entries of report.json that differ, without times and versions.
Models are read with `load_model`, so older formats can be compared with newer ones. The exit status is 1 where a
difference exceeds --tolerance (0: to the last bit) or where the models do not have the same tensors.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rhopot.export import load_model

# Entries of a report that are times, or say where and by what it was made.
VARYING = ("seconds", "forecast", "output", "versions", "sentence")


def main(words: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest relative difference of a tensor")
    parser.add_argument("--verbose", action="store_true", help="list equal tensors too")
    options = parser.parse_args(words)
    worst = 0.0
    for name, before, after in pairs(options.before, options.after):
        worst = max(worst, compare(name, before, after, options.verbose))
    print(f"largest relative difference of a tensor: {worst:.2e} (tolerance {options.tolerance:g})")
    return int(worst > options.tolerance)


def pairs(before: Path, after: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name and model file of each side."""
    if before.is_file():
        yield str(after), before, after
    elif (before / "model.pt").exists():
        yield before.name, before / "model.pt", after / "model.pt"
    else:
        found = sorted(file.parent.name for file in before.glob("*/model.pt"))
        both = [name for name in found if (after / name / "model.pt").exists()]
        if not both:
            raise SystemExit(f"folders must hold trainings of the same names, got none in '{before}' and '{after}'")
        for name in both:
            yield name, before / name / "model.pt", after / name / "model.pt"


def compare(name: str, before: Path, after: Path, verbose: bool) -> float:
    """Print the differences of two models and of the reports beside them; the largest one of a tensor."""
    old, new = tensors(before), tensors(after)
    print(f"{name}: {len(old)} tensors")
    worst = 0.0
    for key in sorted(old.keys() | new.keys()):
        if key not in old or key not in new:
            print(f"  {key}: only in {before if key in old else after}")
            worst = float("inf")
            continue
        found = difference(old[key], new[key])
        worst = max(worst, found)
        if found or verbose:
            print(f"  {key} {list(old[key].shape)}: {'equal to the last bit' if found == 0.0 else f'{found:.2e}'}")
    if worst == 0.0:
        print("  all equal to the last bit")
    for line in report_differences(before.parent / "report.json", after.parent / "report.json"):
        print(f"  report: {line}")
    return worst


def tensors(file: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers of a model file by name."""
    return dict(load_model(file).module.state_dict())


def difference(old: torch.Tensor, new: torch.Tensor) -> float:
    """Largest difference relative to the largest value; 0 only where all bits are equal."""
    if old.shape != new.shape or old.dtype != new.dtype:
        return float("inf")
    if torch.equal(old, new):
        return 0.0
    found = (old.double() - new.double()).abs().max() / old.double().abs().max().clamp_min(1e-300)
    return max(float(found), 5e-324) if bool(torch.isfinite(found)) else float("inf")


def report_differences(before: Path, after: Path) -> list[str]:
    """Lines on entries of two reports that differ by more than rounding of their printed form."""
    if not (before.exists() and after.exists()):
        return []
    old, new = (flat(json.loads(file.read_text(encoding="utf-8"))) for file in (before, after))
    lines = []
    for key in sorted(old.keys() | new.keys()):
        if any(part in VARYING for part in key.split(".")):
            continue
        a, b = old.get(key, "absent"), new.get(key, "absent")
        if a == b:
            continue
        if isinstance(a, float | int) and isinstance(b, float | int):
            if abs(a - b) > 1e-9 * max(abs(a), abs(b)):
                lines.append(f"{key}: {a:.12g} -> {b:.12g} ({abs(a - b) / max(abs(a), abs(b)):.1e})")
        else:
            lines.append(f"{key}: {short(a)} -> {short(b)}")
    return lines or ["equal"]


def flat(values: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested mappings and lists by their dotted names."""
    if isinstance(values, dict):
        items = values.items()
    elif isinstance(values, list) and values:
        items = enumerate(values)
    else:
        return {path: values}
    return {k: v for key, value in items for k, v in flat(value, f"{path}.{key}" if path else str(key)).items()}


def short(value: Any) -> str:
    """The beginning of a value."""
    text = json.dumps(value) if not isinstance(value, str | np.generic) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


if __name__ == "__main__":
    sys.exit(main())
