"""Networks of point scattering: wavelets at atom centers convolve learnt channels of the atoms, layer by layer.

    X_0       = one-hot elements (N, A)
    f_ilm,wc  = sum_k (X_b W_b)_kc f_c(r_ik) psi_w^m(r_k - r_i),    w = (n, j) of degree l                 eq. 5.9
    g_ilm,q   = sum_wc V_b[l, wc, q] f_ilm,wc
    s_ilq     = sum_m g_ilm,q^2 / <sum_m g_ilm,q^2>
    sigma_p   = (s + eps^2)^(p/2) - eps^p,    X_(b+1) = [sigma_1]                                  eqs. 5.10, 5.11
    E         = sum_i N(X_0 W_0, [sigma_p of all layers])                                          eqs. 5.12-5.15

of X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapter 5. N is linear
(eq. 5.14) or a network of each atom (eq. 5.15). `embedding: fixed` takes the channels c(Z) of `scattering` for W_0. Other
than printed there, so that energies are local, smooth and extensive:

- f_c takes neighbors smoothly out at the cutoff, in every layer; what a layer passes on travels one cutoff.
- eps rounds the modulus, where a field vanishes by symmetry, and its powers: p = 4/3 and 5/3 have no second derivative
  there otherwise. 5.12 has the powers |X_B|^q of the modulus; sigma_q is |g|^q for large g, and smooth in g.
- The network of eq. 5.15 acts on each atom, not on the sum over atoms, which would not be extensive.
- V combines wavelets of one degree before the modulus, as eq. 5.7 does with first-order features; `combined: 0` leaves each
  wavelet and channel alone as in eq. 5.9. The modulus of a sum knows angles between neighbors of different wavelets.
- All layers are read out, as all orders of the scattering are in chapters 2 to 4, not the last alone.
- <> is the mean over the atoms of the training data for the initial weights. Features, X_b and what is read out, are
  standardised with mean and deviation over the same atoms: constants, which W and N could undo.

K members stand side by side: every parameter has a leading dimension K. Cost per atom and layer, for m neighbors, B =
sum_l (2l+1) wavelets_l, c channels: m B c + B c `combined` multiplications, with forces three times as many.
Smoothness: twice continuously differentiable.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.point_scattering import PointWavelets
from rhopot.potentials.descriptors.point_scattering.wavelets import convolve, rounded_power
from rhopot.potentials.descriptors.scattering.channels import channel_weights, default_channels
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.exchange import exchange_features
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings

# Deviation of a feature, relative to its mean square, below which it is a constant with rounding noise.
NOISE = 1e-5


class PointScatteringLayer(nn.Module):
    """One layer of K members, from X_b to the moduli.

    Args:
        wavelets: what is convolved.
        send: W_b (K, d_b, c), a parameter or, fixed, a constant.
        combined: Q; 0: no combinations.
        powers: P exponents.
        streams: random numbers of each member.
        eps: rounding.
    """

    powers: list[float]

    def __init__(
        self,
        wavelets: PointWavelets,
        send: Tensor,
        combined: int,
        powers: Sequence[float],
        streams: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        if isinstance(send, nn.Parameter):
            self.send = send
        else:
            self.register_buffer("send", send)
        n_members, _, channels = send.shape
        counts = [channels * (end - begin) for begin, end in zip(wavelets.first, wavelets.first[1:], strict=False)]
        self.combined: bool = combined > 0
        # Of order one, if fields were independent of each other.
        sizes = torch.cat([torch.full((count, 1), count**-0.5, dtype=torch.float64) for count in counts])
        drawn = [sizes * torch.randn(sum(counts), combined, generator=s, dtype=torch.float64) for s in streams]
        self.combine = nn.Parameter(torch.stack(drawn).to(send.dtype))
        self.n_features: int = combined * len(counts) if combined else sum(counts)
        self.powers = list(powers)
        self.eps: float = wavelets.eps
        self.register_buffer("inverse_size", torch.ones(n_members, self.n_features, dtype=send.dtype))
        shape = (n_members, len(self.powers), 1, self.n_features)
        self.register_buffer("mean", torch.zeros(shape, dtype=send.dtype))
        self.register_buffer("rate", torch.ones(shape, dtype=send.dtype))
        self.inverse_size: Tensor
        self.mean: Tensor
        self.rate: Tensor

    def squares(self, fields: list[Tensor], k: int) -> Tensor:
        """Return s (C, F) of member k from the fields of each degree (C, 2 l + 1, wavelets c)."""
        found: list[Tensor] = []
        begin = 0
        for field in fields:
            if self.combined:
                count = field.shape[2]
                field = field @ self.combine[k, begin : begin + count]
                begin += count
            found.append(field.square().sum(1))
        return torch.cat(found, 1) * self.inverse_size[k]

    def moduli(self, squares: Tensor) -> Tensor:
        """Return sigma_p (P, C, F) of s (C, F)."""
        return torch.stack([rounded_power(squares, q, self.eps) for q in self.powers])

    def standardise(self, squares: Sequence[Tensor], total: Callable[[Tensor], Tensor], k: int) -> None:
        """Take the constants of member k from rows s (n, F), not divided by any size, of some atoms of all processes."""
        rows = torch.cat(list(squares))
        count = total(torch.tensor(float(len(rows)), dtype=rows.dtype)).clamp(min=1.0)
        size = total(rows.sum(0)) / count
        self.inverse_size[k] = torch.where(size > 0, 1.0 / size, 1.0)
        moduli = self.moduli(rows * self.inverse_size[k])
        mean = total(moduli.sum(1, keepdim=True)) / count
        deviation = (total((moduli - mean).square().sum(1, keepdim=True)) / count).sqrt()
        self.mean[k] = mean
        self.rate[k] = torch.where(deviation > NOISE, 1.0 / deviation, 0.0)

    def forward(self, fields: list[Tensor], k: int) -> Tensor:
        """Return the standardised moduli (P, C, F) of member k."""
        return (self.moduli(self.squares(fields, k)) - self.mean[k]) * self.rate[k]


class PointScatteringNetworks(nn.Module):
    """K networks of point scattering.

    Args:
        wavelets: wavelets and elements.
        settings: shape.
        seeds: one per member.
        dtype: of parameters and results.
    """

    n_members: int
    first: list[int]

    def __init__(
        self,
        wavelets: PointWavelets,
        settings: PointScatteringNetworkSettings,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        streams = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
        self.n_members = len(seeds)
        self.n_species: int = wavelets.n_species
        self.which: int = settings.powers.index(1.0)
        self.first = wavelets.first
        layers: list[PointScatteringLayer] = []
        for b in range(settings.layers):
            inputs = layers[-1].n_features if b else wavelets.n_species
            each = [torch.randn(inputs, settings.channels, generator=s, dtype=torch.float64) for s in streams]
            send: Tensor = nn.Parameter((torch.stack(each) * (inputs**-0.5 if b else 1.0)).to(dtype))
            if b == 0 and settings.embedding == "fixed":
                send = _fixed_channels(wavelets.settings.symbols).to(dtype).repeat(len(seeds), 1, 1)
            layers.append(PointScatteringLayer(wavelets, send, settings.combined, settings.powers, streams))
        self.layers = nn.ModuleList(layers)
        n_features = layers[0].send.shape[2] + len(settings.powers) * sum(layer.n_features for layer in layers)
        self.read_out = Networks(n_features, wavelets.n_species, settings.read_out, seeds, dtype)

    def forward(self, wavelets: Tensor, atoms: Tensor, graph: AtomicGraph) -> Tensor:
        """Return energies (K, C) in eV of the graph's centers, without baseline.

        wavelets (C, M + 1, B), atoms (C, M + 1): `PointWavelets.neighbourhoods` of the graph.
        """
        members: list[Tensor] = []
        for k in range(self.n_members):
            x = self.elements(graph.species)
            features: list[Tensor] = []
            for b, layer in enumerate(self.layers):
                sent = self.sent(x @ layer.send[k], graph, b)
                if b == 0:
                    features.append(sent.index_select(0, graph.centre))
                moduli = layer(convolve(wavelets, atoms, sent, self.first), k)
                features.append(moduli.permute(1, 0, 2).flatten(1))
                x = moduli[self.which]
            members.append(torch.cat(features, 1))
        energies: Tensor = self.read_out(torch.stack(members), graph.species.index_select(0, graph.centre))
        return energies

    def elements(self, species: Tensor) -> Tensor:
        """Return X_0 (N, A)."""
        return nn.functional.one_hot(species, self.n_species).to(self.layers[0].send.dtype)

    def sent(self, channels: Tensor, graph: AtomicGraph, b: int) -> Tensor:
        """Return the channels (N, c) that atoms send in layer b: known of all in the first, of centers in the others."""
        if b == 0:
            return channels
        shape = [graph.species.shape[0], channels.shape[1]]
        every = torch.zeros(shape, dtype=channels.dtype, device=channels.device)
        return exchange_features(every.index_copy(0, graph.centre, channels))

    @torch.no_grad()
    def prepare(
        self,
        wavelets: PointWavelets,
        graphs: Sequence[AtomicGraph],
        total: Callable[[Tensor], Tensor],
        energy_scale: float,
        energy_shift: float = 0.0,
    ) -> None:
        """Set the constants: scale and mean (eV) of atoms' energies, size, mean and deviation of features.

        graphs: of this process's structures, with all atoms as centers; total: adds a tensor up over the processes.
        """
        nothing = torch.zeros(self.read_out.n_features, dtype=self.read_out.output.weight.dtype)
        self.read_out.prepare(nothing, nothing + 1.0, energy_scale, energy_shift)
        for k in range(self.n_members):
            rows = [self.elements(graph.species) for graph in graphs]
            for b, layer in enumerate(self.layers):
                squares = []
                for x, graph in zip(rows, graphs, strict=True):
                    around, atoms = wavelets.neighbourhoods(graph)
                    fields = convolve(around, atoms, self.sent(x @ layer.send[k], graph, b), self.first)
                    squares.append(layer.squares(fields, k))
                layer.standardise(squares, total, k)
                rows = [
                    (layer.moduli(s * layer.inverse_size[k]) - layer.mean[k])[self.which] * layer.rate[k, self.which]
                    for s in squares
                ]


def _fixed_channels(symbols: Sequence[str]) -> Tensor:
    """Return c(Z) (A, c) of the channels of `descriptors.scattering`, each relative to its largest."""
    weights = torch.tensor(channel_weights(default_channels(symbols), symbols), dtype=torch.float64)
    weights = weights[weights.abs().amax(1) > 0]
    return (weights / weights.abs().amax(1, keepdim=True)).t().contiguous()
