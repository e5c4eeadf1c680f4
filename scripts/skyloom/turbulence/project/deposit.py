"""Column density and velocity centroid of a simulation along x, y and z, on a grid of pixels.

A cell is a box of constant density. Its mass is shared among the pixels by the area that it covers:
exact for any number of pixels, and mass is conserved. Rows and columns of the maps are (z, y) along
x, (z, x) along y, (y, x) along z.
"""

import numpy as np

from skyloom.turbulence.read.simulation import AXES, Cells, Cube

# numbers of the coordinates (x, y, z) along rows and columns of a map
ROW_COLUMN = {"x": (2, 1), "y": (2, 0), "z": (1, 0)}


def project(gas: Cells | Cube, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps (axis, pixels, pixels) float64 along x, y, z.

    The first is the mean density on the line of sight [g cm-3]: the column density over the width
    of the box. The second is the line-of-sight velocity weighted by density [km/s], NaN without
    velocity or gas.
    """
    maps = _project_cells(gas, pixels) if isinstance(gas, Cells) else _project_cube(gas, pixels)
    density, momentum = np.moveaxis(np.array(maps), 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return density, momentum / density


def overlap(cells: int, pixels: int) -> np.ndarray:
    """Share (pixels, cells) of each cell that falls on each pixel, of rows of equal length.

    In units of 1 / (cells * pixels) of the row all edges are whole numbers.
    """
    cell, pixel = np.arange(cells) * pixels, np.arange(pixels)[:, None] * cells
    common = np.minimum(cell + pixels, pixel + cells) - np.maximum(cell, pixel)
    return np.clip(common, 0, None) / pixels


def resample(image: np.ndarray, pixels: int) -> np.ndarray:
    """A map (n, n) of means on another number of pixels, its sum over area kept."""
    if len(image) == pixels:
        return image
    share = overlap(len(image), pixels)
    return share @ image @ share.T * (pixels / len(image)) ** 2


def deposit(cells: Cells, density: np.ndarray, axis: str, pixels: int) -> np.ndarray:
    """Mean (pixels, pixels) along one axis of a density (n,) of the cells.

    Cells not finer than the pixels are added up on the grid of their level, which is then shared. A
    finer cell lies on at most two pixels in each direction.
    """
    mass = density * cells.volume
    image = np.zeros((pixels, pixels))
    for level in np.unique(cells.level):
        members, width = cells.level == level, 1 << int(level)
        row, column = cells.index[members][:, ROW_COLUMN[axis]].T.astype(np.int64)
        if width <= pixels:
            grid = np.bincount(row * width + column, mass[members], width * width)
            grid = grid.reshape(width, width)
            share = overlap(width, pixels)
            image += grid if width == pixels else share @ grid @ share.T
        else:
            for row_pixel, row_share in _two_pixels(row, width, pixels):
                for column_pixel, column_share in _two_pixels(column, width, pixels):
                    weight = mass[members] * row_share * column_share
                    pixel = row_pixel * pixels + column_pixel
                    image += np.bincount(pixel, weight, pixels**2).reshape(image.shape)
    return image * pixels**2


def _two_pixels(cell: np.ndarray, cells: int, pixels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(pixel, share) of the two pixels that a smaller cell may touch; the second share may be 0."""
    pixel = cell * pixels // cells
    share = np.minimum((pixel + 1) * cells - cell * pixels, pixels) / pixels
    return [(pixel, share), (np.minimum(pixel + 1, pixels - 1), 1 - share)]


def _project_cells(cells: Cells, pixels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(density, momentum) along each axis."""
    return [
        (
            deposit(cells, cells.density, axis, pixels),
            np.full((pixels, pixels), np.nan)
            if cells.velocity is None
            else deposit(cells, cells.density * cells.velocity[:, k], axis, pixels),
        )
        for k, axis in enumerate(AXES)
    ]


def _project_cube(cube: Cube, pixels: int) -> list[tuple[np.ndarray, np.ndarray]]:
    maps = []
    for k in range(3):
        density = cube.density.mean(axis=2 - k)
        if cube.velocity is not None:
            momentum = np.mean(cube.density * cube.velocity[k], axis=2 - k)
        else:
            momentum = density * (np.nan if cube.centroid is None else cube.centroid[k])
        maps.append((resample(density, pixels), resample(momentum, pixels)))
    return maps
