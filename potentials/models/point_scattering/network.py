"""Networks of point scattering: wavelets at atom centers convolve learned channels of the atoms, layer by layer.

    X_0       = one-hot elements (N, A)
    f_ilm,wc  = sum_k (X_b W_b)_kc f_c(r_ik) psi_w^m(r_k - r_i),    w = (n, j) of degree l                 eq. 5.9
    g_ilm,v   = sum_wc V_b[l, wc, v] f_ilm,wc
    s_ilv     = sum_m g_ilm,v^2 / <sum_m g_ilm,v^2>
    sigma_q   = (1 + s / eps^2)^(q/2) - 1,    X_(b+1) = [sigma_1]                                  eqs. 5.10, 5.11
    E         = sum_i N(X_0 W_0, [sigma_q of all layers])                                          eqs. 5.12-5.15

of X. Brumwell, Wavelet scattering and graph representations for atomic structures, thesis (2021), chapter 5. N is
linear (eq. 5.14) or a network (eq. 5.15); `embedding: fixed` takes the channels c(Z) of `scattering` for W_0. Other
than printed there, so that energies are local, smooth and extensive:

- f_c takes neighbors smoothly out at the cutoff, in every layer; what a layer passes on travels one cutoff.
- eps rounds the modulus where a field vanishes, as on sites of a perfect crystal, and so each of its powers: |X|^q has
  no second derivative there for q = 1, 4/3 and 5/3. sigma_q is |X|^q for large fields, up to standardisation.
- The network of eq. 5.15 acts on each atom, not on sums over atoms: energies of separated parts add up.
- V combines wavelets of one degree, and channels, before the modulus, as eq. 5.7 does with first-order features.
  `combined: 0` leaves each wavelet of each channel alone, as printed in eq. 5.9.
- All layers are read out, as all orders of scattering are in chapters 2 to 4; printed is the last alone.
- <> is the mean over the atoms of the training data for the initial weights. Moduli, as X_b and for N, are shifted and
  scaled to mean 0 and deviation 8 F^-1/2 over the same atoms, for F features that N is given: all weights are then of
  one size, and so are steps that suit them. W, V and N could undo it.
- Moduli z standardised so approach +-5 deviations d, z (1 + (z / 5 d)^2)^-1/2: those of atoms closer than any in the
  training data, far outside of it, leave the forces to the repulsion of the pair baseline.

K members stand side by side: every parameter has a leading dimension K. Cost per atom and layer, for m neighbors, B =
sum_l (2l+1) wavelets_l, c channels: m B c + B c `combined` multiplications; with forces three times as many.
Smoothness: twice continuously differentiable.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from rhopot.potentials.descriptors.point_scattering import PointWavelets
from rhopot.potentials.descriptors.point_scattering.wavelets import convolve, rounded_powers
from rhopot.potentials.descriptors.scattering.channels import channel_weights, default_channels
from rhopot.potentials.graph.atomic_graph import AtomicGraph
from rhopot.potentials.models.exchange import exchange_features
from rhopot.potentials.models.network import Networks
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings

# Deviation of a modulus, relative to its mean, below which it is a constant with rounding noise.
NOISE = 1e-5
# Deviations from the mean of the training data that a modulus approaches far outside of it.
MOST = 5.0
# Deviation of the initial weights: about that of a hidden layer of the read-out, so that steps of one size suit all.
WEIGHT = 0.125


class PointScatteringLayer(nn.Module):
    """One layer of K members, from X_b to the moduli.

    Args:
        wavelets: what atoms are convolved with.
        send: W_b (K, d_b, c), a parameter or, fixed, a constant.
        combined: combinations of each degree; 0: none.
        powers: P exponents q.
        streams: random numbers of each member.
        is_first: whether X_b is known of all atoms.
    """

    rows: list[int]
    counts: list[int]

    def __init__(
        self,
        wavelets: PointWavelets,
        send: Tensor,
        combined: int,
        powers: Sequence[float],
        streams: Sequence[torch.Generator],
        is_first: bool,
    ) -> None:
        super().__init__()
        if isinstance(send, nn.Parameter):
            self.send = send
        else:
            self.register_buffer("send", send)
        n_members, _, channels = send.shape
        self.is_first: bool = is_first
        self.combined: bool = combined > 0
        self.counts = wavelets.counts
        self.rows = [channels * count for count in wavelets.counts]
        drawn = [torch.randn(sum(self.rows), combined, generator=stream, dtype=torch.float64) for stream in streams]
        combine = WEIGHT * torch.stack(drawn).to(send.dtype)
        if combined:
            self.combine = nn.Parameter(combine)
        else:  # nothing in it to train
            self.register_buffer("combine", combine)
        self.n_features: int = combined * len(self.rows) if combined else sum(self.rows)
        self.eps: float = wavelets.eps
        self.register_buffer("half_powers", 0.5 * torch.tensor(list(powers), dtype=torch.float64).to(send.dtype))
        self.register_buffer("inverse_size", torch.ones(n_members, self.n_features, dtype=send.dtype))
        shape = (n_members, len(powers), self.n_features)
        self.register_buffer("mean", torch.zeros(shape, dtype=send.dtype))
        self.register_buffer("rate", torch.ones(shape, dtype=send.dtype))
        self.curb: float = 0.0
        self.half_powers: Tensor
        self.inverse_size: Tensor
        self.mean: Tensor
        self.rate: Tensor

    def sent(self, x: Tensor, graph: AtomicGraph, k: int) -> Tensor:
        """Return X_b W_b (N, c) of all atoms from X_b of the centers (C, d_b), in the first layer of all atoms."""
        channels = x @ self.send[k]
        if self.is_first:
            return channels
        shape = [graph.species.shape[0], channels.shape[1]]
        every = torch.zeros(shape, dtype=channels.dtype, device=channels.device)
        return exchange_features(every.index_copy(0, graph.centre, channels))

    def squares(self, sent: Tensor, wavelets: Tensor, atoms: Tensor, k: int) -> Tensor:
        """Return s (C, F) of member k."""
        combine = torch.split(self.combine[k], self.rows)
        found: list[Tensor] = []
        for degree, field in enumerate(convolve(wavelets, atoms, sent, self.counts)):
            combined = field @ combine[degree] if self.combined else field
            found.append(combined.square().sum(1))
        return torch.cat(found, 1) * self.inverse_size[k]

    def moduli(self, squares: Tensor) -> Tensor:
        """Return sigma_q (C, P, F) of s (C, F)."""
        return rounded_powers(squares * (1.0 / (self.eps * self.eps)), self.half_powers)

    def standardised(self, squares: Tensor, k: int) -> Tensor:
        """Return the standardised moduli (C, P, F) of s (C, F)."""
        z = (self.moduli(squares) - self.mean[k]) * self.rate[k]
        return z * torch.rsqrt(self.curb * z.square() + 1.0)

    def standardise(self, squares: Sequence[Tensor], total: Callable[[Tensor], Tensor], k: int, size: float) -> None:
        """Take the constants of member k from rows s (n, F), inverse sizes 1, of some atoms of all processes.

        size: deviation of the standardised moduli.
        """
        rows = torch.cat([self.inverse_size[:0], *squares])
        count = total(torch.tensor([float(len(rows))], dtype=rows.dtype)).clamp(min=1.0)
        square = total(rows.sum(0)) / count
        self.inverse_size[k] = torch.where(square > 0, 1.0 / square, 1.0)
        moduli = self.moduli(rows * self.inverse_size[k])
        mean = total(moduli.sum(0)) / count
        deviation = (total((moduli - mean).square().sum(0)) / count).sqrt()
        self.mean[k] = mean
        self.curb = (MOST * size) ** -2
        self.rate[k] = torch.where(deviation > NOISE * mean, size / deviation, 0.0)

    def forward(self, x: Tensor, wavelets: Tensor, atoms: Tensor, graph: AtomicGraph, k: int) -> tuple[Tensor, Tensor]:
        """Return what atoms send (N, c) and the standardised moduli (C, P, F) of member k.

        wavelets (C, M + 1, B), atoms (C, M + 1): `PointWavelets.neighbourhoods` of the graph.
        """
        sent = self.sent(x, graph, k)
        return sent, self.standardised(self.squares(sent, wavelets, atoms, k), k)


class PointScatteringNetworks(nn.Module):
    """K networks of point scattering.

    Args:
        wavelets: wavelets and elements.
        settings: shape.
        seeds: one per member.
        dtype: of parameters and results.
    """

    n_members: int

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
        layers: list[PointScatteringLayer] = []
        for b in range(settings.layers):
            inputs = layers[-1].n_features if b else wavelets.n_species
            each = [torch.randn(inputs, settings.channels, generator=s, dtype=torch.float64) for s in streams]
            send: Tensor = nn.Parameter(WEIGHT * torch.stack(each).to(dtype))
            if b == 0 and settings.embedding == "fixed":
                send = _fixed_channels(wavelets.settings.symbols).to(dtype).repeat(len(seeds), 1, 1)
            layers.append(PointScatteringLayer(wavelets, send, settings.combined, settings.powers, streams, b == 0))
        self.layers = nn.ModuleList(layers)
        n_features = layers[0].send.shape[2] + len(settings.powers) * sum(layer.n_features for layer in layers)
        self.read_out = Networks(n_features, wavelets.n_species, settings.read_out, seeds, dtype)
        self.size: float = n_features**-0.5 / WEIGHT
        with torch.no_grad():
            [*self.read_out.layers, self.read_out.output][0].weight.div_(self.size)

    def forward(self, wavelets: Tensor, atoms: Tensor, graph: AtomicGraph, k: int) -> Tensor:
        """Return energies (C) in eV of the graph's centers by network k, without baseline.

        wavelets, atoms: `PointWavelets.neighbourhoods` of the graph.
        """
        features = self.features(wavelets, atoms, graph, k)
        return self.read_out.member(features, graph.species.index_select(0, graph.centre), k)

    def features(self, wavelets: Tensor, atoms: Tensor, graph: AtomicGraph, k: int) -> Tensor:
        """Return what the read-out of network k is given (C, F)."""
        x = self.elements(graph.species)
        found: list[Tensor] = []
        for b, layer in enumerate(self.layers):
            sent, moduli = layer(x, wavelets, atoms, graph, k)
            if b == 0:
                found.append(sent.index_select(0, graph.centre) * self.size)
            found.append(moduli.flatten(1))
            x = moduli[:, self.which]
        return torch.cat(found, 1)

    def elements(self, species: Tensor) -> Tensor:
        """Return X_0 (N, A)."""
        return nn.functional.one_hot(species, self.n_species).to(self.read_out.output.weight.dtype)

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
            for layer in (cast("PointScatteringLayer", one) for one in self.layers):
                squares = [
                    layer.squares(layer.sent(x, graph, k), *wavelets.neighbourhoods(graph), k)
                    for x, graph in zip(rows, graphs, strict=True)
                ]
                layer.standardise(squares, total, k, self.size)
                rows = [layer.standardised(s * layer.inverse_size[k], k)[:, self.which] for s in squares]


def _fixed_channels(symbols: Sequence[str]) -> Tensor:
    """Return c(Z) (A, c) of the channels of `descriptors.scattering`, each relative to its largest."""
    weights = torch.tensor(channel_weights(default_channels(symbols), symbols), dtype=torch.float64)
    weights = weights[weights.abs().amax(1) > 0]
    return (weights / weights.abs().amax(1, keepdim=True)).t().contiguous()
