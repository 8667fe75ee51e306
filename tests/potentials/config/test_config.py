"""Configurations: every fault names the file, the line and the key; overrides; defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rhopot.potentials.config import ConfigError, load_config, read_document
from rhopot.potentials.config.load import LIMITS
from rhopot.potentials.families.registry import OURS

CONFIGS = Path(__file__).resolve().parents[3] / "examples" / "configs"

GOOD = """\
family: soap_gap
output: somewhere
data:
  train: train.xyz
  split:
    by: group
    key: path
descriptor:
  cutoff: 5.0
regressor:
  zeta: 2
targets:
  energy: 0.001
  forces: {sigma: 5e-2, config_type: {liquid: 0.2}}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def fault(folder: Path, text: str, overrides: list[str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), overrides or [])
    return str(caught.value).replace(str(folder) + "/", "")


def test_a_good_file_is_complete_after_loading(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.data.train == ("train.xyz",)
    assert config.data.split.key == "path"
    assert config.descriptor.cutoff == 5.0
    assert config.regressor.zeta == 2
    assert config.regressor.n_sparse == 1000
    assert config.targets.forces is not None
    assert config.targets.forces.sigma == 0.05
    assert config.targets.forces.config_type == {"liquid": 0.2}
    assert config.targets.energy is not None
    assert config.targets.energy.sigma == 0.001


def test_overrides_win_and_make_sections(tmp_path: Path) -> None:
    overrides = ["data.train=[a.xyz, b.xyz]", "output=run1", "regressor.zeta=3", "uncertainty.members=0"]
    config = load_config(write(tmp_path, GOOD), overrides)
    assert config.data.train == ("a.xyz", "b.xyz")
    assert config.output == Path("run1")
    assert config.regressor.zeta == 3
    assert config.uncertainty.members == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("output:", "outptu:", "run.yaml, line 2: outptu is not a known key; did you mean output?"),
        ("    by: group", "    by: grup", "run.yaml, line 6: data.split.by must be 'fraction' or 'group', got 'grup'"),
        ("    key: path\n", "", "run.yaml, line 5: data.split must have `key`"),
        ("  zeta: 2", "  zetta: 2", "run.yaml, line 11: regressor.zetta is not a known key; did you mean zeta?"),
        ("  zeta: 2", "  zeta: many", "run.yaml, line 11: regressor.zeta must be a valid integer"),
        (
            "  cutoff: 5.0",
            "  cutof: 5.0",
            "run.yaml, line 9: descriptor.cutof is not a known key; did you mean cutoff?",
        ),
        ("  energy: 0.001", "  energy: -1", "run.yaml, line 13: targets.energy"),
        ("liquid: 0.2", "liquid: x", "run.yaml, line 14: targets.forces.config_type.liquid must be a valid number"),
        (
            "family: soap_gap",
            "family: soap_gab",
            "line 1: family must be one of soap_linear, soap_gap, multispectrum, multispectrum_gap, gmp_snn, bpnn, "
            "angular, point_scattering, pooling, scattering, got",
        ),
        ("family: soap_gap\n", "", "run.yaml: the key `family` is missing; write one of soap_linear"),
        ("output: somewhere", "family: soap_gap", "run.yaml, line 2: family is written twice"),
        ("data:", "data: [", "is not valid YAML"),
    ],
)
def test_faults_name_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert message in fault(tmp_path, GOOD.replace(old, new, 1))


def test_keys_below_a_target_that_the_file_writes_as_a_number(tmp_path: Path) -> None:
    """`energy: 0.001` stands for its sigma, so its other keys can be set on the command line."""
    changes = ["targets.energy.config_type={liquid: 0.01}", "targets.forces.sigma=0.3"]
    targets = load_config(write(tmp_path, GOOD), changes).targets
    assert targets.energy is not None
    assert targets.forces is not None
    assert (targets.energy.sigma, targets.energy.config_type) == (0.001, {"liquid": 0.01})
    assert (targets.forces.sigma, targets.forces.config_type) == (0.3, {"liquid": 0.2})


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    lines = fault(tmp_path, GOOD.replace("output:", "outptu:").replace("zeta:", "zetta:")).splitlines()
    assert [line.split(":")[0] for line in lines] == ["run.yaml, line 2", "run.yaml, line 11"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("regressor.zeta=many", "override 'regressor.zeta=many': regressor.zeta must be a valid integer"),
        ("nonsense", "override 'nonsense' must be key=value"),
        ("output.x=1", "output is a single value here"),
        ("data.train=[a", "the value must be YAML"),
        ("sed=3", "override 'sed=3': sed is not a known key; did you mean seed?"),
        # Found by a check of the whole section, which begins on another line of the file.
        (
            "descriptor.cutoff_width=7",
            "override 'descriptor.cutoff_width=7': descriptor.cutoff_width must be at most the cutoff (5 A), got 7",
        ),
    ],
)
def test_faults_of_overrides_name_the_override(tmp_path: Path, override: str, message: str) -> None:
    assert message in fault(tmp_path, GOOD, [override])


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_document(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_document(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match="line 1: the file must hold keys and values"):
        read_document(write(tmp_path, "- a\n- b\n"))


NETWORK = """\
family: gmp_snn
data:
  train: train.xyz
training:
  epochs: 5
  loss: {beta: 3}
"""


def test_a_trained_family_has_its_own_section_and_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, NETWORK))
    assert config.training.epochs == 5
    assert config.training.loss.beta == 3.0
    assert config.training.dtype == "float32"
    assert config.regressor.hidden == (64, 64, 64)
    assert config.regressor.per_element is False
    assert (config.data.split.refit, config.uncertainty.members, config.report.learning_curve) == (False, 4, ())
    assert load_config(write(tmp_path, NETWORK.replace("gmp_snn", "bpnn"))).regressor.per_element is True
    chosen = load_config(write(tmp_path, NETWORK), ["uncertainty.members=0", "report.learning_curve=[0.5]"])
    assert (chosen.uncertainty.members, chosen.report.learning_curve) == (0, (0.5,))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  epochs: 5", "  epoch: 5", "run.yaml, line 5: training.epoch is not a known key; did you mean epochs?"),
        ("{beta: 3}", "{beta: -3}", "run.yaml, line 6: training.loss.beta must be greater than or equal to 0"),
        ("gmp_snn", "soap_gap", "run.yaml, line 4: training is for families whose models are trained, and soap_gap"),
        (
            "  train: train.xyz",
            "  split: {refit: true}",
            "run.yaml, line 3: data.split.refit must be false for gmp_snn, got true; the validation part says when",
        ),
    ],
)
def test_faults_of_the_training_section(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in NETWORK
    found = fault(tmp_path, NETWORK.replace(old, new, 1))
    assert message in found
    assert len(found.splitlines()) == 1


def test_single_precision_needs_rounded_norms(tmp_path: Path) -> None:
    """Derivatives of norms that vanish on perfect sites are rounding in float32 unless the norms are regularised."""
    assert load_config(write(tmp_path, NETWORK), ["dtype=float32"]).descriptor.regularization_length == 0.04
    path = write(tmp_path, NETWORK + "descriptor: {regularization: 1.0e-5}\n")
    assert load_config(path).descriptor.regularization_length is None
    with pytest.raises(ConfigError, match=r"descriptor\.regularization must be at least 0\.001 where dtype is float32"):
        load_config(path, ["dtype=float32"])
    assert load_config(path, ["dtype=float32", "descriptor.regularization=0.01"]).dtype == "float32"


WHOLE = """\
family: scattering
data:
  train: train.xyz
descriptor: {max_scale: 2}
regressor: {n_members: 20}
"""


def test_global_models_have_their_own_defaults_and_a_short_budget(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, WHOLE))
    assert config.descriptor.max_scale == 2
    assert (config.regressor.n_members, config.regressor.budget) == (20, 150)
    assert (config.uncertainty.members, config.report.learning_curve) == (100, ())
    assert config.targets.forces is not None
    assert not config.targets.forces.required
    assert load_config(write(tmp_path, WHOLE), ["budget=140"]).regressor.budget == 140
    assert load_config(write(tmp_path, WHOLE), ["regressor.budget=150"]).regressor.budget == 150
    assert "override 'budget=many': regressor.budget must be a valid integer" in fault(tmp_path, WHOLE, ["budget=many"])
    both = fault(tmp_path, WHOLE, ["budget=150", "regressor.budget=100"])
    assert both == "override 'budget=150': budget is short for regressor.budget, which is written too; keep one"
    written = WHOLE.replace("{n_members: 20}", "{budget: 150}")
    assert load_config(write(tmp_path, written), ["budget=40"]).regressor.budget == 40
    assert load_config(write(tmp_path, written), ["budget=null"]).regressor.budget is None
    assert "which is written too; keep one" in fault(tmp_path, "budget: 9\n" + written, [])
    assert "budget is not a known key" in fault(tmp_path, GOOD, ["budget=150"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dtype=float32", "dtype must be float64 for scattering, got float32; its features span many powers of ten"),
        ("baseline.pair={kind: zbl}", "baseline.pair must be null for scattering, got zbl; its models have no pairs"),
        (
            "targets={energy: null, forces: 0.1}",
            "targets.energy must be a sigma for scattering, got null; forces alone",
        ),
    ],
)
def test_what_global_models_cannot_do_is_refused(tmp_path: Path, override: str, message: str) -> None:
    assert fault(tmp_path, WHOLE, [override]).startswith(f"override '{override}': {message}")


def test_the_configuration_that_a_run_leaves_behind_loads(tmp_path: Path) -> None:
    for text in (GOOD, NETWORK, WHOLE):
        config = load_config(write(tmp_path, text))
        assert load_config(write(tmp_path, yaml.safe_dump(config.model_dump(mode="json")))) == config


def test_one_member_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    error = fault(tmp_path, GOOD, ["uncertainty.members=1"])
    assert "uncertainty.members must be 0 (no uncertainty) or at least 2, got 1" in error
    assert "\n" not in error


@pytest.mark.parametrize(
    "name",
    [
        "soap_linear",
        "soap_gap",
        "multispectrum",
        "multispectrum_gap",
        "gmp_snn",
        "bpnn",
        "angular",
        "point_scattering",
        "pooling",
        "scattering",
    ],
)
def test_shipped_configurations_load(name: str) -> None:
    root = Path(__file__).resolve().parents[3]
    config = load_config(root / "examples" / "configs" / f"{name}.yaml", ["data.train=my.xyz.gz", "output=run1"])
    assert config.family == name
    assert config.data.train == ("my.xyz.gz",)


def test_configuration_for_molecules_loads() -> None:
    config = load_config(CONFIGS.parent / "rmd17" / "multispectrum.yaml", ["data.train=ethanol.xyz.gz"])
    assert config.family == "multispectrum"
    assert config.targets.stress is None


def test_angular_networks_are_trained_on_processors() -> None:
    sentence = r"training\.device must be auto or cpu for angular networks, got cuda; their filters run on processors"
    with pytest.raises(ConfigError, match=sentence):
        load_config(CONFIGS / "angular.yaml", ["training.device=cuda"])


@pytest.mark.parametrize("value", ["inf", ".inf", "nan", ".nan", "-1", "0", "1e-300", "-.inf", "No", "true"])
@pytest.mark.parametrize(
    "key", ["targets.energy", "targets.forces.sigma", "targets.forces.config_type.liquid", "targets.stress"]
)
def test_sigmas_are_positive_and_finite(tmp_path: Path, key: str, value: str) -> None:
    error = fault(tmp_path, GOOD, [f"{key}={value}"])
    assert error.startswith(f"override '{key}={value}': {key} must be ")
    assert ", got " in error
    assert "\n" not in error


@pytest.mark.parametrize("family", OURS)
def test_no_setting_is_infinite_or_nan(tmp_path: Path, family: str) -> None:
    """Every number of every section, limits aside."""
    shipped = CONFIGS / f"{family}.yaml"
    keys = [path for path in leaves(load_config(shipped).model_dump(mode="json")) if path[-1] not in LIMITS]
    assert len(keys) > 5
    for key, value in ((".".join(path), value) for path in keys for value in (".inf", ".nan")):
        with pytest.raises(ConfigError) as caught:
            load_config(shipped, [f"{key}={value}"])
        assert key.rsplit(".", 1)[-1] in str(caught.value)
        assert "\n" not in str(caught.value)


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places of the floating-point numbers."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        elif isinstance(value, float):
            yield (*path, key)
