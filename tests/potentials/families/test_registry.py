"""The list of families: names without torch, families of other packages, and packages that do not work."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trained_models
from ase.io import read

from rhopot.export import read_card
from rhopot.potentials.commands import main
from rhopot.potentials.config import ConfigError, make_config
from rhopot.potentials.families import FamilyError, UnknownFamilyError, family_names, find_family, registry
from rhopot.potentials.families.registry import OURS
from rhopot.potentials.runs.features import compute_features
from rhopot.potentials.structures import read_frames

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package of one module on the path, with an entry point `name = module:FAMILY`."""

    def package(name: str, text: str, module: str) -> None:
        info = tmp_path / f"{module}-0.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 0.3\n")
        (info / "entry_points.txt").write_text(f"[rhopot.families]\n{name} = {module}:FAMILY\n")
        (tmp_path / f"{module}.py").write_text(text)
        if str(tmp_path) not in sys.path:
            monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    return package


COPY = """
import dataclasses
from rhopot.potentials.families.soap_linear import FAMILY as ours
FAMILY = dataclasses.replace(ours, name={name!r})
"""


def test_reading_the_list_imports_no_torch() -> None:
    code = "import sys; from rhopot.potentials.families import family_names as f; f(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_ours_have_the_names_they_are_listed_under(name: str) -> None:
    assert find_family(name).name == name


def test_a_family_of_another_package_is_found_and_configured(install: Install) -> None:
    install("my_linear", COPY.format(name="my_linear"), "one_package")
    assert family_names() == (*OURS, "my_linear")
    config = make_config({"family": "my_linear", "descriptor": {"n_max": 3}})
    assert config.family == find_family("my_linear").name == "my_linear"
    with pytest.raises(ConfigError, match=r"scattering, my_linear, got 'my_liner'; did you mean my_linear\?"):
        make_config({"family": "my_liner"})


def test_packages_are_looked_for_again_only_where_some_have_changed(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = family_names()
    with monkeypatch.context() as unused:
        unused.setattr(registry, "entry_points", None)
        assert family_names() == names
    install("my_linear", COPY.format(name="my_linear"), "one_package")
    install("my_other", COPY.format(name="my_other"), "other_package")
    assert family_names() == (*names, "my_linear", "my_other")


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownFamilyError, match=r"family must be one of soap_linear, .*, got 'voxels'; install the"):
        find_family("voxels")


BROKEN = {
    "raises": (
        "import no_such_module_of_anybody",
        r"^family mine of package a-broken-package 0\.3 must load, got ModuleNotFoundError from "
        r"'a_broken_package:FAMILY' \(No module named 'no_such_module_of_anybody'\); mend or uninstall that package$",
    ),
    "exits": ("raise SystemExit(3)", r"must load, got SystemExit from 'a_broken_package:FAMILY' \(3\); mend or"),
    "empty": ("", r"must load, got AttributeError from"),
    "another type": ("FAMILY = {}", r"must be a rhopot.potentials.families.Family, got dict at 'a_broken_package"),
    "another name": (COPY.format(name="yours"), r"must have the name of its entry point, got 'yours' at"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_package_is_named_and_breaks_no_other_family(install: Install, fault: str) -> None:
    text, sentence = BROKEN[fault]
    install("mine", text, "a_broken_package")
    with pytest.raises(FamilyError, match=sentence):
        find_family("mine")
    with pytest.raises(ConfigError, match=r"^settings: family mine of package a-broken-package"):
        make_config({"family": "mine"})
    assert make_config({"family": "soap_linear"}).family == "soap_linear"
    assert "mine" in family_names()
    from rhopot.potentials.verification import doctor

    diagnosis = doctor._families()
    assert diagnosis.found == ", ".join(OURS)
    assert diagnosis.remedy.startswith("family mine of package a-broken-package 0.3 must")


@pytest.mark.parametrize("text", ["import no_such_module_of_anybody", "raise SystemExit(3)"])
def test_the_list_of_families_names_the_broken_ones(
    install: Install, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    install("mine", text, "a_broken_package")
    install("theirs", COPY.format(name="theirs"), "a_good_package")
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    words = [line.split()[0] for line in printed.splitlines()]
    assert [word for word in words if word in family_names()] == [*OURS, "theirs"]
    notes = [line for line in printed.splitlines() if line.startswith("note:")]
    assert len(notes) == 1
    assert notes[0].startswith("note: family mine of package a-broken-package 0.3 must load, got ")


def test_an_interrupt_during_an_import_is_none_of_the_family(install: Install) -> None:
    install("mine", "raise KeyboardInterrupt", "a_broken_package")
    with pytest.raises(KeyboardInterrupt):
        find_family("mine")


def test_a_name_that_exists_already_is_refused(install: Install) -> None:
    install("soap_gap", COPY.format(name="soap_gap"), "a_copied_package")
    with pytest.raises(
        FamilyError,
        match=r"family soap_gap must be given by one package, got rhopot itself and package a-copied-package 0\.3; "
        "uninstall the other one",
    ):
        find_family("soap_gap")
    assert find_family("soap_linear").name == "soap_linear"
    assert family_names() == tuple(OURS)


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    install("twice", COPY.format(name="twice"), "first_package")
    install("twice", COPY.format(name="twice"), "second_package")
    with pytest.raises(FamilyError, match="family twice must be given by one package, got package"):
        find_family("twice")


@pytest.mark.parametrize("name", trained_models.FAMILIES)
def test_the_settings_in_a_model_file_make_its_descriptor_without_data(
    name: str, trained_model: Callable[[str], Path]
) -> None:
    """`rhopot features model.pt` gives the features of the model itself."""
    family, card = find_family(name), read_card(trained_model(name))
    settings = family.descriptor_settings.model_validate(card.descriptor)
    made = family.descriptor_for(settings, (), card.symbols)
    assert made.settings == settings
    assert (card.kind, card.cutoff) == (family.kind, family.reach(settings))
    assert (card.n_layers == 1) == (family.n_layers == 1)
    atoms = read(trained_models.DATA / "Li8Si24_0.xyz", 0)
    found = family.features(made, atoms)
    assert found.shape == ((len(atoms), made.n_features) if family.kind == "local" else (made.n_features,))


def test_a_model_of_a_family_that_is_not_installed_is_described_without_words(
    install: Install, tmp_path: Path, trained_model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    card = read_card(trained_model("soap_linear")).model_copy(update={"family": "voxels"})
    from rhopot.potentials.commands.info import notes

    assert "family voxels is not installed here: the model runs, but cannot be put into words" in notes(card)
    install("voxels", "import no_such_module_of_anybody", "voxel_package")
    assert any(note.startswith("family voxels of package voxel-package 0.3 must load") for note in notes(card))
    assert main(["info", str(trained_model("soap_linear"))]) == 0
    assert "is not installed here" not in capsys.readouterr().out


OTHER = (
    COPY
    + """
class Settings(ours.descriptor_settings):
    sharpness: float

FAMILY = dataclasses.replace(FAMILY, descriptor_settings=Settings)
"""
)


def test_a_model_of_another_version_of_its_family_is_shown_and_says_what_differs(
    install: Install, trained_model: Callable[[str], Path]
) -> None:
    """The model itself runs: it holds all that it needs."""
    install("mine", OTHER.format(name="mine"), "my_package")
    card = read_card(trained_model("soap_linear")).model_copy(update={"family": "mine"})
    sentence = (
        "descriptor in the model file must have the settings of the installed family mine, got others (sharpness); "
        "install the version of its package that wrote the file"
    )
    from rhopot.potentials.commands.info import _rows, notes

    assert sentence in notes(card)
    assert ("dtype", card.dtype) in _rows(card)
    assert not [row for row in _rows(card) if row[0] == "in words"]
    atoms = read(trained_models.DATA / "Li8Si24_0.xyz", 0)
    with pytest.raises(FamilyError) as caught:
        compute_features(card, read_frames([atoms]))
    assert str(caught.value) == sentence
