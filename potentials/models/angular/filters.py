"""The filters that an angular network has learned, as functions of a neighbor's distance and angle.

    f_c(r) F ssp( sum_rc T_rc G_r(r) G_c(t) )       eqs. 6.10 and 6.11 (see `models.angular.network`), and f_c

is what a neighbor k at the distance r from atom i contributes, at the cosine t of the angle to another neighbor j, to
first order: of more of them the message knows O ssp(I s) too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rhopot.potentials.models.angular.reference import gaussians, shifted_softplus


def filtering_layers(model: nn.Module) -> list[Any]:
    """Return the layers of a model, scripted or not, whose filters of distance and angle are learned; may be none."""
    layers = getattr(getattr(model, "networks", None), "layers", nn.ModuleList())
    return [layer for layer in layers.children() if hasattr(layer, "bases") and hasattr(layer, "filters")]


@torch.no_grad()
def filter_responses(basis: Any, layer: Any, distances: Tensor, cosines: Tensor, member: int = 0) -> Tensor:
    """Return the filters (d, R, C) of one layer and member at distances (R), in A, and cosines (C).

    basis: of the model, its `descriptor`.
    """
    table, mixing = layer.bases[member], layer.filters[member]
    vectors = torch.zeros(len(distances), 3, dtype=table.dtype)
    vectors[:, 0] = distances.to(table.dtype)
    radial, tail = basis.edges(vectors)
    angular = gaussians(cosines.to(table.dtype), basis.cosines.to(table.dtype), float(basis.cosine_width))
    table = table.reshape(radial.shape[1], angular.shape[1], -1)
    hidden = shifted_softplus(torch.einsum("xr,yc,rcf->xyf", radial, angular, table))
    return (tail[:, 3, None, None] * (hidden @ mixing)).permute(2, 0, 1)
