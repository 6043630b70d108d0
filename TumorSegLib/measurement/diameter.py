"""Diameters between outlines: the longest on a slice, the one across it, the longest in space.

The outline runs half-way between the last pixel inside and the first one outside, along the rows
and columns, as marching squares and marching cubes draw it: the longest diameter is the largest
distance between two corners of that mesh, IBSI's "maximum 3D diameter" (www.theibsi.com, L0JK) and
its like on a slice. A single pixel has its own width. Of digitised discs of 10 to 40 pixels across
the longest diameter is 0.3 to 1 pixel too long (0.7 on the average), of ellipses 0.5 too short to
0.9 too long; between the centres of pixels it would be 0 to 0.6 too short (and a single pixel's 0),
between their corners 0.8 to 1.4 too long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import Vector, vector

Points = NDArray[np.float64]
Ends = tuple[Vector, Vector]

FEW = 500
"""Points whose distances are found more quickly than their hull."""


@dataclass(frozen=True)
class Axis:
    """A diameter: its length in mm and its ends, voxel indices along (z, y, x) with fractions."""

    mm: float
    ends: Ends


def longest(points: Points, spacing: Points) -> Axis:
    """Return the longest diameter of what has these corners.

    Args:
        points: (n, 3) indices along (z, y, x) of pixels, the hull's corners among them.
        spacing: mm along these axes; 0 for an axis along which the points do not differ and
            outlines do not extend.
    """
    from scipy.spatial.distance import cdist

    points = _far_out(points, spacing)
    if len(points) > FEW and spacing.all():
        points = _on_hull(points)
    between = cdist(points * spacing, points * spacing)
    one, other = np.nonzero(between >= between.max() - spacing.max())
    apart = np.abs(points[one] - points[other])
    best, chosen = -1.0, (0, 0)
    for axis in np.flatnonzero(spacing).tolist():
        beyond = apart.copy()
        beyond[:, axis] += 1  # half a pixel at either end
        squares = ((beyond * spacing) ** 2).sum(axis=1)
        pair = int(squares.argmax())
        if squares[pair] > best * (1 + 1e-12):
            best, chosen = float(squares[pair]), (pair, axis)
    pair, axis = chosen
    first, second = points[one[pair]].copy(), points[other[pair]].copy()
    side = 0.5 if first[axis] >= second[axis] else -0.5
    first[axis] += side
    second[axis] -= side
    return Axis(float(np.sqrt(best)), (vector(first), vector(second)))


def across(points: Points, spacing: Points, long: Axis) -> Axis:
    """Return the longest diameter on the slice at right angles to `long`, the longest of all.

    It is that of the outline's convex hull: a dent in the outline does not shorten it.

    Args:
        points: (n, 3) indices along (z, y, x) of the slice's pixels, the hull's corners among them.
        spacing: mm along these axes.
        long: of the same slice.
    """
    from scipy.spatial import ConvexHull

    half = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    outline = (points[:, None, 1:] + half).reshape(-1, 2)
    outline = outline[ConvexHull(outline).vertices] * spacing[1:]
    start = np.array(long.ends[0])[1:] * spacing[1:]
    along = (np.array(long.ends[1])[1:] * spacing[1:] - start) / long.mm
    aside = np.array([-along[1], along[0]])
    u, v = (outline - start) @ along, (outline - start) @ aside
    lower, upper = _sides(u, v)
    widths = upper - lower
    widest = int(widths.argmax())
    ends = (start + u[widest] * along + height[widest] * aside for height in (lower, upper))
    z = float(points[0, 0])
    first, second = (vector([z, *(end / spacing[1:])]) for end in ends)
    return Axis(float(widths[widest]), (first, second))


def _sides(u: Points, v: Points) -> tuple[Points, Points]:
    """Return the lowest and the highest `v` of a convex polygon at each of its corners' `u`.

    `u` runs along the longest diameter, to which no edge is at right angles: the way to an end of
    such an edge would be longer.
    """
    u0, v0 = u[:, None], v[:, None]
    u1, v1 = np.roll(u, -1)[:, None], np.roll(v, -1)[:, None]
    height = v0 + (u - u0) / (u1 - u0) * (v1 - v0)
    on_edge = (u >= np.minimum(u0, u1)) & (u <= np.maximum(u0, u1))
    lower = np.where(on_edge, height, np.inf).min(axis=0)
    upper = np.where(on_edge, height, -np.inf).max(axis=0)
    return lower, upper


def _far_out(points: Points, spacing: Points) -> Points:
    """Return the points that may be ends of the longest diameter.

    With R the largest distance from the middle, either end of a diameter of at least D is at least
    D - R away from it.
    """
    places = points * spacing
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    away = np.linalg.norm(places - middle, axis=1)
    least, start = 0.0, int(away.argmax())
    for _ in range(3):
        distances = np.linalg.norm(places - places[start], axis=1)
        start = int(distances.argmax())
        least = max(least, float(distances[start]))
    return np.asarray(points[away >= least - away.max() - spacing.max()])


def _on_hull(points: Points) -> Points:
    """Return the corners of the convex hull of points in space; all of them where it is flat."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except QhullError:  # in one oblique plane
        return points
