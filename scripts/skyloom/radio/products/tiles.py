"""The classes of a whole mosaic, tile by tile.

A network whose classes depend on a bounded surrounding is applied to tiles of a core and a halo:
the result is that of the whole mosaic, whatever the tiles. Other networks get tiles of their
training's size, which overlap by a half and are blended.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skyloom import cli
from skyloom.networks import symmetries
from skyloom.radio.data.noise import Levels, network_input
from skyloom.radio.data.pixels import Pixels, release
from skyloom.radio.simulate.field import CLASSES, DIFFUSE
from skyloom.training.account import Counter

CORE = 320  # pixels of a tile without its halo, a multiple of every network's coarsest pixel
BATCH_PIXELS = 2**18  # of a batch on a CPU, to which more pixels bring memory but no speed
GPU_BATCHES = 4  # of them at a time on a GPU
COUNTED = 128  # pixels along a side of the image whose operations are counted
CORE_RATE, A100_RATE = 9e10, 5e13  # [FLOP/s] of a core in fp32 and of an A100 in bf16, estimates
BYTES_PER_PIXEL = 4 + 1  # of the products in memory: probability and class


class Tile(NamedTuple):
    """Part of a mosaic: the first pixel and side of what a network sees, and of what is kept."""

    y: int
    x: int
    side: int
    margin: int


class Plan(NamedTuple):
    """Tiles of a mosaic; halo : of a tile [pixel], None where tiles are blended."""

    shape: tuple[int, int]
    side: int
    halo: int | None

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side // 2 if self.halo is None else self.side - 2 * self.halo

    def rows(self) -> list[list[Tile]]:
        """Tiles by row."""
        halo = self.halo or 0
        begin = -self.step if self.halo is None else -halo
        ys, xs = (range(begin, n - halo, self.step) for n in self.shape)
        return [[Tile(y, x, self.side, halo) for x in xs] for y in ys]

    @property
    def number(self) -> int:
        return sum(map(len, self.rows()))

    def describe(self, flop_per_pixel: float) -> str:
        """What the mosaic costs, before anything is computed."""
        flop = self.number * self.side**2 * flop_per_pixel
        memory = BYTES_PER_PIXEL * math.prod(self.shape) / 2**30
        how = "blended" if self.halo is None else f"with a halo of {self.halo} pixels"
        return (
            f"{self.shape[0]} x {self.shape[1]} pixels in {self.number} tiles of {self.side},"
            f" {how}: {memory:.2f} GiB of products in memory, {flop / 1e12:.3g} TFLOP,"
            f" some {flop / CORE_RATE / 60:.3g} core-minutes or {flop / A100_RATE:.2g} s of an A100"
        )


@torch.no_grad()
def operations(apply: Callable[[Tensor], Tensor]) -> float:
    """Floating-point operations of a network for one pixel."""
    with Counter() as counter:
        apply(torch.zeros(1, 2, COUNTED, COUNTED))
    return counter.flop / COUNTED**2


def plan(shape: tuple[int, int], trained_pixels: int, halo: int | None, core: int = CORE) -> Plan:
    return Plan(shape, trained_pixels if halo is None else core + 2 * halo, halo)


class Classes(NamedTuple):
    """Of each pixel (y, x): probability of diffuse emission, NaN where unobserved; the most
    probable other class; with several views the deviation of the probability among them.
    """

    diffuse: np.ndarray
    other: np.ndarray
    spread: np.ndarray | None


def of_views(probability: Callable[[Tensor], Tensor], number: int) -> Callable[[Tensor], Tensor]:
    """Mean probabilities (n, class, y, x) over the first `number` symmetries of a tile, and with
    several of them the deviation of that of diffuse emission as one plane more.
    """
    if number == 1:
        return probability

    def apply(image: Tensor) -> Tensor:
        found = torch.stack(
            [
                symmetries.turned(
                    probability(symmetries.turned(image, element)), symmetries.inverse(element)
                )
                for element in symmetries.VIEWS[:number]
            ]
        )
        return torch.cat([found.mean(0), found[:, :, DIFFUSE, None].std(0)], 1)

    return apply


@torch.no_grad()
def classify(
    image: np.ndarray | Pixels,
    levels: Levels,
    plan: Plan,
    apply: Callable[[Tensor], Tensor],
    quiet: bool = True,
) -> Classes:
    """The classes of a mosaic, row of tiles by row.

    apply : input (n, 2, y, x) -> probabilities (n, class, y, x), and a plane more of `of_views`
    """
    blended = plan.halo is None
    window = _window(plan.side)
    diffuse = np.full(plan.shape, np.nan, np.float32)
    other, spread, total = np.zeros(plan.shape, np.uint8), None, None

    def keep(target: tuple[slice, slice], classes: np.ndarray) -> None:
        diffuse[target] = classes[DIFFUSE]
        other[target] = _others(classes[: len(CLASSES)])
        if spread is not None:
            spread[target] = classes[len(CLASSES)]

    rows = plan.rows()
    for tiles in rows if quiet else cli.progress(rows, "tiles"):
        for batch in _batches(tiles, plan.side):
            views = np.stack([_view(image, levels, tile) for tile in batch])
            found = apply(torch.from_numpy(views)).float().cpu().numpy()
            # blending keeps NaN: all tiles of a pixel agree on whether it is observed
            found = np.where(views[:, 1:] > 0, found, np.nan)
            if spread is None and found.shape[1] > len(CLASSES):
                spread = np.full(plan.shape, np.nan, np.float32)
            if total is None and blended:
                # of all classes no more than the rows that these tiles cover
                total = np.zeros((found.shape[1], plan.side, plan.shape[1]), np.float32)
            for tile, classes in zip(batch, found, strict=True):
                target, part = _overlap(tile, plan.shape, tile.margin)
                if blended:
                    total[:, :, target[1]] += (classes * window)[:, :, part[1]]
                else:
                    keep(target, classes[:, *part])
        if blended:
            # no later row of tiles covers the upper half of these
            y = tiles[0].y
            done = slice(max(0, y), min(y + plan.step, plan.shape[0]))
            keep((done, slice(None)), total[:, done.start - y : max(0, done.stop - y)])
            total[:, : plan.step] = total[:, plan.step :]
            total[:, plan.step :] = 0
        release(image)
        release(levels.given)
    return Classes(diffuse, other, spread)


def _others(classes: np.ndarray) -> np.ndarray:
    classes = classes.copy()
    classes[DIFFUSE] = -1
    return classes.argmax(0).astype(np.uint8)


def _batches(tiles: list[Tile], side: int) -> list[list[Tile]]:
    pixels = BATCH_PIXELS * (GPU_BATCHES if torch.cuda.is_available() else 1)
    size = max(1, pixels // side**2)
    return [tiles[k : k + size] for k in range(0, len(tiles), size)]


def _view(image: np.ndarray | Pixels, levels: Levels, tile: Tile) -> np.ndarray:
    """What a network sees of a tile (2, y, x); beyond the mosaic nothing is observed."""
    values = np.full((tile.side, tile.side), np.nan, np.float32)
    target, part = _overlap(tile, image.shape, 0)
    values[part] = image[target]
    rows, columns = (slice(at, at + tile.side) for at in (tile.y, tile.x))
    return network_input(values, *levels.on(rows, columns))


def _overlap(tile: Tile, shape: tuple[int, int], margin: int) -> tuple[tuple, tuple]:
    """Slices of the mosaic and of the tile that a tile without its margin covers."""
    target, part = [], []
    for first, n in zip((tile.y, tile.x), shape, strict=True):
        low, high = max(0, first + margin), min(n, first + tile.side - margin)
        target.append(slice(low, high))
        part.append(slice(low - first, high - first))
    return tuple(target), tuple(part)


def _window(side: int) -> np.ndarray:
    """Cosine weights (y, x) of a blended tile, of sum 1 over tiles at half a side."""
    one = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    return (one[:, None] * one).astype(np.float32)
