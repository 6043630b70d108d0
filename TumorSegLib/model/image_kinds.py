"""The shipped classifier of what an image is: a logistic regression over some numbers.

It is no model that segments: its folder has no `model.json`, so that the catalogue passes it by.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from TumorSegLib.errors import ModelError
from TumorSegLib.support.places import resources
from TumorSegLib.support.schema import SchemaError, from_dict, parsed

FOLDER = "image-kinds"
SPECIFICATION_FILE = "kinds.json"
WEIGHTS_FILE = "weights.safetensors"
LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class KindsSpecification:
    """What stands in `kinds.json`.

    Attributes:
        version: of the classifier.
        kinds: that it tells apart ("flair", "t1", "t1c", "t2", "ct"), in order.
        features: that it looks at, in order.
        threshold: what is less probable than this is not what the image is.
        sha256: of the weights, in hexadecimal.
        data: what it learnt from.
        licence: of the weights.
    """

    version: str
    kinds: tuple[str, ...]
    features: tuple[str, ...]
    threshold: float
    sha256: str
    data: str
    licence: str


@dataclass(frozen=True, eq=False)
class ImageKinds:
    """A logistic regression over standardised features.

    Attributes:
        specification: what it tells apart, and by what.
        mean: float32 (features,), of each feature in training.
        deviation: float32 (features,), likewise.
        coefficients: float32 (kinds, features).
        bias: float32 (kinds,).
    """

    specification: KindsSpecification
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, features: NDArray[np.float32]) -> dict[str, float]:
        """Return how probable each kind is for an image's features (features,)."""
        scores = self.coefficients @ ((features - self.mean) / self.deviation) + self.bias
        odds = np.exp(scores.astype(np.float64) - scores.max())
        return dict(zip(self.specification.kinds, (odds / odds.sum()).tolist(), strict=True))

    def to_bytes(self) -> bytes:
        """Return the weights as the content of a safetensors file."""
        arrays = {name: getattr(self, name) for name in _shapes(self.specification)}
        in_order = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        content: bytes = save(in_order)  # it writes memory as it lies
        return content


@cache
def shipped_kinds() -> ImageKinds:
    """Read the classifier that comes with TumorSeg, once.

    Raises:
        ModelError: a file is missing or damaged.
    """
    return read_kinds(resources() / "Models" / FOLDER)


def read_kinds(folder: Path) -> ImageKinds:
    """Read a classifier from its folder.

    Raises:
        ModelError: a file is missing, damaged, or does not fit the others.
    """
    path = folder / SPECIFICATION_FILE
    try:
        specification = from_dict(KindsSpecification, parsed(_read(path)))
    except (SchemaError, ValueError) as error:
        raise ModelError(f"{path}: {error}; install TumorSeg again") from None
    path = folder / WEIGHTS_FILE
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != specification.sha256:
        raise ModelError(
            f"{path}: is not the file that {SPECIFICATION_FILE} names; install TumorSeg again"
        )
    try:
        arrays: dict[str, NDArray[Any]] = load(content)
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file: {error}") from None
    for name, shape in _shapes(specification).items():
        if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != np.float32:
            raise ModelError(f"{path}: {name} is missing or not float32 of shape {shape}")
    return ImageKinds(specification, **{name: arrays[name] for name in _shapes(specification)})


def _shapes(specification: KindsSpecification) -> dict[str, tuple[int, ...]]:
    kinds, features = len(specification.kinds), len(specification.features)
    return {
        "mean": (features,),
        "deviation": (features,),
        "coefficients": (kinds, features),
        "bias": (kinds,),
    }


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; install TumorSeg again") from None
