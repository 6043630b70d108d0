"""The names by which nnU-Net finds data sets."""

from __future__ import annotations

import re

from TumorSegLib.model.specification import ModelSpecification


def is_dataset_name(name: str) -> bool:
    """Tell whether a folder's name is DatasetNNN_Name."""
    return re.fullmatch(r"Dataset\d{3}_[^/\\]+", name) is not None


def dataset_name(specification: ModelSpecification) -> str:
    """Return a name for a data set of a model's cases."""
    words = re.sub(r"\W+", "_", specification.anatomy or specification.id).strip("_")
    return f"Dataset501_{words}"
