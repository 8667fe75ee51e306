"""Text of configurations and overrides that YAML could take for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rhopot.potentials.config import ConfigError, load_config, read_document

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def values(folder: Path, text: str, *overrides: str) -> dict[str, Any]:
    (folder / "run.yaml").write_text(text, encoding="utf-8")
    return read_document(folder / "run.yaml", overrides).values


def fault(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        values(folder, text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("No", "No"), ("on", "on"), ("yes", "yes"), ("Y", "Y"), ("true", True), ("False", False),
        ("012", 12), ("-7", -7), ("0x1F", 31), ("0o17", 15), ("1:30", "1:30"),
        ("2024-01-31", "2024-01-31"), ("1_000", "1_000"),
        ("1e-3", 1e-3), ("1.", 1.0), (".5", 0.5),
        ("-2.5E+1", -25.0), ("1.2.3", "1.2.3"), ("~", None), ("null", None), ("", None),
        ("'012'", "012"), ('"true"', "true"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(tmp_path: Path, written: str, meant: object) -> None:
    found = values(tmp_path, f"key: {written}\n", f"other={written}")
    assert found == {"key": meant, "other": meant}
    assert [type(value) for value in found.values()] == [type(meant)] * 2


def test_keys_are_text(tmp_path: Path) -> None:
    found = values(
        tmp_path, "elements: {No: 1, on: 2, 001: 3, null: 4, 1.0: 5, true: 6}\n", "others={No: 1, 2024-13-45: 2}"
    )
    assert list(found["elements"]) == ["No", "on", "001", "null", "1.0", "true"]
    assert list(found["others"]) == ["No", "2024-13-45"]
    assert "must have text as keys" in fault(tmp_path, "? [a, b]\n: c\n")


def test_what_is_dumped_is_read_again(tmp_path: Path) -> None:
    """The configuration that a run leaves behind is written by another library's rules."""
    kept = {
        "a": "No",
        "b": "012",
        "c": "1:30",
        "e": 1e-05,
        "f": "~",
        "g": True,
        "h": None,
        "i": "2024-01-31",
    }
    assert values(tmp_path, yaml.safe_dump(kept)) == kept


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("*.xyz", "*.xyz"), ("my #1.xyz", "my #1.xyz"), ("#1.xyz", "#1.xyz"), ("001", "001"), ("true", "true"),
        ("a: b.xyz", "a: b.xyz"), ("&a.xyz", "&a.xyz"), ("!a.xyz", "!a.xyz"), ("~/a.xyz", "~/a.xyz"),
        ("{a,b}.xyz", "{a,b}.xyz"),
        ("'*.xyz'", "*.xyz"), ("my data.xyz", "my data.xyz"), ("Größe.xyz", "Größe.xyz"),
    ],
)  # fmt: skip
def test_paths_on_the_command_line_are_text(tmp_path: Path, written: str, path: str) -> None:
    assert values(tmp_path, "", f"data.train={written}", f"output={written}") == {
        "data": {"train": path},
        "output": path,
    }


def test_folders_may_have_numbers_for_names_and_stand_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert values(tmp_path, "data: {train: [001, 2024]}\noutput: 007\n") == {
        "data": {"train": ["001", "2024"]}, "output": "007",
    }  # fmt: skip
    (tmp_path / "run.yaml").write_text("family: soap_linear\n")
    assert load_config(tmp_path / "run.yaml", ["output=~/run"]).output == tmp_path / "run"
    with pytest.raises(ConfigError, match="output must name an existing home folder by ~, got '~nobody-here/run'"):
        load_config(tmp_path / "run.yaml", ["output=~nobody-here/run"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.train=a.xyz", "data.train=b.xyz"], "must be given once, got a.xyz and b.xyz; write a list"),
        (["a=[1, 2] # two"], "must end where its YAML ends, got '# two' after it; put text with # in quotes"),
        (["a={x: 1, x: 2}"], "a.x is written twice"),
        (["a={x: {y: 1, y: 2}}"], "a.x.y is written twice"),
        (["a=*b"], "text that begins with *, & or ! must stand in quotes"),
        (["data.train=[*.xyz, b.xyz]"], "text that begins with *, & or ! must stand in quotes"),
        (["a=&x [*x]"], "must be finite, got an alias that stands for itself"),
        (["a=&x {<<: *x}"], "must be finite, got an alias that stands for itself"),
        (["a={" + BOMB.strip().replace("\n", ", ") + "}"], "must hold at most 100000 values"),
        (["a=" + "[" * 5000], "must not be nested this deeply"),
        (["a=@b"], "the value must be YAML, got '@b'"),
        (["a=\0"], "the value must be YAML"),
        (["a=!!python/object:os.system x"], "could not determine a constructor"),
    ],
)  # fmt: skip
def test_overrides_that_mean_something_else(tmp_path: Path, overrides: list[str], message: str) -> None:
    error = fault(tmp_path, "", *overrides)
    assert message in error
    assert len(error) < 300


def test_words_that_the_shell_has_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.xyz").touch()
    error = fault(tmp_path, "", "data.train=", "b.xyz")
    assert "got the file 'b.xyz'; if the shell has expanded a pattern, put it in quotes: 'data.train=*.xyz'" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data:\n  train: *.xyz\n", "run.yaml, line 2: is not valid YAML: expected alphabetic"),
        ("a: 1\nb: &b [*b]\n", "run.yaml, line 2: must be finite, got an alias that stands for itself"),
        ("a: &a {b: {<<: *a}}\n", "line 1: must be finite"),
        (BOMB, "run.yaml: must hold at most 100000 values, got more once its aliases are written out"),
        ("a: b\n---\nc: d\n", "run.yaml, line 2: is not valid YAML"),
        ("a: \x07\n", "run.yaml: is not valid YAML: unacceptable character"),
        ("a: !!int x\n", "run.yaml, line 1: is not valid YAML"),
    ],
)
def test_faults_of_files(tmp_path: Path, text: str, message: str) -> None:
    assert message in fault(tmp_path, text)


def test_aliases_and_merges_of_sensible_size_work(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n"
    assert values(tmp_path, text) == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [{"x": 1, "y": 2}] * 2}


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    assert values(tmp_path, "\ufefffamily: x\n") == {"family": "x"}
