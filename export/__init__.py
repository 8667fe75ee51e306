"""The model file: what it is (card), how it is written (save) and read (load), and ASE running it (calculator).

Collective variables have files of their own (`cv_card`, `cv_file`, `cv_evaluate`); `metadynamics` biases them in ASE.
"""

from rhopot.export.calculator import RhopotCalculator
from rhopot.export.card import ModelCard, TrainingData, Uncertainty
from rhopot.export.card_file import FORMAT_VERSION, CardError, Versions
from rhopot.export.cv_card import CvCard
from rhopot.export.cv_evaluate import CvEvaluation, evaluate_cv
from rhopot.export.cv_file import CvFileError, LoadedCv, load_cv, read_cv_card, save_cv
from rhopot.export.evaluate import evaluate
from rhopot.export.load import LoadedModel, ModelFileError, load_model, read_card
from rhopot.export.metadynamics import MetadynamicsCalculator, MetadynamicsStopped
from rhopot.export.results import Evaluation
from rhopot.export.save import SelfCheckError, save_model
from rhopot.potentials.units import STRETCH

__all__ = [
    "FORMAT_VERSION",
    "STRETCH",
    "CardError",
    "CvCard",
    "CvEvaluation",
    "CvFileError",
    "Evaluation",
    "LoadedCv",
    "LoadedModel",
    "MetadynamicsCalculator",
    "MetadynamicsStopped",
    "ModelCard",
    "ModelFileError",
    "RhopotCalculator",
    "SelfCheckError",
    "TrainingData",
    "Uncertainty",
    "Versions",
    "evaluate",
    "evaluate_cv",
    "load_cv",
    "load_model",
    "read_card",
    "read_cv_card",
    "save_cv",
    "save_model",
]
