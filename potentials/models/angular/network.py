"""Angular networks: messages of neighbors, filtered by distance and angle, refine the features of atoms layer by layer.

    x_i^0     = W_(a_i)                                                              embedding of the element
    w_ij      = f_c(r_ij) [ 1 + sum_v (P x_j)_v (Q G(r_ij))_v ]                        how much neighbor j turns filters
    s_ik      = 1/n sum_j w_ij ssp( sum_rc T_rc G_r(r_ik) G_c(cos jik) )               eqs. 6.10, 6.11, summed over j
    m_i       = 1/n sum_k f_c(r_ik) x_k * (F s_ik + O ssp(I s_ik))                   eqs. 6.13, 6.14; * by elements
    x_i^(b+1) = x_i^b + U ssp( sat(V m_i + C x_i^b) ),   sat(h) = h / sqrt(1 + (h / 8)^2)    eq. 6.15
    E         = sum_i [ scale o . x_i^B + shift ]                                    eq. 6.16

of X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 6. The sums over j and k run
over neighbors, j = k included: pairs of atoms interact without a third one. The second weight matrix F acts on the sum
over j, which is the same as on each term. Other than printed there:

- `message: neighbor`: the message carries the features of the neighbor k. Eq. 6.13 has those of the center (`message:
  center`, x_i in place of x_k and of x_j), and then no feature of a neighbor enters: their elements are alike.
- w_ij, one for each of some `heads` that share the filters among themselves: as printed it is 1, and of j nothing is
  known but its direction. With it the element of j and its distance count in the first layer already.
- O ssp(I s): as printed, messages are sums over pairs of neighbors; with it, of any number of them, seen from k.
- C: without it the center's own features do not reach its response to the message but through its neighbors.
- sat: messages grow with the square of the number of neighbors, and through some layers with a high power of it. Where
  atoms come closer than any of the training data, energies fell without bound, faster than a nuclear repulsion rises.
- f_c takes neighbors smoothly out at the cutoff; n, the mean sum of f_c over neighbors, keeps sums of order one.

K members stand side by side: every parameter has a leading dimension K. Cost per atom and layer, for m neighbors:
3 m^2 (angular Gaussians) (filters) multiplications with forces, m^2 filters softplus and m^2 heads angles.
Smoothness: twice continuously differentiable (cutoff function), but where a neighbor sits on the atom itself.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres
from rhopot.potentials.models.angular.settings import TERMS, AngularNetworkSettings
from rhopot.potentials.models.exchange import exchange_features

# What hidden features saturate at; in training most of them are of order one.
SATURATION = 8.0


def shifted_softplus(x: Tensor) -> Tensor:
    """Return log((1 + e^x) / 2)."""
    return nn.functional.softplus(x) - 0.6931471805599453  # log 2


class AngularLayer(nn.Module):
    """One layer of messages of K members.

    pairs: whether the sum of eq. 6.14 has the terms j = k too, so that a center with one neighbor gets a message.
    """

    def __init__(
        self,
        basis: AngularBasis,
        settings: AngularNetworkSettings,
        streams: Sequence[torch.Generator],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        heads, filters, width, n_angular = settings.heads, settings.filters, settings.width, len(basis.cosines)
        n_radial = len(basis.distances)

        def drawn(*shape: int, deviation: float) -> nn.Parameter:
            each = [torch.randn(*shape, generator=stream, dtype=torch.float64) for stream in streams]
            return nn.Parameter((deviation * torch.stack(each)).to(dtype))

        # Of order one: two or three Gaussians of the distance and of the cosine are not small at a time.
        self.bases = drawn(n_radial, n_angular * filters, deviation=0.7)
        self.filters = drawn(filters, width, deviation=2.0 * filters**-0.5)
        self.inner = drawn(filters, width, deviation=2.0 * filters**-0.5)
        self.outer = drawn(width, width, deviation=width**-0.5)
        self.mix = drawn(width, width, deviation=width**-0.5)
        self.own = drawn(width, width, deviation=width**-0.5)
        self.update = drawn(width, width, deviation=width**-0.5)
        self.weight_distances = drawn(n_radial, heads * TERMS, deviation=0.7)
        self.weight_features = drawn(width, heads * TERMS, deviation=(width * TERMS) ** -0.5)
        self.n_angular: int = n_angular
        self.cosine_width: float = basis.cosine_width
        self.heads: int = heads
        self.saturation: float = SATURATION
        self.of_neighbors: bool = settings.message == "neighbor"

    def forward(self, x: Tensor, radial: Tensor, tail: Tensor, scale: Tensor, graph: AtomicGraph, k: int) -> Tensor:
        """Return the refined features (N, d) of member k.

        radial (E, n_radial): Gaussians of the distances; tail (E, 4): directions and f_c; scale (): 1 / n.
        """
        row = edge_centres(graph.first_edge)
        source = graph.neighbour if self.of_neighbors else graph.centre.index_select(0, row)
        summed = self.summed_filters(x, radial, tail, source, graph.first_edge, k) * scale
        filtered = summed @ self.filters[k] + shifted_softplus(summed @ self.inner[k]) @ self.outer[k]
        filtered = filtered * x.index_select(0, source) * (tail[:, 3:] * scale)
        messages = torch.zeros([graph.centre.shape[0], x.shape[1]], dtype=x.dtype, device=x.device)
        messages = messages.index_add(0, row, filtered)
        hidden = messages @ self.mix[k] + x.index_select(0, graph.centre) @ self.own[k]
        hidden = hidden * (1.0 + (hidden / self.saturation).square()).rsqrt()
        return x.index_add(0, graph.centre, shifted_softplus(hidden) @ self.update[k])

    def summed_filters(
        self, x: Tensor, radial: Tensor, tail: Tensor, source: Tensor, first_edge: Tensor, k: int
    ) -> Tensor:
        """Return n s (E, filters) of member k; source (E): rows of x that weigh neighbors."""
        weighing = (x @ self.weight_features[k]).index_select(0, source) * (radial @ self.weight_distances[k])
        terms = weighing.shape[1] // self.heads
        weights = tail[:, 3:] * (1.0 + weighing.reshape(-1, self.heads, terms).sum(2))
        return self.sums_of_angles(torch.cat([radial @ self.bases[k], tail[:, :3], weights], dim=1), first_edge)

    def sums_of_angles(self, rows: Tensor, first_edge: Tensor) -> Tensor:
        """Return n s (E, filters) from rows of edges (see `reference.angular_filters`)."""
        found: Tensor = torch.ops.rhopot.angular_filters_v1(
            rows, first_edge, self.n_angular, self.heads, self.cosine_width
        )
        return found


class AngularNetworks(nn.Module):
    """K angular networks on one basis.

    Args:
        basis: distances and angles, and the elements.
        settings: shape.
        seeds: one per member.
        dtype: of parameters and results.
    """

    n_members: int

    def __init__(
        self,
        basis: AngularBasis,
        settings: AngularNetworkSettings,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.n_members = len(seeds)
        each = [torch.randn(basis.n_species, settings.width, generator=one, dtype=torch.float64) for one in streams]
        self.embedding = nn.Parameter(torch.stack(each).to(dtype))
        self.layers = nn.ModuleList(AngularLayer(basis, settings, streams, dtype) for _ in range(settings.layers))
        each = [torch.randn(settings.width, generator=stream, dtype=torch.float64) for stream in streams]
        self.output = nn.Parameter((torch.stack(each) * settings.width**-0.5).to(dtype))
        self.register_buffer("scale", torch.ones((), dtype=dtype))
        self.register_buffer("energy_scale", torch.ones((), dtype=dtype))
        self.register_buffer("energy_shift", torch.zeros((), dtype=dtype))
        self.scale: Tensor
        self.energy_scale: Tensor
        self.energy_shift: Tensor

    def prepare(self, neighbours: float, energy_scale: float, energy_shift: float = 0.0) -> None:
        """Set the constants: mean sum of f_c over the neighbors of an atom, scale and mean (eV) of atoms' energies."""
        self.scale.fill_(1.0 / neighbours)
        self.energy_scale.fill_(energy_scale)
        self.energy_shift.fill_(energy_shift)

    def forward(self, radial: Tensor, tail: Tensor, graph: AtomicGraph, k: int) -> Tensor:
        """Return energies (C) in eV of the graph's centers by network k, without baseline.

        radial, tail: of the basis.
        """
        x = self.embedding[k].index_select(0, graph.species)
        for n, layer in enumerate(self.layers):
            if n > 0:  # what atoms of other processes have become; x of the first layer is known everywhere
                x = exchange_features(x)
            x = layer(x, radial, tail, self.scale, graph, k)
        energies = x.index_select(0, graph.centre) @ self.output[k]
        return energies * self.energy_scale + self.energy_shift
