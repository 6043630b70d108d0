"""Between NumPy's arrays and PyTorch's tensors, without PyTorch's own bridge.

`torch.from_numpy` and `Tensor.numpy` fail where PyTorch was built for another major version of
NumPy than the one that is there. So it is on Macs with Intel processors: their last PyTorch, 2.2,
was built for NumPy 1, and 3D Slicer brings NumPy 2. Python's buffers do not know of versions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TYPES = {
    "bool": torch.bool,
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "float32": torch.float32,
    "float64": torch.float64,
}
"""PyTorch's types by NumPy's names."""

NAMES = {dtype: name for name, dtype in TYPES.items()}


def tensor_from_array(array: NDArray[Any]) -> Tensor:
    """Return a tensor of an array's shape and type, on its memory where that is possible.

    It is a copy where the array is read-only, in another byte order or not contiguous.
    """
    dtype = TYPES[array.dtype.name]
    if array.size == 0:
        return torch.empty(array.shape, dtype=dtype)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.frombuffer(np.require(native, requirements=["C", "W"]), dtype=dtype).view(
        array.shape
    )


def array_from_tensor(tensor: Tensor) -> NDArray[Any]:
    """Return a copy of a tensor as an array of its shape and type."""
    array = np.empty(tuple(tensor.shape), NAMES[tensor.dtype])
    if array.size:
        tensor_from_array(array).copy_(tensor)
    return array
