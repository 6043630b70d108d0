"""Digitised shapes on any grid, for tests of what is measured of them."""

from __future__ import annotations

import numpy as np

from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.segment import measure_numbered


def numbered_components(mask, grid):
    """Return the numbers (z, y, x) that the components of a mask are measured under, 0 beside."""
    return measure_numbered(mask, grid)[1]()


def oblique(*degrees):
    """A direction matrix turned by `degrees` about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(degrees):
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        turn = np.eye(3)
        first, second = [other for other in range(3) if other != axis]
        turn[first, first] = turn[second, second] = cosine
        turn[first, second], turn[second, first] = -sine, sine
        matrix = turn @ matrix
    return tuple(tuple(row) for row in matrix.tolist())


def grid_around(extent_mm, spacing, direction=((1, 0, 0), (0, 1, 0), (0, 0, 1)), centre=(0, 0, 0)):
    """A grid (spacing along x, y, z) that reaches `extent_mm` from `centre` (LPS) on its axes."""
    counts = [2 * int(np.ceil(extent_mm / mm)) + 3 for mm in spacing]
    middle = np.array([(count - 1) / 2 for count in counts]) * spacing
    origin = np.array(centre) - np.array(direction) @ middle
    return Grid(tuple(counts[::-1]), tuple(spacing), tuple(origin.tolist()), direction)


def digitised(inside, grid):
    """The voxels (z, y, x) whose centre is `inside`, a function of LPS positions (n, 3)."""
    indices = np.indices(grid.shape).reshape(3, -1).T
    return inside(grid.positions(indices)).reshape(grid.shape)


def ellipsoid(semi_axes, centre=(0, 0, 0)):
    """Whether positions are in an ellipsoid along the patient's axes."""
    return lambda places: (((places - centre) / semi_axes) ** 2).sum(axis=1) <= 1


def torus(ring, tube, centre=(0, 0, 0)):
    """Whether positions are in a torus about the inferior-superior axis."""

    def inside(places):
        x, y, z = (places - centre).T
        return (np.hypot(x, y) - ring) ** 2 + z**2 <= tube**2

    return inside


def ellipsoid_surface(a, b, c):
    """The surface of an ellipsoid, by quadrature."""
    theta, phi = np.meshgrid(
        (np.arange(400) + 0.5) * np.pi / 400, (np.arange(800) + 0.5) * np.pi / 400, indexing="ij"
    )
    sine = np.sin(theta)
    cross = np.sqrt(
        (b * c * sine * np.cos(phi)) ** 2
        + (a * c * sine * np.sin(phi)) ** 2
        + (a * b * np.cos(theta)) ** 2
    )
    return float((cross * sine).sum() * (np.pi / 400) ** 2)
