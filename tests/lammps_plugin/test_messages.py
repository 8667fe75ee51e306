"""Every refusal once: what is wrong, and what to write instead."""

import shutil
from collections.abc import Callable
from pathlib import Path

import lammps_process as lmp
import many_body_toy as toy
import model_archives
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
    model_archives.rewrite(path, lambda name, data: None if name.endswith("rhopot.json") else data)


def damaged_code(path: Path) -> None:
    model_archives.rewrite(
        path, lambda name, data: data.replace(b"index_add", b"no_such_op") if name.endswith(".py") else data
    )


def card(**changes: object) -> Callable[[Path], object]:
    """A file whose card was changed; None drops the field."""
    return lambda path: model_archives.with_card(path, **changes)


FILES = {
    "truncated": (truncated, "which is truncated or damaged; copy or export it again"),
    "empty": (emptied, "cannot be read (no such file, or empty)"),
    "text": (text, "which is not a TorchScript archive; check the name"),
    "foreign TorchScript": (without_card, "a TorchScript model of another program; export the model with"),
    "newer format": (card(format_version=7), "must be at most 1 for this rhopot, got 7; install a newer"),
    "missing field": (card(cutoff=None), "card must hold every field, got none of cutoff"),
    "unreadable field": (card(symbols=3), "card.symbols must be distinct chemical symbols, got 3"),
    "no cutoff": (card(cutoff=-1.0), "card.cutoff must be a positive length in A, got -1.0"),
    "no elements": (card(symbols=[]), "card.symbols must be distinct chemical symbols, got []"),
    "unknown kind": (
        card(kind="pooled"),
        "card.kind must be 'local' or 'global', got 'pooled'",
    ),
    "global without prepare": (card(kind="global"), "of kind 'global' must have a method 'prepare'"),
    "message passing": (
        card(n_layers=9),
        "must be at most 8, got 9; this rhopot does not run models with more layers of messages",
    ),
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
    assert "'model.pt'" in output


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
