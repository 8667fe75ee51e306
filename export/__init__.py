"""The model file: what it is (card), how it is written (save) and read (load), and ASE running it (calculator)."""

from rhopot.export.calculator import RhopotCalculator
from rhopot.export.card import FORMAT_VERSION, CardError, ModelCard, TrainingData, Uncertainty, Versions
from rhopot.export.evaluate import evaluate
from rhopot.export.load import LoadedModel, ModelFileError, load_model, read_card
from rhopot.export.results import Evaluation
from rhopot.export.save import SelfCheckError, save_model
from rhopot.potentials.units import STRETCH

__all__ = [
    "FORMAT_VERSION",
    "STRETCH",
    "CardError",
    "Evaluation",
    "LoadedModel",
    "ModelCard",
    "ModelFileError",
    "RhopotCalculator",
    "SelfCheckError",
    "TrainingData",
    "Uncertainty",
    "Versions",
    "evaluate",
    "load_model",
    "read_card",
    "save_model",
]
