"""Neural networks on features of atoms: K members side by side, one network for all elements or one for each.

    e_k(i) = scale N_k(x_i) + shift,    x_i = (f_i - mean) / std         [one network: 1; one per element: 2]
    N_k    = W_L a(... a(W_1 x + b_1) ...) + b_L

The members share their shape and nothing else: parameters are stacked with a leading K and every layer is one batched
product. Networks of their own per element see the rows of that element as one block (sorted, evaluated, put back), so a
call costs S products per layer and not one per atom.

Features and energies are standardised by constants (`prepare`), hidden layers by batch normalisation where asked for:
affine -> batch normalisation -> activation. `folded` merges all of it into the weights: the same values from plain
layers, which is what a model carries and what TorchScript compiles.

In : features (C, F) or, one set per member, (K, C, F); species of the centres (C)
Out: energies (K, C) in eV, without baseline
Smoothness: that of the activation (C-infinity) and of the features. Cost per atom: one multiplication per weight.

[1] X. Lei, A. J. Medford, J. Phys. Chem. Lett. 13, 7911 (2022), doi:10.1021/acs.jpclett.2c02100
[2] J. Behler, M. Parrinello, Phys. Rev. Lett. 98, 146401 (2007), doi:10.1103/PhysRevLett.98.146401
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from rhopot.potentials.models.network_settings import NetworkSettings
from rhopot.potentials.models.normalization import BatchNormalization, NoNormalization, Synchronise

# Standard deviation of the initial weights times sqrt(inputs): keeps the variance of rows from layer to layer.
GAIN = {"tanh": 1.0, "gelu": 2.0**0.5, "silu": 2.0**0.5}
# Features that vary less than this fraction of their mean are constants with rounding noise and are ignored.
NOISE = 1e-12


class Affine(nn.Module):
    """K x S affine maps: rows (K, n, I) of one set to (K, n, O); weight (K, S, I, O), bias (K, S, O)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, rows: Tensor, which: int, first: int = 0) -> Tensor:
        """Return the mapped rows (m, n, O) of weight set `which`, by the m maps from number `first` on."""
        bias, weight = self.bias.narrow(0, first, rows.shape[0]), self.weight.narrow(0, first, rows.shape[0])
        return torch.baddbmm(bias[:, which].unsqueeze(1), rows, weight[:, which])


class Networks(nn.Module):
    """K networks per weight set, S = 1 or one set per element (see the module's text).

    Args:
        n_features: number F of features.
        n_species: number A of elements.
        settings: shape, activation, normalisation.
        seeds: one per member; members with equal seeds start with equal weights, in company or alone.
        dtype: of parameters and results.

    Every parameter has a leading dimension K. Raises ValueError without a seed or feature.
    """

    n_members: int
    n_features: int
    n_sets: int
    activation: str

    def __init__(
        self,
        n_features: int,
        n_species: int,
        settings: NetworkSettings,
        seeds: Sequence[int],
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        if len(seeds) < 1:
            raise ValueError("seeds must hold one number per member, got none; give at least one")
        if n_features < 1 or n_species < 1:
            raise ValueError(
                f"n_features and n_species must be at least 1, got {n_features} and {n_species}; "
                "take them from the descriptor and its symbols"
            )
        self.settings = settings
        self.n_members = len(seeds)
        self.n_features = n_features
        self.n_sets = n_species if settings.per_element else 1
        self.activation = settings.activation
        *hidden, output = _initial_layers(n_features, self.n_sets, settings, seeds, dtype)
        self.layers = nn.ModuleList(hidden)
        self.output = output
        self.norms = nn.ModuleList(
            BatchNormalization(self.n_members, self.n_sets, width, dtype)
            if settings.normalization == "batch_norm"
            else NoNormalization()
            for width in settings.hidden
        )
        self.is_folded = False
        self.is_standardised: bool = settings.normalization != "none"
        self.register_buffer("features_mean", torch.zeros((self.n_sets, n_features), dtype=dtype))
        self.register_buffer("features_rate", torch.ones((self.n_sets, n_features), dtype=dtype))
        self.register_buffer("energy_scale", torch.ones((), dtype=dtype))
        self.register_buffer("energy_shift", torch.zeros((), dtype=dtype))
        self.features_mean: Tensor
        self.features_rate: Tensor
        self.energy_scale: Tensor
        self.energy_shift: Tensor

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Return energies (K, C) in eV of centres with features (C, F) or (K, C, F) and species (C)."""
        rows = features.unsqueeze(0).expand(self.n_members, -1, -1) if features.dim() == 2 else features
        return self._energies(rows, species, 0)

    def member(self, features: Tensor, species: Tensor, k: int) -> Tensor:
        """Return energies (C) in eV by network k of centres with features (C, F) and species (C).

        Not with batch normalisation, whose statistics are those of all members.
        """
        return self._energies(features.unsqueeze(0), species, k)[0]

    def _energies(self, rows: Tensor, species: Tensor, first: int) -> Tensor:
        """Return energies (m, C) of rows (m, C, F) by the m networks from number `first` on."""
        if self.n_sets == 1:
            return self._evaluate(rows, 0, first)
        order = torch.sort(species, stable=True, dim=0, descending=False)[1]
        ordered = rows.index_select(1, order)
        parts = []
        begin = 0
        for which in range(self.n_sets):
            count = int((species == which).sum())
            parts.append(self._evaluate(ordered.narrow(1, begin, count), which, first))
            begin += count
        energies = torch.cat(parts, dim=1)
        return torch.zeros_like(energies).index_copy(1, order, energies)

    def _evaluate(self, features: Tensor, which: int, first: int) -> Tensor:
        """Return energies (m, n) of rows (m, n, F) that belong to one weight set."""
        rows = features
        if self.is_standardised:
            rows = (features - self.features_mean[which]) * self.features_rate[which]
        for layer, norm in zip(self.layers, self.norms):  # noqa: B905  (TorchScript knows no `strict`)
            rows = self._activate(norm(layer(rows, which, first), which))
        energies = self.output(rows, which, first).squeeze(2)
        return energies if self.is_folded else energies * self.energy_scale + self.energy_shift

    def _activate(self, rows: Tensor) -> Tensor:
        if self.activation == "tanh":
            return torch.tanh(rows)
        if self.activation == "gelu":
            return nn.functional.gelu(rows)
        return nn.functional.silu(rows)

    def prepare(
        self, features_mean: Tensor, features_scale: Tensor, energy_scale: float, energy_shift: float = 0.0
    ) -> None:
        """Set the constants of the standardisation: features by mean and std, (F) or per weight set (S, F).

        Features that do not vary are ignored. energy_scale, energy_shift (eV): std and mean of the energies of
        atoms, so that the networks' own numbers are of order one. Without normalisation the features stay as they are.
        """
        self.energy_scale.fill_(energy_scale)
        self.energy_shift.fill_(energy_shift)
        if self.settings.normalization != "none":
            constant = features_scale <= NOISE * features_mean.abs()
            self.features_mean.copy_(features_mean.expand(self.features_mean.shape))
            self.features_rate.copy_(torch.where(constant, 0.0, 1.0 / features_scale).expand(self.features_rate.shape))

    def synchronise_with(self, total: Synchronise) -> None:
        """Give the batch statistics a function that adds a tensor up over the processes, gradients included."""
        for norm in self.norms:
            if isinstance(norm, BatchNormalization):
                norm.synchronise = total

    @torch.no_grad()
    def freeze_statistics(self, features: Tensor, species: Tensor) -> None:
        """Make the batch statistics of these rows constants, layer after layer; nothing without batch normalisation."""
        every = features.unsqueeze(0).expand(self.n_members, -1, -1) if features.dim() == 2 else features
        for which in range(self.n_sets):
            mine = every if self.n_sets == 1 else every[:, species == which]
            rows = (mine - self.features_mean[which]) * self.features_rate[which]
            for layer, norm in zip(self.layers, self.norms, strict=True):
                rows = layer(rows, which)
                if isinstance(norm, BatchNormalization):
                    norm.freeze(rows, which)
                rows = self._activate(norm(rows, which))

    @torch.no_grad()
    def folded(self) -> "Networks":
        """Return networks with the same values as these in evaluation, all normalisation merged into the weights."""
        settings = self.settings.model_copy(update={"normalization": "none"})
        plain = Networks(self.n_features, self.n_sets, settings, [0] * self.n_members, self.output.weight.dtype)
        plain.to(self.output.weight.device)
        for source, norm, target in zip(self._affine(), [*self.norms, None], plain._affine(), strict=True):
            target.weight.copy_(source.weight)
            target.bias.copy_(source.bias)
            if isinstance(norm, BatchNormalization):
                factor, shift = norm.affine()
                target.weight.mul_(factor.unsqueeze(2))
                target.bias.mul_(factor).add_(shift)
        first = plain._affine()[0]
        first.weight.mul_(self.features_rate.unsqueeze(2))
        first.bias.sub_(torch.einsum("sf,ksfo->kso", self.features_mean, first.weight))
        plain.output.weight.mul_(self.energy_scale)
        plain.output.bias.mul_(self.energy_scale).add_(self.energy_shift)
        plain.is_folded = True
        return plain

    def _affine(self) -> list[Affine]:
        """Return all affine layers from the features to the energy."""
        return [*(cast("Affine", layer) for layer in self.layers), self.output]


def _initial_layers(
    n_features: int, n_sets: int, settings: NetworkSettings, seeds: Sequence[int], dtype: torch.dtype
) -> list[Affine]:
    """Return layers with normal weights of std gain / sqrt(inputs) and no biases, drawn in float64 per member."""
    shapes = [(n_sets, inputs, outputs) for inputs, outputs in pairwise([n_features, *settings.hidden, 1])]
    drawn: list[list[Tensor]] = []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        drawn.append([torch.randn(shape, generator=random, dtype=torch.float64) / shape[1] ** 0.5 for shape in shapes])
    layers = []
    for depth, weights in enumerate(zip(*drawn, strict=True)):
        gain = 1.0 if depth == 0 else GAIN[settings.activation]
        bias = torch.zeros((len(seeds), n_sets, shapes[depth][2]), dtype=dtype)
        layers.append(Affine((gain * torch.stack(list(weights))).to(dtype), bias))
    return layers
