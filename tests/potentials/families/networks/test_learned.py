"""What families of learned features share: the model is the one whose errors the report has, baselines and all."""

from __future__ import annotations

import labelled
import many_body_toy as toy
import numpy as np
import pytest
import torch
from torch import nn
from training_problem import fit_problem, training_settings

from rhopot.export import LoadedModel, evaluate
from rhopot.potentials.descriptors.angular import AngularBasis, AngularSettings
from rhopot.potentials.descriptors.point_scattering import PointScatteringSettings, PointWavelets
from rhopot.potentials.families import FamilySettings, find_family
from rhopot.potentials.fitting.targets import Targets
from rhopot.potentials.models.angular.settings import AngularNetworkSettings
from rhopot.potentials.models.point_scattering.settings import PointScatteringNetworkSettings

ELEMENTS = {"symbols": labelled.SYMBOLS, "cutoff": labelled.CUTOFF}
FAMILIES = {
    "angular": (
        AngularBasis(AngularSettings(n_radial=4, n_angular=4, **ELEMENTS)),
        AngularNetworkSettings(layers=2, width=6, filters=8),
    ),
    "point_scattering": (
        PointWavelets(PointScatteringSettings(n=(2,), **ELEMENTS)),
        PointScatteringNetworkSettings(channels=3, combined=4, hidden=(5,)),
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_has_the_errors_of_the_training(name: str) -> None:
    descriptor, network = FAMILIES[name]
    frames = labelled.frames(5, seed=1)
    problem = fit_problem(
        labelled.frames(8), frames, descriptor=descriptor, targets=Targets(energy=0.002, forces=0.05), members=2
    )
    result = find_family(name).fit(problem, FamilySettings(descriptor.settings, network, training_settings(2)))
    assert isinstance(result.model, nn.Module)
    assert result.model.n_layers == network.layers  # which LAMMPS has to know: atoms act through as many cutoffs
    assert not any(parameter.requires_grad for parameter in result.model.parameters())
    assert {parameter.dtype for parameter in result.model.parameters()} == {torch.float64}
    card = toy.card(2, cutoff=labelled.CUTOFF).model_copy(update={"n_layers": result.model.n_layers})
    found = evaluate(LoadedModel(card=card, module=result.model), [frame.atoms for frame in frames], members=True)
    errors = {
        "energy_mae_mev_per_atom": [(one.energy - f.energy) / len(f) for one, f in zip(found, frames, strict=True)],
        "forces_mae_mev_per_angstrom": np.concatenate(
            [(one.forces - f.forces).ravel() for one, f in zip(found, frames, strict=True)]
        ),
    }
    for quantity, values in errors.items():
        assert 1000 * np.mean(np.abs(values)) == pytest.approx(result.report["validation"][quantity], rel=1e-6)
    members = found[0].members
    assert members is not None
    np.testing.assert_allclose(members.mean(axis=1), found[0].energies)
