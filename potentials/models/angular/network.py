"""Angular networks: messages of neighbors, filtered by distance and angle, refine the features of atoms layer by layer.

    x_i^0     = W_(a_i)                                                              embedding of the element
    s_ik      = 1/n sum_(j != k) f_c(r_ij) ssp( sum_rc T_rc G_r(r_ik) G_c(cos jik) )   eqs. 6.10, 6.11, summed over j
    m_i       = 1/n sum_k f_c(r_ik) x_k * (F s_ik)                                   eqs. 6.13, 6.14; * by elements
    x_i^(b+1) = x_i^b + U ssp(V m_i)                                                 eq. 6.15
    E         = sum_i [ scale o . x_i^B + shift ]                                    eq. 6.16

of X. Brumwell, Wavelet scattering and graph representations for atomic structures, chapter 6. Other than printed there:
the message carries the features of the neighbor k (eq. 6.13 has those of the center, so that no feature of a neighbor
ever entered), f_c takes neighbors smoothly out at the cutoff, and n, the mean sum of f_c over neighbors, keeps messages
of order one. The second weight matrix F acts on the sum over j, which is the same as on each term.

K members stand side by side: every parameter has a leading dimension K. Cost per atom and layer, for m neighbors:
3 m^2 (angular Gaussians) (filters) multiplications with forces, and m^2 filters softplus.
Smoothness: twice continuously differentiable (cutoff function), but where a neighbor sits on the atom itself.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.angular import AngularBasis
from rhopot.potentials.graph.atomic_graph import AtomicGraph, edge_centres
from rhopot.potentials.models.angular.settings import AngularNetworkSettings
from rhopot.potentials.models.exchange import exchange_features


def shifted_softplus(x: Tensor) -> Tensor:
    """Return log((1 + e^x) / 2)."""
    return nn.functional.softplus(x) - 0.6931471805599453  # log 2


class AngularLayer(nn.Module):
    """One layer of messages of K members."""

    def __init__(
        self,
        basis: AngularBasis,
        settings: AngularNetworkSettings,
        streams: Sequence[torch.Generator],
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        hidden, width, n_angular = settings.filters, settings.width, len(basis.cosines)

        def drawn(rows: int, columns: int, deviation: float) -> nn.Parameter:
            each = [torch.randn(rows, columns, generator=stream, dtype=torch.float64) for stream in streams]
            return nn.Parameter((deviation * torch.stack(each)).to(dtype))

        # Of order one: two or three Gaussians of the distance and of the cosine are not small at a time.
        self.bases = drawn(len(basis.distances), n_angular * hidden, 0.7)
        self.filters = drawn(hidden, width, 2.0 * hidden**-0.5)
        self.mix = drawn(width, width, width**-0.5)
        self.update = drawn(width, width, width**-0.5)
        self.cosine_width: float = basis.cosine_width
        self.n_angular: int = n_angular

    def forward(self, x: Tensor, radial: Tensor, tail: Tensor, scale: Tensor, graph: AtomicGraph, k: int) -> Tensor:
        """Return the refined features (N, d) of member k.

        radial (E, n_radial): Gaussians of the distances; tail (E, 4): directions and f_c; scale (): 1 / n.
        """
        rows = torch.cat([radial @ self.bases[k], tail], dim=1)
        summed = torch.ops.rhopot.angular_filters_v1(rows, graph.first_edge, self.n_angular, self.cosine_width) * scale
        filtered = (summed @ self.filters[k]) * x.index_select(0, graph.neighbour) * (tail[:, 3:] * scale)
        messages = torch.zeros([graph.centre.shape[0], x.shape[1]], dtype=x.dtype, device=x.device)
        messages = messages.index_add(0, edge_centres(graph.first_edge), filtered)
        return x.index_add(0, graph.centre, shifted_softplus(messages @ self.mix[k]) @ self.update[k])


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

    def forward(self, radial: Tensor, tail: Tensor, graph: AtomicGraph) -> Tensor:
        """Return energies (K, C) in eV of the graph's centers, without baseline; `radial`, `tail`: of the basis."""
        energies: list[Tensor] = []
        for k in range(self.n_members):
            x = self.embedding[k].index_select(0, graph.species)
            for b, layer in enumerate(self.layers):
                if b > 0:
                    x = exchange_features(x)
                x = layer(x, radial, tail, self.scale, graph, k)
            energies.append(x.index_select(0, graph.centre) @ self.output[k])
        return torch.stack(energies) * self.energy_scale + self.energy_shift
