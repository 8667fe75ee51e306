"""Settings of the training loop, as they stand in the section `training` of a configuration file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LossSettings(_Settings):
    """The loss function; equations in the module `loss`."""

    form: Literal["regularized", "balanced", "likelihood"] = "regularized"
    """regularized: energies plus beta times forces; balanced: weights p and 1 - p; likelihood: sigmas of `targets`."""
    beta: NonNegativeFloat = 50.0
    """regularized: weight of the mean error of a force component. [A]"""
    norm: Literal["absolute", "squared"] = "absolute"
    """regularized: |error| or its square."""
    energy_per_atom: bool = False
    """regularized and balanced: energies and V * stress enter per atom, not per structure."""
    p: float = Field(default=0.01, ge=0.0, le=1.0)
    """balanced: weight of the energies; forces have 1 - p. [1]"""
    huber: PositiveFloat | None = None
    """likelihood: sigmas beyond which errors count linearly; null: squared everywhere. [1]"""
    stress: NonNegativeFloat = 1.0
    """Weight of the mean error of a component of volume x stress (likelihood: of all stress rows). [1]"""


class ScheduleSettings(_Settings):
    """How the learning rate changes with the epochs; the equations stand in `schedule`."""

    name: Literal["constant", "cosine", "halving", "plateau"] = "cosine"
    """Shape of the learning-rate schedule."""
    warmup: float = Field(default=0.02, ge=0.0, lt=1.0)
    """Fraction of the epochs in which the rate rises linearly from zero. [1]"""
    final: float = Field(default=0.01, gt=0.0, le=1.0)
    """cosine: last rate; halving, plateau: smallest rate; relative to learning_rate. [1]"""
    every: PositiveInt = 2000
    """halving: epochs between two halvings."""
    patience: PositiveInt = 20
    """plateau: epochs without a better validation loss after which the rate of a member is halved."""


class TrainingSettings(_Settings):
    """The training loop."""

    epochs: PositiveInt | None = None
    """Passes over the training frames; null: as many as make 6000 steps, at least 60."""
    batch: PositiveInt = 8
    """Size of a minibatch, all processes together."""
    batch_by: Literal["frames", "atoms"] = "frames"
    """Unit of `batch`; by atoms, large and small structures make steps of equal work."""
    loss: LossSettings = LossSettings()
    optimiser: Literal["adam", "adamw"] = "adam"
    """Optimizer."""
    learning_rate: PositiveFloat = 5e-3
    """Learning rate at the start (after the warm-up). [1]"""
    weight_decay: NonNegativeFloat = 0.0
    """adam: multiple of the weights that is added to the gradient; adamw: decay of the weights themselves. [1]"""
    schedule: ScheduleSettings = ScheduleSettings()
    ema: float = Field(default=0.99, ge=0.0, lt=1.0)
    """Decay of the exponential moving average of the weights that is validated and saved; 0: no average. [1]"""
    clip: PositiveFloat | None = 10.0
    """Largest norm of a member's gradient, relative to its running mean; null: unlimited. [1]"""
    validate_every: PositiveInt = 1
    """Epochs between two validations."""
    patience: PositiveInt | None = None
    """Early stopping: epochs without a better validation loss after which a member stops; null: never."""
    dtype: Literal["float32", "float64"] = "float32"
    """Float type of weights, features and gradients during the training."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the training; auto: a GPU where there is one."""
    cache_gib: NonNegativeFloat = 4.0
    """Memory for features and their Jacobians per process; the rest is evaluated in every step. [GiB]"""
    checkpoint_seconds: NonNegativeFloat = 30.0
    """Time between checkpoints. [s]"""
    tensorboard: bool = False
    """Write a TensorBoard log too (needs the package tensorboard)."""
