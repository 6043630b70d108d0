"""Where the voxels of a NIfTI file lie, by its qform and sform.

They and their codes mean the same in NIfTI-1 and NIfTI-2, of which ITK reads the first alone; see
nifti.nimh.nih.gov/nifti-2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCANNER = 1
"""Code of a form that gives positions in the scanner."""

SHEAR = 1e-3
"""Scalar products of an sform's directions are at most this far from those of perpendicular axes
with the header's spacing."""

RAS_TO_LPS = np.array([[-1.0], [-1.0], [1.0]])


def qform_matrix(fields: Any, unit: float) -> NDArray[np.float64]:
    """Return (3, 4) from voxel indices (x, y, z) to LPS mm, by a header's qform.

    Args:
        fields: of the header.
        unit: of its lengths, mm.
    """
    vector = fields["quatern"].astype(np.float64)
    vector /= max(1.0, float(np.linalg.norm(vector)))
    b, c, d = vector
    cross = np.array([[0, -d, c], [d, 0, -b], [-c, b, 0]])
    turned = np.eye(3) + 2 * np.sqrt(max(0.0, 1 - vector @ vector)) * cross + 2 * cross @ cross
    handed = -1 if fields["pixdim"][0] < 0 else 1
    axes = turned * fields["pixdim"][1:4] * (1, 1, handed)
    matrix: NDArray[np.float64] = RAS_TO_LPS * unit * np.column_stack([axes, fields["qoffset"]])
    return matrix


def decided_matrix(
    qform: NDArray[np.float64] | None,
    sform: NDArray[np.float64] | None,
    sform_code: int,
    spacing: tuple[float, ...],
) -> NDArray[np.float64] | None:
    """Return the matrix that counts, as ITK decides between them for NIfTI-1.

    It is the sform where there is no qform, or where the sform gives positions in the scanner;
    but not if it is sheared or contradicts the spacing. Where the header has neither, indices grow
    to the patient's left, back and head.

    Args:
        qform: (3, 4) from voxel indices (x, y, z) to LPS mm, `None` if there is none.
        sform: the same.
        sform_code: what kind of positions the sform gives.
        spacing: mm along x, y and z, each above 0.

    Returns:
        (3, 4); `None` if the only matrix is the sform and cannot be used.
    """
    if qform is None and sform is None:
        return np.diag([*spacing, 1.0])[:3]
    preferred = qform is None or sform_code == SCANNER
    return sform if sform is not None and preferred and is_perpendicular(sform, spacing) else qform


def is_perpendicular(matrix: NDArray[np.float64], spacing: tuple[float, ...]) -> bool:
    """Tell whether a matrix (3, 4) has perpendicular axes with this spacing."""
    columns = matrix[:, :3] / np.array(spacing)
    return bool(np.abs(columns.T @ columns - np.eye(3)).max() <= SHEAR)
