"""Random forests as flat arrays: read from safetensors, never pickles, and run by numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from TumorSegLib.support.schema import SHOWN


@dataclass(frozen=True, eq=False)
class Forest:
    """Binary decision trees whose leaves' values are averaged (Breiman 2001).

    All nodes of all trees stand in one row. A node sends a sample to `left` if its `feature` is at
    most `threshold`, else to `right`; a leaf is its own successor.

    Attributes:
        roots: int32 (trees,), each tree's first node.
        feature: int32 (nodes,).
        threshold: float32 (nodes,).
        left: int32 (nodes,).
        right: int32 (nodes,).
        value: float32 (nodes,), a leaf's probability.
    """

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean over trees for samples (n, features), (n,)."""
        rows = np.arange(len(samples))[:, None]
        nodes = np.tile(self.roots, (len(samples), 1))
        while True:
            goes_left = samples[rows, self.feature[nodes]] <= self.threshold[nodes]
            following = np.where(goes_left, self.left[nodes], self.right[nodes])
            if (following == nodes).all():
                return np.asarray(self.value[nodes].mean(axis=1, dtype=np.float64))
            nodes = following

    def to_bytes(self) -> bytes:
        """Return the forest as the content of a safetensors file."""
        content: bytes = save({name: getattr(self, name) for name in KINDS})
        return content

    @classmethod
    def from_bytes(cls, content: bytes, features: int) -> Forest:
        """Return the forest that a safetensors file holds.

        Args:
            content: of the file.
            features: how many there are.

        Raises:
            ValueError: it holds no forest, or one over more features.
        """
        try:
            arrays: Mapping[str, NDArray[Any]] = load(content)
        except SafetensorError as error:
            raise ValueError(f"not a safetensors file: {str(error)[:SHOWN]}") from None
        for name, kind in KINDS.items():
            if name not in arrays or arrays[name].dtype != kind or arrays[name].ndim != 1:
                raise ValueError(f"{name} is missing or not a row of {np.dtype(kind)}")
        forest = cls(**{name: arrays[name] for name in KINDS})
        nodes = np.arange(len(forest.feature))
        leaf = (forest.left == nodes) & (forest.right == nodes)
        onwards = (forest.left > nodes) & (forest.right > nodes)
        within = (forest.left < len(nodes)) & (forest.right < len(nodes))
        known = (forest.feature >= 0) & (forest.feature < features)
        rooted = (forest.roots >= 0) & (forest.roots < len(nodes))
        sizes = {len(arrays[name]) for name in KINDS if name != "roots"}
        if len(sizes) != 1 or not len(forest.roots):
            raise ValueError("its arrays do not fit each other")
        if not ((leaf | onwards) & within & known).all() or not rooted.all():
            raise ValueError("its nodes are no trees over the model's features")
        return forest


KINDS: Mapping[str, Any] = {
    "roots": np.int32,
    "feature": np.int32,
    "threshold": np.float32,
    "left": np.int32,
    "right": np.int32,
    "value": np.float32,
}
