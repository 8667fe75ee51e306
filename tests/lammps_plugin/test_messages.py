"""Every refusal once: what is wrong, and what to write instead."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import pytest


def refused(folder: Path, script: str, ranks: int = 1) -> str:
    run = lmp.lammps(folder, script, ranks)
    assert run.status != 0, run.output
    assert "ERROR" in run.output
    return run.output


INPUTS = {
    "unknown element": ("coeff * * {model} Li Xe", "does not know element Xe (it knows Li, Si); retrain or map"),
    "too few names": ("coeff * * {model} Li", "for each of the 2 atom types, got 1"),
    "too many names": ("coeff * * {model} Li Si Si", "for each of the 2 atom types, got 3"),
    "no names": ("coeff * * {model}", "for each of the 2 atom types, got 0"),
    "no model": ("coeff * *", "pair_coeff * * <model.pt>"),
    "only NULL": ("coeff * * {model} NULL NULL", "at least one atom type"),
    "lower case": ("coeff * * {model} Li SI", "does not know element SI"),
    "missing file": ("coeff * * nowhere.pt Li Si", "model 'nowhere.pt' cannot be read"),
    "unknown keyword": ("style rhopot model.pt", "keyword must be device or stretch, got model.pt"),
    "unknown device": ("style rhopot device tpu", "device must be auto, cpu or cuda, got tpu"),
    "device without value": ("style rhopot device", "device must be auto, cpu or cuda, got nothing"),
}


@pytest.mark.parametrize(("line", "sentence"), INPUTS.values(), ids=INPUTS.keys())
def test_ill_formed_input(many_body: Path, tmp_path: Path, line: str, sentence: str) -> None:
    pair = ("pair_style rhopot\n" if line.startswith("coeff") else "") + "pair_" + line.format(model=many_body)
    output = refused(tmp_path, lmp.setup(tmp_path, toy.tiny_ordered(), "", ["Li", "Si"], pair=pair) + "run 0\n")
    assert sentence in output


def test_cuda_where_there_is_none(many_body: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    pair = f"pair_style rhopot device cuda\npair_coeff * * {many_body} Li Si"
    output = refused(tmp_path, lmp.setup(tmp_path, toy.tiny_ordered(), "", ["Li", "Si"], pair=pair))
    assert "got cuda; this torch finds no CUDA device" in output


def test_other_units(many_body: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), many_body, ["Li", "Si"], units="lj")
    assert "units must be metal or real for pair style rhopot, got lj; write 'units metal'" in refused(tmp_path, script)


def test_newton_off(many_body: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), many_body, ["Li", "Si"], before="newton off") + "run 0\n"
    assert "needs newton on for pairs, got off; write 'newton on'" in refused(tmp_path, script, 2)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-400])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("# Si potential, not a model file\n")


def without_card(path: Path) -> None:
    rewrite(path, lambda name, data: None if name.endswith("rhopot.json") else data)


def damaged_code(path: Path) -> None:
    rewrite(path, lambda name, data: data.replace(b"index_add", b"no_such_op") if name.endswith(".py") else data)


def card(**changes: object) -> Callable[[Path], None]:
    """A file whose card was changed; None drops the field."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("rhopot.json"):
            return data
        fields = json.loads(data) | changes
        return json.dumps({key: value for key, value in fields.items() if value is not None}).encode()

    return lambda path: rewrite(path, change)


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Copy an archive, each of its (uncompressed) records through `change`."""
    source = path.with_suffix(".old")
    path.rename(source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


FILES = {
    "truncated": (truncated, "is no rhopot model, or is damaged"),
    "empty": (emptied, "cannot be read (no such file, or empty)"),
    "text": (text, "is no rhopot model, or is damaged"),
    "foreign TorchScript": (without_card, "is no rhopot model (it carries no rhopot.json)"),
    "newer format": (card(format_version=7), "has format version 7, this rhopot reads up to 1; update rhopot"),
    "missing field": (card(cutoff=None), "lacks the field 'cutoff'"),
    "unreadable field": (card(symbols=3), "has an unreadable field 'symbols'"),
    "no cutoff": (card(cutoff=-1.0), "must have a cutoff > 0"),
    "no elements": (card(symbols=[]), "names no chemical element"),
    "unknown kind": (
        card(kind="pooled"),
        "is of kind 'pooled'; pair style rhopot runs models of kind 'local' and 'global'",
    ),
    "global without prepare": (card(kind="global"), "of kind 'global' must have a method 'prepare'"),
    "message passing": (card(n_layers=3), "has 3 message layers"),
    "unknown operator": (damaged_code, "cannot be loaded"),
    "wrong number of members": (card(uncertainty={"members": 5}), "must return float64 [centres, 6]"),
}


@pytest.mark.parametrize(("spoil", "sentence"), FILES.values(), ids=FILES.keys())
def test_files_that_are_no_model(many_body: Path, tmp_path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    shutil.copy(many_body, tmp_path / "model.pt")
    spoil(tmp_path / "model.pt")
    script = lmp.setup(tmp_path, toy.tiny_ordered(), "model.pt", ["Li", "Si"])
    output = refused(tmp_path, script + "compute total all pair rhopot\nthermo_style custom c_total[1]\nrun 0\n", 2)
    assert sentence in output
    assert "model 'model.pt'" in output


def test_energies_that_do_not_depend_on_positions(models: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), models / "constant.pt", ["Li", "Si"]) + "run 0\n"
    assert "must return energies that depend on the edge vectors" in refused(tmp_path, script)


def test_exception_inside_the_model_is_named(models: Path, tmp_path: Path) -> None:
    """What the model itself says reaches the user, not a C++ backtrace."""
    script = lmp.setup(tmp_path, toy.tiny_ordered(), models / "raising.pt", ["Li", "Si"]) + "run 0\n"
    output = refused(tmp_path, script)
    assert "failed: " in output
    assert "the model says no" in output


def test_energies_that_are_not_numbers(models: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), models / "not_a_number.pt", ["Li", "Si"]) + "run 0\n"
    assert "must be finite, got NaN" in refused(tmp_path, script)


def test_fix_pair_of_something_else(many_body: Path, tmp_path: Path) -> None:
    script = lmp.setup(tmp_path, toy.tiny_ordered(), many_body, ["Li", "Si"])
    assert "colour" in refused(tmp_path, script + "fix f all pair 1 rhopot colour 0\nrun 0\n")
