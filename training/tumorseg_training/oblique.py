"""Slices along oblique planes of a case, as scanners tilted against the body would see them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from tumorseg_training.slice_cache import CachedCase


def oblique_slice(
    case: CachedCase, z: int, tilt: tuple[float, float], context: int
) -> tuple[Tensor, Tensor]:
    """Cut a plane through the centre of slice `z`, and its parallels for the context.

    What lies beyond the first and last slice is air without a structure.

    Args:
        case: whose slices are resampled, trilinearly; its label values by nearest neighbour.
        z: index of the slice that is turned.
        tilt: radians by which its rows' and its columns' direction leave the axial plane.
        context: parallels on each side, as far apart as the case's slices.

    Returns:
        float32 image (channels * (2 * context + 1), H, W) in [0, 1], mask (1, H, W).
    """
    positions = plane_positions(case.masks.shape, case.spacing_zyx, z, tilt, context)
    depth = positions[..., 0]
    first = int(np.clip(np.floor(depth.min()), 0, len(case.masks) - 1))
    last = int(np.clip(np.ceil(depth.max()), 0, len(case.masks) - 1)) + 1
    positions[..., 0] -= first
    shape = (last - first, *case.masks.shape[1:])
    grid = torch.from_numpy(2 * (positions + 0.5) / np.array(shape) - 1).float().flip(-1)[None]
    voxels = torch.from_numpy(case.images[first:last].astype(np.float32) / 255)
    image = grid_sample(voxels.transpose(0, 1)[None], grid, align_corners=False)[0]
    labels = torch.from_numpy(case.masks[first:last].astype(np.float32))
    mask = grid_sample(
        labels[None, None], grid[:, context : context + 1], mode="nearest", align_corners=False
    )[0, 0]
    return image.flatten(0, 1), mask


def plane_positions(
    shape: tuple[int, ...],
    spacing_zyx: tuple[float, float, float],
    z: int,
    tilt: tuple[float, float],
    context: int,
) -> NDArray[np.float64]:
    """Return the voxel positions (2 * context + 1, H, W, 3) in (z, y, x) of a turned slice."""
    spacing = np.array(spacing_zyx)
    rows, columns = shape[-2:]
    centre = np.array([z, (rows - 1) / 2, (columns - 1) / 2])
    down = np.array([np.sin(tilt[0]), np.cos(tilt[0]), 0.0])
    across = np.array([np.sin(tilt[1]), 0.0, np.cos(tilt[1])])
    across -= down * (down @ across)
    across /= np.linalg.norm(across)
    normal = np.cross(down, across)
    normal *= np.sign(normal[0])
    u = (np.arange(rows) - centre[1])[None, :, None, None] * spacing[1] * down
    v = (np.arange(columns) - centre[2])[None, None, :, None] * spacing[2] * across
    w = np.arange(-context, context + 1)[:, None, None, None] * spacing[0] * normal
    positions: NDArray[np.float64] = centre + (u + v + w) / spacing
    return positions
