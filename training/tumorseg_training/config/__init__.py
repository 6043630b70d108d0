"""What a TOML file says of a run, an ensemble, or a recipe of several stages."""

from tumorseg_training.config.augmentation import Augmentation
from tumorseg_training.config.data import Data, ExtraDataset, Synthesis
from tumorseg_training.config.optimisation import Optimisation, Tversky
from tumorseg_training.config.reading import read_config, read_ensemble, read_recipe
from tumorseg_training.config.recipe import Part, Recipe, Stage
from tumorseg_training.config.training import (
    Card,
    EnsembleConfig,
    TrainingConfig,
    losses_for,
    reader_options_of,
)

__all__ = [
    "Augmentation",
    "Card",
    "Data",
    "EnsembleConfig",
    "ExtraDataset",
    "Optimisation",
    "Part",
    "Recipe",
    "Stage",
    "Synthesis",
    "TrainingConfig",
    "Tversky",
    "losses_for",
    "read_config",
    "read_ensemble",
    "read_recipe",
    "reader_options_of",
]
