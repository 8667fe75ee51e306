"""Stacked networks: definition, members, elements, folding, batch statistics, derivatives, scripting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from rhopot.potentials.models import Networks, NetworkSettings
from rhopot.potentials.models.network_settings import Activation, Normalization
from rhopot.potentials.models.normalization import BatchNormalization

FUNCTIONS = {"tanh": torch.tanh, "gelu": nn.functional.gelu, "silu": nn.functional.silu}
EVERY_ACTIVATION = pytest.mark.parametrize("activation", ["tanh", "gelu", "silu"])
EVERY_NORMALIZATION = pytest.mark.parametrize("normalization", ["standardize", "batch_norm", "none"])
SHARED_AND_PER_ELEMENT = pytest.mark.parametrize("per_element", [False, True])
N_FEATURES, N_SPECIES = 5, 3


def rows(count: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features with means and spreads of their own, and species in no order."""
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(count, N_FEATURES, generator=random, dtype=torch.float64)
    features = features * torch.tensor([0.1, 1.0, 3.0, 20.0, 0.5]) + torch.tensor([0.0, 5.0, -2.0, 90.0, 1.0])
    return features, torch.randint(N_SPECIES, (count,), generator=random)


def networks(
    per_element: bool = False,
    normalization: Normalization = "standardize",
    activation: Activation = "tanh",
    seeds: tuple[int, ...] = (3, 8),
    hidden: tuple[int, ...] = (7, 6),
) -> Networks:
    """Prepared networks whose weights, biases and normalisation are all away from their initial values."""
    settings = NetworkSettings(
        hidden=hidden, activation=activation, normalization=normalization, per_element=per_element
    )
    made = Networks(N_FEATURES, N_SPECIES, settings, seeds)
    features, species = rows(seed=1)
    made.prepare(features.mean(0), features.std(0), 0.3, -1.2)
    random = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "weight" not in name:
                parameter.add_(0.3 * torch.randn(parameter.shape[1:], generator=random, dtype=torch.float64))
    for _ in range(3):
        made.train()(features, species)
    return made.eval()


@SHARED_AND_PER_ELEMENT
@EVERY_ACTIVATION
def test_energies_equal_the_definition_atom_by_atom(per_element: bool, activation: Activation) -> None:
    made = networks(per_element, activation=activation)
    features, species = rows()
    expected = torch.zeros(2, len(species), dtype=torch.float64)
    for k in range(2):
        for i, a in enumerate(species.tolist()):
            which = a if per_element else 0
            x = (features[i] - made.features_mean[which]) * made.features_rate[which]
            for layer in made.layers:
                x = FUNCTIONS[activation](x @ layer.weight[k, which] + layer.bias[k, which])
            expected[k, i] = 0.3 * (x @ made.output.weight[k, which] + made.output.bias[k, which])[0] - 1.2
    assert_close(made(features, species), expected, rtol=0, atol=1e-13)


@SHARED_AND_PER_ELEMENT
@EVERY_NORMALIZATION
def test_a_committee_is_its_members_each_alone(per_element: bool, normalization: Normalization) -> None:
    features, species = rows()
    together = networks(per_element, normalization)(features, species)
    for k, seed in enumerate((3, 8)):
        alone = networks(per_element, normalization, seeds=(seed,))(features, species)
        assert_close(together[k : k + 1], alone, rtol=0, atol=1e-12)
    assert (together[0] - together[1]).abs().max() > 0.01


def test_features_may_differ_from_member_to_member() -> None:
    made = networks(per_element=True)
    features, species = rows()
    others = features.flip(1)
    both = made(torch.stack([features, others]), species)
    assert_close(both, torch.stack([made(features, species)[0], made(others, species)[1]]))


@SHARED_AND_PER_ELEMENT
@EVERY_ACTIVATION
@EVERY_NORMALIZATION
def test_folding_changes_no_value(per_element: bool, activation: Activation, normalization: Normalization) -> None:
    made = networks(per_element, normalization, activation)
    features, species = rows()
    folded = made.folded()
    assert_close(folded(features, species), made(features, species), rtol=1e-12, atol=1e-12)
    assert folded.settings.normalization == "none"
    assert (folded.energy_scale, folded.energy_shift) == (1.0, 0.0)
    assert bool((folded.features_rate == 1.0).all())


def test_networks_of_elements_touch_only_their_own() -> None:
    made = networks(per_element=True)
    features, species = rows()
    before = made(features, species)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter[:, 1] += 0.1
    changed = made(features, species) != before
    assert bool((changed == (species == 1)).all())
    made(features[species != 1], species[species != 1]).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad[:, 1].abs().max() == 0.0, name
        assert parameter.grad[:, 2].abs().max() > 0.0, name


@SHARED_AND_PER_ELEMENT
def test_order_of_atoms_does_not_matter(per_element: bool) -> None:
    made = networks(per_element)
    features, species = rows()
    order = torch.randperm(len(species), generator=torch.Generator().manual_seed(4))
    assert_close(made(features[order], species[order]), made(features, species)[:, order], rtol=0, atol=1e-13)


@SHARED_AND_PER_ELEMENT
@EVERY_ACTIVATION
def test_scripted_equals_eager(per_element: bool, activation: Activation) -> None:
    made = networks(per_element, "batch_norm", activation).folded()
    scripted = torch.jit.script(made)
    for count in (40, 2, 0):
        features, species = rows(count)
        features.requires_grad_(True)
        with torch.jit.optimized_execution(False):
            found = [
                (e, *torch.autograd.grad(e.sum(), features))
                for e in (made(features, species), scripted(features, species))
            ]
        assert_close(found[0], found[1], rtol=0, atol=0)


@SHARED_AND_PER_ELEMENT
@EVERY_NORMALIZATION
def test_no_atoms_have_no_energies(per_element: bool, normalization: Normalization) -> None:
    features, species = rows(0)
    made = networks(per_element, normalization)
    assert made(features, species).shape == (2, 0)
    assert made.train()(features, species).shape == (2, 0)


@pytest.mark.slow
@SHARED_AND_PER_ELEMENT
@EVERY_ACTIVATION
def test_derivatives_of_first_and_second_order(per_element: bool, activation: Activation) -> None:
    made = networks(per_element, "batch_norm", activation, hidden=(3,))
    features, species = rows(4)
    x = ((features - made.features_mean[0]) * made.features_rate[0]).requires_grad_(True)
    made.features_mean.zero_()
    made.features_rate.fill_(1.0)
    names, parameters = zip(*made.named_parameters(), strict=True)

    def energies(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(made, dict(zip(names, values, strict=True)), (x, species))

    assert torch.autograd.gradcheck(energies, (x, *parameters))
    assert torch.autograd.gradgradcheck(energies, (x, *parameters))


def test_batch_statistics_are_those_of_torch() -> None:
    """Values while training, running averages, values in evaluation and the gradient equal BatchNorm1d, set by set."""
    mine = BatchNormalization(2, 3, 4, torch.float64)
    torchs = [[nn.BatchNorm1d(4, dtype=torch.float64) for _ in range(3)] for _ in range(2)]
    random = torch.Generator().manual_seed(0)
    for _step in range(3):
        for which in range(3):
            x = (5.0 + 2.0 * torch.randn(2, 9, 4, generator=random, dtype=torch.float64)).requires_grad_(True)
            weights = torch.randn(2, 9, 4, generator=random, dtype=torch.float64)
            found = mine(x, which)
            expected = torch.stack([torchs[k][which](x[k]) for k in range(2)])
            assert_close(found, expected)
            gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (found, expected)]
            assert_close(gradients[0], gradients[1])
    for k in range(2):
        for which in range(3):
            assert_close(mine.running_mean[k, which], torchs[k][which].running_mean)
            assert_close(mine.running_variance[k, which], torchs[k][which].running_var)
            assert_close(mine.eval()(x, which)[k], torchs[k][which].eval()(x[k]))


@SHARED_AND_PER_ELEMENT
def test_frozen_statistics_are_those_of_the_data_and_stay(per_element: bool) -> None:
    features, species = rows()
    made = networks(per_element, "batch_norm")
    batch = made.train()(features, species)
    made.freeze_statistics(features, species)
    assert_close(made(features, species), batch)  # statistics of all rows, now as constants
    alone = torch.cat([made(features[i : i + 1], species[i : i + 1]) for i in range(len(species))], dim=1)
    assert_close(alone, batch, rtol=0, atol=1e-12)  # no row knows of the others any more
    assert_close(made.eval()(features, species), batch)
    assert_close(made.folded()(features, species), batch, rtol=0, atol=1e-12)


@SHARED_AND_PER_ELEMENT
def test_two_processes_have_the_statistics_of_one(per_element: bool) -> None:
    """Two threads stand for processes, one without any atom of element 2; values and gradients are those of one."""
    features, species = (part[rows()[1].argsort()] for part in rows())
    features.requires_grad_(True)
    expected = networks(per_element, "batch_norm").train()(features, species)
    barrier, slots = Barrier(2, timeout=30), [torch.zeros(0), torch.zeros(0)]

    def process(rank: int) -> Tensor:
        def total(values: Tensor) -> Tensor:
            slots[rank] = values
            barrier.wait()
            both = slots[0] + slots[1]
            barrier.wait()
            return both

        made = networks(per_element, "batch_norm").train()
        made.synchronise_with(total)
        half = slice(0, 20) if rank == 0 else slice(20, None)
        return made(features[half], species[half])

    with ThreadPoolExecutor(2) as pool:
        found = torch.cat(list(pool.map(process, (0, 1))), dim=1)
    assert 2 not in species[:20]
    assert_close(found, expected, rtol=0, atol=1e-12)
    weights = torch.linspace(-1.0, 2.0, len(species), dtype=torch.float64)
    gradients = [torch.autograd.grad((energies * weights).sum(), features)[0] for energies in (found, expected)]
    assert_close(gradients[0], gradients[1], rtol=0, atol=1e-12)


def test_constant_features_are_ignored() -> None:
    features, species = rows()
    features[:, 2] = 4.0
    made = Networks(N_FEATURES, N_SPECIES, NetworkSettings(hidden=(4,)), [0])
    made.prepare(features.mean(0), features.std(0), 1.0)
    shifted = features.clone()
    shifted[:, 2] += 7.0
    assert_close(made(shifted, species), made(features, species), rtol=0, atol=0)
    assert_close(made.folded()(shifted, species), made(features, species), rtol=0, atol=1e-12)


def test_rows_keep_their_spread_through_the_layers_at_first() -> None:
    """Initial networks are neither saturated nor asleep: energies of standard features are of order one."""
    x = torch.randn(500, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for activation in FUNCTIONS:
        made = Networks(40, 1, NetworkSettings(activation=activation), range(20))  # type: ignore[arg-type]
        spread = made(x, torch.zeros(500, dtype=torch.int64)).std(dim=1).mean()
        assert 0.3 < spread < 2.0, activation


def test_numbers_of_parameters() -> None:
    shared, each = NetworkSettings(hidden=(50, 50, 50)), NetworkSettings(hidden=(50, 50, 50), per_element=True)
    normed = NetworkSettings(hidden=(50, 50, 50), normalization="batch_norm")
    assert shared.n_parameters(40, 2) == shared.n_parameters(40, 6) == 7201
    assert each.n_parameters(40, 3) == 3 * 7201
    for settings in (shared, each, normed):
        made = Networks(40, 3, settings, [0])
        assert sum(p.numel() for p in made.parameters()) == settings.n_parameters(40, 3)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="seeds must hold one number per member, got none"):
        Networks(3, 1, NetworkSettings(), [])
    with pytest.raises(ValueError, match="n_features and n_species must be at least 1, got 0 and 1"):
        Networks(0, 1, NetworkSettings(), [0])
    with pytest.raises(ValueError, match="hidden"):
        NetworkSettings(hidden=())
