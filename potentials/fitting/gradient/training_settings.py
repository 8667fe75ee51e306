"""Settings of the training loop, as they stand in the section `training` of a configuration file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LossSettings(_Settings):
    """What is minimised; the equations stand in `loss`."""

    form: Literal["regularized", "balanced", "likelihood"] = "regularized"
    """regularized: energies plus beta times forces; balanced: p and 1 - p; likelihood: by the sigmas of `targets`."""
    beta: NonNegativeFloat = 50.0
    """regularized: weight of the mean error of a force component (in A, so that both terms are energies)."""
    norm: Literal["absolute", "squared"] = "absolute"
    """regularized: |error| or its square."""
    energy_per_atom: bool = False
    """regularized and balanced: energies and V * stress enter per atom, not per structure."""
    p: float = Field(default=0.01, ge=0.0, le=1.0)
    """balanced: share of the energies."""
    huber: PositiveFloat | None = None
    """likelihood: beyond this many sigmas an error counts linearly; null: everywhere squared."""
    stress: NonNegativeFloat = 1.0
    """Weight of the mean error of a component of V * stress (of all rows of the stress in a likelihood)."""


class ScheduleSettings(_Settings):
    """How the learning rate changes with the epochs; the equations stand in `schedule`."""

    name: Literal["constant", "cosine", "halving", "plateau"] = "cosine"
    warmup: float = Field(default=0.02, ge=0.0, lt=1.0)
    """Share of the epochs in which the rate rises linearly from zero."""
    final: float = Field(default=0.01, gt=0.0, le=1.0)
    """cosine: last rate; halving and plateau: smallest rate; as parts of the learning rate."""
    every: PositiveInt = 2000
    """halving: epochs between two halvings."""
    patience: PositiveInt = 20
    """plateau: epochs without a better validation loss before the rate of a member is halved."""


class TrainingSettings(_Settings):
    """The training loop."""

    epochs: PositiveInt | None = None
    """Passes over the training frames; null: as many as make 6000 steps, at least 60 (see `epochs`)."""
    batch: PositiveInt = 8
    """Size of a minibatch, over all processes together."""
    batch_by: Literal["frames", "atoms"] = "frames"
    """What `batch` counts; by atoms, large and small structures make steps of equal work."""
    loss: LossSettings = LossSettings()
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 5e-3
    weight_decay: NonNegativeFloat = 0.0
    """adam: added to the gradient, in units of the weight; adamw: decay of the weights themselves."""
    schedule: ScheduleSettings = ScheduleSettings()
    ema: float = Field(default=0.99, ge=0.0, lt=1.0)
    """Memory of the average over steps that is validated and kept; 0 keeps the weights themselves."""
    clip: PositiveFloat | None = 10.0
    """Greatest norm of a member's gradient, relative to its running mean; null: none."""
    validate_every: PositiveInt = 1
    """Epochs between two validations."""
    patience: PositiveInt | None = None
    """Epochs without a better validation loss after which a member stops learning; null: never."""
    dtype: Literal["float32", "float64"] = "float32"
    """Float type of weights, features and gradients during the training."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    cache_gib: NonNegativeFloat = 4.0
    """Memory for features and their derivatives on each process; what does not fit is evaluated in every step."""
    checkpoint_seconds: NonNegativeFloat = 30.0
    """Time between checkpoints."""
    tensorboard: bool = False
    """Write a TensorBoard log too (needs the package tensorboard)."""
