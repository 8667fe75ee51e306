"""Arguments that do not fit are refused with one sentence, before any memory is read."""

import pytest
import torch
from random_graphs import SYSTEMS

from rhopot.potentials import operators

operators.load()
OPS = torch.ops.rhopot
SYSTEM = SYSTEMS["three_species"]
NAMES = [
    "edge_vectors",
    "first_edge",
    "neighbour",
    "centre",
    "species",
    "radial",
    "cutoff",
    "species_channel",
    "n_channels",
    "center_weight",
]
GOOD = dict(zip(NAMES, SYSTEM.arguments(), strict=True))


def changed(index: torch.Tensor, value: int) -> torch.Tensor:
    copy = index.clone()
    copy[1] = value
    return copy


VECTORS, OFFSETS = GOOD["edge_vectors"], GOOD["first_edge"]
BAD = {
    "flat_vectors": ("edge_vectors", VECTORS.flatten(), r"edge_vectors must be of shape \(E, 3\), got \[117\]"),
    "half_vectors": ("edge_vectors", VECTORS.half(), "edge_vectors must be float64 or float32, got Half"),
    "mixed_dtype": ("radial", GOOD["radial"].float(), r"radial must have the dtype of edge_vectors \(Double\), got Fl"),
    "radial_shape": ("radial", GOOD["radial"][0], r"radial must be of shape \(A, K >= 2, 3, L\+1, Q\), got"),
    "radial_degree": ("radial", torch.zeros(3, 4, 3, 14, 1, dtype=torch.float64), "degrees up to 12, got 13"),
    "cutoff": ("cutoff", 0.0, "cutoff must be positive, got 0"),
    "channels": ("n_channels", 2, r"species_channel must lie in \[0, 2\) \(n_channels\), got 2 at 2"),
    "channel_count": ("species_channel", torch.tensor([0, 1]), r"must have one entry per species \(3\), got 2"),
    "species": ("species", changed(GOOD["species"], 3), r"species must lie in \[0, 3\) \(rows of radial\), got 3 at 1"),
    "neighbour": ("neighbour", changed(GOOD["neighbour"], -1), r"neighbour must lie in \[0, 6\) .*, got -1 at 1"),
    "neighbour_count": ("neighbour", GOOD["neighbour"][1:], r"neighbour must have one entry per edge \(39\), got 38"),
    "centre": ("centre", changed(GOOD["centre"], 6), r"centre must lie in \[0, 6\) .*, got 6 at 1"),
    "index_dtype": ("centre", GOOD["centre"].int(), "centre must be one-dimensional int64, got Int"),
    "offset_count": ("first_edge", OFFSETS[:-1], r"must have one entry per centre and one more \(4\), got 3"),
    "offset_order": ("first_edge", torch.tensor([0, 20, 10, 39]), "first_edge must rise from 0 to the number of edges"),
    "offset_end": ("first_edge", torch.tensor([0, 12, 19, 38]), "first_edge must rise from 0 to the number of edges"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("operator", ["density_expansion_v1", "soap_power_spectrum_v1", "soap_jacobian_v1"])
def test_graph_argument_is_refused(operator: str, case: str) -> None:
    name, value, sentence = BAD[case]
    with pytest.raises((ValueError, TypeError), match=sentence):
        getattr(OPS, operator)(**{**GOOD, name: value})


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (torch.zeros(2, SYSTEM.n_features, 1).double(), r"weights must be of shape \(1 or 3, 180, >= 1\), got"),
        (torch.zeros(1, 7, 1).double(), r"weights must be of shape \(1 or 3, 180, >= 1\), got"),
        (torch.zeros(1, SYSTEM.n_features, 1), r"weights must have the dtype of edge_vectors \(Double\), got Float"),
    ],
)
def test_weights_are_refused(weights: torch.Tensor, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        OPS.soap_linear_v1(**GOOD, weights=weights, members=False)


def test_gradients_that_would_be_silently_missing_are_refused() -> None:
    weights = torch.zeros(1, SYSTEM.n_features, 1, dtype=torch.float64, requires_grad=True)
    with pytest.raises(NotImplementedError, match="weights must not require a gradient here"):
        OPS.soap_linear_v1(**GOOD, weights=weights, members=False)
    radial = GOOD["radial"].clone().requires_grad_()
    with pytest.raises(NotImplementedError, match="radial must not require a gradient here"):
        OPS.density_expansion_v1(**{**GOOD, "radial": radial})
    with pytest.raises(NotImplementedError, match="edge_vectors must not require a gradient here"):
        OPS.soap_jacobian_v1(**{**GOOD, "edge_vectors": GOOD["edge_vectors"].clone().requires_grad_()})


def test_density_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"density must have \(L\+1\)\^2 rows per centre with L <= 12, got 5"):
        OPS.power_spectrum_v1(torch.zeros(2, 5, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"density must be of shape \(C, \(L\+1\)\^2, U\), got \[4, 3\]"):
        OPS.power_spectrum_v1(torch.zeros(4, 3, dtype=torch.float64))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "LIBRARY", "libabsent.so")
    with pytest.raises(ImportError, match=r"libabsent.so must be installed, not found in .*; run `pip install \.`"):
        operators.library_path()


def test_a_library_older_than_the_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "NAMES", (*operators.NAMES, "of_tomorrow_v9"))
    with pytest.raises(ImportError, match=r"must hold every operator, it lacks of_tomorrow_v9; run `pip install \.`"):
        operators.load.__wrapped__()
