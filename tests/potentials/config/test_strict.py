"""What is written is what is read: no truth is a number, no text a count, and nulls and unions are refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhopot.potentials.config import ConfigError, load_config, make_config

SECTIONS = ("data", "descriptor", "regressor", "targets", "baseline", "uncertainty", "report", "data.split")
TWO_BODY = "kind, start, cutoff, n_functions, sigma_energy, sigma_forces, prior, zbl"
ELEMENTS = "baseline.elements must be least_squares, isolated or {symbol: energy in eV}, got "


def fault(folder: Path, *overrides: str, family: str = "soap_gap") -> str:
    """What is said of the overrides, behind their place."""
    file = folder / "run.yaml"
    file.write_text(f"family: {family}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides)
    place, sentence = str(caught.value).split("': ", 1)
    assert place == f"override '{overrides[-1]}"
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("seed=true", "seed must be a whole number, got true"),
        ('seed="3"', "seed must be a whole number, got the text '3'; leave the quotes out"),
        ("data.split.refit=yes", "data.split.refit must be true or false, got 'yes'"),
        ("data.split.refit=1", "data.split.refit must be true or false, got 1"),
        ("report.train_frames=true", "report.train_frames must be a whole number, got true"),
        ("descriptor.n_max=true", "descriptor.n_max must be a whole number, got true"),
        ('descriptor.n_max="3"', "descriptor.n_max must be a whole number, got the text '3'; leave the quotes out"),
        ("descriptor.density_width=true", "descriptor.density_width must be a number, got true"),
        ("targets.forces={sigma: 0.1, required: 1}", "targets.forces.required must be true or false, got 1"),
        ("baseline.pair={kind: two_body, inner: 1}", f"baseline.pair.inner is not a known key; known here: {TWO_BODY}"),
        ("baseline.pair={kind: two_body, zbl: {innr: 1}}", "baseline.pair.zbl.innr is not a known key; did you mean i"),
        ("baseline.pair.innr=1", "baseline.pair.innr is not a known key; did you mean inner?"),
        ("baseline.pair.kind=zbd", "baseline.pair.kind must be one of 'zbl', 'tabulated', 'two_body', got 'zbd'"),
        ("baseline.elements={Si: x}", f"{ELEMENTS}'x' for Si"),
        ("baseline.elements={Si: true}", f"{ELEMENTS}True for Si"),
        ("baseline.elements={Zz: 1.0}", f"{ELEMENTS}'Zz', which is no chemical symbol"),
        ("baseline.elements=isolatde", f"{ELEMENTS}'isolatde'"),
        ("uncertainty=5", "uncertainty must be a section with keys below it, got 5; leave it out for the defaults"),
    ],
)
def test_slips_are_refused_in_one_sentence(tmp_path: Path, override: str, sentence: str) -> None:
    assert fault(tmp_path, override).startswith(sentence)


def test_slips_in_lists_are_found(tmp_path: Path) -> None:
    found = fault(tmp_path, "regressor.hidden=[8, true]", family="bpnn")
    assert found == "regressor.hidden[1] must be a whole number, got true"


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_is_no_null(tmp_path: Path, section: str) -> None:
    """It might stand for the defaults or for nothing at all."""
    sentence = f"{section} must be a section with keys below it, got null; leave it out for the defaults"
    assert fault(tmp_path, f"{section}=null") == sentence


def test_numbers_in_other_forms_are_read(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("family: bpnn\nseed: 3.0\nbaseline:\n  elements: {Si: -1e-3, Li: 2}\ndescriptor: {cutoff: 4}")
    config = load_config(file)
    assert (config.seed, config.descriptor.cutoff) == (3, 4.0)
    assert config.baseline.elements == {"Si": -1e-3, "Li": 2.0}
    assert make_config({"family": "soap_gap", "regressor": {"n_sparse": {"Si": 5}}}).regressor.n_sparse == {"Si": 5}
