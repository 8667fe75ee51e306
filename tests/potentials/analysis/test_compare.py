"""What is compared: the sample, the words, and the series of sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rhopot.potentials.analysis.compare import ComparedSet, Comparison, draw_sample
from rhopot.potentials.analysis.feature_sets import atom_features, read_words
from rhopot.potentials.structures import read_frames

DATA = Path(__file__).resolve().parents[3] / "examples" / "data" / "lisi_gpaw"
FRAMES = read_frames([DATA / "Li10Si22_0.xyz", DATA / "Li4Si28_0.xyz"])


def test_a_sample_is_of_the_structures_it_names() -> None:
    sample = draw_sample(FRAMES, 50, seed=2)
    assert len(sample.rows) == len(np.unique(sample.rows)) == 50
    assert len(sample.frames) == len(FRAMES), "structures are more than environments would need"
    np.testing.assert_array_equal(sample.structure, sample.rows // 32)
    assert list(draw_sample(FRAMES, 50, seed=2).rows) == list(sample.rows)
    assert list(draw_sample(FRAMES, 50, seed=3).rows) != list(sample.rows)
    assert len(draw_sample(FRAMES, 10**6, seed=0).rows) == FRAMES.n_atoms
    few = draw_sample(FRAMES[:3], 10, seed=0)
    assert {int(k) for k in few.structure} <= {0, 1, 2}


def test_changes_belong_to_the_set_before_them_or_to_all() -> None:
    words = ["descriptor.cutoff=4", "soap_linear", "descriptor.n_max=3", "sorted_distances", "a=b.xyz", "c.xyz"]
    sets, data = read_words([*words[:4], words[5]])
    assert data == ["c.xyz"]
    assert [one.name for one in sets] == ["soap_linear n_max=3", "sorted_distances"]
    assert sets[0].described.descriptor.n_max == 3
    assert sets[0].described.descriptor.cutoff == sets[1].described.cutoff == 4.0
    assert sets[0].described.descriptor.l_max == 8, "the family's own default"


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = [tmp_path / folder / "config.yaml" for folder in ("one", "other")]
    for file, n_max in zip(files, (3, 4), strict=True):
        file.parent.mkdir()
        file.write_text(f"family: soap_linear\ndescriptor: {{n_max: {n_max}}}\n", encoding="utf-8")
    sets, _ = read_words([*map(str, files), "sorted_distances"])
    assert [one.name for one in sets] == [*map(str, files), "sorted_distances"]


def test_two_body_features_are_the_degree_0_of_the_density() -> None:
    """Identities: p . p' = (c . c')^2 of power spectra with l_max = 0, and a complete optimal basis is a rotation."""
    frames = FRAMES[:2]
    same = ["descriptor.cutoff=4", "descriptor.n_max=3", "descriptor.density_width=0.4", "descriptor.cutoff_width=1"]
    two_body = ["radial_spectrum", "radial_spectrum", "descriptor.optimal_basis={q_max: 3}"]
    sets, _ = read_words([*same, *two_body, "soap_linear", "descriptor.l_max=0"])
    radial, rotated, power = (atom_features(one, frames) for one in sets)
    assert radial.values.shape == (64, 6)
    expected = (radial.values @ radial.values.T) ** 2
    np.testing.assert_allclose(power.values @ power.values.T, expected, rtol=1e-9)
    np.testing.assert_allclose(rotated.values @ rotated.values.T, radial.values @ radial.values.T, rtol=1e-6)
    assert rotated.residual_variance == pytest.approx(0.0, abs=1e-12)
    assert radial.residual_variance is None


def test_series_are_of_sets_that_differ_in_size_alone() -> None:
    words = [("n_max=2", 10), ("n_max=8", 90), ("n_max=4", 30), ("cutoff=4.5", 7), ("cutoff=5.5", 8), ("basis=dvr", 9)]
    sets = tuple(ComparedSet(f"s {w}", "s", (f"descriptor.{w}",), n, None) for w, n in words)
    nested = ComparedSet("s", "s", ("descriptor.optimal_basis={q_max: 3}", "descriptor.basis=gto"), 5, None)
    found = Comparison(2, 1, 1, 0, (*sets, nested), [], [], [])
    assert found.size_series() == {"s n_max": [0, 2, 1]}
    assert found.largest() == 1
